//! Whether the clock of this machine can be believed, for whoever deletes by age.
//!
//! A clock that jumps months ahead makes everything look old at once. So whoever deletes by age asks
//! [`deviations`] first: of the wall clock against the time that has passed since the start, of the
//! database's clock, of the object store's, and of the start of the last garbage collection.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use niks3_catalog::{Catalog, CatalogError, TaskKind, now};
use niks3_storage::Bucket;

/// By how much the wall clock may move against the monotonic one while the server runs, and differ from
/// the clocks of the database and of other servers. Clocks that are kept by NTP differ by less than a second.
const MAX_DRIFT: i64 = 5 * 60;

/// By how much it may differ from the object store's: what S3 itself allows in a signature.
const MAX_STORE_SKEW: i64 = 15 * 60;

/// What the wall clock showed, and how much time has passed since.
#[derive(Debug)]
pub struct Clock {
    baseline: Mutex<Baseline>,
}

#[derive(Debug, Clone, Copy)]
struct Baseline {
    /// Unix time.
    wall: i64,
    instant: Instant,
    /// Time since boot.
    uptime: Option<Duration>,
}

impl Baseline {
    fn now() -> Self {
        Self {
            wall: now(),
            instant: Instant::now(),
            uptime: uptime(),
        }
    }

    /// The time that has passed since, with the time that the machine slept where that is known.
    fn elapsed(&self) -> Duration {
        match (self.uptime, uptime()) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => self.instant.elapsed(),
        }
    }
}

/// Time since boot, as Linux tells it, with the time that the machine slept: the monotonic clock stands
/// still meanwhile, and the wall clock does not.
fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            baseline: Mutex::new(Baseline::now()),
        }
    }
}

impl Clock {
    /// Seconds that the wall clock has gone ahead of the time that has passed, or fallen behind it.
    fn drift(&self) -> i64 {
        let baseline = *self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        now()
            .saturating_sub(baseline.wall)
            .saturating_sub_unsigned(baseline.elapsed().as_secs())
    }

    /// Takes the wall clock as right from now on.
    pub fn accept(&self) {
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = Baseline::now();
    }
}

/// What speaks against the wall clock, each a clause of a sentence; nothing when it can be believed. An
/// object store that does not answer says nothing of it.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn deviations(
    clock: &Clock,
    catalog: &Catalog,
    bucket: &Bucket,
) -> Result<Vec<String>, CatalogError> {
    let mut found = Vec::new();
    let drift = clock.drift();
    if drift.abs() > MAX_DRIFT {
        let way = if drift > 0 { "forward" } else { "back" };
        found.push(format!(
            "the clock of the server was set {way} by {} while it ran",
            span(drift)
        ));
    }
    if let Some(time) = catalog.clock().await? {
        found.extend(difference(time, MAX_DRIFT, "that of PostgreSQL"));
    }
    if let Some(time) = bucket.clock().await {
        found.extend(difference(time, MAX_STORE_SKEW, "that of the object store"));
    }
    if let Some(last) = catalog.tasks(TaskKind::Gc, None, 1).await?.first() {
        let behind = last.started_at.saturating_sub(now());
        if behind > MAX_DRIFT {
            found.push(format!(
                "the clock of the server is {} behind the start of the last garbage collection",
                span(behind)
            ));
        }
    }
    Ok(found)
}

fn difference(theirs: i64, most: i64, whose: &str) -> Option<String> {
    let ahead = now().saturating_sub(theirs);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let clause = || format!("the clock of the server is {} {way} {whose}", span(ahead));
    (ahead.abs() > most).then(clause)
}

/// A span in its greatest unit that fits more than once.
fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    match [(86400, "days"), (3600, "hours"), (60, "minutes")]
        .into_iter()
        .find(|(unit, _)| seconds >= 2 * unit)
    {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_does_not_drift() {
        let clock = Clock::default();
        assert!(clock.drift().abs() <= 1);
        let moved = |wall: i64| Clock {
            baseline: Mutex::new(Baseline {
                wall: now() + wall,
                ..Baseline::now()
            }),
        };
        let clock = moved(-3600);
        assert!((3599..=3601).contains(&clock.drift()));
        clock.accept();
        assert!(clock.drift().abs() <= 1);
        assert!((-3601..=-3599).contains(&moved(3600).drift()));
    }

    #[test]
    fn differences_are_told_from_their_bound_on() {
        assert_eq!(difference(now(), 300, "theirs"), None);
        assert_eq!(difference(now() - 290, 300, "theirs"), None);
        let ahead = difference(now() - 60 * 86400 - 5, 300, "theirs");
        assert_eq!(
            ahead.as_deref(),
            Some("the clock of the server is 60 days ahead of theirs")
        );
        let behind = difference(now() + 605, 300, "theirs");
        assert_eq!(
            behind.as_deref(),
            Some("the clock of the server is 10 minutes behind theirs")
        );
    }
}
