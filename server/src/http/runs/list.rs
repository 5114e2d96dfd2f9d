//! `GET /runs`

use super::types::{Filter, Run, Runs};
use super::{App, Error, token};
use crate::http::wire;

pub(super) async fn list(
    app: &App,
    filter: Filter,
    closure: Option<&str>,
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<Runs, Error> {
    let limit = wire::page(limit)?;
    let filter = filter.checked()?;
    let closure = closure
        .map(|name| wire::store_path("closure", name))
        .transpose()?;
    let before = match after {
        Some(id) => {
            let run = match token(id) {
                Ok(id) => app.catalog.run(id).await?,
                Err(_) => None,
            };
            Some(
                run.ok_or_else(|| Error::invalid("after", "it is no place in this list"))?
                    .id,
            )
        }
        None => None,
    };
    let rows = app.catalog.runs(&filter, closure.as_ref(), before, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    Ok(Runs {
        next: rows.last().filter(|_| full).map(|run| run.token.clone()),
        runs: rows.into_iter().map(Run::of).collect(),
    })
}
