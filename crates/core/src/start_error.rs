//! Why the server does not start.

use niks3_catalog::CatalogError;
use niks3_storage::StorageError;

/// Why the server did not start, or ended.
#[derive(Debug)]
pub enum StartError {
    /// An option is wrong.
    Usage(String),
    /// What the options name does not work.
    Failed(String),
}

impl From<CatalogError> for StartError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Url(why) => Self::Usage(format!("--db: {why}")),
            CatalogError::CannotOpen(error) => Self::Usage(format!("--db: {error}")),
            error => Self::Failed(format!("--db: {error}")),
        }
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unsuitable(why) => Self::Failed(format!("--data-dir: {why}")),
            error => Self::Failed(format!("the object store: {error}")),
        }
    }
}
