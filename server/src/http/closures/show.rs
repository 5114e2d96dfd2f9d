//! `GET /closures/{root}`

use super::types::Closure;
use super::{App, Error};
use crate::http::wire;

pub(super) async fn show(app: &App, root: &str) -> Result<Closure, Error> {
    let root = wire::store_path("root", root)?;
    let Some(row) = app.catalog.closure(&root).await? else {
        return Err(Error::not_found(format!(
            "nobody has pushed the closure of {root}"
        )));
    };
    let sizes = app.catalog.closure_sizes(&[row.path_id]).await?;
    Ok(Closure::of(
        app,
        &row,
        sizes.into_iter().next().unwrap_or_default(),
    ))
}
