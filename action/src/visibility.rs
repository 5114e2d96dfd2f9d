//! Whether readers see what was pushed: a CDN before the cache may still hold an answer from before.

use std::time::{Duration, Instant};

use niks3_nix::store_path::StorePath;
use tokio::task::JoinSet;
use url::Url;

use crate::{netrc, state::State, tls::Tls};

/// Most closures to look for; the newest are looked for.
const MAX_CLOSURES: usize = 200;
/// Requests at a time.
const CONCURRENCY: usize = 8;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A closure that is missing is looked for again after this.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// An answer of a CDN that is older than this will stay for long.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// How a use of the action reads the cache.
pub(crate) struct Reader {
    substituter: String,
    tls: Tls,
    /// Login and password, if the cache asks for them.
    credentials: Option<netrc::Entry>,
}

impl Reader {
    pub(crate) fn new(substituter: &str, ca_cert: Option<String>, state: &State) -> Self {
        let host = substituter.parse::<Url>().ok().as_ref().and_then(netrc::host);
        let credentials = || netrc::entry(&netrc::read(&state.netrc_path()).ok()?, &host?);
        Self {
            substituter: substituter.to_owned(),
            tls: Tls::of_authorities(ca_cert),
            credentials: credentials(),
        }
    }
}

/// Waits until the narinfos of all closures can be read; a sentence about those that cannot.
///
/// Nothing is asked for before it is committed, so no CDN learns from us that it is missing.
pub(crate) async fn wait_for(reader: &Reader, closures: &[StorePath], deadline: Instant) -> Option<String> {
    let substituter = reader.substituter.as_str();
    if !substituter.starts_with("http://") && !substituter.starts_with("https://") {
        return None;
    }
    let http = reader.tls.http().ok()?;
    let deadline = deadline.min(Instant::now() + MAX_WAIT);
    let base = substituter.trim_end_matches('/');
    let newest = closures.len().saturating_sub(MAX_CLOSURES);
    let mut missing: Vec<&StorePath> = closures.iter().skip(newest).collect();
    loop {
        let mut problem = String::new();
        let mut still_missing = Vec::new();
        for chunk in missing.chunks(CONCURRENCY) {
            let mut requests = JoinSet::new();
            for path in chunk {
                let hash = path.as_str().split('-').next().unwrap_or_default();
                let mut request = http
                    .others
                    .get(format!("{base}/{hash}.narinfo"))
                    .header("cache-control", "no-cache")
                    .timeout(REQUEST_TIMEOUT);
                if let Some(entry) = &reader.credentials {
                    request = request.basic_auth(&entry.login, Some(&entry.password));
                }
                let path = (*path).clone();
                requests.spawn(async move {
                    match request.send().await {
                        Ok(answer) if answer.status().is_success() => None,
                        Ok(answer) => Some((path, format!("answers {}", answer.status()))),
                        Err(_) => Some((path, "does not answer".to_owned())),
                    }
                });
            }
            while let Some(answer) = requests.join_next().await {
                if let Ok(Some((path, what))) = answer {
                    problem = what;
                    still_missing.extend(chunk.iter().find(|wanted| ***wanted == path).copied());
                }
            }
        }
        missing = still_missing;
        let first = missing.first()?;
        if Instant::now() >= deadline {
            return Some(format!(
                "readers do not see {} of {} pushed closures yet: {} {problem} for {first}. A CDN may hold an answer \
                 from before the push",
                missing.len(),
                closures.len(),
                crate::outputs::shown_url(substituter)
            ));
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}
