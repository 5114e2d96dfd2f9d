//! Signing what a commit is about to publish, while the bucket is asked what has arrived and the database decides: a
//! signature takes longer than anything else that is done for a path, and meanwhile one processor has nothing to do.

use std::collections::HashMap;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_base::signing::KeyChoice;
use niks3_catalog::{CommitClaim, PathId};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::signature::Signature;
use niks3_nix::store_path::StorePath;
use tokio::task::JoinSet;

use super::narinfo;
use crate::app::App;

/// Paths of one call.
const BATCH: usize = 256;

/// Signatures by the id of the path whose offer they are about.
#[derive(Debug, Default)]
pub(super) struct NarinfoSignatures(HashMap<PathId, Vec<Signature>>);

impl NarinfoSignatures {
    pub fn of(&self, path_id: PathId) -> Option<&[Signature]> {
        self.0.get(&path_id).map(Vec::as_slice)
    }
}

/// Signs all that a push offers, as far as it can be published. Nobody sees a signature before the database has
/// decided that the offer is what the path is from now on.
pub(super) async fn sign(app: &App, claims: &[CommitClaim]) -> Result<NarinfoSignatures, Error> {
    let offers: Vec<_> = claims.iter().filter_map(|claim| claim.offer.as_ref()).collect();
    let names: HashMap<PathId, &StorePath> =
        claims.iter().map(|claim| (claim.path_id, &claim.path)).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut signing = JoinSet::new();
    let mut signed = HashMap::with_capacity(offers.len());
    for offers in offers.chunks(BATCH) {
        let mut unsigned = Vec::with_capacity(offers.len());
        for offer in offers {
            // What cannot be written the decision refuses, or the publishing.
            let Ok(references) = narinfo::references(offer, |id| names.get(&id).copied()) else {
                continue;
            };
            if let Ok(info) = narinfo::unsigned(offer, references) {
                unsigned.push((offer.path_id, offer.keys.clone(), info));
            }
        }
        // One more than there are threads for, so that none waits for the next.
        if signing.len() > threads
            && let Some(batch) = signing.join_next().await
        {
            signed.extend(batch.map_err(Error::internal)?);
        }
        let (signer, store_dir) = (Arc::clone(&app.signer), app.store_dir.clone());
        signing.spawn_blocking(move || {
            let sign = |(path_id, keys, info): (PathId, KeyChoice, NarInfo)| {
                (path_id, signer.signatures(&keys, &info.fingerprint(&store_dir)))
            };
            unsigned.into_iter().map(sign).collect::<Vec<_>>()
        });
    }
    while let Some(batch) = signing.join_next().await {
        signed.extend(batch.map_err(Error::internal)?);
    }
    Ok(NarinfoSignatures(signed))
}
