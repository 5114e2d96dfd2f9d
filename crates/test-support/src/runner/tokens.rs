//! The runner's endpoint that gives a job its tokens.

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::{Arc, Mutex};

use super::Job;

/// The runner's endpoint that gives a job its tokens.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TokenEndpoint {
    /// Gives out what `answer` makes of the audience: a token, or a status that is a refusal.
    pub fn start(answer: impl Fn(&str) -> Result<String, u16> + Send + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut head: Vec<String> = Vec::new();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                    head.push(line.trim_end().to_owned());
                    line.clear();
                }
                let Some(request) = head.first().cloned() else {
                    continue;
                };
                seen.lock().unwrap().push(request.clone());
                let authorized = head
                    .iter()
                    .any(|line| line.eq_ignore_ascii_case("authorization: bearer of-the-job"));
                let audience = request.split("audience=").nth(1).unwrap_or_default();
                let audience = audience.split([' ', '&']).next().unwrap_or_default();
                let (status, body) = match answer(audience) {
                    _ if !authorized => (401, String::new()),
                    Ok(token) => (200, format!("{{\"count\":1,\"value\":\"{token}\"}}")),
                    Err(status) => (status, String::new()),
                };
                let _ = write!(
                    reader.get_mut(),
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { port, requests }
    }

    /// Lets the steps of a job ask it.
    pub fn serve(&self, job: &mut Job) {
        job.set(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            &format!("http://127.0.0.1:{}/token?api-version=2.0", self.port),
        );
        job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job");
    }

    /// The first lines of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
