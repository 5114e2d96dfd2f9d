//! Refusing a push that would close a cycle of references.
//!
//! A cycle within a push is in its own claims. Across pushes, one can only be closed by a push that provides a path that
//! committed ones refer to already: it was left out of their push, or has been lost. Most pushes provide none, which one
//! question tells. For others the committed paths that they refer to are walked, outside of any transaction; the deciding
//! one asks whether what was walked has changed ([`niks3_catalog::WriteTx::references_unchanged`]).

use std::collections::HashMap;

use niks3_base::error::Error;
use niks3_catalog::{CommitClaim, PathId, Publishable, SeenReferences};
use tokio::sync::Semaphore;

use crate::app::App;

/// Walks in progress at once: one through a million paths takes about 150 MB.
static WALKS: Semaphore = Semaphore::const_new(2);
/// Paths that are read at once.
const PAGE: usize = 5_000;
/// Paths of a cycle that are named.
const MAX_NAMED: usize = 10;

/// Adds to what was seen of a push before its claims were read what it refers to, as far as it matters.
///
/// # Errors
/// `Invalid` naming the paths of a cycle that the push would close.
pub(super) async fn check(
    app: &App,
    mut seen: SeenReferences,
    claims: &[CommitClaim],
) -> Result<SeenReferences, Error> {
    if !seen.referred {
        return Ok(seen);
    }
    let _permit = WALKS.acquire().await.map_err(Error::internal)?;
    let mut graph = Graph::of(claims.iter().filter_map(|claim| claim.offer.as_ref()));
    let offered = graph.len();
    let mut next = graph.unknown(0);
    while !next.is_empty() {
        let before = graph.len();
        for page in next.chunks(PAGE) {
            for (id, refs) in app.catalog.references_of(page).await? {
                match refs {
                    Some(refs) => graph.add(id, &refs),
                    None => seen.absent.push(id),
                }
            }
        }
        next = graph.unknown(before);
    }
    match graph.cycle(offered) {
        Some(cycle) => Err(refused(app, &cycle).await?),
        None => Ok(seen),
    }
}

/// The same for the claims of a push alone.
pub(super) async fn among(app: &App, offers: &[&Publishable]) -> Result<(), Error> {
    let graph = Graph::of(offers.iter().copied());
    match graph.cycle(graph.len()) {
        Some(cycle) => Err(refused(app, &cycle).await?),
        None => Ok(()),
    }
}

/// `Invalid` naming the paths of a cycle.
async fn refused(app: &App, cycle: &[PathId]) -> Result<Error, Error> {
    let shown = &cycle[..cycle.len().min(MAX_NAMED)];
    let names = app.catalog.names(shown).await?;
    let name = |id: &PathId| names.get(id).map(ToString::to_string).unwrap_or_default();
    let first = cycle.first().map(name).unwrap_or_default();
    let mut chain: Vec<String> = shown.iter().map(name).collect();
    if cycle.len() > shown.len() {
        chain.push(format!("{} more paths", cycle.len() - shown.len()));
    }
    chain.push(first.clone());
    Ok(Error::invalid(
        "paths.references",
        format!(
            "{first} refers to itself through other paths: {}",
            chain.join(" -> ")
        ),
    ))
}

/// Paths by place, with what they refer to.
#[derive(Default)]
struct Graph {
    places: HashMap<PathId, usize>,
    ids: Vec<PathId>,
    /// Where the references of each path end in `refs`.
    ends: Vec<usize>,
    refs: Vec<PathId>,
}

