//! The start waits for the database and the object store.

use std::time::Duration;

use crate::storage::StorageError;

/// Pause between two attempts to reach what the server stands on.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Tries until it works, fails for good, or `--wait-for` is over; says once what is waited for, and why.
pub(crate) async fn wait_for<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
    passing: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let started = std::time::Instant::now();
    let mut has_failed = false;
    loop {
        match attempt().await {
            Err(error) if passing(&error) && started.elapsed() + RETRY_EVERY < limit => {
                if !std::mem::replace(&mut has_failed, true) {
                    let limit = humantime::format_duration(limit);
                    tracing::warn!("cannot reach {what}: {error}; trying again for {limit} (--wait-for)");
                }
                tokio::time::sleep(RETRY_EVERY).await;
            }
            result => {
                if has_failed && result.is_ok() {
                    tracing::info!("{what} answers");
                }
                return result;
            }
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
