//! What a commit has seen of its push, and what it has decided.

use std::collections::{HashMap, HashSet};

use niks3_catalog::{ClosureSummary, CommitClaim, Differing, ObjectId, PathId, Push, SeenReferences};

/// What a push says otherwise than the cache.
#[derive(Default)]
pub(super) struct Differences {
    /// The paths.
    pub paths: Vec<Differing>,
    /// Those of them whose references alone are replaced, by id, with the references in the cache.
    pub ties: HashMap<PathId, Vec<PathId>>,
    /// Whether anything is replaced.
    pub replacing: bool,
}

/// What a commit sees of its push.
pub(super) struct Look {
    pub push: Push,
    /// The last publication before anything was read.
    pub seen: i64,
    pub claims: Vec<CommitClaim>,
    pub roots: Vec<ClosureSummary>,
    pub references: SeenReferences,
    /// Places of the claims that nobody has committed yet, or whose contents the push replaces, each after all that it
    /// refers to.
    pub order: Vec<usize>,
    pub differences: Differences,
}

impl Look {
    /// Ids of the claimed paths of which something holds.
    pub fn ids(&self, which: impl Fn(&CommitClaim) -> bool) -> Vec<PathId> {
        let found = self.claims.iter().filter(|claim| which(claim));
        found.map(|claim| claim.path_id).collect()
    }
}

/// What a commit has decided.
#[derive(Default)]
pub(super) struct Decided {
    /// Ids of the paths that this attempt has taken, and the numbers of the moves that did.
    pub taken: HashMap<PathId, i64>,
    /// Ids of the paths whose contents it has replaced.
    pub replaced: Vec<PathId>,
    /// Those numbers, and those of replacements.
    pub own: Vec<i64>,
    /// Ids and bytes of the NARs of which the database did not know yet that they are there.
    pub arrived: HashMap<ObjectId, i64>,
    /// Ids of the NARs that the server has read, and whose listings it has made.
    pub verified: HashSet<ObjectId>,
}
