//! Whether what was read is what a push says.

use std::fmt;

use niks3_base::metrics::metrics;
use niks3_base::nar_contents::{ContentHash, Flaw, Subject, Verdict, WantedHash};
use niks3_catalog::{ObjectId, Publishable};
use niks3_nix::ca::{ContentAddress, ContentAddressMethod};
use niks3_nix::hash::{HashAlgorithm, NarHash};
use niks3_nix::store_path::StorePath;

/// In what an upload differs from what its push says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its bytes do not have the hash of its name.
    FileHash,
    /// It cannot be decompressed.
    Compression,
    /// It holds no NAR.
    Nar,
    /// The NAR has another size.
    NarSize,
    /// The NAR has another hash.
    NarHash,
    /// The NAR does not have that content address.
    ContentAddress,
}

impl Kind {
    /// Its name in metrics ([`niks3_base::metrics::VERIFICATION_FAILURES`]), logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileHash => "file-hash",
            Self::Compression => "compression",
            Self::Nar => "nar",
            Self::NarSize => "nar-size",
            Self::NarHash => "nar-hash",
            Self::ContentAddress => "content-address",
        }
    }
}

/// A difference between an upload and what its push says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path.
    pub path: StorePath,
    /// The object with the NAR.
    pub object_id: ObjectId,
    /// Its key.
    pub key: String,
    /// In what.
    pub kind: Kind,
    /// What was claimed.
    pub claimed: String,
    /// What was found.
    pub found: String,
}

impl Difference {
    /// Logs and counts it. Identity and push are empty where nobody knows any more who has said it.
    pub fn audit(&self, identity: &str, push: &str) {
        metrics().verification_failed(self.kind.as_str());
        tracing::warn!(
            push,
            identity,
            path = self.path.as_str(),
            key = self.key,
            kind = self.kind.as_str(),
            claimed = self.claimed,
            found = self.found,
            "audit: an upload is not what its push says"
        );
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path, claimed, found, ..
        } = self;
        match self.kind {
            Kind::FileHash | Kind::Compression | Kind::Nar => write!(formatter, "{path}: {found}"),
            Kind::NarSize => write!(
                formatter,
                "{path}: the push says that its NAR has {claimed} bytes, and the upload holds {found}"
            ),
            Kind::NarHash => write!(
                formatter,
                "{path}: the push says that its NAR has the hash {claimed}, and the upload holds {found}"
            ),
            Kind::ContentAddress => write!(
                formatter,
                "{path}: the push says that its content address is {claimed}, and the upload has {found}"
            ),
        }
    }
}

/// What somebody says of the NAR of a path.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedNar<'a> {
    /// The path.
    pub path: &'a StorePath,
    /// Key of the object with the NAR.
    pub key: &'a str,
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Content address of the path.
    pub ca: Option<&'a str>,
    /// The path is among its own references.
    pub refers_to_itself: bool,
}

impl<'a> From<&'a Publishable> for ClaimedNar<'a> {
    fn from(offer: &'a Publishable) -> Self {
        Self {
            path: &offer.path,
            key: &offer.nar_key,
            nar_hash: offer.nar_hash,
            nar_size: offer.nar_size.unsigned_abs(),
            ca: offer.ca.as_deref(),
            refers_to_itself: offer.refs.contains(&offer.path_id),
        }
    }
}

/// Compares what a push says of a path with what was read of its NAR; `None` when the NAR has to be read again for
/// that: for a hash that was not taken, or beyond where reading ended.
#[must_use]
pub fn compare<'a>(
    object_id: ObjectId,
    claimed_nar: impl Into<ClaimedNar<'a>>,
    verdict: &Verdict,
) -> Option<Result<(), Difference>> {
    let offer: ClaimedNar<'_> = claimed_nar.into();
    let differ = |kind, claimed: String, found: String| {
        Some(Err(Difference {
            path: offer.path.clone(),
            object_id,
            key: offer.key.to_owned(),
            kind,
            claimed,
            found,
        }))
    };
    let size = offer.nar_size;
    let nar = match verdict {
        Ok(nar) => nar,
        Err(Flaw::TooLong { most }) if *most < size => return None,
        Err(Flaw::TooLong { .. }) => {
            return differ(Kind::NarSize, size.to_string(), "more".to_owned());
        }
        Err(flaw) => {
            let kind = match flaw {
                Flaw::FileHash(_) => Kind::FileHash,
                Flaw::Compression(_) => Kind::Compression,
                _ => Kind::Nar,
            };
            return differ(kind, offer.nar_hash.to_string(), flaw.to_string());
        }
    };
    if nar.nar_size != size {
        return differ(Kind::NarSize, size.to_string(), nar.nar_size.to_string());
    }
    if nar.nar_hash != offer.nar_hash {
        return differ(
            Kind::NarHash,
            offer.nar_hash.to_string(),
            nar.nar_hash.to_string(),
        );
    }
    let Some(ca) = offer.ca.and_then(|ca| ca.parse::<ContentAddress>().ok()) else {
        return Some(Ok(()));
    };
    let hashes = (nar.nar_hash, nar.content_hashes.as_slice());
    match check_content_address(&ca, offer.path, offer.refers_to_itself, hashes)? {
        Ok(()) => Some(Ok(())),
        Err(found) => differ(Kind::ContentAddress, ca.to_string(), found),
    }
}

/// Compares a content address with the hash of the NAR and those that were taken of what is in it; the one that the NAR has
/// when it is another, and nothing when a hash is missing.
#[must_use]
pub(crate) fn check_content_address(
    ca: &ContentAddress,
    path: &StorePath,
    refers_to_itself: bool,
    (nar_hash, content_hashes): (NarHash, &[ContentHash]),
) -> Option<Result<(), String>> {
    let Some(wanted) = WantedHash::of(ca, path, refers_to_itself) else {
        return Some(Err("a hash that the server does not know".into()));
    };
    let taken = |wanted: &WantedHash| {
        content_hashes
            .iter()
            .find(|taken| wanted.is(taken))
            .map(|taken| taken.hash)
    };
    let found = match wanted.subject {
        Subject::Nar if wanted.algorithm == HashAlgorithm::Sha256 => Some(nar_hash.into()),
        Subject::File => {
            let sha256 = WantedHash {
                algorithm: HashAlgorithm::Sha256,
                ..wanted
            };
            // That is taken of every file, so what has none is no file.
            if taken(&sha256).is_none() {
                let what = match ca.method() {
                    ContentAddressMethod::Text => "text",
                    _ => "file",
                };
                return Some(Err(format!("none: it is not a {what}")));
            }
            taken(&wanted)
        }
        _ => taken(&wanted),
    };
    let found = found?;
    let with_positions = match wanted.subject {
        Subject::NarModulo(own) => taken(&WantedHash {
            subject: Subject::NarModuloWithPositions(own),
            ..wanted
        }),
        _ => None,
    };
    if found == *ca.hash() || with_positions == Some(*ca.hash()) {
        return Some(Ok(()));
    }
    let address = ContentAddress::new(ca.method(), found).map(|address| address.to_string());
    Some(Err(address.unwrap_or_else(|_| found.to_string())))
}
