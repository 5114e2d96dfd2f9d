//! Hashes as Nix writes them: `algorithm:digest` in three encodings, and SRI; all parse to one value.

mod sha256;

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{base32, echo::echo};

pub use sha256::{FileHash, NarHash, Sha256Parts, Sha256Writer};

/// The hash algorithms that Nix knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// MD5, 16 bytes.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// BLAKE3, 32 bytes; experimental in newer Nix.
    Blake3,
}

impl HashAlgorithm {
    /// The length of its digest in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The name that Nix gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlgorithm {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Blake3]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| HashError::Algorithm(echo(text)))
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Neither `algorithm:digest` nor `algorithm-digest`.
    #[error("'{0}' is not a hash: expected 'algorithm:digest' or 'algorithm-digest'")]
    NoAlgorithm(String),
    /// An algorithm that Nix does not know.
    #[error("'{0}' is not a hash algorithm")]
    Algorithm(String),
    /// Not the length of any encoding of such a digest.
    #[error("'{input}' has the wrong length for a {algorithm} hash")]
    Length {
        /// The input, bounded.
        input: String,
        /// The algorithm that was named.
        algorithm: HashAlgorithm,
    },
    /// The right length, but not in that encoding.
    #[error("'{input}' is not a {algorithm} hash in {encoding}")]
    Encoding {
        /// The input, bounded.
        input: String,
        /// The algorithm that was named.
        algorithm: HashAlgorithm,
        /// The encoding that its length implies.
        encoding: &'static str,
    },
    /// Another algorithm than the place allows.
    #[error("expected a {expected} hash, got {got}")]
    Unexpected {
        /// What the place allows.
        expected: HashAlgorithm,
        /// What was found.
        got: HashAlgorithm,
    },
}

/// A digest and the algorithm that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algorithm: HashAlgorithm,
    bytes: [u8; 64],
}

impl Hash {
    /// A digest of `algorithm`; fails if its length is not that of the algorithm.
    pub fn new(algorithm: HashAlgorithm, digest: &[u8]) -> Result<Self, HashError> {
        if digest.len() != algorithm.size() {
            return Err(HashError::Length {
                input: format!("{} bytes", digest.len()),
                algorithm,
            });
        }
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Ok(Self { algorithm, bytes })
    }

    /// Reads a digest without its algorithm: base 16, Nix base 32 or base 64, told apart by length.
    pub fn parse_digest(algorithm: HashAlgorithm, text: &str) -> Result<Self, HashError> {
        let size = algorithm.size();
        let wrong = |encoding| HashError::Encoding {
            input: echo(text),
            algorithm,
            encoding,
        };
        let digest = if text.len() == size * 2 {
            parse_hex(text).ok_or_else(|| wrong("base16"))?
        } else if text.len() == base32::encoded_len(size) {
            base32::decode(text).map_err(|_| wrong("base32"))?
        } else if text.len() == size.div_ceil(3) * 4 {
            BASE64.decode(text).map_err(|_| wrong("base64"))?
        } else {
            return Err(HashError::Length {
                input: echo(text),
                algorithm,
            });
        };
        Self::new(algorithm, &digest).map_err(|_| HashError::Length {
            input: echo(text),
            algorithm,
        })
    }

    /// The algorithm that made the digest.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The digest in Nix base 32, without the algorithm.
    #[must_use]
    pub fn base32(&self) -> String {
        base32::encode(self.digest())
    }

    /// The digest in base 16, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        write_hex(self.digest())
    }

    /// `sha256:<base32>`, as Nix writes it in a narinfo.
    #[must_use]
    pub fn to_nix(&self) -> String {
        format!("{}:{}", self.algorithm, self.base32())
    }

    /// `sha256-<base64>`, as newer Nix prints it.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm, BASE64.encode(self.digest()))
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

fn write_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_nix())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        if let Some((algorithm, digest)) = text.split_once(':') {
            return Self::parse_digest(algorithm.parse()?, digest);
        }
        let (algorithm, digest) = text
            .split_once('-')
            .ok_or_else(|| HashError::NoAlgorithm(echo(text)))?;
        let algorithm: HashAlgorithm = algorithm.parse()?;
        if digest.len() != algorithm.size().div_ceil(3) * 4 {
            return Err(HashError::Length {
                input: echo(text),
                algorithm,
            });
        }
        Self::parse_digest(algorithm, digest)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_nix())
    }
}

impl<'de> Deserialize<'de> for Hash {
    /// Every text that parses, and the object `{algorithm, format, hash}` of newer Nix.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashVisitor)
    }
}

struct HashVisitor;

impl<'de> de::Visitor<'de> for HashVisitor {
    type Value = Hash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash as Nix writes it")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hash, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Hash, A::Error> {
        let (mut algorithm, mut digest) = (None::<String>, None::<String>);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "algorithm" => algorithm = Some(map.next_value()?),
                "hash" => digest = Some(map.next_value()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        let algorithm = algorithm.ok_or_else(|| de::Error::missing_field("algorithm"))?;
        let digest = digest.ok_or_else(|| de::Error::missing_field("hash"))?;
        let algorithm = algorithm.parse().map_err(de::Error::custom)?;
        Hash::parse_digest(algorithm, &digest).map_err(de::Error::custom)
    }
}
