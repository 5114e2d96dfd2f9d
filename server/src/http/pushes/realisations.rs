//! `PUT /pushes/{id}/realisations`

use std::collections::BTreeMap;

use super::types::{Empty, Realisations};
use super::{App, Error, Identity, change, find_open};
use crate::catalog::PathId;
use crate::http::wire;
use crate::push_limits::MAX_BATCH;
use crate::realisation;

/// Bytes of one realisation.
const MAX_REALISATION: usize = 64 << 10;

pub(super) async fn put(app: &App, who: &Identity, id: &str, body: Realisations) -> Result<Empty, Error> {
    let push = find_open(app, who, id).await?;
    let realisations = wire::list("realisations", &body.realisations, MAX_BATCH)?;
    let wrong = |detail: String| Error::invalid("realisations", detail);
    let mut rows = Vec::with_capacity(realisations.len());
    for given in realisations {
        let path = wire::store_path("realisations.path", &given.path)?;
        let claim = app.catalog.claim_of(push.id, &path).await?;
        let claim = claim.ok_or_else(|| wrong(format!("the push does not claim {path}")))?;
        match (&given.id, &given.body) {
            (Some(_), Some(body)) if body.len() > MAX_REALISATION => {
                return Err(wrong(format!(
                    "a realisation has at most {MAX_REALISATION} bytes"
                )));
            }
            (Some(id), Some(body)) => {
                rows.push((
                    realisation::by_hash(id, &path, body).map_err(wrong)?,
                    claim.path_id,
                ));
            }
            (None, None) if given.drv.is_some() => {}
            _ => {
                return Err(wrong(
                    "give `id` and `body` together, or `drv`, or all three".into(),
                ));
            }
        }
        if let Some(drv) = &given.drv {
            let drv = wire::store_path("realisations.drv", drv)?;
            rows.push((
                realisation::by_path(&drv, &given.output, &path).map_err(wrong)?,
                claim.path_id,
            ));
        }
    }
    // The last one for a key counts.
    let rows: BTreeMap<String, (PathId, String)> = rows
        .into_iter()
        .map(|((key, body), path_id)| (key, (path_id, body)))
        .collect();
    let mut tx = change(app, &push).await?;
    tx.set_realisations(push.id, &rows).await?;
    tx.commit().await?;
    Ok(Empty {})
}
