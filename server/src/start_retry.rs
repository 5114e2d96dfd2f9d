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
                    tracing::warn!(
                        "cannot reach {what}: {}; trying again for {limit} (--wait-for)",
                        cause(&error)
                    );
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

/// Why, without what a message that names the database or the object store says anyway.
pub(crate) fn cause(error: &impl std::fmt::Display) -> String {
    let mut text = niks3_arguments::without_error_numbers(&error.to_string());
    for known in [
        "the database is not available: ",
        "the object store is not available: ",
        "error communicating with database: ",
    ] {
        if let Some(rest) = text.strip_prefix(known) {
            text = rest.to_owned();
        }
    }
    if text.contains("InvalidContentType") {
        return "the answer is not TLS; is the address http:// instead of https://?".to_owned();
    }
    match text.split_once(" does not answer: ") {
        Some((address, rest)) if address.contains("://") && !address.contains(' ') => rest.to_owned(),
        _ => text,
    }
}

/// Whether the object store may answer otherwise in a moment.
pub(crate) fn is_passing(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::Unavailable(_) | StorageError::Throttled { .. }
    )
}
