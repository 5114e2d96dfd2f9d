//! The requests to an upstream: `nix-cache-info` once, then a narinfo for each path.

use std::{
    collections::BTreeSet,
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use niks3_client::describe;
use niks3_nix::{
    narinfo::NarInfo,
    store_path::{StoreDir, StorePath},
};
use reqwest::{StatusCode, header::CONTENT_TYPE};

use super::Upstream;
use crate::path_info::PathInfo;

/// Requests in progress. Servers allow 100 or more of one HTTP/2 connection.
const PARALLEL_REQUESTS: usize = 64;
/// Without any answer for this long, an upstream counts as unreachable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// One answer may take this long while others come.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// All requests together may take this long, and the next for each path: an upstream that answers every request after
/// 1.9 s does not hold up a push for hours.
const MAX_SECONDS: Duration = Duration::from_secs(20);
const MAX_SECONDS_PER_PATH: Duration = Duration::from_millis(10);
/// Those of cache.nixos.org have up to a few hundred KiB; 64 at a time are read.
const MAX_NARINFO_BYTES: usize = 1 << 20;
const MAX_CACHE_INFO_BYTES: usize = 64 << 10;
/// Signatures of one path that are checked with one key, which makes one.
const MAX_SIGNATURES: usize = 4;

/// Why an upstream is not believed.
#[derive(Debug)]
pub(super) enum UpstreamError {
    NoAnswer,
    TooSlow,
    Status(StatusCode),
    Transport(String),
    /// Where it redirects to, perhaps: somebody who wants to see a password.
    WebPage,
    TooLong(String),
    NotACache,
    NotANarInfo(String),
    OtherStore {
        theirs: String,
        ours: String,
    },
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => write!(f, "no answer within {} s", ANSWER_TIMEOUT.as_secs()),
            Self::TooSlow => f.write_str("its answers come too slowly"),
            Self::Status(status) => write!(f, "it answers HTTP {}", status.as_u16()),
            Self::Transport(message) => f.write_str(message),
            Self::WebPage => f.write_str("it answers with a web page"),
            Self::TooLong(what) => write!(f, "its {what} is too long"),
            Self::NotACache => f.write_str("it has no nix-cache-info, so it is not a binary cache"),
            Self::NotANarInfo(message) => f.write_str(message),
            Self::OtherStore { theirs, ours } => {
                write!(f, "it is for the store {theirs}, and this store is {ours}")
            }
        }
    }
}

type Path<'p> = (&'p StorePath, &'p PathInfo);

/// Which of these paths it has.
pub(super) async fn present<'p>(
    http: &reqwest::Client,
    upstream: &Upstream,
    store_dir: &StoreDir,
    paths: &[Path<'p>],
) -> Result<Vec<Path<'p>>, UpstreamError> {
    let begun = Instant::now();
    let count = u32::try_from(paths.len()).unwrap_or(u32::MAX);
    let limit = MAX_SECONDS + MAX_SECONDS_PER_PATH * count;
    // First and alone: it opens the connection that the others share.
    let checked = tokio::time::timeout(ANSWER_TIMEOUT, check_store_dir(http, upstream, store_dir)).await;
    checked.unwrap_or(Err(UpstreamError::NoAnswer))?;
    let answers =
        futures::stream::iter(paths)
            .map(|path| async move {
                Ok::<_, UpstreamError>((*path, has(http, upstream, store_dir, *path).await?))
            })
            .buffer_unordered(PARALLEL_REQUESTS);
    let mut answers = pin!(answers);
    let mut present = Vec::new();
    loop {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answers.next()).await;
        match answer.map_err(|_| UpstreamError::NoAnswer)?.transpose()? {
            Some((path, true)) => present.push(path),
            Some((_, false)) => {}
            None => return Ok(present),
        }
        if begun.elapsed() > limit {
            return Err(UpstreamError::TooSlow);
        }
    }
}

async fn check_store_dir(
    http: &reqwest::Client,
    upstream: &Upstream,
    store_dir: &StoreDir,
) -> Result<(), UpstreamError> {
    let text = get(http, upstream, "nix-cache-info", MAX_CACHE_INFO_BYTES)
        .await?
        .ok_or(UpstreamError::NotACache)?;
    let theirs = text.lines().find_map(|line| line.strip_prefix("StoreDir:"));
    match theirs.map(str::trim) {
        Some(theirs) if theirs == store_dir.as_str() => Ok(()),
        Some(theirs) => Err(UpstreamError::OtherStore {
            theirs: theirs.chars().filter(|c| !c.is_control()).take(100).collect(),
            ours: store_dir.as_str().to_owned(),
        }),
        None => Err(UpstreamError::NotACache),
    }
}

/// Whether it has a path with the contents that it has here, signed by one of its keys.
async fn has(
    http: &reqwest::Client,
    upstream: &Upstream,
    store_dir: &StoreDir,
    (path, info): Path<'_>,
) -> Result<bool, UpstreamError> {
    let name = format!("{}.narinfo", path.hash_part());
    let Some(text) = get(http, upstream, &name, MAX_NARINFO_BYTES).await? else {
        return Ok(false);
    };
    let narinfo =
        NarInfo::parse(store_dir, &text).map_err(|error| UpstreamError::NotANarInfo(error.to_string()))?;
    let references: BTreeSet<&StorePath> = info.references.iter().collect();
    let is_same = narinfo.store_path == *path
        && narinfo.nar_hash == info.nar_hash
        && narinfo.nar_size == info.nar_size
        && narinfo.references.iter().collect::<BTreeSet<_>>() == references;
    if !is_same {
        tracing::debug!("{} has {path} with other contents", upstream.address());
        return Ok(false);
    }
    let fingerprint = narinfo.fingerprint(store_dir);
    let is_signed = upstream.keys.iter().any(|key| {
        let by_key = narinfo
            .sigs
            .iter()
            .filter(|signature| signature.key_name() == key.name());
        let mut by_key = by_key.take(MAX_SIGNATURES);
        by_key.any(|signature| key.verify(fingerprint.as_bytes(), signature))
    });
    if !is_signed {
        tracing::debug!("{} has {path} without a signature by its key", upstream.address());
    }
    Ok(is_signed)
}

/// A small text, if it is there.
async fn get(
    http: &reqwest::Client,
    upstream: &Upstream,
    name: &str,
    max_bytes: usize,
) -> Result<Option<String>, UpstreamError> {
    let Ok(url) = upstream.base.join(name) else {
        return Ok(None);
    };
    let transport = |error: reqwest::Error| UpstreamError::Transport(describe(&error));
    let request = http.get(url).timeout(REQUEST_TIMEOUT);
    let mut response = request.send().await.map_err(transport)?;
    let kind = response.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match response.status() {
        status if status.is_success() && is_page => return Err(UpstreamError::WebPage),
        status if status.is_success() => {}
        // S3 answers 403 for what is not there when listing is not allowed.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => return Ok(None),
        status => return Err(UpstreamError::Status(status)),
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(UpstreamError::TooLong(name.to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}
