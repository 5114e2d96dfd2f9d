//! How far a check is.

use serde::{Deserialize, Serialize};

use crate::tasks;

/// What a check is looking at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Narinfos, listings, references and realisations of paths.
    #[default]
    Paths,
    /// NARs.
    Nars,
    /// Build logs.
    Logs,
    /// Closures and pins.
    Roots,
    /// Objects of the bucket.
    Bucket,
    /// Uploads in parts.
    Uploads,
    /// Mending what the bucket has and the database has not.
    Mend,
    /// Done.
    Finished,
}

/// What it has looked at so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Paths.
    pub paths: u64,
    /// NARs.
    pub nars: u64,
    /// Bytes of NARs that were read.
    pub nar_bytes: u64,
    /// Build logs.
    pub logs: u64,
    /// Objects that the bucket lists.
    pub objects: u64,
    /// What does not fit.
    pub found: u64,
    /// Of that, what was mended.
    pub mended: u64,
}

/// Phase, place in it, and counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is looking at.
    pub phase: Phase,
    /// After which of them it goes on: an id or a name.
    pub after: String,
    /// What it has looked at so far.
    pub counts: Counts,
}

/// Progress that the work writes and a reporter reads.
pub(super) type Shared = tasks::Shared<Progress>;

impl Shared {
    /// The place to go on from in a phase; `None` when it is over.
    pub(crate) fn enter(&self, phase: Phase) -> Option<String> {
        self.change(|progress| {
            if progress.phase > phase {
                return None;
            }
            if progress.phase < phase {
                progress.phase = phase;
                progress.after.clear();
            }
            Some(progress.after.clone())
        })
    }

    /// Says how far a phase is, and counts what was looked at.
    pub fn after(&self, after: impl ToString, change: impl FnOnce(&mut Counts)) {
        self.change(|progress| {
            progress.after = after.to_string();
            change(&mut progress.counts);
        });
    }

    /// Counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.change(|progress| change(&mut progress.counts));
    }
}
