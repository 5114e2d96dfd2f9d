//! What a push tells while it runs, and what is left to say when it is done.

use std::collections::{BTreeMap, BTreeSet};

use niks3_nix::store_path::StorePath;
use serde::Serialize;

/// Hears how a push goes. Called from many threads; every call must be quick.
pub trait Progress: Send + Sync {
    /// The closure is known: so many paths.
    fn closure(&self, paths: u64) {
        let _ = paths;
    }
    /// The server has said what it lacks: so many paths with so many bytes of NARs.
    fn planned(&self, paths: u64, nar_bytes: u64) {
        let _ = (paths, nar_bytes);
    }
    /// A path more is lacking after all, with so many bytes of NAR.
    fn also_planned(&self, nar_bytes: u64) {
        let _ = nar_bytes;
    }
    /// A path that was complete, with so many bytes of NAR, has to be sent again.
    fn again(&self, nar_bytes: u64) {
        let _ = nar_bytes;
    }
    /// Bytes of NARs have arrived in the bucket, or were found there; negative when they have to be sent again.
    fn nar_bytes(&self, bytes: i64) {
        let _ = bytes;
    }
    /// Bytes went over the wire.
    fn sent(&self, bytes: u64) {
        let _ = bytes;
    }
    /// A path is complete in the bucket.
    fn path_done(&self) {}
    /// All is there; the server makes it visible.
    fn committing(&self) {}
    /// The server has read so many of so many NARs, to see that they are what they should be.
    fn verifying(&self, verified: u64, total: u64) {
        let _ = (verified, total);
    }
    /// Something that the user should know, though the push goes on.
    fn warning(&self, text: &str) {
        let _ = text;
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A path that the cache keeps with other contents than ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Full store path.
    pub path: String,
    /// NAR hash of what the cache has.
    pub nar_hash: String,
    /// Each field of the narinfo that differs.
    pub differences: Vec<Difference>,
}

/// A field of a narinfo in which the cache differs from this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `NarHash`, `NarSize`, `References` or `CA`.
    pub field: String,
    /// What the cache has; of references, up to ten that this store lacks.
    pub cached: String,
    /// What this store has; of references, up to ten that the cache lacks.
    pub claimed: String,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} is in the cache with other contents, which stay",
            self.path
        )?;
        for (number, difference) in self.differences.iter().enumerate() {
            let separator = if number == 0 { ": " } else { "; " };
            let Difference {
                field,
                cached,
                claimed,
            } = difference;
            let of = |side: &str| {
                if side.is_empty() {
                    "none".to_owned()
                } else {
                    side.to_owned()
                }
            };
            let only = if field == "References" { " only" } else { "" };
            let (cached, claimed) = (of(cached), of(claimed));
            write!(
                formatter,
                "{separator}{field}{only} in the cache {cached},{only} in this store {claimed}"
            )?;
        }
        Ok(())
    }
}

/// A path of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Which.
    pub path: StorePath,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// It was not there before.
    pub uploaded: bool,
}

/// A path that an upstream has, so that this push left it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub path: StorePath,
    /// Address of the upstream, without a password.
    pub cache: String,
}

