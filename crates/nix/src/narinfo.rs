//! narinfo: what a binary cache says of one store path. Reads what Nix reads, writes what Nix writes.

mod words;

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use crate::{
    ca::{ContentAddress, ContentAddressError},
    echo::echo,
    hash::{FileHash, HashError, NarHash},
    signature::Signature,
    store_path::{StoreDir, StorePath, StorePathError},
};

pub use words::{Compression, NarUrl};

/// The longest narinfo that is read.
pub const MAX_LEN: usize = 4 << 20;
const MAX_SIGNATURES: usize = 1024;

/// Why a text is not a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// Longer than [`MAX_LEN`].
    #[error("a narinfo of {0} bytes is too long")]
    TooLong(usize),
    /// A line without a colon, or without a line feed at its end.
    #[error("narinfo line {line}: '{text}' is not 'Field: value' and a line feed")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line, bounded.
        text: String,
    },
    /// A field that may stand once stands again.
    #[error("narinfo line {line}: a second {field}")]
    Again {
        /// The line number, from 1.
        line: usize,
        /// The field.
        field: &'static str,
    },
    /// A field that must be there is not.
    #[error("a narinfo without {0}")]
    Missing(&'static str),
    /// A size that is no number, or a NAR size of 0.
    #[error("narinfo line {line}: '{text}' is not a size")]
    Size {
        /// The line number, from 1.
        line: usize,
        /// The value, bounded.
        text: String,
    },
    /// More signatures than any path has.
    #[error("a narinfo with more than 1024 signatures")]
    Signatures,
    /// A store path is wrong.
    #[error("narinfo line {line}: {reason}")]
    StorePath {
        /// The line number, from 1.
        line: usize,
        /// What is wrong.
        reason: StorePathError,
    },
    /// A hash is wrong.
    #[error("narinfo line {line}: {reason}")]
    Hash {
        /// The line number, from 1.
        line: usize,
        /// What is wrong.
        reason: HashError,
    },
    /// The content address is wrong.
    #[error("narinfo line {line}: {reason}")]
    ContentAddress {
        /// The line number, from 1.
        line: usize,
        /// What is wrong.
        reason: ContentAddressError,
    },
    /// The URL has control characters or spaces, is empty or too long.
    #[error("'{0}' is not the URL of a NAR")]
    Url(String),
    /// The name of a compression is not a plain word.
    #[error("'{0}' is not the name of a compression")]
    Compression(String),
}

/// What a binary cache says of one store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The store path.
    pub store_path: StorePath,
    /// Where the NAR is.
    pub url: NarUrl,
    /// How it is compressed.
    pub compression: Compression,
    /// The hash of the compressed NAR.
    pub file_hash: Option<FileHash>,
    /// The size of the compressed NAR.
    pub file_size: Option<u64>,
    /// The hash of the NAR.
    pub nar_hash: NarHash,
    /// The size of the NAR; never 0.
    pub nar_size: u64,
    /// The store paths that it refers to, perhaps itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that it was built from.
    pub deriver: Option<StorePath>,
    /// The signatures over its [fingerprint](NarInfo::fingerprint).
    pub sigs: BTreeSet<Signature>,
    /// How the path follows from its contents, if it does.
    pub ca: Option<ContentAddress>,
}

impl NarInfo {
    /// Reads a narinfo. As in Nix: unknown fields are skipped, a field repeated counts as it stands last,
    /// `References` and `CA` may not be repeated, and no `Compression` means bzip2. Signatures that no key
    /// could have made are dropped; Nix keeps them, and never trusts them.
    pub fn parse(store_dir: &StoreDir, text: &str) -> Result<Self, NarInfoError> {
        if text.len() > MAX_LEN {
            return Err(NarInfoError::TooLong(text.len()));
        }
        let mut fields = Fields::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            let (field, value) = line
                .strip_suffix('\n')
                .and_then(|line| line.split_once(':'))
                .and_then(|(field, value)| match value {
                    "" => Some((field, "")),
                    _ => Some((field, value.strip_prefix(' ')?)),
                })
                .ok_or_else(|| NarInfoError::Line {
                    line: number,
                    text: echo(line),
                })?;
            fields.take(store_dir, number, field, value)?;
        }
        fields.finish()
    }

    /// Writes the narinfo, its fields in Nix's order.
    #[must_use]
    pub fn to_string(&self, store_dir: &StoreDir) -> String {
        let mut out = String::with_capacity(1024 + 96 * self.references.len());
        let mut field = |name: &str, value: &dyn fmt::Display| {
            let _ = writeln!(out, "{name}: {value}");
        };
        field("StorePath", &store_dir.display(&self.store_path));
        field("URL", &self.url);
        field("Compression", &self.compression);
        if let Some(hash) = &self.file_hash {
            field("FileHash", hash);
        }
        if let Some(size) = &self.file_size {
            field("FileSize", size);
        }
        field("NarHash", &self.nar_hash);
        field("NarSize", &self.nar_size);
        let references: Vec<&str> = self.references.iter().map(StorePath::as_str).collect();
        field("References", &references.join(" "));
        if let Some(deriver) = &self.deriver {
            field("Deriver", deriver);
        }
        for signature in &self.sigs {
            field("Sig", signature);
        }
        if let Some(ca) = &self.ca {
            field("CA", ca);
        }
        out
    }

    /// What the signatures are over.
    #[must_use]
    pub fn fingerprint(&self, store_dir: &StoreDir) -> String {
        fingerprint(
            store_dir,
            &self.store_path,
            self.nar_hash,
            self.nar_size,
            &self.references,
        )
    }
}

