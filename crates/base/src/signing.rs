//! The server's keys, and what they sign: what nobody sees before the catalog has decided it.

mod choice;
mod rank;

use std::collections::BTreeSet;

use niks3_nix::narinfo::NarInfo;
use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey, Realisation};
use niks3_nix::signature::{SecretKey, Signature};
use niks3_nix::store_path::StoreDir;

pub use choice::KeyChoice;
pub use rank::{Rank, union_of_names};

/// Nix signing keys, in the order they were configured.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<SecretKey>,
}

impl Signer {
    /// Takes the keys.
    #[must_use]
    pub fn new(keys: Vec<SecretKey>) -> Self {
        Self { keys }
    }

    /// The public keys, `name:base64`.
    #[must_use]
    pub fn public_keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.public_key().to_string()).collect()
    }

    /// The names of the keys.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(SecretKey::name)
    }

    fn chosen<'a>(&'a self, choice: &'a KeyChoice) -> impl Iterator<Item = &'a SecretKey> {
        self.keys.iter().filter(|key| choice.includes(key.name()))
    }

    /// Signatures by some of our keys over a fingerprint.
    #[must_use]
    pub fn signatures(&self, choice: &KeyChoice, fingerprint: &str) -> Vec<Signature> {
        self.chosen(choice)
            .map(|key| key.sign(fingerprint.as_bytes()))
            .collect()
    }

    /// Adds signatures by some of our keys to those a narinfo carries.
    pub fn sign_narinfo(&self, choice: &KeyChoice, store_dir: &StoreDir, info: &mut NarInfo) {
        let made = self.signatures(choice, &info.fingerprint(store_dir));
        self.add_signatures(info, made);
    }

    /// Adds signatures that our keys have made to those a narinfo carries; a key's own name is ours alone.
    pub fn add_signatures(&self, info: &mut NarInfo, made: impl IntoIterator<Item = Signature>) {
        self.keep_foreign(&mut info.sigs);
        info.sigs.extend(made);
    }

    /// Which of our keys have signed a narinfo; `None` when it is none of those we have.
    #[must_use]
    pub fn signed_by(&self, store_dir: &StoreDir, info: &NarInfo) -> Option<KeyChoice> {
        let fingerprint = info.fingerprint(store_dir);
        let signed = self.keys.iter().filter(|key| {
            let public = key.public_key();
            info.sigs
                .iter()
                .any(|signature| public.verify(fingerprint.as_bytes(), signature))
        });
        let names: BTreeSet<String> = signed.map(|key| key.name().to_owned()).collect();
        if self.keys.iter().all(|key| names.contains(key.name())) {
            return Some(KeyChoice::All);
        }
        (!names.is_empty()).then_some(KeyChoice::Only(names))
    }

    /// Adds signatures by some of our keys to a realisation.
    pub(crate) fn sign_realisation(&self, choice: &KeyChoice, realisation: &mut Realisation) {
        for key in self.chosen(choice) {
            realisation.sign(key);
        }
    }

    /// Adds signatures by some of our keys to an entry of the build trace.
    pub(crate) fn sign_build_trace(
        &self,
        choice: &KeyChoice,
        key: &BuildTraceKey,
        entry: &mut BuildTraceEntry,
    ) {
        for signer in self.chosen(choice) {
            entry.sign(key, signer);
        }
    }

    /// Drops carried signatures under the names of our keys: ours is the right one.
    fn keep_foreign(&self, sigs: &mut BTreeSet<Signature>) {
        sigs.retain(|sig| !self.keys.iter().any(|key| key.name() == sig.key_name()));
    }
}
