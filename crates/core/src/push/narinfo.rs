//! The narinfo of a path, out of what the database has of it.

use std::collections::BTreeSet;

use niks3_base::error::Error;
use niks3_base::signing::Signer;
use niks3_catalog::{PathId, Publishable};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::{StoreDir, StorePath};

/// The narinfo of a path, with the signatures it carried and ours.
///
/// # Errors
/// When the key of its NAR is not one.
pub fn narinfo(
    signer: &Signer,
    store_dir: &StoreDir,
    path: &Publishable,
    references: BTreeSet<StorePath>,
) -> Result<NarInfo, String> {
    let mut info = unsigned(path, references)?;
    signer.sign_narinfo(&path.keys, store_dir, &mut info);
    Ok(info)
}

/// The names of what a path refers to.
///
/// # Errors
/// When one of them has none.
pub fn references<'n>(
    path: &Publishable,
    name: impl Fn(PathId) -> Option<&'n StorePath>,
) -> Result<BTreeSet<StorePath>, Error> {
    let named = path.refs.iter().map(|id| {
        let name = name(*id).cloned();
        name.ok_or_else(|| Error::internal(format!("path {id} has no name")))
    });
    named.collect()
}

/// The narinfo of a path with the signatures it carried only.
pub(super) fn unsigned(path: &Publishable, references: BTreeSet<StorePath>) -> Result<NarInfo, String> {
    let text = |error: niks3_nix::narinfo::NarInfoError| error.to_string();
    Ok(NarInfo {
        store_path: path.path.clone(),
        url: path.nar_key.parse().map_err(text)?,
        compression: path.packing.compression.as_str().parse().map_err(text)?,
        file_hash: path.file_hash,
        file_size: Some(path.file_size.unsigned_abs()),
        nar_hash: path.nar_hash,
        nar_size: path.nar_size.unsigned_abs(),
        references,
        deriver: path.deriver.clone(),
        sigs: path.sigs.iter().filter_map(|sig| sig.parse().ok()).collect(),
        ca: path.ca.as_deref().and_then(|ca| ca.parse().ok()),
    })
}
