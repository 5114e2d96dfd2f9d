//! `GET /fsck`

use super::types::{FsckRun, FsckRuns};
use super::{App, Error, TaskKind, find, page};

pub(super) async fn list(app: &App, after: Option<&str>, limit: Option<u32>) -> Result<FsckRuns, Error> {
    let limit = page(limit)?;
    let before = match after {
        Some(id) => Some(find(app, id).await?.id),
        None => None,
    };
    let rows = app.catalog.tasks(TaskKind::Fsck, before, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows.last().filter(|_| full).map(|row| row.token.clone());
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        runs.push(FsckRun::of(app, row).await?);
    }
    Ok(FsckRuns { runs, next })
}