/// What a signature of a store path is over: `1;<path>;<NAR hash>;<NAR size>;<references>`.
#[must_use]
pub fn fingerprint<'p>(
    store_dir: &StoreDir,
    store_path: &StorePath,
    nar_hash: NarHash,
    nar_size: u64,
    references: impl IntoIterator<Item = &'p StorePath>,
) -> String {
    let references: BTreeSet<&StorePath> = references.into_iter().collect();
    let mut out = String::with_capacity(128 + 96 * (references.len() + 1));
    let dir = store_dir.as_str();
    let _ = write!(out, "1;{dir}/{store_path};{nar_hash};{nar_size};");
    for (index, path) in references.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{dir}/{path}");
    }
    out
}

#[derive(Default)]
struct Fields {
    store_path: Option<StorePath>,
    url: Option<NarUrl>,
    compression: Option<Compression>,
    file_hash: Option<FileHash>,
    file_size: Option<u64>,
    nar_hash: Option<NarHash>,
    nar_size: Option<u64>,
    references: BTreeSet<StorePath>,
    deriver: Option<StorePath>,
    sigs: BTreeSet<Signature>,
    ca: Option<ContentAddress>,
}

impl Fields {
    fn take(
        &mut self,
        store_dir: &StoreDir,
        line: usize,
        field: &str,
        value: &str,
    ) -> Result<(), NarInfoError> {
        let path = |reason| NarInfoError::StorePath { line, reason };
        let hash = |reason| NarInfoError::Hash { line, reason };
        let size = || {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|_| digits);
            number.ok_or_else(|| NarInfoError::Size {
                line,
                text: echo(value),
            })
        };
        match field {
            "StorePath" => self.store_path = Some(store_dir.parse(value).map_err(path)?),
            "URL" => self.url = Some(value.parse()?),
            "Compression" if value.is_empty() => self.compression = None,
            "Compression" => self.compression = Some(value.parse()?),
            "FileHash" => self.file_hash = Some(value.parse().map_err(hash)?),
            "FileSize" => self.file_size = Some(size()?),
            "NarHash" => self.nar_hash = Some(value.parse().map_err(hash)?),
            "NarSize" => self.nar_size = Some(size()?),
            "References" if !self.references.is_empty() => {
                return Err(NarInfoError::Again {
                    line,
                    field: "References",
                });
            }
            "References" => {
                let words = value.split(' ').filter(|word| !word.is_empty());
                self.references = words
                    .map(str::parse)
                    .collect::<Result<_, StorePathError>>()
                    .map_err(path)?;
            }
            "Deriver" if value == "unknown-deriver" => {}
            "Deriver" => self.deriver = Some(value.parse().map_err(path)?),
            "Sig" => {
                self.sigs.extend(value.parse::<Signature>());
                if self.sigs.len() > MAX_SIGNATURES {
                    return Err(NarInfoError::Signatures);
                }
            }
            "CA" if self.ca.is_some() => return Err(NarInfoError::Again { line, field: "CA" }),
            "CA" if value.is_empty() => {}
            "CA" => {
                let wrong = |reason| NarInfoError::ContentAddress { line, reason };
                self.ca = Some(value.parse().map_err(wrong)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<NarInfo, NarInfoError> {
        Ok(NarInfo {
            store_path: self.store_path.ok_or(NarInfoError::Missing("StorePath"))?,
            nar_hash: self.nar_hash.ok_or(NarInfoError::Missing("NarHash"))?,
            url: self.url.ok_or(NarInfoError::Missing("URL"))?,
            nar_size: self
                .nar_size
                .filter(|size| *size != 0)
                .ok_or(NarInfoError::Missing("NarSize"))?,
            compression: self.compression.unwrap_or(Compression::BZIP2),
            file_hash: self.file_hash,
            file_size: self.file_size,
            references: self.references,
            deriver: self.deriver,
            sigs: self.sigs,
            ca: self.ca,
        })
    }
}
