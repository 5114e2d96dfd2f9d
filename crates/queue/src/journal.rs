//! What became of each path: a line of JSON each, appended, so that the next process knows it too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use niks3_nix::store_path::StorePath;
use serde::{Deserialize, Serialize};

use crate::folder::Folder;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was uploaded.
    Pushed {
        /// Bytes of its NAR.
        nar_size: u64,
    },
    /// It was in the cache already.
    Cached {
        /// Bytes of its NAR.
        nar_size: u64,
    },
    /// It is not in the cache.
    Failed {
        /// Why not.
        error: String,
    },
    /// It was left out by the filter for roots.
    Filtered,
    /// It was left out since an upstream cache has it.
    Left {
        /// Address of that cache.
        cache: String,
    },
}

impl Outcome {
    /// What counts more if several things happened to a path: the best of them.
    const fn rank(&self) -> u8 {
        match self {
            Self::Filtered => 0,
            Self::Failed { .. } => 1,
            Self::Left { .. } => 2,
            Self::Cached { .. } => 3,
            Self::Pushed { .. } => 4,
        }
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A path.
    Path {
        /// Its base name.
        path: String,
        /// What became of it.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// A push that is committed.
    Push {
        /// Base names of its roots.
        roots: Vec<String>,
        /// Bytes that went over the wire.
        bytes_sent: u64,
    },
    /// What the server found when it read and compared what a push has brought.
    Verification {
        /// Paths that were uploaded, read and found right.
        verified: u64,
        /// Full names of paths whose contents in the cache were replaced.
        replaced: BTreeSet<String>,
        /// Paths that the cache has with other contents, in words, with both sides.
        conflicts: BTreeSet<String>,
    },
    /// Something that the user should know, though the push was committed.
    Warning {
        /// What.
        text: String,
    },
    /// What waited was given up, all of it for one cause.
    GivenUp {
        /// The cause.
        error: String,
    },
}

/// All that the journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// Each path once: what was pushed counts as pushed though later pushes found it there.
    pub paths: BTreeMap<StorePath, Outcome>,
    /// Roots of committed pushes, each once.
    pub closures: Vec<StorePath>,
    /// Bytes that went over the wire.
    pub bytes_sent: u64,
    /// Paths that the server has read and verified.
    pub verified: u64,
    /// Full names of paths whose contents in the cache were replaced.
    pub replaced: BTreeSet<String>,
    /// Paths that the cache has with other contents, in words, with both sides.
    pub conflicts: BTreeSet<String>,
    /// What the user should know, though pushes were committed.
    pub warnings: BTreeSet<String>,
    /// Why what waited was given up, if it was.
    pub given_up: Option<String>,
}

impl Journal {
    /// Paths that were uploaded.
    #[must_use]
    pub fn pushed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Pushed { .. }))
    }

    /// Paths that were there already.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Cached { .. }))
    }

    /// Paths that are not in the cache.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed { .. }))
    }

    /// Paths that the filter left out.
    #[must_use]
    pub fn filtered(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Filtered))
    }

    /// Paths that were left to upstream caches, by the addresses of these.
    #[must_use]
    pub fn left(&self) -> BTreeMap<&str, u64> {
        let mut left = BTreeMap::new();
        for outcome in self.paths.values() {
            if let Outcome::Left { cache } = outcome {
                *left.entry(cache.as_str()).or_default() += 1;
            }
        }
        left
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.paths.values().filter(|outcome| which(outcome)).count()
    }

    /// Adds what another journal of the same cache says.
    pub fn merge(&mut self, other: Self) {
        for (path, outcome) in other.paths {
            let path = path.as_str().to_owned();
            self.add(Entry::Path { path, outcome });
        }
        self.add(Entry::Push {
            roots: other
                .closures
                .iter()
                .map(|root| root.as_str().to_owned())
                .collect(),
            bytes_sent: other.bytes_sent,
        });
        self.add(Entry::Verification {
            verified: other.verified,
            replaced: other.replaced,
            conflicts: other.conflicts,
        });
        self.warnings.extend(other.warnings);
        self.given_up = self.given_up.take().or(other.given_up);
    }

    /// Takes one more line into account.
    pub fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Path { path, outcome } => {
                let Ok(path) = path.parse() else { return };
                let known = self.paths.get(&path);
                if known.is_none_or(|known| outcome.rank() >= known.rank()) {
                    self.paths.insert(path, outcome);
                }
            }
            Entry::Warning { text } => {
                self.warnings.insert(text);
            }
            Entry::GivenUp { error } => self.given_up = Some(error),
            Entry::Verification {
                verified,
                replaced,
                conflicts,
            } => {
                self.verified += verified;
                self.replaced.extend(replaced);
                self.conflicts.extend(conflicts);
            }
            Entry::Push { roots, bytes_sent } => {
                self.bytes_sent += bytes_sent;
                for root in roots.iter().filter_map(|root| root.parse().ok()) {
                    if !self.closures.contains(&root) {
                        self.closures.push(root);
                    }
                }
            }
        }
    }
}

