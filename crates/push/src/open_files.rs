//! How many files and connections a push may have open at once.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::PushError;

/// With fewer a push does not begin: 16 uploads, as many files that are packed, and about 20 of the
/// runtime leave little.
const FEWEST: u64 = 64;
/// More are not asked for: with a limit of a billion, as some container runtimes have it, child processes
/// that close every descriptor there could be are slow.
const MOST: u64 = 1 << 20;
/// What macOS allows when its hard limit says that there is none.
const OPEN_MAX: u64 = 10_240;

/// Raises the soft limit to the hard one; returns what it is then.
fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(MOST, |hard| hard.min(MOST));
    for wanted in [most, OPEN_MAX] {
        if limit.current.is_none_or(|soft| soft >= wanted) {
            break;
        }
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(MOST)
}

fn limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(raise)
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
