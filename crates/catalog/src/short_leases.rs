//! Leases that last for seconds: of a commit attempt, of a task, of a turn, of a deletion.
//!
//! The clock of the server that takes one may be wrong. If it was ahead and the server has died, its lease would last
//! for as long as the clock was ahead; so one that ends later than a server with a right clock could have written is
//! over, too. Whoever held it notices, since what it writes it writes only while the lease is its own.

use super::now;

/// Seconds: the longest of these leases, and what an object store lets the clock of a server be ahead. A deletion that
/// was signed with such a clock may still arrive until then.
const MOST_AHEAD: i64 = 60 + 15 * 60;

/// Whether a lease that ends at a Unix time is held.
pub(super) fn is_held(until: i64) -> bool {
    let now = now();
    now < until && until <= now + MOST_AHEAD
}

/// The condition of SQL that a lease is over, whose end is in a column, at a Unix time that SQL has, as in `$2`.
pub(super) fn over(column: &str, now: &str) -> String {
    format!("({column} <= {now} OR {column} > {now} + {MOST_AHEAD})")
}
