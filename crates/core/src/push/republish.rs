//! Writing the narinfos of committed paths again, as a push of the server's own: what
//! it claims cannot be collected meanwhile, and what it does is what every push does.

use std::sync::Arc;

use niks3_base::error::{Error, ErrorKind};
use niks3_base::signing::KeyChoice;
use niks3_catalog::{NewPush, PathId};

use super::attempt;
use crate::app::App;

/// Writes the narinfos of committed paths as the database has them, each after those it
/// refers to, and returns how many. What is not committed any more is left out.
///
/// # Errors
/// When something that a narinfo would point to has been lost.
pub(crate) async fn republish(app: &Arc<App>, identity: &str, ids: &[PathId]) -> Result<u64, Error> {
    let token = niks3_nix::base32::encode(&rand::random::<[u8; 20]>());
    let mut tx = app.catalog.write().await?;
    let push_id = tx
        .open_push(&NewPush {
            token: token.clone(),
            identity: identity.to_owned(),
            pin: None,
            verify: false,
            lease: i64::from(app.lease_seconds),
            run_id: None,
            keys: KeyChoice::none(),
            exempt: true,
        })
        .await?;
    let claimed = tx.claim_committed(push_id, ids).await?;
    tx.commit().await?;
    let push = app
        .catalog
        .push(&token)
        .await?
        .ok_or_else(|| Error::internal("a push is gone"))?;
    if let Err(problem) = attempt::commit(app, push, None).await {
        let mut tx = app.catalog.write().await?;
        let aborted = tx.abort_push(push_id).await?;
        if !aborted {
            tx.give_up(push_id).await?;
        }
        tx.commit().await?;
        if aborted {
            app.catalog.release_push(push_id).await?;
        }
        // To the caller it is not the push that is gone.
        return Err(match problem.kind() {
            ErrorKind::NotFound | ErrorKind::PushGone => Error::conflict(problem.text()),
            _ => problem,
        });
    }
    Ok(claimed)
}
