//! Asks other caches what they have, so that it need not be pushed; a cache that does not answer has nothing.

use std::{
    collections::HashSet,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::StreamExt as _;
use niks3_client::{Hint, RetryPolicy, Retryable, describe, retry, retry_after, without_userinfo};
use niks3_nix::store_path::StorePath;
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use url::Url;

use crate::progress::Progress;

const PARALLEL: usize = 64;
const POLICY: RetryPolicy = RetryPolicy {
    min_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(5),
    max_elapsed: Duration::from_secs(30),
    first_contact: Duration::from_secs(30),
    max_work: Duration::ZERO,
    few: 2,
};

struct Upstream {
    base: Url,
    broken: AtomicBool,
}

/// Which of `paths` one of these caches has.
pub(crate) async fn present(
    http: &reqwest::Client,
    caches: &[Url],
    paths: impl Iterator<Item = StorePath>,
    progress: &dyn Progress,
) -> HashSet<StorePath> {
    let upstreams: Vec<Upstream> = caches
        .iter()
        .map(|url| Upstream {
            base: base(url),
            broken: AtomicBool::new(false),
        })
        .collect();
    let upstreams = &upstreams;
    futures::stream::iter(paths)
        .map(|path| async move {
            for upstream in upstreams {
                if upstream.has(http, &path, progress).await {
                    return Some(path);
                }
            }
            None
        })
        .buffer_unordered(PARALLEL)
        .filter_map(|found| async { found })
        .collect()
        .await
}

/// Without `?priority=…` and the like, with a slash at the end.
fn base(url: &Url) -> Url {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base
}

#[derive(Debug)]
enum Failure {
    Status(StatusCode, Option<Duration>),
    Transport(String),
    /// Where it redirects to, perhaps: somebody who wants to see a password.
    WebPage,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, _) => write!(f, "HTTP {}", status.as_u16()),
            Self::Transport(message) => f.write_str(message),
            Self::WebPage => f.write_str("a web page instead of a narinfo"),
        }
    }
}

impl Retryable for Failure {
    fn hint(&self) -> Hint {
        match self {
            Self::Status(status, pause) => Hint::of_status(*status, *pause),
            Self::Transport(_) => Hint::FewTimes,
            Self::WebPage => Hint::Never,
        }
    }
}

impl Upstream {
    async fn has(&self, http: &reqwest::Client, path: &StorePath, progress: &dyn Progress) -> bool {
        if self.broken.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(url) = self.base.join(&format!("{}.narinfo", path.hash_part())) else {
            return false;
        };
        let asked = retry(POLICY, "asking an upstream cache", || async {
            match ask(http, Method::HEAD, &url).await {
                Err(Failure::Status(status, _)) if matches!(status.as_u16(), 405 | 501) => {
                    ask(http, Method::GET, &url).await
                }
                answer => answer,
            }
        })
        .await;
        match asked {
            Ok(present) => present,
            Err(error) => {
                // Pushing what the other cache has is harmless; leaving out what it has not is not.
                if !self.broken.swap(true, Ordering::Relaxed) {
                    progress.warning(&format!(
                        "{} does not answer ({error}): from here on nothing is left out because of it",
                        without_userinfo(&self.base)
                    ));
                }
                false
            }
        }
    }
}

async fn ask(http: &reqwest::Client, method: Method, url: &Url) -> Result<bool, Failure> {
    let request = http.request(method, url.clone()).timeout(Duration::from_secs(15));
    let response = request
        .send()
        .await
        .map_err(|error| Failure::Transport(describe(&error)))?;
    let kind = response.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match response.status() {
        status if status.is_success() && is_page => Err(Failure::WebPage),
        status if status.is_success() => Ok(true),
        // S3 answers 403 for what is not there when listing is not allowed.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => Ok(false),
        status => Err(Failure::Status(status, retry_after(response.headers()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_cache_is_taken_as_nix_writes_it() {
        for (given, expected) in [
            ("https://cache.nixos.org", "https://cache.nixos.org/"),
            ("https://cache.nixos.org/?priority=10", "https://cache.nixos.org/"),
            ("https://example.org/cache", "https://example.org/cache/"),
        ] {
            assert_eq!(base(&given.parse().unwrap()).as_str(), expected);
        }
    }
}
