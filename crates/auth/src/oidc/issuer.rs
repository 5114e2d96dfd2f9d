//! An issuer and its keys: fetched when they are needed, kept when it is down, fetched
//! again for an unknown key only now and then.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use niks3_base::error::Error;
use tokio::sync::Mutex;

use super::fetch;
use super::jwt::Unverified;
use super::keys::{KeySet, Verdict};
use crate::AuthError;

/// Keys this old are fetched again, beside the requests that use them.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// How long nobody asks an issuer that has given no keys yet.
const FIRST_RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

/// What fetching has come to.
#[derive(Debug, Default)]
struct Attempts {
    /// When keys were last fetched because some were missing.
    last: Option<Instant>,
    /// Why that failed, if it did.
    failure: Option<String>,
}

/// An issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    allow_insecure: bool,
    refetch: Duration,
    client: reqwest::Client,
    fetched: RwLock<Option<Fetched>>,
    /// Held while keys are fetched, so that they are fetched once.
    attempts: Mutex<Attempts>,
}

impl Issuer {
    /// An issuer whose keys are fetched when the first of its tokens comes. For an
    /// unknown key they are fetched again at most once in `refetch`.
    #[must_use]
    pub fn new(url: &str, allow_insecure: bool, refetch: Duration, client: reqwest::Client) -> Self {
        Self {
            url: url.to_owned(),
            allow_insecure,
            refetch,
            client,
            fetched: RwLock::default(),
            attempts: Mutex::default(),
        }
    }

    /// Its URL, as tokens name it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn current(&self) -> Option<Fetched> {
        self.fetched
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Checks the signature of a token.
    ///
    /// # Errors
    /// When it is wrong, or the issuer's keys cannot be had.
    pub async fn verify(self: &Arc<Self>, token: &Unverified<'_>) -> Result<(), AuthError> {
        let mut seen = self.current();
        if let Some(Fetched { keys, at }) = &seen {
            if at.elapsed() > MAX_AGE {
                let issuer = self.clone();
                tokio::spawn(async move { issuer.refresh().await });
            }
            match keys.verify(token) {
                Verdict::Right => return Ok(()),
                Verdict::Wrong(why) => return Err(AuthError::invalid(format!("token refused: {why}"))),
                Verdict::UnknownKey => {}
            }
        }
        let failure = self.fetch_newer_than(seen.as_ref().map(|seen| seen.at)).await;
        seen = self.current();
        let verdict = seen.as_ref().map(|seen| seen.keys.verify(token));
        match (verdict, failure) {
            (Some(Verdict::Right), _) => Ok(()),
            (Some(Verdict::Wrong(why)), _) => Err(AuthError::invalid(format!("token refused: {why}"))),
            (Some(Verdict::UnknownKey), None) => Err(AuthError::invalid(
                "token refused: its key is not one of its issuer's",
            )),
            (_, failure) => {
                let why = failure.unwrap_or_else(|| "they were asked for a moment ago".into());
                let detail = format!("the keys of the issuer {} cannot be fetched: {why}", self.url);
                let seconds = u32::try_from(FIRST_RETRY.as_secs()).unwrap_or(5);
                Err(AuthError::Unavailable(Error::unavailable(detail, seconds)))
            }
        }
    }

    /// Fetches keys unless others have done so since `seen`, or it is too soon. What went
    /// wrong, if the last fetch failed.
    async fn fetch_newer_than(&self, seen: Option<Instant>) -> Option<String> {
        let mut attempts = self.attempts.lock().await;
        let current = self.current().map(|fetched| fetched.at);
        if current > seen {
            return None;
        }
        let pause = if current.is_some() {
            self.refetch
        } else {
            FIRST_RETRY.min(self.refetch)
        };
        if attempts.last.is_some_and(|last| last.elapsed() < pause) {
            return attempts.failure.clone();
        }
        let failure = self.fetch().await.err();
        // The first keys are not fetched for an unknown key, so an early rotation is still seen.
        attempts.last = (current.is_some() || failure.is_some()).then(Instant::now);
        attempts.failure.clone_from(&failure);
        failure
    }

    /// Fetches keys that have become old, unless somebody is fetching.
    async fn refresh(&self) {
        let Ok(mut attempts) = self.attempts.try_lock() else {
            return;
        };
        let fresh = self
            .current()
            .is_some_and(|fetched| fetched.at.elapsed() <= MAX_AGE);
        if fresh || attempts.last.is_some_and(|last| last.elapsed() < self.refetch) {
            return;
        }
        attempts.failure = self.fetch().await.err();
        attempts.last = Some(Instant::now());
    }

    async fn fetch(&self) -> Result<(), String> {
        match fetch::keys(&self.client, &self.url, self.allow_insecure).await {
            Ok(keys) => {
                tracing::info!(issuer = self.url, ?keys, "fetched the keys of an issuer");
                *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = Some(Fetched {
                    keys: Arc::new(keys),
                    at: Instant::now(),
                });
                Ok(())
            }
            Err(why) => {
                tracing::warn!(issuer = self.url, why, "the keys of an issuer cannot be fetched");
                Err(why)
            }
        }
    }
}
