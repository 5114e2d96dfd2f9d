//! Names of derivation outputs, and of the realisations that go by them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::RealisationError;
use crate::{echo::echo, hash::NarHash, store_path};

/// The name of an output, such as `out`: the characters of a store path name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(Box<str>);

impl OutputName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OutputName {
    type Err = RealisationError;

    fn from_str(text: &str) -> Result<Self, RealisationError> {
        if text.is_empty() {
            return Err(RealisationError::OutputName(store_path::StorePathError::NoName(
                echo(text),
            )));
        }
        store_path::check_name(text, text).map_err(RealisationError::OutputName)?;
        Ok(Self(text.into()))
    }
}

/// An output of a derivation, named by the hash of the derivation: `sha256:<hex>!<output>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrvOutput {
    drv_hash: [u8; 32],
    output: OutputName,
}

impl DrvOutput {
    /// The output `output` of the derivation with that hash.
    #[must_use]
    pub const fn new(drv_hash: [u8; 32], output: OutputName) -> Self {
        Self { drv_hash, output }
    }

    /// The hash of the derivation, modulo fixed outputs, as Nix computes it.
    #[must_use]
    pub const fn drv_hash(&self) -> &[u8; 32] {
        &self.drv_hash
    }

    /// The name of the output.
    #[must_use]
    pub const fn output(&self) -> &OutputName {
        &self.output
    }

    /// `realisations/<id>.doi`, its key in a binary cache.
    #[must_use]
    pub fn cache_key(&self) -> String {
        format!("realisations/{self}.doi")
    }
}

impl fmt::Display for DrvOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sha256:{}!{}",
            NarHash::from_bytes(self.drv_hash).hex(),
            self.output
        )
    }
}

impl FromStr for DrvOutput {
    type Err = RealisationError;

    fn from_str(text: &str) -> Result<Self, RealisationError> {
        let wrong = || RealisationError::DrvOutput(echo(text));
        let (hash, output) = text.split_once('!').ok_or_else(wrong)?;
        let hash: NarHash = hash.parse().map_err(|_| wrong())?;
        Ok(Self {
            drv_hash: *hash.as_bytes(),
            output: output.parse()?,
        })
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_serde {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text_serde!(DrvOutput, OutputName);
