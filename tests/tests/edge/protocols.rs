//! What is spoken on the server's port: HTTP/1.1, with or without TLS, and nothing that no timeout applies to.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use niks3_test_support::{Backend, ServerOptions};
use niks3_tests::api::Api;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// What a client of HTTP/2 sends first: the preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Longer than a server waits for the head of a request.
const LONG: Duration = Duration::from_secs(60);

/// A server that speaks TLS.
struct Tls {
    api: Api,
    roots: RootCertStore,
    _files: TempDir,
}

impl Tls {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let path = |name: &str| files.path().join(name);
        std::fs::write(path("cert.pem"), cert.pem()).unwrap();
        std::fs::write(path("key.pem"), signing_key.serialize_pem()).unwrap();
        let text = |name: &str| path(name).display().to_string();
        let options = ServerOptions {
            arguments: ["--tls-cert", &text("cert.pem"), "--tls-key", &text("key.pem")]
                .map(str::to_owned)
                .to_vec(),
            ..ServerOptions::default()
        };
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Self {
            api: Api::of(niks3_test_support::Server::with(Backend::Embedded, options)),
            roots,
            _files: files,
        }
    }

    /// A connection that offers these protocols, whose handshake comes with its first byte.
    fn connect(&self, offered: &[&str]) -> StreamOwned<ClientConnection, TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        StreamOwned::new(
            ClientConnection::new(Arc::new(config), name).unwrap(),
            tcp(&self.api),
        )
    }
}

fn tcp(api: &Api) -> TcpStream {
    let url = api.server.url();
    let (_, address) = url.split_once("://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Everything that comes until the server ends the connection.
fn until_ended(mut stream: impl Read) -> Vec<u8> {
    let mut received = Vec::new();
    if let Err(error) = stream.read_to_end(&mut received) {
        let kind = error.kind();
        assert!(
            !matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "the server keeps the connection"
        );
    }
    received
}

/// Sends what HTTP/2 begins with, and sees that nobody speaks it.
fn speaks_no_http2(mut stream: impl Read + Write) {
    // The handshake of TLS may be refused, and the connection ended before all is written.
    let _ = stream.write_all(PREFACE);
    let received = until_ended(stream);
    assert!(
        received.is_empty() || received.starts_with(b"HTTP/1.1 "),
        "{:?}",
        received.escape_ascii().to_string()
    );
}

#[test]
fn http_2_is_not_spoken_in_clear_text() {
    let api = Api::new(Backend::Embedded, &[]);
    speaks_no_http2(tcp(&api));
    // The preface alone, and a part of it.
    for begun in [&PREFACE[..24], &PREFACE[..10]] {
        let mut stream = tcp(&api);
        stream.write_all(begun).unwrap();
        until_ended(stream);
    }
    assert_eq!(api.server.get("health").unwrap(), b"ok\n");
}

#[test]
fn http_2_is_not_spoken_over_tls_whatever_a_client_offers() {
    let tls = Tls::new();
    for offered in [&[] as &[&str], &["h2"], &["h2", "http/1.1"]] {
        speaks_no_http2(tls.connect(offered));
    }
    let mut spoken = tls.connect(&["h2", "http/1.1"]);
    spoken
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let answer = until_ended(&mut spoken);
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    assert_eq!(spoken.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[test]
fn connections_over_tls_that_do_nothing_are_ended() {
    let tls = Tls::new();
    let silent = tcp(&tls.api);
    let mut half = tcp(&tls.api);
    // The beginning of a record that would hold a handshake.
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let mut shaken = tls.connect(&[]);
    while shaken.conn.is_handshaking() {
        shaken.conn.complete_io(&mut shaken.sock).unwrap();
    }
    let mut begun = tls.connect(&[]);
    begun.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").unwrap();
    let mut idle = tls.connect(&[]);
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| until_ended(silent));
        threads.spawn(|| until_ended(half));
        threads.spawn(|| until_ended(shaken));
        threads.spawn(|| until_ended(begun));
        let answered = threads.spawn(|| until_ended(idle)).join().unwrap();
        assert!(answered.starts_with(b"HTTP/1.1 200 "));
    });
}
