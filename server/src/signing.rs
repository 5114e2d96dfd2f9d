//! The server's keys, and what they sign: only what the catalog has decided.

use std::collections::BTreeSet;

use niks3_nix::narinfo::NarInfo;
use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey, Realisation};
use niks3_nix::signature::{SecretKey, Signature};
use niks3_nix::store_path::StoreDir;

/// Nix signing keys, in the order they were configured.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<SecretKey>,
}

impl Signer {
    /// Takes the keys that sign every path.
    #[must_use]
    pub fn new(keys: Vec<SecretKey>) -> Self {
        Self { keys }
    }

    /// The public keys, `name:base64`.
    #[must_use]
    pub fn public_keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.public_key().to_string()).collect()
    }

    /// Adds our signatures to those a narinfo carries; a key's own name is ours alone.
    pub fn sign_narinfo(&self, store_dir: &StoreDir, info: &mut NarInfo) {
        let fingerprint = info.fingerprint(store_dir);
        self.keep_foreign(&mut info.sigs);
        info.sigs
            .extend(self.keys.iter().map(|key| key.sign(fingerprint.as_bytes())));
    }

    /// Whether one of our keys has signed a narinfo; without keys nothing has to be.
    #[must_use]
    pub fn has_signed(&self, store_dir: &StoreDir, info: &NarInfo) -> bool {
        let fingerprint = info.fingerprint(store_dir);
        self.keys.is_empty()
            || self.keys.iter().any(|key| {
                let public = key.public_key();
                info.sigs
                    .iter()
                    .any(|signature| public.verify(fingerprint.as_bytes(), signature))
            })
    }

    /// Adds our signatures to a realisation.
    pub fn sign_realisation(&self, realisation: &mut Realisation) {
        for key in &self.keys {
            realisation.sign(key);
        }
    }

    /// Adds our signatures to an entry of the build trace.
    pub fn sign_build_trace(&self, key: &BuildTraceKey, entry: &mut BuildTraceEntry) {
        for signer in &self.keys {
            entry.sign(key, signer);
        }
    }

    /// Drops carried signatures under the names of our keys: ours is the right one.
    fn keep_foreign(&self, sigs: &mut BTreeSet<Signature>) {
        sigs.retain(|sig| !self.keys.iter().any(|key| key.name() == sig.key_name()));
    }
}
