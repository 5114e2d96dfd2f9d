//! The clock of the service, which decides whether a signature is good: this machine's, corrected by the `Date` of
//! the service's answers.
//!
//! A request is signed for seconds and a URL for minutes, and the service compares both with its own clock. So both
//! are signed by the service's clock, as it is measured at every answer: its `Date`, compared with the middle between
//! request and answer. Whoever is refused with another time than the service's is asked for once more.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_smithy_types::retry::ErrorKind;

use super::S3Bucket;
use crate::StorageError;

/// An answer that took longer says too little: requests that delete count on an error of less than
/// `fence::SKEW`, which is half of this and [`RESOLUTION`] at most.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(6);
/// By how much a `Date`, which has whole seconds, may be wrong beside the time of its way.
const RESOLUTION: Duration = Duration::from_secs(1);
/// After so long without an answer the clock is asked for before it is used.
const RENEW_AFTER: Duration = Duration::from_secs(600);
/// A service that did not say what time it is is asked again after so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Of a change by more nothing is known: two answers have to agree before anything is deleted.
const MAX_STEP: Duration = Duration::from_secs(60);
/// How many answers may disagree before a deletion is given up.
const MAX_ANSWERS: usize = 4;
/// Unix times that a service can mean: the years 2000 to 2099.
const PLAUSIBLE: Range<i64> = 946_684_800..4_102_444_800;
/// The log is told of a difference beyond this.
const MIN_TOLD: Duration = Duration::from_secs(10);
/// The log is told of changes up to [`MAX_STEP`] once in so long.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// By how much clocks may differ before somebody is told: what S3 tolerates.
const MAX_DIFFERENCE: Duration = Duration::from_secs(15 * 60);

/// The clock of the service.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceClock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// One request at a time asks for the time alone.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Milliseconds by which the service's clock is ahead of this machine's.
    ahead: i64,
    /// When an answer said so last.
    measured: Option<Instant>,
    /// The last answer moved the clock by more than [`MAX_STEP`], and none has agreed since.
    disputed: bool,
    /// The difference that the log was told of last, and when.
    told: Option<(i64, Instant)>,
}

/// What an answer says of the clock.
#[derive(Debug, Clone, Copy)]
struct Measurement {
    /// Milliseconds by which the service's clock is ahead of this machine's.
    ahead: i64,
    /// Milliseconds by which that may be wrong.
    error: i64,
}

impl Measurement {
    /// `date` is Unix time; the answer came at `received`, `elapsed` after the request was sent.
    fn of(date: i64, received: SystemTime, elapsed: Duration) -> Option<Self> {
        if elapsed > MAX_ROUND_TRIP {
            return None;
        }
        let half = elapsed / 2;
        let middle = milliseconds(
            received
                .duration_since(SystemTime::UNIX_EPOCH)
                .ok()?
                .checked_sub(half)?,
        );
        // A `Date` is cut off to whole seconds.
        let date = PLAUSIBLE.contains(&date).then(|| date * 1000 + 500)?;
        Some(Self {
            ahead: date - middle,
            error: milliseconds(half + RESOLUTION),
        })
    }

    /// Whether a clock that is so far ahead may be right.
    fn agrees_with(self, ahead: i64) -> bool {
        self.ahead.abs_diff(ahead) <= self.error.unsigned_abs()
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl State {
    fn learn(&mut self, measurement: Measurement) {
        let moved = !measurement.agrees_with(self.ahead);
        self.disputed = moved && self.measured.is_some() && self.step_to(measurement.ahead) > MAX_STEP;
        if moved {
            self.ahead = measurement.ahead;
        }
        self.measured = Some(Instant::now());
    }

    fn step_to(&self, ahead: i64) -> Duration {
        Duration::from_millis(self.ahead.abs_diff(ahead))
    }

    /// Whether the log is to be told how far ahead the clock is.
    fn is_news(&self) -> bool {
        let (told, lately) = self.told.map_or((0, false), |(told, when)| {
            (told, when.elapsed() < TELL_AGAIN_AFTER)
        });
        let change = self.step_to(told);
        !self.disputed && (change > MAX_STEP || change > MIN_TOLD && !lately)
    }

    fn is_fresh(&self) -> bool {
        self.measured
            .is_some_and(|measured| measured.elapsed() < RENEW_AFTER)
    }
}

impl TimeSource for ServiceClock {
    fn now(&self) -> SystemTime {
        let ahead = self.state().ahead;
        let by = Duration::from_millis(ahead.unsigned_abs());
        let own = SystemTime::now();
        let shifted = if ahead < 0 {
            own.checked_sub(by)
        } else {
            own.checked_add(by)
        };
        shifted.unwrap_or(own)
    }
}

impl ServiceClock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, measurement: Measurement) {
        let mut state = self.state();
        state.learn(measurement);
        if !state.is_news() {
            return;
        }
        state.told = Some((state.ahead, Instant::now()));
        let ahead = Duration::from_millis(state.ahead.unsigned_abs());
        let way = if state.ahead < 0 { "behind" } else { "ahead of" };
        drop(state);
        if ahead > MAX_DIFFERENCE {
            tracing::warn!(
                "the clock of the object store is {} {way} the clock of this machine: check the time service of \
                 both; requests are signed with the time of the object store",
                humantime::format_duration(Duration::from_secs((ahead.as_secs() + 30) / 60 * 60))
            );
        } else {
            tracing::info!(
                seconds = ahead.as_secs(),
                "requests are signed with the time of the object store, whose clock is {way} this machine's"
            );
        }
    }
}

