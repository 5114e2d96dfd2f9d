//! Accepting connections, and letting go of them in time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint as _, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::auth::Peer;
use crate::open_files;
use crate::tls::{self, Tls};

/// How long the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a peer may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// How long requests under way may take once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(7);
/// Most connections at once.
const MAX_CONNECTIONS: usize = 4096;
/// Most bytes of the head of a request.
const MAX_HEADER: usize = 64 << 10;

/// The socket that systemd handed over, or else one on that address.
///
/// # Errors
/// When the address cannot be had.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let handed = listenfd::ListenFd::from_env().take_tcp_listener(0)?;
    let listener = match handed {
        Some(listener) => listener,
        None => std::net::TcpListener::bind(address)?,
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The signals that end the server. Listened to from the start, so that none is missed.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens to SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Listens to SIGHUP, which ends nothing from now on.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn hangup() -> std::io::Result<Signal> {
        signal(SignalKind::hangup())
    }

    /// Waits for either.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until it is told to stop, tells the others, then lets requests under way finish.
///
/// # Errors
/// When the socket has no address.
pub async fn run(
    listener: TcpListener,
    endpoint: BoxEndpoint<'static, Response>,
    mut stop: Stop,
    stopping: &CancellationToken,
    tls: Option<Arc<Tls>>,
) -> std::io::Result<()> {
    let endpoint = Arc::new(endpoint);
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(tokio::sync::Semaphore::new(open_files::connections(
        MAX_CONNECTIONS,
    )));
    let local = listener.local_addr()?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stop.wait() => break,
        };
        let (stream, remote, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that went away: neither ends the server.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let origin = Origin {
            local,
            remote,
            scheme: if tls.is_some() {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            peer: None,
        };
        let (endpoint, watcher) = (endpoint.clone(), graceful.watcher());
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        tokio::spawn(async move {
            match acceptor {
                None => serve_connection(stream, origin, endpoint, watcher).await,
                Some(acceptor) => match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let peer = peer(&stream);
                        let origin = Origin { peer, ..origin };
                        serve_connection(stream, origin, endpoint, watcher).await;
                    }
                    Ok(Err(error)) => tracing::info!(%remote, %error, "no TLS connection"),
                    Err(_) => tracing::debug!(%remote, "no TLS connection in time"),
                },
            }
            drop(permit);
        });
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    stopping.cancel();
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// Between whom a connection is.
#[derive(Clone)]
struct Origin {
    local: SocketAddr,
    remote: SocketAddr,
    scheme: Scheme,
    peer: Option<Peer>,
}

/// The client certificate of a connection, which the handshake has checked.
fn peer(stream: &TlsStream<TcpStream>) -> Option<Peer> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    tls::subject(certificate).map(|subject| Peer { subject })
}

/// Bytes of the head of a request. hyper's own bound is a buffer, which may be larger than asked for.
fn head_size<B>(request: &http::Request<B>) -> usize {
    let path = request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    path + headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum::<usize>()
}

/// Answers the requests of one connection.
async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    origin: Origin,
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    watcher: Watcher,
) {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (endpoint, origin) = (endpoint.clone(), origin.clone());
        async move {
            if head_size(&request) > MAX_HEADER {
                return Ok(crate::http::head_too_large().into());
            }
            let mut request = poem::Request::from((
                request,
                LocalAddr(poem::Addr::SocketAddr(origin.local)),
                RemoteAddr(poem::Addr::SocketAddr(origin.remote)),
                origin.scheme,
            ));
            if let Some(peer) = origin.peer {
                request.set_data(peer);
            }
            let response: http::Response<_> = endpoint.get_response(request).await.into();
            Ok::<_, Infallible>(response)
        }
    });
    // HTTP/1.1 only, and not `hyper_util::server::conn::auto`: its `http1_only` does not apply to
    // `serve_connection_with_upgrades`, and no timeout below applies to an HTTP/2 connection.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .serve_connection(TokioIo::new(TimeoutStream::new(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

/// A connection whose peer has to go on: its first byte has to come in time, since hyper begins to
/// count only with it, and it has to take what it asked for.
struct TimeoutStream<S> {
    stream: S,
    first_byte: Option<Pin<Box<Sleep>>>,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    /// How long that may be.
    stalled: Duration,
}

impl<S> TimeoutStream<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            first_byte: Some(Box::pin(tokio::time::sleep(HEADER_TIMEOUT))),
            stall: None,
            stalled: STALLED,
        }
    }

    /// Ends what the peer has kept waiting for too long.
    fn taken<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stalled = self.stalled;
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stalled)));
        stall
            .as_mut()
            .poll(context)
            .map(|()| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.first_byte = None;
        } else if let Some(sleep) = &mut self.first_byte
            && sleep.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimeoutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.taken(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.taken(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.taken(context, shut)
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<tokio::sync::Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits
        .clone()
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    Ok((stream, remote, permit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_ends_and_a_slow_one_gets_everything() {
        let impatient = |stream| TimeoutStream {
            stalled: Duration::from_secs(1),
            ..TimeoutStream::new(stream)
        };
        let (near, _far) = tokio::io::duplex(16);
        let stalled = impatient(near).write_all(&[1; 17]).await;
        assert_eq!(stalled.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        let (near, mut far) = tokio::io::duplex(16);
        let writing = tokio::spawn(async move { impatient(near).write_all(&[1; 160]).await });
        for _ in 0..10 {
            // All of it together takes longer than nothing may be taken.
            tokio::time::sleep(Duration::from_millis(150)).await;
            far.read_exact(&mut [0; 16]).await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }
}