impl Folder {
    /// Appends lines to the journal.
    pub fn record(&self, entries: &[Entry]) -> io::Result<()> {
        // Whatever a kill left of a line ends here.
        let mut text = vec![b'\n'];
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        let mut file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.journal())?;
        file.write_all(&text)
    }

    /// Reads the journal; a line cut off by a kill is skipped.
    pub fn read_journal(&self) -> io::Result<Journal> {
        let text = match std::fs::read(self.journal()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut journal = Journal::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice(line) {
                journal.add(entry);
            }
        }
        Ok(journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_once_and_as_what_happened_first_to_it() {
        let path = || "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a".to_owned();
        let mut journal = Journal::default();
        let mut add = |outcome| {
            journal.add(Entry::Path {
                path: path(),
                outcome,
            });
            (journal.pushed(), journal.cached(), journal.failed())
        };
        let failed = || Outcome::Failed {
            error: "x".to_owned(),
        };
        assert_eq!(add(Outcome::Filtered), (0, 0, 0));
        assert_eq!(add(failed()), (0, 0, 1));
        let cache = "https://cache.nixos.org".to_owned();
        assert_eq!(add(Outcome::Left { cache }), (0, 0, 0));
        assert_eq!(add(Outcome::Cached { nar_size: 1 }), (0, 1, 0));
        assert_eq!(add(failed()), (0, 1, 0));
        assert_eq!(add(Outcome::Pushed { nar_size: 1 }), (1, 0, 0));
        assert_eq!(add(Outcome::Cached { nar_size: 1 }), (1, 0, 0));
        assert_eq!(add(Outcome::Filtered), (1, 0, 0));
    }

    #[test]
    fn what_two_journals_of_one_cache_say_counts_once() {
        let journal = |outcome, bytes_sent| {
            let path = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a".to_owned();
            let mut journal = Journal::default();
            let roots = vec![path.clone()];
            journal.add(Entry::Path { path, outcome });
            journal.add(Entry::Push { roots, bytes_sent });
            journal.add(Entry::Verification {
                verified: bytes_sent,
                replaced: BTreeSet::new(),
                conflicts: ["one".to_owned()].into(),
            });
            journal
        };
        let mut merged = journal(Outcome::Cached { nar_size: 1 }, 0);
        merged.merge(journal(Outcome::Pushed { nar_size: 1 }, 7));
        assert_eq!((merged.pushed(), merged.cached()), (1, 0));
        assert_eq!((merged.closures.len(), merged.bytes_sent), (1, 7));
        assert_eq!((merged.verified, merged.conflicts.len()), (7, 1));
    }

    #[test]
    fn a_line_that_was_cut_off_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let push = Entry::Push {
            roots: vec!["0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a".to_owned()],
            bytes_sent: 7,
        };
        folder.record(std::slice::from_ref(&push)).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.journal())
            .unwrap()
            .write_all(b"{\"kind\":\"pu")
            .unwrap();
        folder.record(&[push]).unwrap();
        let journal = folder.read_journal().unwrap();
        assert_eq!((journal.bytes_sent, journal.closures.len()), (14, 1));
    }
}
