//! What a push is beyond its requests: its bounds, its check against the bucket,
//! its commit.

mod arrival;
mod attempt;
mod await_verification;
mod check;
mod commit;
mod commit_state;
mod conflicts;
mod cycle;
mod debug_info;
mod leftovers;
pub mod listing;
mod logs;
mod narinfo;
mod narinfo_signatures;
mod order;
mod publish;
mod recover;
mod replace;
mod republish;
mod small_objects;
mod ties;
mod verify;

use niks3_base::error::Error;
use niks3_nix::store_path::StorePath;

use arrival::hash_of;
pub use arrival::{note_arrived, place, upload_key};
pub use attempt::{CommitAnswer, commit};
pub use commit::Outcome;
pub use conflicts::{Conflict, Difference as FieldDifference, describe};
pub use leftovers::remove_leftovers;
pub(crate) use narinfo::{narinfo, references};
pub(crate) use publish::write_realisations;
pub use recover::recover;
pub(crate) use republish::republish;
pub use small_objects::{ReadNar, SmallNar, compare_nars, read_nars, store_nars};
pub use verify::verify;

/// `PushGone`: what a push relies on was lost after it was decided, so that only another push can bring it.
fn lost(paths: &[StorePath]) -> Error {
    let first = paths.first().map(ToString::to_string).unwrap_or_default();
    let others = match paths.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Error::push_gone(format!(
        "the NAR of {first}{others} was lost meanwhile: begin again"
    ))
}

/// `PushGone`: nobody has renewed the lease of the push, and what it claims may be collected.
fn lease_over() -> Error {
    Error::push_gone("the lease of the push has run out: begin again")
}
