//! A client that has a push token and lies.

use std::time::Duration;

use niks3_nix::hash::{FileHash, NarHash};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::nar;

/// What the store paths of liars begin with.
pub const PREFIX: &str = "hhhhhhhh";

/// What is claimed that is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A made-up NAR hash, over the NAR of a path that somebody else pushed.
    HashOfOthers,
    /// The NAR hash of a path that somebody else pushed, over other contents.
    HashOfOwn,
    /// A NAR that is larger than it is said to be.
    Size,
    /// Bytes that are no NAR.
    NoNar,
    /// A listing of something else, which the server replaces by its own.
    Listing,
    /// A reference to a path that nobody has.
    Reference,
}

/// Every lie, with how often it is told.
pub const LIES: [(Lie, usize); 6] = [
    (Lie::HashOfOthers, 3),
    (Lie::HashOfOwn, 2),
    (Lie::Size, 1),
    (Lie::NoNar, 1),
    (Lie::Listing, 1),
    (Lie::Reference, 2),
];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The push was committed.
    Accepted,
    /// It was refused, with this status.
    Refused(u16, String),
    /// There was no answer, or one that says to come again: it may have been committed.
    Unclear,
}

impl Outcome {
    /// Whether it was believed or refused, and not left open.
    ///
    /// # Panics
    /// When it was believed and must not be, or the server failed on it.
    #[must_use]
    #[track_caller]
    pub fn is_clear(&self, lie: Lie) -> bool {
        match self {
            Self::Accepted if lie != Lie::Listing => panic!("{lie:?} was believed"),
            Self::Refused(status, text) if !(400..500).contains(status) => panic!("{lie:?}: {status} {text}"),
            Self::Accepted | Self::Refused(..) => true,
            Self::Unclear => false,
        }
    }
}

/// Who lies, to which server.
#[derive(Debug)]
pub struct Liar<'a> {
    /// For its requests.
    pub client: &'a Client,
    /// Address of the server.
    pub url: String,
    /// A token that allows to push.
    pub token: &'a str,
    /// Store directory of the cache.
    pub store_dir: String,
}

/// Why it did not come to a commit.
type Stopped = Outcome;

impl Liar<'_> {
    async fn post(&self, path: &str, body: Value) -> Result<Value, Stopped> {
        let url = format!("{}/api/v1{path}", self.url);
        let answer = loop {
            let request = self.client.post(&url).bearer_auth(self.token).json(&body);
            let Ok(answer) = request.send().await else {
                return Err(Outcome::Unclear);
            };
            // It is still read.
            if answer.status() != StatusCode::ACCEPTED {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let status = answer.status().as_u16();
        match (status, answer.text().await) {
            (200..=299, Ok(text)) => Ok(serde_json::from_str(&text).unwrap_or_default()),
            // A conflict with what goes on beside it, a push that is over, or a server without its database or store.
            (404 | 409 | 429 | 503, _) | (_, Err(_)) => Err(Outcome::Unclear),
            (_, Ok(text)) => Err(Outcome::Refused(status, text)),
        }
    }

    async fn upload(
        &self,
        push: &str,
        kind: &str,
        path: &str,
        hash: &str,
        bytes: Upload<'_>,
    ) -> Result<(), Stopped> {
        let (size, bytes) = match bytes {
            Upload::Known(size) => (size, &[][..]),
            Upload::New(bytes) => (bytes.len() as u64, bytes),
        };
        let upload = json!({ "kind": kind, "path": path, "sha256": hash, "size": size });
        let asked = self
            .post(&format!("/pushes/{push}/uploads"), json!({ "uploads": [upload] }))
            .await?;
        let target = &asked["uploads"][0];
        let Some(url) = target["url"].as_str() else {
            return Ok(());
        };
        if bytes.is_empty() {
            // What it meant to use is gone.
            return Err(Outcome::Unclear);
        }
        let mut put = self.client.put(url).body(bytes.to_vec());
        for (name, value) in target["headers"].as_object().into_iter().flatten() {
            put = put.header(name, value.as_str().unwrap_or_default());
        }
        let done = put.send().await.is_ok_and(|answer| answer.status().is_success());
        if done { Ok(()) } else { Err(Outcome::Unclear) }
    }

    /// The fields of somebody's narinfo.
    async fn narinfo(&self, victim: &str) -> Option<Vec<(String, String)>> {
        let url = format!("{}/{}.narinfo", self.url, victim.get(..32)?);
        let answer = self.client.get(url).send().await.ok()?;
        let text = answer.error_for_status().ok()?.text().await.ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.to_owned()))
        };
        Some(text.lines().filter_map(field).collect())
    }

    /// Pushes a path of its own that lies; `victim` is the base name of a path that somebody else pushed.
    pub async fn lie(&self, dice: &mut Dice, lie: Lie, victim: &str) -> Outcome {
        self.told(dice, lie, victim)
            .await
            .unwrap_or_else(|stopped| stopped)
    }

    async fn told(&self, dice: &mut Dice, lie: Lie, victim: &str) -> Result<Outcome, Stopped> {
        let Some(fields) = self.narinfo(victim).await else {
            return Ok(Outcome::Unclear);
        };
        let field = |name: &str| {
            let found = fields.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let path = format!("{PREFIX}{:024}-liar", dice.roll(1_000_000_000));
        let (mut nar, mut listing) = nar::of_file(format!("lie {}", dice.roll(1_000_000)).as_bytes());
        let (mut nar_hash, mut nar_size) = (NarHash::of(&nar).to_string(), nar.len() as u64);
        let mut references: Vec<String> = Vec::new();
        match lie {
            Lie::HashOfOthers => nar_size = field("NarSize").parse().unwrap_or_default(),
            Lie::HashOfOwn => nar_hash = field("NarHash"),
            Lie::Size => nar_size -= 8,
            Lie::NoNar => {
                nar = b"no NAR at all".to_vec();
                (nar_hash, nar_size) = (NarHash::of(&nar).to_string(), nar.len() as u64);
            }
            Lie::Listing => listing = nar::of_file(b"something else, and longer").1,
            Lie::Reference => references.push(format!("{PREFIX}{:024}-nobody", dice.roll(1_000_000))),
        }
        let opened = self
            .post("/pushes", json!({ "store_dir": self.store_dir, "roots": [path] }))
            .await?;
        let push = opened["id"].as_str().unwrap_or_default().to_owned();
        let claim =
            json!({ "path": path, "nar_hash": nar_hash, "nar_size": nar_size, "references": references });
        self.post(&format!("/pushes/{push}/paths"), json!({ "paths": [claim] }))
            .await?;
        if lie == Lie::HashOfOthers {
            let size = field("FileSize").parse().unwrap_or_default();
            self.upload(&push, "nar", &path, &field("FileHash"), Upload::Known(size))
                .await?;
        } else {
            let stored = zstd::encode_all(&nar[..], 3).unwrap();
            let hash = FileHash::of(&stored).to_string();
            self.upload(&push, "nar", &path, &hash, Upload::New(&stored))
                .await?;
        }
        let hash = FileHash::of(&listing).to_string();
        self.upload(&push, "listing", &path, &hash, Upload::New(&listing))
            .await?;
        self.post(&format!("/pushes/{push}/commit"), json!({})).await?;
        Ok(Outcome::Accepted)
    }
}

/// The bytes of an object.
enum Upload<'a> {
    /// So many, that the bucket has.
    Known(u64),
    /// These.
    New(&'a [u8]),
}
