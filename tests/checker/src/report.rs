//! What a check has found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

/// What is wrong, or worth a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `nix-cache-info` is absent, or of another store.
    CacheInfo,
    /// A path that was asked for has no narinfo.
    PathMissing,
    /// A narinfo that does not parse.
    NarinfoSyntax,
    /// A narinfo under the name of another store path.
    NarinfoName,
    /// A narinfo whose fields contradict each other.
    NarinfoContradiction,
    /// No object under the URL of a narinfo.
    NarMissing,
    /// `FileSize` is not the size of the stored bytes.
    FileSize,
    /// `FileHash` is not their hash.
    FileHash,
    /// The stored bytes cannot be decompressed, or hold no well-formed NAR.
    NarFormat,
    /// `NarHash` is not the hash of the NAR.
    NarHash,
    /// `NarSize` is not its size.
    NarSize,
    /// A reference without narinfo.
    ReferenceMissing,
    /// No valid signature, or an invalid one by a trusted key.
    Signature,
    /// A path without listing.
    ListingMissing,
    /// A listing of something else.
    Listing,
    /// The content address does not fit path or contents.
    ContentAddress,
    /// A pin that does not parse, or whose closure is not readable.
    Pin,
    /// A realisation that does not parse, is not signed, or names a path that is not readable.
    Realisation,
    /// A build log under an impossible name, or compressed without saying so.
    Log,
    /// Note: a NAR that no narinfo names.
    UnreferencedNar,
    /// Note: a listing without narinfo.
    UnreferencedListing,
    /// Note: something staged for a push.
    Staged,
    /// Note: an object that no binary cache has.
    UnknownObject,
    /// Note: an object that was listed and could not be read afterwards.
    Vanished,
    /// Note: something this checker cannot recompute.
    NotChecked,
}

impl Kind {
    /// Whether it is worth a note alone: no reader can notice.
    #[must_use]
    pub const fn is_note(self) -> bool {
        matches!(
            self,
            Self::UnreferencedNar
                | Self::UnreferencedListing
                | Self::Staged
                | Self::UnknownObject
                | Self::Vanished
                | Self::NotChecked
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        f.pad(name.as_str().unwrap_or_default())
    }
}

/// One flaw or note.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// Key of the object that says what is not so.
    pub key: String,
    /// The details, for people.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind, self.key, self.detail)
    }
}

/// What a check has found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What a reader can notice, sorted.
    pub flaws: Vec<Finding>,
    /// What only costs space or was not checked, sorted.
    pub notes: Vec<Finding>,
    /// Base names of all paths that have a narinfo, sound or not.
    pub paths: BTreeSet<String>,
    /// Number of different NARs that were read.
    pub nars: usize,
    /// Base names of the paths that pins name, by the pins' names.
    pub pins: BTreeMap<String, String>,
    /// Number of realisations that were read.
    pub realisations: usize,
    /// Number of build logs that were read.
    pub logs: usize,
}

impl Report {
    pub(crate) fn add(&mut self, kind: Kind, key: &str, detail: impl Into<String>) {
        let finding = Finding {
            kind,
            key: key.to_owned(),
            detail: detail.into(),
        };
        if kind.is_note() {
            self.notes.push(finding);
        } else {
            self.flaws.push(finding);
        }
    }

    pub(crate) fn sort(&mut self) {
        self.flaws.sort();
        self.notes.sort();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, findings) in [("FLAW", &self.flaws), ("NOTE", &self.notes)] {
            if findings.is_empty() {
                continue;
            }
            writeln!(f, "{title:<22}  {:<60}  DETAIL", "OBJECT")?;
            for finding in findings {
                writeln!(f, "{:<22}  {:<60}  {}", finding.kind, finding.key, finding.detail)?;
            }
            writeln!(f)?;
        }
        let count =
            |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        write!(
            f,
            "{}, {}, {}, {}, {}: {}",
            count(self.paths.len(), "path"),
            count(self.nars, "NAR"),
            count(self.pins.len(), "pin"),
            count(self.realisations, "realisation"),
            count(self.logs, "build log"),
            count(self.flaws.len(), "flaw"),
        )
    }
}
