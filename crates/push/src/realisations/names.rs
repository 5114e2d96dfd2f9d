//! The two names of a realisation: by the hash of the derivation, for Nix up to 2.34, and by its path, for 2.35.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use niks3_client::types;
use niks3_nix::{
    ca::ContentAddressMethod, hash::HashAlgorithm, nar, realisation::Realisation,
    self_references::SelfReferences, store_path::StorePath,
};
use sha2::{Digest as _, Sha256};

use super::{candidates::Candidates, derivation, is_output, is_output_addressed};
use crate::{
    nix::LocalStore,
    path_info::{PathInfo, PathInfos},
};

/// Which derivation has which id: those that have nothing to resolve, so that readers of either kind ask for them.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: HashMap<String, StorePath>,
}

impl Names {
    /// Reads the derivations among `candidates`.
    pub(super) fn read(store: &LocalStore, candidates: &Candidates) -> Self {
        let ids = candidates.all().flat_map(|(path, _)| {
            let ids = derivation::read(store, path).map(|derivation| derivation.realisation_ids());
            ids.into_iter().flatten().map(|id| (id.to_string(), path.clone()))
        });
        Self { by_id: ids.collect() }
    }

    /// Adds to each realisation the name that it lacks, if it can have that; `infos` has their outputs. What has none is
    /// left out.
    pub(super) fn complete(
        &self,
        store: &LocalStore,
        infos: &PathInfos,
        mut realisations: Vec<types::Realisation>,
    ) -> Vec<types::Realisation> {
        let mut verified: HashMap<StorePath, bool> = HashMap::new();
        realisations.retain_mut(|realisation| {
            let path = realisation.path.parse().ok();
            let Some((path, info)) = path.and_then(|path: StorePath| infos.get_key_value(&path)) else {
                return false;
            };
            match (&realisation.id, &realisation.drv) {
                (Some(id), None) => realisation.drv = self.derivation(id, realisation, path, info),
                (None, Some(drv)) => {
                    if let Some((id, body)) = by_hash(store, drv, realisation, path) {
                        realisation.id = Some(id);
                        realisation.body = Some(body);
                    }
                }
                _ => {}
            }
            if realisation.drv.is_some() {
                let verified = verified
                    .entry(path.clone())
                    .or_insert_with(|| verifies(store, path, info));
                if !*verified {
                    realisation.drv = None;
                }
            }
            realisation.id.is_some() || realisation.drv.is_some()
        });
        realisations
    }

    /// The resolved derivation of a realisation that is named by a hash.
    fn derivation(
        &self,
        id: &str,
        realisation: &types::Realisation,
        path: &StorePath,
        info: &PathInfo,
    ) -> Option<String> {
        if let Some(derivation) = self.by_id.get(id) {
            return Some(derivation.to_string());
        }
        // The deriver is resolved, and the derivations that share an output may have different names for it.
        let deriver = info.deriver.as_ref().filter(|_| is_output_addressed(info))?;
        is_output(deriver, &realisation.output, path).then(|| deriver.to_string())
    }
}

/// The id of a realisation that is named by the path of its derivation, and what older Nix reads under that.
fn by_hash(
    store: &LocalStore,
    drv: &str,
    realisation: &types::Realisation,
    path: &StorePath,
) -> Option<(String, String)> {
    let derivation = derivation::read(store, &drv.parse().ok()?)?;
    let mut ids = derivation.realisation_ids().into_iter();
    let id = ids.find(|id| id.output().as_str() == realisation.output.as_str())?;
    let body = Realisation::new(id.clone(), path.clone()).to_json();
    Some((id.to_string(), body))
}

/// Whether Nix 2.35 finds what a path has as its content address. Of what refers to itself it takes the hash otherwise than
/// Nix 2.17 to 2.34, and a build fails that is told of such an output; without, it is built anew.
fn verifies(store: &LocalStore, path: &StorePath, info: &PathInfo) -> bool {
    let Some(ca) = &info.ca else { return true };
    let is_modulo = ca.method() == ContentAddressMethod::NixArchive
        && ca.hash().algorithm() == HashAlgorithm::Sha256
        && info.references.contains(path);
    if !is_modulo {
        return true;
    }
    let mut sink = ModuloSink {
        references: SelfReferences::new(path.hash()),
        hasher: Sha256::new(),
    };
    if let Err(error) = nar::dump(&store.real_path(path), &mut sink, store.dump_options()) {
        tracing::warn!("{path} cannot be read: {error}");
        return false;
    }
    let ModuloSink {
        references,
        mut hasher,
    } = sink;
    let (left, positions) = references.finish();
    hasher.update(&left);
    hasher.update(&positions);
    hasher.finalize().as_slice() == ca.hash().digest()
}

struct ModuloSink {
    references: SelfReferences,
    hasher: Sha256,
}

impl Write for ModuloSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let hasher = &mut self.hasher;
        self.references.update(bytes, |replaced| hasher.update(replaced));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
