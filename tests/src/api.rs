//! A caller of the API who takes it at its word.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use niks3_test_support::{Backend, Server, ServerOptions};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A path.
pub const A: &str = "00000000000000000000000000000000-a";
/// Another path.
pub const B: &str = "11111111111111111111111111111111-b";
/// For a server whose uploads need not be NARs.
pub const UNVERIFIED: &str = "--verify-uploads=none";
/// A NAR hash.
pub const HASH: &str = "sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0";

/// A server, and what a call to it needs.
#[derive(Debug)]
pub struct Api {
    /// The server.
    pub server: Server,
    /// Sends.
    pub client: Client,
    /// The admin token.
    pub token: String,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`
    pub content_type: String,
    /// All headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn of(answer: reqwest::Response) -> Self {
        let text = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            status: answer.status(),
            content_type: text("content-type"),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.json()
    }

    /// A whole problem, with a status.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.content_type, "application/problem+json", "{}", self.body);
        let problem = self.json();
        for field in ["type", "title", "detail", "request_id"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {problem}"
            );
        }
        assert_eq!(problem["status"], status);
        assert_eq!(
            self.headers["x-request-id"].to_str().unwrap(),
            problem["request_id"]
        );
        assert_eq!(self.headers["niks3-protocol-version"], "1");
        problem
    }
}

impl Api {
    /// Starts a server with more arguments, as [`Api::with`] does.
    #[must_use]
    pub fn new(backend: Backend, arguments: &[&str]) -> Self {
        let options = ServerOptions {
            arguments: arguments.iter().map(ToString::to_string).collect(),
            ..ServerOptions::default()
        };
        Self::with(backend, options)
    }

    /// Starts a server. It believes what is said of NARs, as [`UNVERIFIED`] has it, unless its arguments say
    /// otherwise: most tests of the API make their contents up.
    #[must_use]
    pub fn with(backend: Backend, mut options: ServerOptions) -> Self {
        let verifies = |argument: &String| argument.starts_with("--verify-uploads");
        if !options.arguments.iter().any(verifies) {
            options.arguments.push(UNVERIFIED.into());
        }
        Self::of(Server::with(backend, options))
    }

    /// A caller of a server.
    #[must_use]
    pub fn of(server: Server) -> Self {
        let token = server.token();
        Self {
            server,
            client: Client::new(),
            token,
        }
    }

    /// Any request; an empty token or content type is left out.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.server.url()))
            .body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Makes a named token that may push.
    pub async fn push_token(&self, name: &str) -> String {
        let wish = json!({ "name": name, "scopes": ["push"] });
        let made = self.post("/tokens", &wish).await.ok();
        made["token"].as_str().unwrap().to_owned()
    }

    /// POST of JSON to a path under `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1{path}");
        self.send(
            Method::POST,
            &path,
            &self.token,
            "application/json",
            body.to_string(),
        )
        .await
    }

    /// Opens a push of a root; its id.
    pub async fn open(&self, root: &str) -> String {
        let created = self
            .post("/pushes", &json!({ "store_dir": "/nix/store", "roots": [root] }))
            .await
            .ok();
        created["id"].as_str().unwrap().to_owned()
    }

    /// Claims paths.
    pub async fn claim(&self, push: &str, paths: Value) -> Answer {
        self.post(&format!("/pushes/{push}/paths"), &json!({ "paths": paths }))
            .await
    }

    /// Uploads an object of a path; the URL, unless the bucket had it.
    pub async fn upload(&self, push: &str, kind: &str, path: &str, bytes: &[u8]) -> Option<String> {
        let sha256 = niks3_nix::hash::FileHash::of(bytes).to_string();
        let mut upload = json!({ "kind": kind, "path": path, "sha256": sha256, "size": bytes.len() });
        let address = format!("/pushes/{push}/uploads");
        let mut answer = self.post(&address, &json!({ "uploads": [upload] })).await;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.body.contains("uploads.md5") {
            // The service behind the server checks MD5 alone.
            upload["md5"] = json!(md5(bytes));
            answer = self.post(&address, &json!({ "uploads": [upload] })).await;
        }
        let answer = answer.ok();
        let target = &answer["uploads"][0];
        let url = target["url"].as_str()?;
        assert_eq!(self.put(url, &target["headers"], bytes).await, 200);
        Some(url.to_owned())
    }

    /// PUT to an upload URL; the status.
    pub async fn put(&self, url: &str, headers: &Value, bytes: &[u8]) -> u16 {
        let mut put = self.client.put(url).body(bytes.to_vec());
        for (name, value) in headers.as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put.send().await.unwrap().status().as_u16()
    }

    /// Pushes a path whose NAR is made of some bytes, and commits.
    pub async fn push(&self, path: &str, nar: &[u8]) -> Answer {
        let push = self.open(path).await;
        let hash = niks3_nix::hash::NarHash::of(nar).to_string();
        let info = json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
        if self.claim(&push, json!([info])).await.ok()["needed"] == json!([path]) {
            self.upload(&push, "nar", path, &zstd::encode_all(nar, 3).unwrap())
                .await;
            self.upload(&push, "listing", path, b"{}").await;
        }
        self.post(&format!("/pushes/{push}/commit"), &json!({})).await
    }

    /// Nothing is left of what was asked: the bucket has what the server itself wrote and
    /// nothing else, and of the tables that pushes write only those named here have rows,
    /// so many.
    #[track_caller]
    pub fn empty(&self, rows: &[(&str, usize)]) {
        let bucket = self.server.bucket();
        assert_eq!(bucket.keys(), ["niks3-owner.json", "nix-cache-info"]);
        assert_eq!(bucket.uploads(), [""; 0]);
        let all = match self.server.db().starts_with("sqlite:") {
            true => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            false => "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
        };
        // Not of pushes: which migrations ran, two numbers that are always there, the bucket that the
        // database belongs to, and what the server notes every hour of how much it holds.
        let others = [
            "_sqlx_migrations",
            "counters",
            "ownership",
            "retention_state",
            "cache_history",
            "store_probes",
        ];
        let tables = self.server.sql(all).into_iter();
        let counts: BTreeMap<String, usize> = tables
            .filter(|table| !others.contains(&table.as_str()))
            .map(|table| {
                let count = self.server.sql(&format!("SELECT count(*) FROM {table}"));
                (table, count[0].parse().unwrap())
            })
            .collect();
        let found: BTreeMap<&str, usize> = counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(table, count)| (table.as_str(), *count))
            .collect();
        assert_eq!(found, rows.iter().copied().collect());
        // Their names may be known; that is all.
        for table in ["paths", "objects"] {
            let states = self
                .server
                .sql(&format!("SELECT count(*) FROM {table} WHERE state <> 0"));
            assert_eq!(states, ["0"], "{table}");
        }
    }
}

/// MD5 of some bytes, as the API has it.
#[must_use]
pub fn md5(bytes: &[u8]) -> String {
    let mut child = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let printed = child.wait_with_output().unwrap().stdout;
    String::from_utf8(printed).unwrap()[..32].to_owned()
}

/// What a claim says of a path.
#[must_use]
pub fn info(path: &str, references: &[&str]) -> Value {
    json!({ "path": path, "nar_hash": HASH, "nar_size": 120, "references": references })
}

/// The NAR of a file that is not executable.
#[must_use]
pub fn nar_of(contents: &[u8]) -> Vec<u8> {
    nar(&[b"(", b"type", b"regular", b"contents", contents, b")"])
}

/// A NAR out of the strings that follow its first.
#[must_use]
pub fn nar(strings: &[&[u8]]) -> Vec<u8> {
    let mut nar = Vec::new();
    for text in [b"nix-archive-1".as_slice()].iter().chain(strings) {
        nar.extend_from_slice(&(text.len() as u64).to_le_bytes());
        nar.extend_from_slice(text);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}
