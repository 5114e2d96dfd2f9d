//! How many files and connections a push may have open at once.

use std::sync::OnceLock;

use rlimit::{Resource, increase_nofile_limit};

use crate::PushError;

/// With fewer a push does not begin: 16 uploads, as many files that are packed, and about 20 of the
/// runtime leave little.
const FEWEST: u64 = 64;
/// More are not asked for: with a limit of a billion, as some container runtimes have it, child processes
/// that close every descriptor there could be are slow.
const MOST: u64 = 1 << 20;

/// What may be open after the soft limit was raised to the hard one, or as far as the system lets it.
fn limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        increase_nofile_limit(MOST)
            .or_else(|_| Resource::NOFILE.get_soft())
            .unwrap_or(MOST)
    })
}

/// Raises the limit.
///
/// # Errors
/// When the hard limit is too small to work with.
pub(crate) fn enough() -> Result<(), PushError> {
    let limit = limit();
    if limit >= FEWEST {
        return Ok(());
    }
    Err(PushError::OpenFiles {
        limit,
        fewest: FEWEST,
    })
}

/// Uploads at once, of at most so many.
pub(crate) fn uploads(most: usize) -> usize {
    usize::try_from(limit() / 4).unwrap_or(most).clamp(1, most.max(1))
}
