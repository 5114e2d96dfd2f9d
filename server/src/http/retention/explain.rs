//! `GET /retention/explain/{path}`

use super::types::Explanation;
use super::{App, Error};
use crate::http::wire;
use crate::retention::explain;

pub(super) async fn explain(app: &App, path: &str) -> Result<Explanation, Error> {
    let path = wire::store_path("path", path)?;
    let explained = explain::explain(app, &path).await?;
    Ok(Explanation::of(app, &path, explained))
}
