//! The hashes that content addresses are made of, taken while a NAR is read.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use niks3_nix::ca::{ContentAddress, ContentAddressMethod};
use niks3_nix::hash::{Hash, HashAlgorithm};
use niks3_nix::self_references::SelfReferences;
use niks3_nix::store_path::{StorePath, StorePathHash};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The contents of the file that the NAR holds.
    File,
    /// The NAR.
    Nar,
    /// The NAR with every occurrence of a path's own hash part replaced by null bytes, as Nix 2.17 to 2.34 hash it.
    NarModulo(StorePathHash),
    /// The same followed by the positions of those, as Nix before 2.17 and since 2.35 hashes it. It is taken with the one without.
    NarModuloWithPositions(StorePathHash),
    /// The git object that the NAR would be: a tree, or the blob of a file or of the target of a link.
    GitObject,
}

/// A hash to take besides the SHA-256 of the NAR and of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantedHash {
    /// What is hashed.
    pub subject: Subject,
    /// How.
    pub algorithm: HashAlgorithm,
}

/// What somebody wants to know of a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// A hash.
    Hash(WantedHash),
    /// Whether the hash part of a path occurs in it.
    Occurrence(StorePathHash),
}

/// A hash that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash {
    /// What was hashed.
    pub subject: Subject,
    /// Its hash.
    pub hash: Hash,
}

impl WantedHash {
    /// The hash that a content address claims; `None` when the server cannot take it.
    #[must_use]
    pub fn of(ca: &ContentAddress, path: &StorePath, refers_to_itself: bool) -> Option<Self> {
        let algorithm = ca.hash().algorithm();
        Hasher::new(algorithm)?;
        let subject = match ca.method() {
            ContentAddressMethod::Text | ContentAddressMethod::Flat => Subject::File,
            ContentAddressMethod::NixArchive if refers_to_itself => Subject::NarModulo(path.hash()),
            ContentAddressMethod::NixArchive => Subject::Nar,
            ContentAddressMethod::Git => Subject::GitObject,
            _ => return None,
        };
        Some(Self { subject, algorithm })
    }

    /// Whether the server can tell if a NAR has that address.
    #[must_use]
    pub fn can_check(ca: &ContentAddress) -> bool {
        Hasher::new(ca.hash().algorithm()).is_some()
            && matches!(
                ca.method(),
                ContentAddressMethod::Text
                    | ContentAddressMethod::Flat
                    | ContentAddressMethod::NixArchive
                    | ContentAddressMethod::Git
            )
    }

    /// Whether it is taken of every NAR.
    #[must_use]
    pub(crate) fn is_always_taken(&self) -> bool {
        self.algorithm == HashAlgorithm::Sha256 && matches!(self.subject, Subject::File | Subject::Nar)
    }

    /// Whether a hash that was taken is the one.
    #[must_use]
    pub fn is(&self, taken: &ContentHash) -> bool {
        taken.subject == self.subject && taken.hash.algorithm() == self.algorithm
    }
}

impl ContentHash {
    /// What was wanted when it was taken.
    #[must_use]
    pub fn wanted(&self) -> WantedHash {
        WantedHash {
            subject: self.subject,
            algorithm: self.hash.algorithm(),
        }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::File => write!(formatter, "file {}", self.hash),
            Subject::Nar => write!(formatter, "nar {}", self.hash),
            Subject::NarModulo(own) => write!(formatter, "nar/{} {}", own.as_str(), self.hash),
            Subject::NarModuloWithPositions(own) => {
                write!(formatter, "nar-positions/{} {}", own.as_str(), self.hash)
            }
            Subject::GitObject => write!(formatter, "git {}", self.hash),
        }
    }
}

impl FromStr for ContentHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a content hash");
        let (subject, hash) = text.split_once(' ').ok_or_else(wrong)?;
        let subject = match subject {
            "file" => Subject::File,
            "nar" => Subject::Nar,
            "git" => Subject::GitObject,
            other => {
                let (kind, own) = other.split_once('/').ok_or_else(wrong)?;
                let own = own.parse().map_err(|_| wrong())?;
                match kind {
                    "nar" => Subject::NarModulo(own),
                    "nar-positions" => Subject::NarModuloWithPositions(own),
                    _ => return Err(wrong()),
                }
            }
        };
        let hash = hash.parse().map_err(|_| wrong())?;
        Ok(Self { subject, hash })
    }
}

/// A hash in the making.
#[derive(Debug, Clone)]
pub(super) enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    pub fn new(algorithm: HashAlgorithm) -> Option<Self> {
        Some(match algorithm {
            HashAlgorithm::Md5 => Self::Md5(Md5::new()),
            HashAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            HashAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => Self::Sha512(Box::new(Sha512::new())),
            HashAlgorithm::Blake3 => Self::Blake3(Box::new(blake3::Hasher::new())),
            _ => return None,
        })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    pub fn finish(self) -> Option<Hash> {
        let (algorithm, digest) = match self {
            Self::Md5(hasher) => (HashAlgorithm::Md5, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (HashAlgorithm::Sha1, hasher.finalize().to_vec()),
            Self::Sha256(hasher) => (HashAlgorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (HashAlgorithm::Sha512, hasher.finalize().to_vec()),
            Self::Blake3(hasher) => (HashAlgorithm::Blake3, hasher.finalize().as_bytes().to_vec()),
        };
        Hash::new(algorithm, &digest).ok()
    }
}

/// Hashes a NAR modulo a path's own hash part, as Nix does for outputs that refer to themselves.
#[derive(Debug)]
pub(super) struct ModuloHasher {
    references: SelfReferences,
    hasher: Hasher,
}

impl ModuloHasher {
    pub const fn new(own: StorePathHash, hasher: Hasher) -> Self {
        Self {
            references: SelfReferences::new(own),
            hasher,
        }
    }

    pub const fn own(&self) -> StorePathHash {
        self.references.own()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        let hasher = &mut self.hasher;
        self.references.update(bytes, |replaced| hasher.update(replaced));
    }

    /// The hashes without and with the positions.
    pub fn finish(mut self) -> (Option<Hash>, Option<Hash>) {
        let (left, positions) = self.references.finish();
        self.hasher.update(&left);
        let mut with_positions = self.hasher.clone();
        with_positions.update(&positions);
        (self.hasher.finish(), with_positions.finish())
    }
}

/// The hash to take for a content address, unless it is taken anyway.
#[must_use]
pub fn wanted_of(ca: Option<&str>, path: &StorePath, refers_to_itself: bool) -> Option<Wanted> {
    let ca: ContentAddress = ca?.parse().ok()?;
    let wanted = WantedHash::of(&ca, path, refers_to_itself).filter(|wanted| !wanted.is_always_taken());
    wanted.map(Wanted::Hash)
}
