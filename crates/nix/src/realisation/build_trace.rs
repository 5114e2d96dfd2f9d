//! Build traces, which is what realisations are since Nix 2.35.
//!
//! Sources of the form, all in the repository NixOS/nix: the release note of the change and
//! `doc/manual/source/protocols/binary-cache` (the key of the file; the file holds the value alone),
//! `doc/manual/source/protocols/json/schema/build-trace-entry-v3.yaml` (key and value), and
//! `src/libstore-tests/data/realisation/` (`unkeyed-with-signature.json` is a file,
//! `with-signature-fingerprint.txt` what a signature is over).

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::Deserialize;
use serde_json::json;

use super::{OutputName, RealisationError, any_signatures, bounded};
use crate::{
    echo::echo,
    signature::{SecretKey, Signature},
    store_path::StorePath,
};

/// An output of a derivation, named by the path of the resolved derivation: `<hash>-<name>.drv` and `out`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildTraceKey {
    drv_path: StorePath,
    output: OutputName,
}

impl BuildTraceKey {
    /// The output `output` of `drv_path`, which must be a derivation.
    pub fn new(drv_path: StorePath, output: OutputName) -> Result<Self, RealisationError> {
        if drv_path.is_derivation() {
            Ok(Self { drv_path, output })
        } else {
            Err(RealisationError::NotADerivation(drv_path))
        }
    }

    /// The derivation.
    #[must_use]
    pub const fn drv_path(&self) -> &StorePath {
        &self.drv_path
    }

    /// The name of the output.
    #[must_use]
    pub const fn output(&self) -> &OutputName {
        &self.output
    }

    /// `build-trace-v2/<derivation>/<output>.doi`, its key in a binary cache.
    #[must_use]
    pub fn cache_key(&self) -> String {
        format!("build-trace-v2/{}/{}.doi", self.drv_path, self.output)
    }

    /// What a signature that this output came out as `out_path` is over.
    #[must_use]
    pub fn fingerprint(&self, out_path: &StorePath) -> String {
        json!({
            "key": { "drvPath": self.drv_path, "outputName": self.output },
            "value": { "outPath": out_path },
        })
        .to_string()
    }
}

impl fmt::Display for BuildTraceKey {
    /// `<derivation>^<output>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^{}", self.drv_path, self.output)
    }
}

impl FromStr for BuildTraceKey {
    type Err = RealisationError;

    fn from_str(text: &str) -> Result<Self, RealisationError> {
        let wrong = || RealisationError::DrvOutput(echo(text));
        let (drv_path, output) = text.split_once('^').ok_or_else(wrong)?;
        Self::new(drv_path.parse().map_err(|_| wrong())?, output.parse()?)
    }
}

/// What lies under a [`BuildTraceKey`] in a binary cache: the output path and its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuildTraceEntry {
    #[serde(rename = "outPath")]
    out_path: StorePath,
    #[serde(default, deserialize_with = "any_signatures")]
    signatures: BTreeSet<Signature>,
}

impl BuildTraceEntry {
    /// An entry without signatures.
    #[must_use]
    pub const fn new(out_path: StorePath) -> Self {
        Self {
            out_path,
            signatures: BTreeSet::new(),
        }
    }

    /// Reads the JSON that Nix writes.
    pub fn parse(json: &[u8]) -> Result<Self, RealisationError> {
        serde_json::from_slice(bounded(json)?).map_err(RealisationError::Json)
    }

    /// What the output came out as.
    #[must_use]
    pub const fn out_path(&self) -> &StorePath {
        &self.out_path
    }

    /// The signatures over the fingerprint of key and output path.
    #[must_use]
    pub const fn signatures(&self) -> &BTreeSet<Signature> {
        &self.signatures
    }

    /// Adds a signature that was made elsewhere.
    pub fn add_signature(&mut self, signature: Signature) {
        self.signatures.insert(signature);
    }

    /// Adds a signature by `signer` that `key` came out as this entry says.
    pub fn sign(&mut self, key: &BuildTraceKey, signer: &SecretKey) {
        let signature = signer.sign(key.fingerprint(&self.out_path).as_bytes());
        self.signatures.insert(signature);
    }

    /// The JSON, with sorted keys and no white space, as Nix writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|signature| json!({ "keyName": signature.key_name(), "sig": signature.base64() }))
            .collect();
        json!({ "outPath": self.out_path, "signatures": signatures }).to_string()
    }
}
