//! What the latest errors of the database say about the sessions and the disk of a server that is known by its pools
//! alone: after a failover the sessions of a pool may be read-only although new ones are not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the sessions of a pool are replaced, at most: a database that stays read-only answers every writing statement
/// with the same error.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

/// Sessions that began before this time are closed instead of being used again.
static STALE_BEFORE: Mutex<Option<Instant>> = Mutex::new(None);
/// The last writing transaction that failed found no space left, and none has been found since.
static FULL: AtomicBool = AtomicBool::new(false);

/// Whether an error of PostgreSQL means that its session is of no further use: it is read-only, or the server that it
/// belongs to shuts down, has crashed, starts or has dropped the database.
pub(super) fn ends_session(code: &str) -> bool {
    matches!(code, "25006" | "57P01" | "57P02" | "57P03" | "57P04")
}

/// Closes every session that exists by now as soon as somebody would use it.
pub(super) fn replace_sessions() {
    let mut stale_before = STALE_BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if stale_before.is_none_or(|before| now.duration_since(before) >= REPLACE_EVERY) {
        *stale_before = Some(now);
    }
}

/// Whether a session of this age may be used.
pub(super) fn is_current(age: Duration) -> bool {
    let stale_before = *STALE_BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    stale_before.is_none_or(|before| before.elapsed() > age)
}

/// Notes that there was no space left.
pub(super) fn found_full() {
    FULL.store(true, Ordering::SeqCst);
}

/// Notes that there is space again.
pub(super) fn found_space() {
    FULL.store(false, Ordering::SeqCst);
}

/// Whether there was no space left when it was last needed.
pub(super) fn is_full() -> bool {
    FULL.load(Ordering::SeqCst)
}
