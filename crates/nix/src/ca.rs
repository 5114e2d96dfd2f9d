//! Content addresses as they stand in a narinfo: `text:sha256:…`, `fixed:[r:|git:]algorithm:…`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    echo::echo,
    hash::{Hash, HashAlgorithm, HashError},
};

/// How the hash of a content address was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ContentAddressMethod {
    /// A text file with references: `text:`.
    Text,
    /// The bytes of a file: `fixed:`.
    Flat,
    /// A NAR: `fixed:r:`.
    NixArchive,
    /// A git tree: `fixed:git:`.
    Git,
}

impl ContentAddressMethod {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Text => "text:",
            Self::Flat => "fixed:",
            Self::NixArchive => "fixed:r:",
            Self::Git => "fixed:git:",
        }
    }
}

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentAddressError {
    /// It begins with neither `text:` nor `fixed:`.
    #[error("'{0}' is not a content address: it must begin with 'text:' or 'fixed:'")]
    Prefix(String),
    /// What follows is not a hash.
    #[error("'{input}' is not a content address: {reason}")]
    Hash {
        /// The input, bounded.
        input: String,
        /// What is wrong with the hash.
        reason: HashError,
    },
}

/// How a store path follows from its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress {
    method: ContentAddressMethod,
    hash: Hash,
}

impl ContentAddress {
    /// The content address with these parts; `Text` goes with SHA-256 only.
    pub fn new(method: ContentAddressMethod, hash: Hash) -> Result<Self, HashError> {
        match (method, hash.algorithm()) {
            (ContentAddressMethod::Text, got) if got != HashAlgorithm::Sha256 => Err(HashError::Unexpected {
                expected: HashAlgorithm::Sha256,
                got,
            }),
            _ => Ok(Self { method, hash }),
        }
    }

    /// How the hash was taken.
    #[must_use]
    pub const fn method(&self) -> ContentAddressMethod {
        self.method
    }

    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> &Hash {
        &self.hash
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.method.prefix(), self.hash)
    }
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;

    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        use ContentAddressMethod::{Flat, Git, NixArchive, Text};
        let (method, hash) = [Text, NixArchive, Git, Flat]
            .into_iter()
            .find_map(|method| Some((method, text.strip_prefix(method.prefix())?)))
            .ok_or_else(|| ContentAddressError::Prefix(echo(text)))?;
        let wrong = |reason| ContentAddressError::Hash {
            input: echo(text),
            reason,
        };
        let (algorithm, digest) = hash
            .split_once(':')
            .ok_or_else(|| wrong(HashError::NoAlgorithm(echo(hash))))?;
        let algorithm = algorithm.parse().map_err(wrong)?;
        let hash = Hash::parse_digest(algorithm, digest).map_err(wrong)?;
        Self::new(method, hash).map_err(wrong)
    }
}

impl Serialize for ContentAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
