//! What is judged, read from the database page by page, outside of any transaction: what is pushed or used meanwhile is
//! protected by the guards of the statements that release and delete.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{Catalog, ClosureId, JudgedClosure, JudgedLink, JudgedRun, RunId};
use niks3_retention::{Closure, Link, OpenPulls, Outcome, Release, Run, World};

/// Rows that are read at once.
const PAGE: i64 = 10_000;

/// All that is judged, with the rows that it was made of.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// What is judged.
    pub world: World,
    /// The closures, in the order of those of the world.
    pub closures: Vec<JudgedClosure>,
    /// Ids and names of the runs, in the order of those of the world.
    pub runs: Vec<(RunId, String)>,
    /// Which of the links are uses.
    pub uses: Range<usize>,
}

fn to_index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Reads all that is judged at a time.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn load(catalog: &Catalog, now: i64) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    loaded.world.now = now;
    let run_index = load_runs(catalog, &mut loaded).await?;
    let closure_index = load_closures(catalog, &mut loaded).await?;
    let add = |links: &mut Vec<Link>, page: &[JudgedLink]| {
        for link in page {
            // A closure that came since keeps itself.
            if let Some(&closure) = closure_index.get(&link.closure_id) {
                // So does what a run that came since has pushed or used: it counts as a push without a run.
                let run = run_index.get(&link.run_id).copied();
                let at = link.at;
                links.push(Link { closure, run, at });
            }
        }
    };
    let mut after = (ClosureId::default(), RunId::default());
    loop {
        let page = catalog.judged_pushes(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.closure_id, last.run_id);
        add(&mut loaded.world.links, &page);
    }
    let pushes = loaded.world.links.len();
    let mut after = (ClosureId::default(), RunId::default());
    loop {
        let page = catalog.judged_uses(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.closure_id, last.run_id);
        add(&mut loaded.world.links, &page);
    }
    loaded.uses = pushes..loaded.world.links.len();
    for (row, closure) in loaded.closures.iter().zip(0..) {
        if let Some(at) = row.direct_at {
            let run = None;
            loaded.world.links.push(Link { closure, run, at });
        }
    }
    for row in catalog.open_pulls().await? {
        loaded.world.open_pulls.push(OpenPulls {
            provider: row.provider.into(),
            repository_id: row.repository.into(),
            numbers: serde_json::from_str(&row.numbers).map_err(Error::internal)?,
            at: row.listed_at,
        });
    }
    Ok(loaded)
}

/// Texts, each once: runs have the same few again and again.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.0.insert(text.clone());
        text
    }
}

async fn load_runs(catalog: &Catalog, loaded: &mut Loaded) -> Result<HashMap<RunId, u32>, Error> {
    let mut texts = Texts::default();
    let mut index = HashMap::new();
    let mut after = RunId::default();
    loop {
        let page = catalog.judged_runs(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(index) };
        after = last.id;
        for row in page {
            index.insert(row.id, to_index(loaded.runs.len()));
            loaded.world.runs.push(run(&row, &mut texts));
            loaded.runs.push((row.id, row.token));
        }
    }
}

fn run(row: &JudgedRun, texts: &mut Texts) -> Run {
    let number = if row.verified && row.pull_request_claimed {
        row.pull_request.max(0).unsigned_abs()
    } else {
        0
    };
    Run {
        id: row.id.get(),
        verified: row.verified,
        provider: texts.get(&row.provider),
        repository: texts.get(&row.repository),
        repository_id: texts.get(&row.repository_id),
        git_ref: texts.get(&row.git_ref),
        event: texts.get(&row.event),
        workflow: texts.get(&row.workflow),
        job: texts.get(&row.job),
        run_id: row.run_id.as_str().into(),
        attempt: row.attempt.parse().unwrap_or(0),
        pull_request: number,
        outcome: Outcome::of_conclusion(&row.conclusion),
        uses_complete: row.uses_complete,
        at: row.created_at,
    }
}

async fn load_closures(catalog: &Catalog, loaded: &mut Loaded) -> Result<HashMap<ClosureId, u32>, Error> {
    let pinned = catalog.pinned_paths().await?;
    let in_pushes = catalog.paths_in_pushes().await?;
    let mut index = HashMap::new();
    let mut after = ClosureId::default();
    loop {
        let page = catalog.judged_closures(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(index) };
        after = last.id;
        for row in page {
            index.insert(row.id, to_index(loaded.closures.len()));
            loaded.world.closures.push(Closure {
                id: row.id.get(),
                name: row.root.get(33..).unwrap_or(&row.root).into(),
                pinned: pinned.contains(&row.path_id),
                in_push: in_pushes.contains(&row.path_id),
                released: row.released_at.map(|at| Release {
                    at,
                    by_hand: row.released_by.is_empty(),
                }),
            });
            loaded.closures.push(row);
        }
    }
}
