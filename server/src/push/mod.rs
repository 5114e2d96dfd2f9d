//! What a push is beyond its requests: its bounds, its check against the bucket,
//! its commit.

mod ahead;
mod arrival;
mod attempt;
mod check;
mod commit;
mod conflicts;
mod cycle;
mod leftovers;
pub mod listing;
mod logs;
mod order;
mod publish;
pub mod realisation;
mod recover;
mod replace;
mod republish;
mod ties;
mod verify;

use std::time::Duration;

use niks3_nix::store_path::StorePath;

pub use arrival::{hash_of, note_arrived, place, upload_key};
pub use attempt::{CommitAnswer, commit};
pub use commit::Outcome;
pub use conflicts::{Conflict, Difference as FieldDifference, describe};
pub use leftovers::remove_leftovers;
pub use publish::{narinfo, write_realisations};
pub use recover::recover;
pub use republish::republish;
pub use verify::verify;

use crate::error::Error;

/// How long an upload URL lives.
pub const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Most roots of a push.
pub const MAX_ROOTS: usize = 10_000;
/// Most entries of a list in one request.
pub const MAX_BATCH: usize = 2_000;
/// Most references of a path.
pub const MAX_REFERENCES: usize = 10_000;
/// Most signatures of a path.
pub const MAX_SIGNATURES: usize = 64;
/// Most bytes of a NAR: what an object can have in S3.
pub const MAX_NAR: u64 = 5 << 40;
/// Fewest bytes of a part but the last, and most of an upload in one piece.
pub const PART_SIZE: u64 = 8 << 20;
/// Most bytes of a part.
pub const MAX_PART: u64 = 5 << 30;
/// Most parts of an upload, as in S3.
pub const MAX_PARTS: u64 = 10_000;
/// Most bytes of a listing.
pub const MAX_LISTING: u64 = 256 << 20;
/// Most bytes of a build log.
pub const MAX_LOG: u64 = 1 << 30;

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
