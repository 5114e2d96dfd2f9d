//! The first page.

use super::gc;
use crate::app::App;
use crate::catalog::{RunFilter, TaskKind, now};
use crate::error::Error;
use crate::pages::overview::{self, Overview};

const DAY: i64 = 86_400;
/// Days that the picture of the storage goes back.
const DAYS: i64 = 90;
/// Entries of each list.
const FEW: i64 = 5;

pub(super) async fn show(app: &App) -> Result<String, Error> {
    let catalog = &app.catalog;
    let filter = RunFilter::default();
    let counts = app.cache_stats.current(catalog).await;
    let mut past = catalog.past_counts(now() - DAYS * DAY, DAY).await?;
    if past.len() < 3 {
        // A young cache changes by the hour.
        past = catalog.past_counts(now() - 2 * DAY, 1).await?;
    }
    let overview = Overview {
        alert: app.ownership.lost().or_else(|| app.ownership.needs_repair()),
        counts: counts.as_deref(),
        past,
        runs: catalog.runs(&filter, None, None, FEW).await?,
        closures: catalog.closures(&filter, None, None, FEW).await?,
        pins: catalog.pins("", FEW).await?,
        last_gc: catalog.tasks(TaskKind::Gc, None, 1).await?.pop(),
        next: gc::ahead(app).await?,
    };
    Ok(overview::show(&overview))
}
