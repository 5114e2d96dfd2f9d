//! Whether a failed push is the fault of a path, or nobody's who could be left out.

use niks3_client::{Error as ApiError, Hint};
use niks3_push::{NixError, PackError, PushError};

/// What a failure means for the rest of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the paths cannot be pushed; the others may.
    Path,
    /// It is perhaps one of the paths, perhaps the object store.
    Unclear,
    /// Nothing can be pushed now; later perhaps.
    Passing,
    /// Nothing can be pushed until somebody changes something.
    Lasting,
    /// The push was given up.
    Interrupted,
}

impl Kind {
    /// What this failure means.
    #[must_use]
    pub fn of(error: &PushError) -> Self {
        match error {
            PushError::Interrupted | PushError::Stopped | PushError::Pack(PackError::Stopped) => {
                Self::Interrupted
            }
            PushError::Nix(NixError::NoNix(_)) | PushError::OpenFiles { .. } => Self::Lasting,
            PushError::Nix(_) | PushError::Pack(_) | PushError::Log { .. } => Self::Path,
            PushError::Api(error) => Self::of_api(error),
            PushError::Upload { .. }
            | PushError::StillMissing { .. }
            | PushError::Gone(_)
            | PushError::Internal(_) => Self::Unclear,
        }
    }

    fn of_api(error: &ApiError) -> Self {
        match error {
            ApiError::Transport {
                hint: Hint::Never, ..
            }
            | ApiError::NotNiks3(_) => Self::Lasting,
            ApiError::Token(error) if !error.is_passing() => Self::Lasting,
            ApiError::Unintelligible(_) => Self::Unclear,
            _ => match error.status().map(|status| status.as_u16()) {
                Some(401 | 403) => Self::Lasting,
                Some(408 | 425 | 429) | None => Self::Passing,
                Some(400..=499) => Self::Path,
                Some(_) => Self::Passing,
            },
        }
    }
}
