//! What columns of paths hold: states, lists of references, hashes and names.

use niks3_nix::hash::NarHash;
use niks3_nix::store_path::StorePath;

use super::{CatalogError, PathId, Result};

/// No content is known for the path.
pub(super) const ABSENT: i64 = 0;
/// Committed; its narinfo may not be in the bucket yet.
pub(super) const PUBLISHING: i64 = 1;
/// Committed and readable.
pub(super) const PRESENT: i64 = 2;
/// Its narinfo is being deleted: a push has to provide it again, once that is over.
pub(super) const DELETING: i64 = 3;

/// In place of the staging key of a listing: it has been in its place, and is gone.
pub(super) const LISTING_LOST: &str = "lost";
/// In place of the staging key of a listing: the server has made it when it read the NAR.
pub(super) const LISTING_OF_NAR: &str = "nar";
/// The same, and what is in its place is the listing of other contents, which goes before the narinfo is written.
pub(super) const LISTING_REPLACED: &str = "replaced";

pub(super) fn pack_refs(ids: impl Iterator<Item = PathId>) -> Vec<u8> {
    ids.flat_map(|id| id.get().to_le_bytes()).collect()
}

pub(super) fn unpack_refs(bytes: &[u8]) -> Result<Vec<PathId>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(CatalogError::Corrupt(
            "a list of references that is cut short".into(),
        ));
    }
    Ok(chunks
        .iter()
        .map(|chunk| i64::from_le_bytes(*chunk).into())
        .collect())
}

pub(super) fn nar_hash(bytes: &[u8]) -> Result<NarHash> {
    let bytes: [u8; 32] = bytes
        .try_into()
        .map_err(|_| CatalogError::Corrupt("a NAR hash of the wrong length".into()))?;
    Ok(NarHash::from_bytes(bytes))
}

pub(super) fn store_path(name: &str) -> Result<StorePath> {
    name.parse()
        .map_err(|_| CatalogError::Corrupt(format!("store path {name:?}")))
}
