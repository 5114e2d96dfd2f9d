//! `POST /gc/{id}/restore`

use std::sync::Arc;

use super::types::RestoredClosures;
use super::{App, Error, find};
use crate::closures;

pub(super) async fn restore_released(
    app: &Arc<App>,
    identity: &str,
    id: &str,
) -> Result<RestoredClosures, Error> {
    let run = find(app, id).await?;
    Ok(RestoredClosures {
        restored: closures::restore_all(app, identity, &run.token).await?,
    })
}
