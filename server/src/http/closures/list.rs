//! `GET /closures`

use super::types::{Closure, Closures};
use super::{App, Error, Filter};
use crate::catalog::{ClosureId, PathId};
use crate::http::runs;

/// Most closures of a page: each is walked for its size.
const MAX_PAGE: u32 = 100;

pub(super) async fn list(
    app: &App,
    filter: Filter,
    run: Option<&str>,
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<Closures, Error> {
    let limit = match limit.unwrap_or(MAX_PAGE) {
        limit @ 1..=MAX_PAGE => i64::from(limit),
        _ => {
            let detail = format!("a page has 1 to {MAX_PAGE} entries");
            return Err(Error::invalid("limit", detail));
        }
    };
    let filter = filter.checked()?;
    let run = run.map(runs::token).transpose()?;
    let after = after
        .map(|place| parse(place).ok_or_else(|| Error::invalid("after", "it is no place in this list")))
        .transpose()?;
    let rows = app.catalog.closures(&filter, run, after, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows
        .last()
        .filter(|_| full)
        .map(|row| format!("{}.{}", row.pushed_at, row.id));
    let roots: Vec<PathId> = rows.iter().map(|row| row.path_id).collect();
    let sizes = app.catalog.closure_sizes(&roots).await?;
    let closures = rows.into_iter().zip(sizes);
    Ok(Closures {
        closures: closures.map(|(row, size)| Closure::of(app, &row, size)).collect(),
        next,
    })
}

/// The time and the id after which a page begins.
fn parse(place: &str) -> Option<(i64, ClosureId)> {
    let (time, id) = place.split_once('.')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}
