//! Bounds of what a push may have.

use std::time::Duration;

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
/// Most bytes of an object that rides in a request to the server: of a compressed NAR, or of a plain build log.
pub const MAX_SMALL_OBJECT: usize = 64 << 10;
/// Most bytes of the NAR in such an object, which the server unpacks before it answers.
pub const MAX_SMALL_NAR: u64 = 1 << 20;
/// Most such objects in one request.
pub const MAX_SMALL_OBJECTS: usize = 1_000;
/// Most bytes of all such objects in one request.
pub const MAX_SMALL_BYTES: usize = 8 << 20;
/// Most bytes of a listing.
pub const MAX_LISTING: u64 = 256 << 20;
/// Most bytes of a build log.
pub const MAX_LOG: u64 = 1 << 30;
