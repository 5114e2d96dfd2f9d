//! Whether uploads are what their pushes say: every NAR is read once, before a path with it becomes visible.

mod check;
mod jobs;
mod queue;
mod read_object;

pub use check::ClaimedNar;
pub(crate) use check::{Difference, check_content_address, compare};
pub(crate) use jobs::Jobs;
pub use queue::{Arriving, Job, Progress, Queue, Readers};
pub use read_object::read_object;

/// Whose uploads are read before they become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyUploads {
    /// Everybody's.
    All,
    /// Those of identities whose rule or token does not say that they are trusted; others' are read when nothing else waits.
    Untrusted,
    /// Nobody's; a check finds out.
    None,
}

impl VerifyUploads {
    /// Whether what an identity uploads becomes visible before it is read.
    #[must_use]
    pub const fn exempts(self, trusted: bool) -> bool {
        match self {
            Self::All => false,
            Self::Untrusted => trusted,
            Self::None => true,
        }
    }
}
