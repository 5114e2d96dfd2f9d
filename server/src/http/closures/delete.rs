//! `DELETE /closures/{root}`

use std::sync::Arc;

use super::types::{DeletedClosures, KeepingRoot};
use super::{App, Error};
use crate::closures::{self, Options};
use crate::http::wire;

pub(super) async fn delete(
    app: &Arc<App>,
    identity: &str,
    root: &str,
    options: Options,
) -> Result<DeletedClosures, Error> {
    let root = wire::store_path("root", root)?;
    let deleted = closures::delete(app, identity, &root, options).await?;
    let path = |name: String| match name.parse() {
        Ok(path) => app.store_dir.display(&path),
        Err(_) => name,
    };
    let paths = |names: Vec<String>| names.into_iter().map(path).collect();
    Ok(DeletedClosures {
        released: paths(deleted.released),
        contained_in: paths(deleted.contained_in),
        more: deleted.more,
        delete_from: deleted.delete_from,
        gc: deleted.gc,
        kept_by: deleted
            .kept_by
            .into_iter()
            .map(|keeper| KeepingRoot {
                path: path(keeper.root),
                paths: keeper.paths,
            })
            .collect(),
    })
}
