//! Tries again what may work the next time: with growing, jittered pauses, as the other side asks, and not for ever.

use std::time::{Duration, Instant};

use backon::BackoffBuilder as _;

/// From this failure on, the user is told.
const LOUD_FROM: usize = 3;
/// Of a longer pause the user is told, whichever failure it is.
const QUIET_PAUSE: Duration = Duration::from_secs(5);

/// Whether an error is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// It will fail the same way.
    Never,
    /// It may well pass; not before this pause, if the other side named one.
    Again(Option<Duration>),
    /// It may be a passing fault or a bug: a few tries tell.
    FewTimes,
}

/// An error that knows whether another try makes sense.
pub trait Retryable {
    /// Whether another try makes sense.
    fn hint(&self) -> Hint;
}

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first pause.
    pub min_delay: Duration,
    /// The longest pause, unless the other side asks for a longer one.
    pub max_delay: Duration,
    /// No new try is begun when this time has passed.
    pub max_elapsed: Duration,
    /// How often something is tried again that is probably a bug.
    pub few: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(20),
            max_elapsed: Duration::from_secs(300),
            few: 3,
        }
    }
}

/// Runs `operation` until it succeeds, fails for good, or the policy's time is over; gives back the last error.
pub async fn retry<T, E, F, Fut>(policy: RetryPolicy, what: &str, mut operation: F) -> Result<T, E>
where
    E: Retryable + std::fmt::Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let start = Instant::now();
    let mut tries = 0;
    let mut few_left = policy.few;
    let mut pauses = backon::ExponentialBuilder::default()
        .with_min_delay(policy.min_delay)
        .with_max_delay(policy.max_delay)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let asked = match error.hint() {
            Hint::Never => return Err(error),
            Hint::Again(asked) => asked,
            Hint::FewTimes if few_left == 0 => return Err(error),
            Hint::FewTimes => {
                few_left -= 1;
                None
            }
        };
        let own = pauses.next().unwrap_or(policy.max_delay);
        // All clients that were told the same moment should not come back in the same moment.
        let pause = asked.map_or(own, |asked| asked + own / 4);
        if start.elapsed() + pause > policy.max_elapsed {
            return Err(error);
        }
        tries += 1;
        let pause_seconds = pause.as_secs_f64();
        // One hiccup is nobody's business; whoever waits longer wants to know for what.
        if tries < LOUD_FROM && pause <= QUIET_PAUSE {
            tracing::info!("{what}: {error}; trying again in {pause_seconds:.1} s");
        } else {
            tracing::warn!("{what}: {error}; trying again in {pause_seconds:.1} s");
        }
        tokio::time::sleep(pause).await;
    }
}

/// Reads `Retry-After`: seconds, or a date.
#[must_use]
pub fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(24 * 3600)));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(
        (date.with_timezone(&chrono::Utc) - chrono::Utc::now())
            .to_std()
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0:?}")]
    struct Failed(Hint);

    impl Retryable for Failed {
        fn hint(&self) -> Hint {
            self.0
        }
    }

    const FAST: RetryPolicy = RetryPolicy {
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(4),
        max_elapsed: Duration::from_millis(400),
        few: 3,
    };

    async fn tries(policy: RetryPolicy, hint: Hint, succeed_at: usize) -> (usize, bool) {
        let count = Cell::new(0);
        let result = retry(policy, "test", || async {
            count.set(count.get() + 1);
            if count.get() == succeed_at {
                Ok(())
            } else {
                Err(Failed(hint))
            }
        })
        .await;
        (count.get(), result.is_ok())
    }

    #[tokio::test]
    async fn what_fails_for_good_is_tried_once() {
        assert_eq!(tries(FAST, Hint::Never, 2).await, (1, false));
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_until_it_does() {
        assert_eq!(tries(FAST, Hint::Again(None), 9).await, (9, true));
    }

    #[tokio::test]
    async fn what_is_probably_a_bug_is_tried_a_few_times() {
        assert_eq!(tries(FAST, Hint::FewTimes, 99).await, (4, false));
    }

    #[tokio::test]
    async fn the_total_time_is_bounded() {
        let start = Instant::now();
        assert!(!tries(FAST, Hint::Again(None), usize::MAX).await.1);
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_pause_that_is_asked_for_is_kept_and_counts() {
        let start = Instant::now();
        assert_eq!(
            tries(FAST, Hint::Again(Some(Duration::from_millis(60))), 2).await,
            (2, true)
        );
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert_eq!(
            tries(FAST, Hint::Again(Some(Duration::from_secs(3600))), 2).await,
            (1, false)
        );
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let of = |text: &str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert(reqwest::header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = (chrono::Utc::now() + Duration::from_secs(30))
            .format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        assert!(
            of(&soon).is_some_and(|pause| (25..=30).contains(&pause.as_secs())),
            "{soon}"
        );
        assert_eq!(of("soon"), None);
    }
}
