//! `GET /paths/{path}`

use super::types::CachedPath;
use super::{App, Error};
use crate::http::wire;
use crate::paths;

/// Most pins that are named.
const MAX_PINS: i64 = 100;

pub(super) async fn show(app: &App, path: &str) -> Result<CachedPath, Error> {
    let path = wire::store_path("path", path)?;
    let found = paths::committed(app, std::slice::from_ref(&path)).await?;
    let Some(found) = found.into_iter().next() else {
        return Err(Error::not_found(format!("the cache does not have {path}")));
    };
    let closure = app.catalog.closure(&path).await?;
    let narinfo = found.narinfo;
    Ok(CachedPath {
        path: app.store_dir.display(&path),
        nar_hash: narinfo.nar_hash.to_string(),
        nar_bytes: narinfo.nar_size,
        url: narinfo.url.to_string(),
        compression: narinfo.compression.to_string(),
        file_bytes: narinfo.file_size,
        references: narinfo
            .references
            .iter()
            .map(|path| app.store_dir.display(path))
            .collect(),
        deriver: narinfo.deriver.map(|path| app.store_dir.display(&path)),
        ca: narinfo.ca.map(|ca| ca.to_string()),
        signatures: narinfo.sigs.iter().map(ToString::to_string).collect(),
        pins: app.catalog.pins_of(found.id, MAX_PINS).await?,
        pushed_at: closure.map(|closure| closure.pushed_at),
    })
}
