//! `niks3-server import`.

use niks3_core::import::{self, Summary};

use crate::config::Storage;
use crate::start;
use crate::start_error::StartError;

/// Imports out of the database with that URL.
///
/// # Errors
/// When the original may be running, the bucket is not the one that its database is about or belongs to another
/// database, or one of the three does not answer.
pub async fn run(storage: &Storage, url: &str, source_is_stopped: bool) -> Result<Summary, StartError> {
    let found = import::read(url, &storage.store_dir, source_is_stopped).await?;
    let catalog = start::open_database(&storage.database, storage.wait_for).await?;
    let bucket = start::open_store(&storage.store, storage.wait_for).await?.bucket;
    let adopt = storage.adopt_bucket.as_ref();
    let summary = import::write_down(found, &catalog, &bucket, &storage.store_dir, adopt).await;
    catalog.close().await;
    summary
}
