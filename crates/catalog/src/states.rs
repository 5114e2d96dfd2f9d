//! The numbers of states, for texts of statements.

use super::{ClaimKind, FindingState, MultipartState, PushState, TaskState};

pub(super) const PUSH_OPEN: i64 = PushState::Open.code();
pub(super) const PUSH_COMMITTING: i64 = PushState::Committing.code();
pub(super) const PUSH_COMMITTED: i64 = PushState::Committed.code();
pub(super) const PUSH_ABORTED: i64 = PushState::Aborted.code();
pub(super) const PUSH_EXPIRED: i64 = PushState::Expired.code();

pub(super) const CLAIM_PRESENT: i64 = ClaimKind::Present.code();
pub(super) const CLAIM_NEEDED: i64 = ClaimKind::Needed.code();
pub(super) const CLAIM_EXTERNAL: i64 = ClaimKind::External.code();

pub(super) const MULTIPART_OPEN: i64 = MultipartState::Open.code();
pub(super) const MULTIPART_COMPLETED: i64 = MultipartState::Completed.code();
pub(super) const MULTIPART_GIVEN_UP: i64 = MultipartState::GivenUp.code();

pub(super) const TASK_RUNNING: i64 = TaskState::Running.code();
pub(super) const TASK_DONE: i64 = TaskState::Done.code();

pub(super) const FINDING_OPEN: i64 = FindingState::Open.code();
pub(super) const FINDING_MENDED: i64 = FindingState::Mended.code();

/// The log is in its place.
pub(super) const LOG_PRESENT: i64 = 0;
pub(super) const LOG_DELETING: i64 = 1;
/// A push moves its log into place.
pub(super) const LOG_PUBLISHING: i64 = 2;

/// The realisation is what readers see.
pub(super) const REALISATION_PRESENT: i64 = 0;
/// It goes with its path.
pub(super) const REALISATION_DELETING: i64 = 1;

/// The path of an imported root is not in the cache yet.
pub(super) const IMPORT_WAITING: i64 = 0;
/// A closure or pin was made of an imported root, or there is nothing to make one of.
pub(super) const IMPORT_DONE: i64 = 1;
