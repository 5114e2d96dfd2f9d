//! HTTP as far as a stand-in needs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on a port of its own, which it returns; each connection brings one request, whose head `answer` gets.
pub(crate) fn listen(answer: impl Fn(Vec<String>, TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut head: Vec<String> = Vec::new();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                head.push(line.trim_end().to_owned());
                line.clear();
            }
            if !head.is_empty() {
                answer(head, reader.into_inner());
            }
        }
    });
    port
}

/// Writes an answer; each of `headers` ends with CR and LF.
pub(crate) fn write(mut stream: &TcpStream, status: u16, headers: &str, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
}

/// A web server that answers every request as a function of its path says, and remembers the requests.
#[derive(Debug, Clone)]
pub struct WebServer {
    port: u16,
    requests: Arc<Mutex<Vec<Vec<String>>>>,
}

impl WebServer {
    /// Answers with a status and a body.
    pub fn start(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<Vec<String>>>>::default();
        let seen = Arc::clone(&requests);
        let port = listen(move |head, stream| {
            let path = head[0].split(' ').nth(1).unwrap_or_default();
            let (status, body) = answer(path);
            seen.lock().unwrap().push(head.clone());
            write(&stream, status, "", &body);
        });
        Self { port, requests }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of the requests so far, line by line.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<String>> {
        self.requests.lock().unwrap().clone()
    }
}