/// When an attempt was sent, and how far ahead the clock was taken to be that it was signed with.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    ahead: i64,
}

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

/// On an answer to a request that was signed with another time than the service's.
#[derive(Debug, Clone, Copy)]
struct SignedWithAnotherTime;

impl Intercept for ServiceClock {
    fn name(&self) -> &'static str {
        "ServiceClock"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (at, ahead) = (Instant::now(), self.state().ahead);
        config.interceptor_state().store_put(Sent { at, ahead });
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(sent) = config.load::<Sent>().copied() else {
            return Ok(());
        };
        let headers = context.response().headers();
        // What a cache kept is as old as it says.
        let date = headers.get("date").filter(|_| headers.get("age").is_none());
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let measurement =
            date.and_then(|date| Measurement::of(date.secs(), SystemTime::now(), sent.at.elapsed()));
        if let Some(measurement) = measurement {
            self.learn(measurement);
            if !measurement.agrees_with(sent.ahead) {
                context.response_mut().add_extension(SignedWithAnotherTime);
            }
        }
        Ok(())
    }
}

/// Has a request that was refused asked again where it was signed with another time than the service's. Services
/// differ in the status and the code that they say it with.
#[derive(Debug)]
pub(super) struct RetryWithRightTime;

impl ClassifyRetry for RetryWithRightTime {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let refused = context.response().is_some_and(|response| {
            matches!(response.status().as_u16(), 400 | 401 | 403)
                && response.extension::<SignedWithAnotherTime>().is_some()
        });
        if refused {
            RetryAction::retryable_error(ErrorKind::ServerError)
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "RetryWithRightTime"
    }
}

impl S3Bucket {
    /// Unix time by the clock of the service; `None` when it does not answer, or does not say.
    pub(crate) async fn clock(&self) -> Option<i64> {
        let before = Instant::now();
        // A refusal, which a wrong clock is a reason for, has a date, too.
        let _ = self.ready().await;
        let state = *self.clock.state();
        state.measured.filter(|measured| *measured >= before)?;
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(now.as_secs()).ok()
    }

    /// Asks for the time where no answer has said it lately. A service that does not answer is left to whoever
    /// speaks to it next.
    pub(super) async fn learn_the_time(&self) {
        if self.clock.state().is_fresh() {
            return;
        }
        let mut asked = self.clock.0.asked.lock().await;
        let lately = asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN_AFTER);
        if !lately && !self.clock.state().is_fresh() {
            let _ = self.clock().await;
            *asked = Some(Instant::now());
        }
    }

    /// Waits until two answers of the service agree on the time, where they did not: a request that deletes must not
    /// take effect later than its signature says.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when they go on to disagree.
    pub(super) async fn agree_on_the_time(&self) -> Result<(), StorageError> {
        self.learn_the_time().await;
        let mut left = MAX_ANSWERS;
        while self.clock.state().disputed {
            if left == 0 {
                return Err(StorageError::Unavailable(format!(
                    "the answers of {} differ by more than {} s in their time: nothing is deleted until two agree",
                    self.address,
                    MAX_STEP.as_secs()
                )));
            }
            left -= 1;
            let _ = self.clock().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer that says `date`, `elapsed` after it was asked for.
    fn measured(date: i64, own: u64, elapsed: u64) -> Measurement {
        let own = SystemTime::UNIX_EPOCH + Duration::from_secs(own);
        Measurement::of(date, own, Duration::from_secs(elapsed)).expect("it says something")
    }

    #[test]
    fn a_clock_that_agrees_within_the_error_is_left_alone() {
        let mut state = State::default();
        // Half a second, two seconds with two of way, and a cut-off second.
        for (date, own, elapsed) in [
            (1_000_000_000, 1_000_000_000, 0),
            (1_000_000_002, 1_000_000_003, 4),
            (999_999_999, 1_000_000_000, 0),
        ] {
            state.learn(measured(date, own, elapsed));
        }
        assert_eq!((state.ahead, state.disputed), (0, false));
    }

    #[test]
    fn a_difference_is_taken_over_at_once_and_a_large_step_disputed_until_another_answer_agrees() {
        let mut state = State::default();
        // The first answer of all is all that there is.
        for (date, own, ahead, disputed) in [
            (1_000_000_000, 1000, 999_999_000_500, false),
            (1_000_000_031, 1001, 999_999_030_500, false),
            (999_999_900, 1_000_000_002, -101_500, true),
            (1_000_000_031, 1003, 999_999_028_500, true),
            (1_000_000_032, 1004, 999_999_028_500, false),
        ] {
            state.learn(measured(date, own, 0));
            assert_eq!((state.ahead, state.disputed), (ahead, disputed), "{date}");
        }
    }

    #[test]
    fn a_slow_answer_and_dates_beyond_all_bounds_say_nothing() {
        let own = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let slow = MAX_ROUND_TRIP + Duration::from_millis(1);
        assert!(Measurement::of(1_000_000_000, own, slow).is_none());
        for date in [i64::MAX, i64::MIN, 0, 9_999_999_999] {
            assert!(Measurement::of(date, own, Duration::ZERO).is_none(), "{date}");
        }
    }
}
