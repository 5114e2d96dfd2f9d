//! A TCP proxy that makes everything take longer, as a network does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

const CHUNK: usize = 64 << 10;
/// Chunks on their way in one direction of one connection; more than latency can make wait.
const IN_FLIGHT: usize = 256;

/// A running proxy; it ends with the runtime.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a port of its own for `target`. Whatever goes through needs half of `latency` each way; a new
    /// connection needs one `latency` more, for its handshake.
    pub(crate) fn start(runtime: &Runtime, target: SocketAddr, latency: Duration) -> anyhow::Result<Self> {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&connections);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    tokio::time::sleep(latency).await;
                    // Either side may go away at any time: the other then notices.
                    let _ = connect(stream, target, latency / 2).await;
                });
            }
        });
        Ok(Self { address, connections })
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn connect(near: TcpStream, target: SocketAddr, delay: Duration) -> std::io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(
        pass(near_read, far_write, delay),
        pass(far_read, near_write, delay)
    )?;
    Ok(())
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> std::io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = from.read(&mut buffer).await?;
            let due = Instant::now() + delay;
            if count == 0 || sender.send((due, buffer[..count].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}
