//! Closures, and one of them.

use serde::Deserialize;

use super::{PAGE, address};
use crate::app::App;
use crate::catalog::{ClosureId, ClosureRow, ClosureSize, PathId, RunFilter};
use crate::error::Error;
use crate::http::wire;
use crate::pages::closures::{self, Closure};

/// Most paths of a closure that a page reads.
const MOST: usize = 20_000;
/// Most paths of all closures of a list that are read for their sizes.
const MOST_LISTED: usize = 20_000;
/// Runs and pins on the page of a closure.
const FEW: i64 = 20;

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

pub(super) fn place(text: &str) -> Result<(i64, ClosureId), Error> {
    let parse = || {
        let (time, id) = text.split_once('.')?;
        Some((time.parse().ok()?, id.parse().ok()?))
    };
    parse().ok_or_else(|| Error::invalid("after", "it is no place in this list"))
}

pub(super) fn place_after(rows: &[ClosureRow], limit: i64) -> Option<String> {
    let full = i64::try_from(rows.len()) == Ok(limit);
    let last = rows.last().filter(|_| full)?;
    Some(format!("{}.{}", last.pushed_at, last.id))
}

pub(super) async fn list(app: &App, query: After) -> Result<String, Error> {
    let after = query.after.as_deref().map(place).transpose()?;
    let rows = app
        .catalog
        .closures(&RunFilter::default(), None, after, PAGE)
        .await?;
    let next = place_after(&rows, PAGE).map(|after| address("/dashboard/closures", &[("after", &after)]));
    let roots: Vec<PathId> = rows.iter().map(|row| row.path_id).collect();
    let sizes: Vec<Option<ClosureSize>> = match app.catalog.closure_sizes_within(&roots, MOST_LISTED).await? {
        Some(sizes) => sizes.into_iter().map(Some).collect(),
        None => vec![None; rows.len()],
    };
    let rows: Vec<_> = rows.into_iter().zip(sizes).collect();
    Ok(closures::list(&rows, next))
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    page: usize,
}

pub(super) async fn show(app: &App, root: &str, query: Page) -> Result<String, Error> {
    let path = wire::store_path("root", root)?;
    let catalog = &app.catalog;
    let nothing = || Error::not_found("the cache does not have this path");
    let root = catalog.member(&path).await?.ok_or_else(nothing)?;
    let row = catalog.closure(&path).await?;
    let pins = catalog.pins_of(root.id, FEW).await?;
    let mut runs = catalog
        .runs(&RunFilter::default(), Some(&path), None, FEW + 1)
        .await?;
    let few = usize::try_from(FEW).unwrap_or(usize::MAX);
    let more_runs = runs.len() > few;
    runs.truncate(few);
    let replacements = catalog.replacements_of(&path).await?;
    let members = catalog.members(root.clone(), MOST).await?;
    let nar_size = i64::try_from(root.nar_bytes).unwrap_or(i64::MAX);
    Ok(closures::show(&Closure {
        store_dir: app.store_dir.as_str(),
        cache: match (&app.cache_url, app.read_proxy) {
            (_, true) => Some(""),
            (Some(url), false) => Some(url.as_str().trim_end_matches('/')),
            (None, false) => None,
        },
        listed: app.listings.in_bucket(nar_size) || (app.read_proxy && app.listings.in_database(nar_size)),
        root: &root,
        row: row.as_ref(),
        members: &members,
        pins: &pins,
        runs: &runs,
        more_runs,
        replacements: &replacements,
        page: query.page.min(MOST / closures::PATHS),
    }))
}
