//! Realisations: which path an output of a content-addressed derivation came out as, in both of Nix's forms.
//!
//! Up to Nix 2.34 a realisation is named by the hash of its derivation ([`DrvOutput`], [`Realisation`],
//! `realisations/<id>.doi`); since 2.35 by the path of the derivation ([`BuildTraceKey`],
//! [`BuildTraceEntry`], `build-trace-v2/<derivation>/<output>.doi`).

mod build_trace;
mod output_id;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    signature::{KeyError, SecretKey, Signature},
    store_path::{StorePath, StorePathError},
};

pub use build_trace::{BuildTraceEntry, BuildTraceKey};
pub use output_id::{DrvOutput, OutputName};

/// The longest JSON of a realisation that is read.
pub const MAX_LEN: usize = 1 << 20;

/// Why a text is not a realisation, or not the name of one.
#[derive(Debug, thiserror::Error)]
pub enum RealisationError {
    /// Longer than [`MAX_LEN`].
    #[error("a realisation of {0} bytes is too long")]
    TooLong(usize),
    /// Not JSON of the right shape.
    #[error("not the JSON of a realisation: {0}")]
    Json(serde_json::Error),
    /// Not `sha256:<hex>!<output>`.
    #[error("'{0}' is not a derivation output: expected 'sha256:<hash>!<output>'")]
    DrvOutput(String),
    /// Not the name of an output.
    #[error("not the name of an output: {0}")]
    OutputName(StorePathError),
    /// A path that should be a derivation, and is not.
    #[error("'{0}' is not a derivation")]
    NotADerivation(StorePath),
}

fn bounded(json: &[u8]) -> Result<&[u8], RealisationError> {
    if json.len() > MAX_LEN {
        Err(RealisationError::TooLong(json.len()))
    } else {
        Ok(json)
    }
}

/// A signature as a string, or as the object `{keyName, sig}` that Nix writes since 2.35.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnySignature {
    Text(Signature),
    Object {
        #[serde(rename = "keyName")]
        key_name: String,
        sig: String,
    },
}

impl TryFrom<AnySignature> for Signature {
    type Error = KeyError;

    fn try_from(any: AnySignature) -> Result<Self, KeyError> {
        match any {
            AnySignature::Text(signature) => Ok(signature),
            AnySignature::Object { key_name, sig } => format!("{key_name}:{sig}").parse(),
        }
    }
}

fn any_signatures<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeSet<Signature>, D::Error> {
    let all = Vec::<AnySignature>::deserialize(from)?;
    let parsed: Result<_, KeyError> = all.into_iter().map(Signature::try_from).collect();
    parsed.map_err(serde::de::Error::custom)
}

// Fields stand in the order of their JSON names, so that the JSON is sorted however serde_json orders maps.

/// A realisation as Nix up to 2.34 keeps it in `realisations/<id>.doi`.
///
/// The form is that of `nix` 2.8 and 2.34: one object with sorted keys and no white space. Newer ones of
/// these always leave `dependentRealisations` empty, and write it still, since it is part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realisation {
    #[serde(rename = "dependentRealisations", default)]
    dependent_realisations: BTreeMap<DrvOutput, StorePath>,
    id: DrvOutput,
    #[serde(rename = "outPath")]
    out_path: StorePath,
    #[serde(default, deserialize_with = "any_signatures")]
    signatures: BTreeSet<Signature>,
}

impl Realisation {
    /// The realisation of `id` as `out_path`, without signatures.
    #[must_use]
    pub const fn new(id: DrvOutput, out_path: StorePath) -> Self {
        Self {
            dependent_realisations: BTreeMap::new(),
            id,
            out_path,
            signatures: BTreeSet::new(),
        }
    }

    /// Reads the JSON that Nix writes.
    pub fn parse(json: &[u8]) -> Result<Self, RealisationError> {
        serde_json::from_slice(bounded(json)?).map_err(RealisationError::Json)
    }

    /// Which output this is.
    #[must_use]
    pub const fn id(&self) -> &DrvOutput {
        &self.id
    }

    /// What it came out as.
    #[must_use]
    pub const fn out_path(&self) -> &StorePath {
        &self.out_path
    }

    /// The signatures over its [fingerprint](Self::fingerprint).
    #[must_use]
    pub const fn signatures(&self) -> &BTreeSet<Signature> {
        &self.signatures
    }

    /// The realisations that this one relies on, as Nix before 2.32 or so records them.
    #[must_use]
    pub const fn dependent_realisations(&self) -> &BTreeMap<DrvOutput, StorePath> {
        &self.dependent_realisations
    }

    /// The key in a binary cache.
    #[must_use]
    pub fn cache_key(&self) -> String {
        self.id.cache_key()
    }

    /// What signatures are over: the JSON without them.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut json = serde_json::json!(self);
        if let Some(object) = json.as_object_mut() {
            object.remove("signatures");
        }
        json.to_string()
    }

    /// The JSON, byte for byte as Nix writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Adds a signature that was made elsewhere.
    pub fn add_signature(&mut self, signature: Signature) {
        self.signatures.insert(signature);
    }

    /// Adds a signature by `key`.
    pub fn sign(&mut self, key: &SecretKey) {
        let signature = key.sign(self.fingerprint().as_bytes());
        self.signatures.insert(signature);
    }
}
