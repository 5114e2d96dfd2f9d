//! Content addresses as they stand in a narinfo: `text:sha256:…`, `fixed:[r:|git:]algorithm:…`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::{
    base32,
    echo::echo,
    hash::{Hash, HashAlgorithm, HashError},
    store_path::{StoreDir, StorePath, StorePathError},
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

    /// The store path of this name and these references, other than itself, that the address makes.
    pub fn store_path<'r>(
        &self,
        store_dir: &StoreDir,
        name: &str,
        references: impl IntoIterator<Item = &'r StorePath>,
        refers_to_itself: bool,
    ) -> Result<StorePath, ContentAddressPathError> {
        let mut references: Vec<&StorePath> = references.into_iter().collect();
        references.sort_unstable();
        let with_references = |kind: &str| {
            let mut kind = kind.to_owned();
            for reference in &references {
                kind.push(':');
                kind.push_str(&store_dir.display(reference));
            }
            if refers_to_itself {
                kind.push_str(":self");
            }
            kind
        };
        let hex = |hash: &Hash| format!("{}:{}", hash.algorithm(), hash.hex());
        let (kind, hash) = match (self.method, self.hash.algorithm()) {
            (ContentAddressMethod::Text, _) if refers_to_itself => {
                return Err(ContentAddressPathError::References(*self));
            }
            (ContentAddressMethod::Text, _) => (with_references("text"), hex(&self.hash)),
            (ContentAddressMethod::NixArchive, HashAlgorithm::Sha256) => {
                (with_references("source"), hex(&self.hash))
            }
            _ if refers_to_itself || !references.is_empty() => {
                return Err(ContentAddressPathError::References(*self));
            }
            (method, _) => {
                let prefix = method.prefix().trim_start_matches("fixed:");
                let inner = format!("fixed:out:{prefix}{}:", hex(&self.hash));
                let inner = Sha256::digest(inner.as_bytes());
                let inner = Hash::new(HashAlgorithm::Sha256, &inner);
                let inner = inner.map_err(|_| ContentAddressPathError::References(*self))?;
                ("output:out".to_owned(), hex(&inner))
            }
        };
        let digest = Sha256::digest(format!("{kind}:{hash}:{store_dir}:{name}").as_bytes());
        let mut folded = [0; 20];
        for (place, byte) in digest.iter().enumerate() {
            folded[place % 20] ^= byte;
        }
        let base_name = format!("{}-{name}", base32::encode(&folded));
        Ok(base_name.parse()?)
    }

    /// Checks that it makes a path with these references, among which the path itself may be.
    pub fn check_path(
        &self,
        store_dir: &StoreDir,
        path: &StorePath,
        references: &BTreeSet<StorePath>,
    ) -> Result<(), ContentAddressPathError> {
        let others = references.iter().filter(|reference| *reference != path);
        let made = self.store_path(store_dir, path.name(), others, references.contains(path))?;
        if made == *path {
            return Ok(());
        }
        Err(ContentAddressPathError::OtherPath { ca: *self, made })
    }
}

/// Why a content address makes no store path, or not the one that has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentAddressPathError {
    /// It makes another path.
    #[error("with the content address {ca} and these references, its path would be {made}")]
    OtherPath {
        /// The address.
        ca: ContentAddress,
        /// The path that it makes.
        made: StorePath,
    },
    /// What has such an address cannot have these references.
    #[error("a path with the content address {0} cannot have such references")]
    References(ContentAddress),
    /// The name is not one.
    #[error(transparent)]
    Name(#[from] StorePathError),
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
