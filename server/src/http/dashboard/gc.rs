//! Garbage collections.

use serde::Deserialize;

use super::{PAGE, address};
use crate::app::App;
use crate::catalog::{TaskId, TaskKind, TaskState, now};
use crate::error::Error;
use crate::gc::Request;
use crate::pages;
use crate::pages::gc::{MANY, Next};

/// How many of the last collections are looked at.
const RECENT: i64 = 50;

/// What is known of the next collection, without marking anything.
pub(super) async fn ahead(app: &App) -> Result<Next, Error> {
    let mut next = Next::default();
    let mut last = None;
    for task in app.catalog.tasks(TaskKind::Gc, None, RECENT).await? {
        let Ok(request) = serde_json::from_str::<Request>(&task.request) else {
            continue;
        };
        if !request.dry_run {
            last = Some(request);
            break;
        }
        if task.state == TaskState::Done && next.foreseen.is_none() {
            next.foreseen = Some(task);
        }
    }
    if let Some(request) = last {
        let before = now() - i64::from(request.older_than);
        let old = app.catalog.closures_before(before, MANY).await?;
        next.old = Some((request.older_than, old));
    }
    Ok(next)
}

#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

pub(super) async fn list(app: &App, query: Before) -> Result<String, Error> {
    let rows = app
        .catalog
        .tasks(TaskKind::Gc, query.before.map(TaskId::from), PAGE)
        .await?;
    let full = i64::try_from(rows.len()) == Ok(PAGE);
    let older = rows
        .last()
        .filter(|_| full)
        .map(|last| address("/dashboard/gc", &[("before", &last.id.to_string())]));
    let counts = app.cache_stats.current(&app.catalog).await;
    Ok(pages::gc::list(
        counts.as_deref(),
        &ahead(app).await?,
        &rows,
        older,
    ))
}
