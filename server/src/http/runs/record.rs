//! `POST /runs`

use super::types::Run;
use super::{App, Error, Statement};
use crate::auth::Identity;
use crate::runs;

pub(super) async fn record(app: &App, who: &Identity, body: Statement) -> Result<Run, Error> {
    let new = runs::run_of(who, Some(body.facts("")?)).ok_or_else(|| {
        Error::invalid(
            "provider",
            "the token has no claims of a run; with the admin token, `provider`, `repository` and `run_id` say it",
        )
    })?;
    let mut tx = app.catalog.write().await?;
    let (_, token) = tx.record_run(&new, &runs::token()).await?;
    let run = tx.run(&token).await?;
    tx.commit().await?;
    Ok(Run::of(run.ok_or_else(|| Error::internal("a run is gone"))?))
}
