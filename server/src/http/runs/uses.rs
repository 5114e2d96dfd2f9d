//! `POST /runs/{id}/uses`

use std::sync::Arc;

use niks3_nix::store_path::StorePath;

use super::types::{ReportUses, ReportedUses, Run};
use super::{App, Error, token};
use crate::auth::Identity;
use crate::http::wire;
use crate::runs::uses;

pub(super) async fn uses(
    app: &Arc<App>,
    who: &Identity,
    id: &str,
    body: &ReportUses,
) -> Result<ReportedUses, Error> {
    let id = token(id)?;
    let paths = wire::list("paths", &body.paths, uses::MAX_PATHS)?;
    let paths = paths
        .iter()
        .map(|path| wire::store_path("paths", path))
        .collect::<Result<Vec<StorePath>, Error>>()?;
    let (run, used) = uses::report(app, who, id, &paths, body.complete).await?;
    Ok(ReportedUses {
        used: used as u64,
        run: Run::of(run),
    })
}
