//! `GET /runs/{id}`

use super::types::Run;
use super::{App, Error, token, unknown};

pub(super) async fn show(app: &App, id: &str) -> Result<Run, Error> {
    let run = app.catalog.run(token(id)?).await?;
    Ok(Run::of(run.ok_or_else(|| unknown(id))?))
}
