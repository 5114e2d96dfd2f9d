//! `GET /gc/{id}/closures`

use super::types::{GcClosure, GcClosures};
use super::{App, Error, find, page};

pub(super) async fn closures(
    app: &App,
    id: &str,
    after: Option<u64>,
    limit: Option<u32>,
) -> Result<GcClosures, Error> {
    let limit = page(limit)?;
    let run = find(app, id).await?;
    let after = i64::try_from(after.unwrap_or_default())
        .map_err(|_| Error::invalid("after", "it is no place in this list"))?;
    let rows = app.catalog.gc_closures(run.id, after, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    Ok(GcClosures {
        next: rows.last().filter(|_| full).map(|row| row.number.unsigned_abs()),
        closures: rows
            .into_iter()
            .map(|row| GcClosure {
                root: row.root,
                pushed_at: row.pushed_at,
                paths: row.paths.unsigned_abs(),
                nar_bytes: row.bytes.unsigned_abs(),
                action: Some(row.action).filter(|action| !action.is_empty()),
                reason: Some(row.reason).filter(|reason| !reason.is_empty()),
                delete_from: (row.delete_from != 0).then_some(row.delete_from),
            })
            .collect(),
    })
}
