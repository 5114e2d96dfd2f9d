//! The values of a narinfo that are plain words: where the NAR is, and how it is compressed.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::NarInfoError;
use crate::{echo::echo, hash::FileHash};

const MAX_URL_LEN: usize = 4096;

/// Where the NAR is: usually a path relative to the cache, such as `nar/<hash>.nar.zst`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarUrl(Box<str>);

impl NarUrl {
    /// The key of the NAR whose compressed file has this hash: `nar/<hash>.nar.<extension>`.
    #[must_use]
    pub fn of_file(file_hash: &FileHash, compression: &Compression) -> Self {
        let extension = match compression.as_str() {
            "none" => "",
            "zstd" => ".zst",
            "bzip2" => ".bz2",
            "gzip" => ".gz",
            "xz" => ".xz",
            "br" => ".br",
            other => &format!(".{other}"),
        };
        Self(format!("nar/{}.nar{extension}", file_hash.base32()).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NarUrl {
    type Err = NarInfoError;

    fn from_str(text: &str) -> Result<Self, NarInfoError> {
        let usable = !text.is_empty()
            && text.len() <= MAX_URL_LEN
            && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if usable {
            Ok(Self(text.into()))
        } else {
            Err(NarInfoError::Url(echo(text)))
        }
    }
}

/// How the NAR is compressed: a short word, since caches may use ones that are not known here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compression(Cow<'static, str>);

impl Compression {
    /// Not compressed.
    pub const NONE: Self = Self(Cow::Borrowed("none"));
    /// Zstandard.
    pub const ZSTD: Self = Self(Cow::Borrowed("zstd"));
    /// XZ.
    pub const XZ: Self = Self(Cow::Borrowed("xz"));
    /// bzip2, which is what a narinfo means that does not say.
    pub const BZIP2: Self = Self(Cow::Borrowed("bzip2"));

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Compression {
    type Err = NarInfoError;

    fn from_str(text: &str) -> Result<Self, NarInfoError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte);
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(Cow::Owned(text.into())))
        } else {
            Err(NarInfoError::Compression(echo(text)))
        }
    }
}

macro_rules! word {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
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

word!(NarUrl, Compression);
