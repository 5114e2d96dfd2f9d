//! The start waits for the database and the object store.

use std::time::Duration;

use crate::storage::StorageError;

/// How long the parts a server stands on may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it succeeds, fails for good, or takes too long.
pub(crate) async fn patiently<T, E: std::fmt::Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    passing: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let started = std::time::Instant::now();
    loop {
        match attempt().await {
            Err(error) if passing(&error) && started.elapsed() < PATIENCE => {
                tracing::warn!(%error, "{what} does not answer yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            result => return result,
        }
    }
}

/// Whether the object store may answer otherwise in a moment.
pub(crate) fn is_passing(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Unavailable(_) | StorageError::Throttled { .. }
    )
}