impl Graph {
    fn of<'o>(offers: impl Iterator<Item = &'o Publishable>) -> Self {
        let mut graph = Self::default();
        for offer in offers {
            graph.add(offer.path_id, &offer.refs);
        }
        graph
    }

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn add(&mut self, id: PathId, refs: &[PathId]) {
        self.places.insert(id, self.ids.len());
        self.ids.push(id);
        self.refs.extend_from_slice(refs);
        self.ends.push(self.refs.len());
    }

    fn refs(&self, place: usize) -> &[PathId] {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.refs[begin..self.ends[place]]
    }

    /// What the paths from a place on refer to and is not in the graph.
    fn unknown(&self, from: usize) -> Vec<PathId> {
        let begin = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut unknown: Vec<PathId> = self.refs[begin..]
            .iter()
            .copied()
            .filter(|id| !self.places.contains_key(id))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// A cycle that one of the first paths is in, if there is one. A path that refers to itself is in none.
    fn cycle(&self, first: usize) -> Option<Vec<PathId>> {
        let component = self.components();
        let mut sizes = vec![0_u32; self.len()];
        for &of in &component {
            sizes[of] += 1;
        }
        let start = (0..first).find(|place| sizes[component[*place]] > 1)?;
        // A shortest way back, within what can go both ways.
        let mut came: HashMap<usize, usize> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(place) = queue.pop_front() {
            for next in self.nexts(place) {
                if component[next] != component[start] || came.contains_key(&next) {
                    continue;
                }
                came.insert(next, place);
                queue.push_back(next);
            }
            if came.contains_key(&start) {
                break;
            }
        }
        let mut cycle = vec![start];
        let mut place = *came.get(&start)?;
        while place != start {
            cycle.push(place);
            place = *came.get(&place)?;
        }
        cycle[1..].reverse();
        Some(cycle.into_iter().map(|place| self.ids[place]).collect())
    }

    fn nexts(&self, place: usize) -> impl Iterator<Item = usize> {
        let places = self.refs(place).iter();
        places
            .filter_map(|id| self.places.get(id).copied())
            .filter(move |next| *next != place)
    }

    /// For each path a number that it shares with those that it refers to through others and that do so to it, as Tarjan
    /// finds them, without recursion.
    fn components(&self) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let mut component = vec![NONE; self.len()];
        let mut index = vec![NONE; self.len()];
        let mut low = vec![0; self.len()];
        let (mut count, mut stack) = (0, Vec::new());
        for root in 0..self.len() {
            if index[root] != NONE {
                continue;
            }
            let mut calls = vec![(root, 0)];
            while let Some((place, at)) = calls.last_mut() {
                let place = *place;
                if *at == 0 {
                    index[place] = count;
                    low[place] = count;
                    count += 1;
                    stack.push(place);
                }
                let refs = self.refs(place);
                let mut called = None;
                while let Some(id) = refs.get(*at) {
                    *at += 1;
                    let Some(&next) = self.places.get(id) else {
                        continue;
                    };
                    if index[next] == NONE {
                        called = Some(next);
                        break;
                    }
                    if component[next] == NONE {
                        low[place] = low[place].min(index[next]);
                    }
                }
                if let Some(next) = called {
                    calls.push((next, 0));
                    continue;
                }
                calls.pop();
                if let Some((caller, _)) = calls.last() {
                    low[*caller] = low[*caller].min(low[place]);
                }
                if low[place] == index[place] {
                    while let Some(member) = stack.pop() {
                        component[member] = place;
                        if member == place {
                            break;
                        }
                    }
                }
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use niks3_catalog::PathId;

    use super::Graph;

    fn cycle(first: usize, nodes: &[(i64, &[i64])]) -> Option<Vec<i64>> {
        let mut graph = Graph::default();
        for (id, refs) in nodes {
            let refs: Vec<PathId> = refs.iter().copied().map(PathId::from).collect();
            graph.add(PathId::from(*id), &refs);
        }
        let cycle = graph.cycle(first)?;
        Some(cycle.into_iter().map(PathId::get).collect())
    }

    #[test]
    fn a_cycle_is_found_if_one_of_the_first_paths_is_in_it() {
        type Nodes = &'static [(i64, &'static [i64])];
        let cases: [(usize, Nodes, Option<Vec<i64>>); 8] = [
            (0, &[], None),
            (1, &[(1, &[1])], None),
            (2, &[(1, &[2]), (2, &[])], None),
            (2, &[(1, &[2]), (2, &[1])], Some(vec![1, 2])),
            // What is left out and provided later by who refers to who left it out is no cycle.
            (2, &[(1, &[5]), (2, &[]), (5, &[2, 2])], None),
            (
                1,
                &[(2, &[5]), (5, &[6, 7]), (6, &[9]), (7, &[2])],
                Some(vec![2, 5, 7]),
            ),
            // A cycle that has been there is not its fault who refers to it.
            (1, &[(1, &[5]), (5, &[6]), (6, &[5])], None),
            (2, &[(1, &[2, 3]), (2, &[3, 1, 2]), (3, &[])], Some(vec![1, 2])),
        ];
        for (first, nodes, expected) in cases {
            assert_eq!(cycle(first, nodes), expected, "{nodes:?}");
        }
    }

    #[test]
    fn a_chain_of_any_length_takes_no_stack() {
        let mut graph = Graph::default();
        for id in 0..300_000 {
            graph.add(PathId::from(id), &[PathId::from(id + 1)]);
        }
        assert_eq!(graph.cycle(1), None);
        graph.add(PathId::from(300_000), &[PathId::from(0)]);
        assert_eq!(graph.cycle(1).map(|cycle| cycle.len()), Some(300_001));
    }
}
