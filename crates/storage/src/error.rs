//! What can go wrong with the object store, sorted by what the caller should do.

use std::io;
use std::time::Duration;

use niks3_base::error::Error;

/// An error of the object store. Its text is for the log, without secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// There is no such object, bucket or upload.
    #[error("there is no such object")]
    NotFound,
    /// The credentials are not accepted, or do not allow this.
    #[error("the object store denies access: {0}")]
    Denied(String),
    /// The service knows the credentials, and a policy does not allow them this: operation, keys and permission.
    #[error("the object store does not allow {0}")]
    Forbidden(String),
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
    /// The file system below the embedded store cannot hold it; the whole sentence.
    #[error("{0}")]
    Unsuitable(String),
    /// The service refused the request as wrong.
    #[error("the object store refuses: {0}")]
    Invalid(String),
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match &error {
            // What may be missing the caller of the store looks for.
            StorageError::NotFound => Self::internal("the object store lacks what it has to have"),
            StorageError::Throttled { retry_after } => {
                let seconds =
                    retry_after.map_or(1, |wait| u32::try_from(wait.as_secs()).unwrap_or(60).max(1));
                Self::unavailable("the object store asks for patience", seconds).with_cause(error)
            }
            StorageError::Full => {
                Self::unavailable("the object store has no space left", 60).with_cause(error)
            }
            StorageError::Denied(_) => {
                Self::unavailable("the object store does not let the server in", 60).with_cause(error)
            }
            StorageError::Forbidden(_) => {
                let message = error.to_string();
                Self::store_refuses(message).with_cause(error)
            }
            StorageError::Unavailable(_) => {
                Self::unavailable("the object store does not answer", 2).with_cause(error)
            }
            StorageError::Invalid(_) | StorageError::Unsuitable(_) => Self::internal(error),
        }
    }
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
