//! Renews the lease of a push while it runs, so that nothing it relies on is collected under it.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::{error::PushError, server::Server, stop::First};

/// Renews until it is dropped; a push that the server no longer knows ends everything.
pub(crate) fn keep(server: &Server, first: &First<PushError>) -> AbortOnDropHandle<()> {
    let (server, first) = (server.clone(), first.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut seconds = server.opened.lease_seconds;
        loop {
            // Twice as often as needed, so that one lost answer is no harm.
            tokio::time::sleep(Duration::from_millis((seconds * 1000 / 3).max(500))).await;
            match server.renew().await {
                Ok(renewed) => seconds = renewed,
                Err(error) => return first.fail(error.into()),
            }
        }
    }))
}
