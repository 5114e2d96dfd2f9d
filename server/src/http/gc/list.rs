//! `GET /gc`

use super::types::{GcRun, GcRuns};
use super::{App, Error, TaskKind, find, page};

pub(super) async fn list(app: &App, after: Option<&str>, limit: Option<u32>) -> Result<GcRuns, Error> {
    let limit = page(limit)?;
    let before = match after {
        Some(id) => Some(find(app, id).await?.id),
        None => None,
    };
    let rows = app.catalog.tasks(TaskKind::Gc, before, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows.last().filter(|_| full).map(|row| row.token.clone());
    Ok(GcRuns {
        runs: rows.into_iter().map(GcRun::of).collect::<Result<_, _>>()?,
        next,
    })
}
