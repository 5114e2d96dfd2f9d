//! What can go wrong with the object store, sorted by what the caller should do.

use std::io;
use std::time::Duration;

/// An error of the object store. Its text is for the log, without secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// There is no such object, bucket or upload.
    #[error("there is no such object")]
    NotFound,
    /// The credentials are not accepted, or do not allow this.
    #[error("the object store denies access: {0}")]
    Denied(String),
    /// Too many requests.
    #[error("the object store asks for fewer requests")]
    Throttled {
        /// How long to wait, if the service said.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that says to try again.
    #[error("the object store is not available: {0}")]
    Unavailable(String),
    /// No space left.
    #[error("the object store has no space left")]
    Full,
    /// The service refused the request as wrong.
    #[error("the object store refuses: {0}")]
    Invalid(String),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
