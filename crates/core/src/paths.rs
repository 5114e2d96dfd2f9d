//! What the cache has of a path, as its readers find it.

use niks3_base::error::Error;
use niks3_catalog::PathId;
use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::StorePath;

use crate::app::App;
use crate::push;

/// A path that is in the cache.
#[derive(Debug)]
pub struct CommittedPath {
    /// Its id.
    pub id: PathId,
    /// Its narinfo, with all signatures.
    pub narinfo: NarInfo,
}

/// Those of some paths that are in the cache.
///
/// # Errors
/// When the database does not answer.
pub async fn committed(app: &App, paths: &[StorePath]) -> Result<Vec<CommittedPath>, Error> {
    let rows = app.catalog.committed(paths).await?;
    let referred: Vec<PathId> = rows.iter().flat_map(|row| row.refs.iter().copied()).collect();
    let names = app.catalog.names(&referred).await?;
    let committed = rows.iter().map(|row| {
        let references = push::references(row, |id| names.get(&id))?;
        let narinfo = push::narinfo(&app.signer, &app.store_dir, row, references);
        Ok(CommittedPath {
            id: row.path_id,
            narinfo: narinfo.map_err(Error::internal)?,
        })
    });
    committed.collect()
}
