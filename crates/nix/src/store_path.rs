//! Store paths: the store directory, and the base name `<32 characters>-<name>` of what lies in it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{base32, echo::echo};

/// The number of characters in the hash part.
pub const HASH_LEN: usize = 32;
/// The longest name after the hash part that Nix makes.
pub const MAX_NAME_LEN: usize = 211;
const MAX_STORE_DIR_LEN: usize = 1024;

/// Why a text is not a store path, or not in this store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// Not 32 digits of Nix base 32.
    #[error("'{0}' is not a store path: it must begin with 32 characters of Nix base32")]
    HashPart(String),
    /// No `-` and name after the hash.
    #[error("'{0}' is not a store path: the hash must be followed by '-' and a name")]
    NoName(String),
    /// The name is too long.
    #[error("'{0}' is not a store path: its name is longer than 211 characters")]
    LongName(String),
    /// The name has a character that Nix does not allow.
    #[error("'{input}' is not a store path: '{character}' is not allowed in its name")]
    Character {
        /// The input, bounded.
        input: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// The name is, or begins as, `.` or `..`.
    #[error("'{0}' is not a store path: its name must not be '.' or '..', nor begin with '.-' or '..-'")]
    Dots(String),
    /// Not below the store directory.
    #[error("'{path}' is not in the store '{store_dir}'")]
    OutsideStore {
        /// The path, bounded.
        path: String,
        /// The store directory.
        store_dir: StoreDir,
    },
    /// Something that is no absolute, normalised path was given as store directory.
    #[error("'{0}' is not a store directory: it must be an absolute path without '.', '..' or empty parts")]
    StoreDir(String),
}

/// The 32 characters that identify a store path, and name its narinfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePathHash([u8; HASH_LEN]);

impl StorePathHash {
    /// The 32 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for StorePathHash {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let bytes: [u8; HASH_LEN] = text
            .as_bytes()
            .try_into()
            .map_err(|_| StorePathError::HashPart(echo(text)))?;
        if bytes.iter().all(|byte| base32::is_digit(*byte)) {
            Ok(Self(bytes))
        } else {
            Err(StorePathError::HashPart(echo(text)))
        }
    }
}

/// The base name of a store path: `<32 characters>-<name>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

/// The base name of a store path, under the name that tells it from a full path.
pub type StorePathName = StorePath;

impl StorePath {
    /// The whole base name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 characters before the name.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_LEN]
    }

    /// The 32 characters before the name, as a value.
    #[must_use]
    pub fn hash(&self) -> StorePathHash {
        let mut bytes = [0; HASH_LEN];
        bytes.copy_from_slice(&self.0.as_bytes()[..HASH_LEN]);
        StorePathHash(bytes)
    }

    /// What follows the hash and the dash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_LEN + 1..]
    }

    /// Whether it names a derivation.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name().ends_with(".drv")
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let bytes = text.as_bytes();
        if bytes.len() < HASH_LEN || !bytes[..HASH_LEN].iter().all(|byte| base32::is_digit(*byte)) {
            return Err(StorePathError::HashPart(echo(text)));
        }
        let name = text[HASH_LEN..].strip_prefix('-').filter(|name| !name.is_empty());
        check_name(text, name.ok_or_else(|| StorePathError::NoName(echo(text)))?)?;
        Ok(Self(text.into()))
    }
}

/// Whether `name` may follow the hash part; output names keep the same rule.
pub(crate) fn check_name(input: &str, name: &str) -> Result<(), StorePathError> {
    if name.len() > MAX_NAME_LEN {
        return Err(StorePathError::LongName(echo(input)));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    if let Some(character) = name.chars().find(|c| !allowed(*c)) {
        return Err(StorePathError::Character {
            input: echo(input),
            character,
        });
    }
    if matches!(name.split('-').next(), Some("." | "..")) {
        return Err(StorePathError::Dots(echo(input)));
    }
    Ok(())
}

/// The directory that holds the store: absolute, normalised, `/nix/store` by default.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Arc<str>);

impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".into())
    }
}

impl StoreDir {
    /// The path, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the full path of something directly in this store.
    pub fn parse(&self, full_path: &str) -> Result<StorePath, StorePathError> {
        self.inside(full_path)?.parse()
    }

    /// Reads a path in or below a store path: the store path, and the rest without its leading slash.
    pub fn parse_inner<'p>(&self, path: &'p str) -> Result<(StorePath, &'p str), StorePathError> {
        let inside = self.inside(path)?;
        let (base_name, rest) = inside.split_once('/').unwrap_or((inside, ""));
        Ok((base_name.parse()?, rest))
    }

    /// The full path of `path` in this store.
    #[must_use]
    pub fn display(&self, path: &StorePath) -> String {
        format!("{}/{}", self.0, path.0)
    }

    fn inside<'p>(&self, path: &'p str) -> Result<&'p str, StorePathError> {
        path.strip_prefix(&*self.0)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::OutsideStore {
                path: echo(path),
                store_dir: self.clone(),
            })
    }
}

impl FromStr for StoreDir {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let normal = text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
                && !rest.contains(|c: char| c.is_control())
                && rest.len() < MAX_STORE_DIR_LEN
        });
        if normal {
            Ok(Self(text.into()))
        } else {
            Err(StorePathError::StoreDir(echo(text)))
        }
    }
}

macro_rules! string_like {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

string_like!(StorePath, StorePathHash, StoreDir);
