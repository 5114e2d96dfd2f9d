//! SHA-256 of a NAR and of its compressed file: two types, so that one is never taken for the other.

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{Hash, HashAlgorithm, HashError};
use crate::base32;

macro_rules! sha256_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The hash with this digest.
            #[must_use]
            pub const fn from_bytes(digest: [u8; 32]) -> Self {
                Self(digest)
            }

            /// Reads the 52 characters of Nix base 32 alone, as in the key of a NAR.
            pub fn from_base32(text: &str) -> Result<Self, HashError> {
                if text.len() != base32::encoded_len(32) {
                    return Err(HashError::Length {
                        input: crate::echo::echo(text),
                        algorithm: HashAlgorithm::Sha256,
                    });
                }
                Hash::parse_digest(HashAlgorithm::Sha256, text)?.try_into()
            }

            /// The hash of these bytes.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 52 characters of Nix base 32, without the algorithm.
            #[must_use]
            pub fn base32(&self) -> String {
                base32::encode(&self.0)
            }

            /// The digest in base 16, without the algorithm.
            #[must_use]
            pub fn hex(&self) -> String {
                super::write_hex(&self.0)
            }

            /// `sha256:<base32>`.
            #[must_use]
            pub fn to_nix(&self) -> String {
                self.to_string()
            }

            /// `sha256-<base64>`.
            #[must_use]
            pub fn to_sri(&self) -> String {
                Hash::from(*self).to_sri()
            }
        }

        impl From<$name> for Hash {
            fn from(hash: $name) -> Self {
                let mut bytes = [0; 64];
                bytes[..32].copy_from_slice(&hash.0);
                Self { algorithm: HashAlgorithm::Sha256, bytes }
            }
        }

        impl TryFrom<Hash> for $name {
            type Error = HashError;

            fn try_from(hash: Hash) -> Result<Self, HashError> {
                let unexpected = HashError::Unexpected {
                    expected: HashAlgorithm::Sha256,
                    got: hash.algorithm(),
                };
                if hash.algorithm() != HashAlgorithm::Sha256 {
                    return Err(unexpected);
                }
                hash.digest().try_into().map(Self).map_err(|_| unexpected)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.base32())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = HashError;

            fn from_str(text: &str) -> Result<Self, HashError> {
                text.parse::<Hash>()?.try_into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Hash::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
            }
        }
    };
}

sha256_type! {
    /// SHA-256 of an uncompressed NAR. Prints as `sha256:<base32>`, reads every form that Nix prints.
    NarHash
}

sha256_type! {
    /// SHA-256 of a compressed NAR as it lies in the bucket, which names its object.
    FileHash
}

/// A writer that counts and hashes what passes through it.
#[derive(Debug)]
pub struct Sha256Writer<W> {
    inner: W,
    hasher: Sha256,
    count: u64,
}

/// What a [`Sha256Writer`] knows in the end.
#[derive(Debug)]
pub struct Sha256Parts<W> {
    /// The writer underneath.
    pub inner: W,
    /// SHA-256 of what was written: wrap it in [`NarHash`] or [`FileHash`].
    pub sha256: [u8; 32],
    /// How many bytes were written.
    pub len: u64,
}

impl<W> Sha256Writer<W> {
    /// Passes everything on to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            count: 0,
        }
    }

    /// How many bytes were written so far.
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The writer underneath.
    pub const fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer underneath; what is written to it directly is not hashed.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The hash and the length of all that was written.
    pub fn finish(self) -> Sha256Parts<W> {
        Sha256Parts {
            inner: self.inner,
            sha256: self.hasher.finalize().into(),
            len: self.count,
        }
    }
}

impl<W: Write> Write for Sha256Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.count += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
