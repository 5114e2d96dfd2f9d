//! Telling a push in what the cache has something else than it says, with both sides.

use std::collections::HashMap;

use niks3_base::error::Error;
use niks3_base::metrics::metrics;
use niks3_catalog::{Differing, PathId, PushRank, ReferencesOfOneSide};
use niks3_nix::store_path::StorePath;
use serde::{Deserialize, Serialize};

use super::commit_state::{Decided, Look};
use crate::app::App;

/// Conflicts that the result of a commit names.
const MAX_CONFLICTS: usize = 200;

/// A path that the cache has with something else than a push says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Base name of the path.
    pub path: String,
    /// NAR hash in the cache.
    pub nar_hash: String,
    /// Each field that differs.
    pub differences: Vec<Difference>,
}

/// A field of a narinfo that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name, as narinfos have it.
    pub field: String,
    /// What the cache has; of references, those that the push lacks.
    pub cached: String,
    /// What the push says; of references, those that the cache lacks.
    pub claimed: String,
}

/// Puts conflicts into words.
///
/// # Errors
/// When the database does not answer.
pub async fn describe(app: &App, differing: &[Differing]) -> Result<Vec<Conflict>, Error> {
    let mut ids: Vec<PathId> = differing
        .iter()
        .flat_map(|path| path.references.0.shown.iter().chain(&path.references.1.shown))
        .copied()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let names = app.catalog.names(&ids).await?;
    Ok(differing.iter().map(|path| conflict(path, &names)).collect())
}

fn conflict(path: &Differing, names: &HashMap<PathId, StorePath>) -> Conflict {
    let mut differences = Vec::new();
    let mut differ = |field: &str, cached: String, claimed: String| {
        if cached != claimed {
            differences.push(Difference {
                field: field.to_owned(),
                cached,
                claimed,
            });
        }
    };
    let (cached, claimed) = path.nar_hash;
    differ("NarHash", cached.to_string(), claimed.to_string());
    let (cached, claimed) = path.nar_size;
    differ("NarSize", cached.to_string(), claimed.to_string());
    let (cached, claimed) = &path.references;
    differ(
        "References",
        references(cached, names),
        references(claimed, names),
    );
    let (cached, claimed) = path.ca.clone();
    differ("CA", cached, claimed);
    Conflict {
        path: path.path.to_string(),
        nar_hash: path.nar_hash.0.to_string(),
        differences,
    }
}

fn references(side: &ReferencesOfOneSide, names: &HashMap<PathId, StorePath>) -> String {
    let shown = side.shown.iter().filter_map(|id| names.get(id));
    let mut words: Vec<String> = shown.map(ToString::to_string).collect();
    match side.more {
        0 => {}
        1 => words.push("and 1 more path".to_owned()),
        more => words.push(format!("and {more} more paths")),
    }
    words.join(" ")
}

/// The conflicts that are left when a push has been decided.
pub(super) async fn of_push(app: &App, look: &Look, decided: &Decided) -> Result<Vec<Conflict>, Error> {
    let push = &look.push;
    let all_taken = look.order.len() == decided.taken.len() + decided.replaced.len();
    let mut differing = match all_taken {
        true => look.differences.paths.clone(),
        // Somebody else has brought some of what the push offered.
        false => {
            let rank = PushRank::of(&app.signer, &push.keys);
            app.catalog.differing(push.id, &rank).await?
        }
    };
    differing.retain(|path| !decided.replaced.contains(&path.path_id));
    for path in &differing {
        tracing::info!(
            push = push.token,
            identity = push.identity,
            path = path.path.as_str(),
            cached = path.nar_hash.0.to_string(),
            claimed = path.nar_hash.1.to_string(),
            "a push has other contents of a path than the cache, which stay"
        );
    }
    metrics().path_conflicts(differing.len());
    differing.truncate(MAX_CONFLICTS);
    describe(app, &differing).await
}
