//! Tries again what may work the next time: with growing, jittered pauses, as the other side asks, and not for ever.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use backon::BackoffBuilder as _;
use reqwest::StatusCode;

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
    /// Nobody has ever answered there: more likely a wrong address than one that is away for a moment.
    NeverReached,
    /// It was taken, and the other side is most likely still at it: asking again joins in.
    AtWork,
}

impl Hint {
    /// What a status says, whoever answers with it; `retry_after` is how long they ask to wait.
    #[must_use]
    pub const fn of_status(status: StatusCode, retry_after: Option<Duration>) -> Self {
        match status.as_u16() {
            501 | 505 | 511 => Self::Never,
            408 | 425 | 429 | 500..=599 => Self::Again(retry_after),
            _ => Self::Never,
        }
    }
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
    /// No new try is begun when it has failed for this long.
    pub max_elapsed: Duration,
    /// How long an address is tried where nobody has ever answered.
    pub first_contact: Duration,
    /// How long an answer is waited for, over all tries, while the other side is at work, if that is longer.
    pub max_work: Duration,
    /// How often something is tried again that is probably a bug.
    pub few: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(20),
            max_elapsed: Duration::from_secs(300),
            first_contact: Duration::from_secs(30),
            max_work: Duration::ZERO,
            few: 3,
        }
    }
}

/// Growing pauses, which never end.
fn pauses(policy: RetryPolicy) -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::default()
        .with_min_delay(policy.min_delay)
        // Jitter comes on top, and is up to as much again.
        .with_max_delay(policy.max_delay / 2)
        .with_jitter()
        .without_max_times()
        .build()
}

impl RetryPolicy {
    /// How long an address is tried where somebody waits at a terminal: a mistake is answered within 2 s.
    pub const BRIEF_CONTACT: Duration = Duration::from_millis(1500);
}

/// Calls that wait for another try, and have told the user so or would have.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Whether something is being tried again, of which the user has been told. Meanwhile there is no progress to show.
#[must_use]
pub fn is_waiting() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// A call that waits for another try, of which the user should know.
struct Waiting {
    /// No other call was waiting, so this one has told the user.
    first: bool,
}

impl Waiting {
    fn begin() -> Self {
        Self {
            first: WAITING.fetch_add(1, Ordering::Relaxed) == 0,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A length of time in whole units: `5 min`, `90 s`.
fn shown(time: Duration) -> String {
    match time.as_secs_f64().round() as u64 {
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Runs `operation` until it succeeds, fails for good, or the policy's time is over; gives back the last error.
///
/// The time that a try takes is no failure yet: the clock of `max_elapsed` starts with the first one. Work is no failure
/// either: the failures before it are forgotten, and the clock of `max_work` starts with the call. So does that of
/// `first_contact`, which counts only as long as nothing failed but for nobody being there.
pub async fn retry<T, E, F, Fut>(policy: RetryPolicy, what: &str, mut operation: F) -> Result<T, E>
where
    E: Retryable + std::fmt::Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    let mut failing_since = None;
    let mut only_unreached = true;
    let mut tries = 0;
    let mut few_left = policy.few;
    let mut pauses = pauses(policy);
    let mut waiting = None;
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let now = Instant::now();
        let hint = error.hint();
        only_unreached &= hint == Hint::NeverReached;
        let (asked, end) = match hint {
            Hint::Never => return Err(error),
            Hint::FewTimes if few_left == 0 => return Err(error),
            Hint::AtWork => {
                failing_since = None;
                (None, begun + policy.max_work.max(policy.max_elapsed))
            }
            Hint::NeverReached if only_unreached => {
                (None, begun + policy.first_contact.min(policy.max_elapsed))
            }
            _ => {
                few_left -= usize::from(hint == Hint::FewTimes);
                let asked = match hint {
                    Hint::Again(asked) => asked,
                    _ => None,
                };
                (asked, *failing_since.get_or_insert(now) + policy.max_elapsed)
            }
        };
        let own = pauses.next().unwrap_or(policy.max_delay);
        // All clients that were told the same moment should not come back in the same moment.
        let pause = asked.map_or(own, |asked| asked + own / 4);
        if now + pause > end {
            return Err(error);
        }
        tries += 1;
        let pause_seconds = pause.as_secs_f64();
        // One hiccup is nobody's business; whoever waits longer wants to know for what, and be told once.
        let is_loud = tries >= LOUD_FROM || pause > QUIET_PAUSE;
        if is_loud && waiting.is_none() && waiting.insert(Waiting::begin()).first {
            let left = shown(end.saturating_duration_since(now));
            tracing::warn!("{what}: {error}; trying again in {pause_seconds:.1} s, for up to {left}");
        } else {
            tracing::info!("{what}: {error}; trying again in {pause_seconds:.1} s");
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
        first_contact: Duration::from_millis(40),
        max_work: Duration::from_millis(1200),
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

    #[test]
    fn pauses_grow_to_the_longest_and_no_further() {
        for _ in 0..100 {
            let pauses: Vec<Duration> = pauses(RetryPolicy::default()).take(20).collect();
            assert!(pauses[0] < Duration::from_secs(1), "{pauses:?}");
            assert!(
                pauses
                    .iter()
                    .all(|pause| *pause <= RetryPolicy::default().max_delay)
            );
            assert!(
                pauses[15..].iter().all(|pause| *pause >= Duration::from_secs(10)),
                "{pauses:?}"
            );
        }
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

    #[tokio::test]
    async fn a_try_that_takes_longer_than_all_patience_gets_another_one() {
        let count = Cell::new(0);
        let result = retry(FAST, "test", || async {
            count.set(count.get() + 1);
            tokio::time::sleep(FAST.max_elapsed * 2).await;
            if count.get() == 2 {
                Ok(())
            } else {
                Err(Failed(Hint::Again(None)))
            }
        })
        .await;
        assert_eq!((count.get(), result.is_ok()), (2, true));
    }

    #[tokio::test]
    async fn whoever_failed_otherwise_before_is_no_first_contact() {
        for before in [Hint::Again(None), Hint::FewTimes, Hint::AtWork] {
            let (count, start) = (Cell::new(0), Instant::now());
            let result: Result<(), Failed> = retry(FAST, "test", || async {
                count.set(count.get() + 1);
                Err(Failed(if count.get() == 1 {
                    before
                } else {
                    Hint::NeverReached
                }))
            })
            .await;
            let lasted = start.elapsed();
            assert!(
                result.is_err() && lasted > FAST.first_contact * 4,
                "{before:?} {lasted:?}"
            );
        }
    }

    #[tokio::test]
    async fn work_is_waited_for_longer_than_failures_and_a_first_contact_shorter() {
        let lasted = async |hint| {
            let start = Instant::now();
            assert!(!tries(FAST, hint, usize::MAX).await.1);
            start.elapsed()
        };
        let (contact, failure, work) = (
            lasted(Hint::NeverReached).await,
            lasted(Hint::Again(None)).await,
            lasted(Hint::AtWork).await,
        );
        assert!(
            contact < failure && failure < work,
            "{contact:?} {failure:?} {work:?}"
        );
    }

    #[test]
    fn statuses_that_pass_are_told_from_those_that_do_not() {
        let of = |status| Hint::of_status(StatusCode::from_u16(status).unwrap(), None);
        for passing in [
            408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 524, 530, 599,
        ] {
            assert_eq!(of(passing), Hint::Again(None), "{passing}");
        }
        for last in [400, 401, 403, 404, 409, 413, 422, 501, 505, 511] {
            assert_eq!(of(last), Hint::Never, "{last}");
        }
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