/// How much of a push is left to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftTo {
    /// Its address, without a password.
    pub cache: String,
    /// How many paths of the closures it has.
    pub paths: u64,
}

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Paths in the closures.
    pub paths: u64,
    /// Of these, those that the cache had already.
    pub already_cached: u64,
    /// Those that were uploaded.
    pub uploaded: u64,
    /// Those left out because an upstream cache has them.
    pub skipped_upstream: u64,
    /// The same by upstream.
    pub left_to: Vec<LeftTo>,
    /// Uncompressed bytes of what was uploaded.
    pub nar_bytes: u64,
    /// Bytes that went over the wire: compressed NARs, listings, logs, and what was sent twice.
    pub bytes_sent: u64,
    /// How long it took.
    pub seconds: f64,
    /// Full store paths of the roots.
    pub closures: Vec<String>,
    /// Of the paths that were uploaded, those that the server has read and verified.
    pub verified: u64,
    /// Full store paths whose contents in the cache this push has replaced, since its key ranks higher.
    pub replaced: Vec<String>,
    /// Paths that the cache has with other contents, which stay.
    pub conflicts: Vec<Conflict>,
    /// Each path that is in the cache now.
    #[serde(skip)]
    pub pushed: Vec<Pushed>,
    /// Each path that an upstream has.
    #[serde(skip)]
    pub left: Vec<Left>,
    /// Signatures of roots in the cache, as far as the server tells them.
    #[serde(skip)]
    pub signatures: BTreeMap<StorePath, Vec<String>>,
    /// What upstreams could not be asked, in words; it was told before, too.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Summary {
    /// Adds what a later push of other roots did, in which a path may occur again.
    pub fn add(&mut self, later: Self) {
        self.uploaded += later.uploaded;
        self.nar_bytes += later.nar_bytes;
        self.bytes_sent += later.bytes_sent;
        self.seconds += later.seconds;
        self.verified += later.verified;
        self.closures.extend(later.closures);
        self.replaced.extend(later.replaced);
        for conflict in later.conflicts {
            if !self.conflicts.contains(&conflict) {
                self.conflicts.push(conflict);
            }
        }
        self.warnings.extend(later.warnings);
        self.signatures.extend(later.signatures);
        let known: BTreeSet<StorePath> = self.pushed.iter().map(|pushed| pushed.path.clone()).collect();
        let new = later.pushed.into_iter();
        self.pushed
            .extend(new.filter(|pushed| !known.contains(&pushed.path)));
        let left = std::mem::take(&mut self.left).into_iter().chain(later.left);
        // What is left once may be pushed, or left to another cache, by the next push.
        let pushed: BTreeSet<&StorePath> = self.pushed.iter().map(|pushed| &pushed.path).collect();
        let left: BTreeMap<StorePath, Left> = left.map(|left| (left.path.clone(), left)).collect();
        self.left = left
            .into_values()
            .filter(|left| !pushed.contains(&left.path))
            .collect();
        // In the order of the user.
        for left in later.left_to {
            if self.left_to.iter().all(|known| known.cache != left.cache) {
                self.left_to.push(left);
            }
        }
        for left_to in &mut self.left_to {
            let paths = self.left.iter().filter(|left| left.cache == left_to.cache);
            left_to.paths = paths.count() as u64;
        }
        self.left_to.retain(|left_to| left_to.paths > 0);
        self.skipped_upstream = self.left.len() as u64;
        self.paths = (self.pushed.len() + self.left.len()) as u64;
        self.already_cached = (self.pushed.len() as u64).saturating_sub(self.uploaded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: usize) -> StorePath {
        format!("0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-{number}")
            .parse()
            .unwrap()
    }

    fn summary(uploaded: &[usize], cached: &[usize], left: &[usize]) -> Summary {
        let pushed = |uploaded: bool| {
            move |number: &usize| Pushed {
                path: path(*number),
                nar_size: 1,
                uploaded,
            }
        };
        let mut summary = Summary::default();
        summary.add(Summary {
            uploaded: uploaded.len() as u64,
            pushed: uploaded
                .iter()
                .map(pushed(true))
                .chain(cached.iter().map(pushed(false)))
                .collect(),
            left: left
                .iter()
                .map(|number| Left {
                    path: path(*number),
                    cache: "https://cache.nixos.org".to_owned(),
                })
                .collect(),
            left_to: vec![LeftTo {
                cache: "https://cache.nixos.org".to_owned(),
                paths: left.len() as u64,
            }],
            ..Summary::default()
        });
        summary
    }

    #[test]
    fn a_path_of_several_pushes_counts_once_and_as_what_the_first_did() {
        let mut all = summary(&[1, 2], &[3], &[4, 5]);
        all.add(summary(&[5, 6], &[1, 3], &[4]));
        let counts = (all.paths, all.uploaded, all.already_cached, all.skipped_upstream);
        assert_eq!(counts, (6, 4, 1, 1));
        assert_eq!(all.left_to.len(), 1);
        assert_eq!(all.left_to[0].paths, 1);
    }
}
