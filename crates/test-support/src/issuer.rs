//! An OpenID Connect issuer: discovery, a key document and tokens, over HTTP on loopback.

mod key;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub use key::IssuerKey;
use key::base64url;

/// What goes wrong with whoever asks an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerFault {
    /// The connection is closed without an answer.
    Down,
    /// Nothing is answered, and the connection stays.
    Silent,
    /// An answer takes this long.
    Slow(Duration),
    /// The key document has that many more bytes.
    Huge(usize),
    /// The key document is elsewhere, says a redirect to that URL.
    Redirect(String),
    /// The discovery document sends there for the keys.
    KeysAt(String),
    /// The discovery document names that issuer.
    OtherIssuer(String),
    /// This status.
    Status(u16),
    /// The documents are not JSON.
    Garbage,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<IssuerKey>,
    fault: Option<IssuerFault>,
    requests: Vec<String>,
    silent: Vec<TcpStream>,
}

/// A running issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Issuer {
    /// Starts one that has a key for each of these algorithms.
    #[must_use]
    pub fn start(algorithms: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = Self {
            state: Arc::default(),
            port,
        };
        issuer.rotate(algorithms);
        let serving = issuer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let issuer = serving.clone();
                std::thread::spawn(move || issuer.answer(stream));
            }
        });
        issuer
    }

    /// Its URL, the `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces its keys by one for each of these algorithms; they are not those of any issuer before.
    pub fn rotate(&self, algorithms: &[&'static str]) {
        let keys = algorithms.iter().map(|algorithm| IssuerKey::generate(algorithm));
        let keys = keys.collect();
        self.state.lock().unwrap().keys = keys;
    }

    /// Publishes that key too.
    pub fn publish(&self, key: IssuerKey) {
        self.state.lock().unwrap().keys.push(key);
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> Vec<IssuerKey> {
        self.state.lock().unwrap().keys.clone()
    }

    /// Lets something go wrong with all requests, or nothing any more.
    pub fn fault(&self, fault: Option<IssuerFault>) {
        let mut state = self.state.lock().unwrap();
        state.fault = fault;
        state.silent.clear();
    }

    /// The paths asked for so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Claims of a token that is right for five minutes and that audience; `more` replaces them, or removes them
    /// where it is null.
    #[must_use]
    pub fn claims(&self, audience: &str, more: &Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.url(), "aud": audience, "sub": "repo:o/r:ref:refs/heads/main",
            "iat": now, "nbf": now, "exp": now + 300,
        });
        let whole = claims.as_object_mut().unwrap();
        for (name, value) in more.as_object().into_iter().flatten() {
            whole.insert(name.clone(), value.clone());
        }
        whole.retain(|_, value| !value.is_null());
        claims
    }

    /// A token with these claims over those of [`Issuer::claims`], signed by the first key.
    #[must_use]
    pub fn token(&self, audience: &str, more: &Value) -> String {
        let claims = self.claims(audience, more);
        self.keys()[0].sign(&claims)
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
            if first.is_empty() {
                line.trim_end().clone_into(&mut first);
            }
            line.clear();
        }
        let Some(path) = first.split(' ').nth(1) else {
            return;
        };
        let stream = reader.into_inner();
        let mut state = self.state.lock().unwrap();
        state.requests.push(path.to_owned());
        let fault = state.fault.clone();
        let keys: Vec<Value> = state.keys.iter().map(IssuerKey::public).collect();
        if fault == Some(IssuerFault::Silent) {
            state.silent.push(stream);
            return;
        }
        drop(state);
        let url = self.url();
        let mut discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let (mut status, mut headers, mut padding) = (200, String::new(), 0);
        match &fault {
            Some(IssuerFault::Down) => return,
            Some(IssuerFault::Slow(time)) => std::thread::sleep(*time),
            Some(IssuerFault::Huge(bytes)) => padding = *bytes,
            Some(IssuerFault::Redirect(to)) if path == "/keys" => {
                status = 302;
                headers = format!("location: {to}\r\n");
            }
            Some(IssuerFault::KeysAt(at)) => discovery["jwks_uri"] = at.as_str().into(),
            Some(IssuerFault::OtherIssuer(other)) => discovery["issuer"] = other.as_str().into(),
            Some(IssuerFault::Status(other)) => status = *other,
            _ => {}
        }
        let mut body = match path {
            "/.well-known/openid-configuration" => discovery.to_string(),
            "/keys" => format!("{}{}", json!({ "keys": keys }), " ".repeat(padding)),
            _ => {
                status = 404;
                String::new()
            }
        };
        if fault == Some(IssuerFault::Garbage) {
            body = "<html>".into();
        }
        let _ = write!(
            &stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
    }
}

impl Issuer {
    /// A token of any header and claims without a signature that means anything.
    #[must_use]
    pub fn unsigned(header: &Value, claims: &Value, signature: &[u8]) -> String {
        format!(
            "{}.{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes()),
            base64url(signature)
        )
    }
}
