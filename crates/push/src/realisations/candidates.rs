//! Which derivations may have come out as some paths: those that leave open what their outputs are.

use std::collections::{BTreeMap, HashMap};

use niks3_nix::store_path::StorePath;

use super::derivation::Head;
use crate::nix::LocalStore;

/// Open derivations of one name that Nix is asked about.
const MAX_OF_ONE_NAME: usize = 1000;
/// Derivations that are read in one push to find those that are open.
const MAX_HEADS: usize = 20_000;

/// A derivation that may have realisations, and its outputs.
pub(super) type Candidate = (StorePath, Vec<String>);

/// What Nix is asked about.
#[derive(Default)]
pub(super) struct Candidates {
    /// Derivers of what is pushed, in order: nearly all of them are built.
    pub(super) derivers: Vec<Candidate>,
    /// Others of their names, of which many may be merely evaluated.
    pub(super) others: Vec<Candidate>,
}

impl Candidates {
    pub(super) fn all(&self) -> impl Iterator<Item = &Candidate> {
        self.derivers.iter().chain(&self.others)
    }

    fn is_deriver(&self, path: &StorePath) -> bool {
        self.derivers
            .binary_search_by(|(deriver, _)| deriver.cmp(path))
            .is_ok()
    }
}

/// Why there may be open derivations of a name, the best reasons first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// The deriver is open, or may have been resolved.
    Deriver,
    /// The deriver is not here and its output content-addressed. Most often it has a fixed output, such as `source`,
    /// but what is open comes out with the same content addresses.
    Addressed,
    /// The deriver is not here.
    Missing,
}

/// Derivations that may have come out as paths whose derivers are given, with whether such a path is content-addressed.
pub(super) fn candidates(store: &LocalStore, derivers: BTreeMap<StorePath, bool>) -> Candidates {
    let mut found = Candidates::default();
    let mut names: HashMap<String, (Reason, Vec<StorePath>)> = HashMap::new();
    for (deriver, addressed) in derivers {
        let reason = match Head::read(&store.real_path(&deriver)) {
            Some(head) if head.is_open() => {
                found.derivers.push((deriver.clone(), head.into_outputs()));
                Reason::Deriver
            }
            Some(head) if head.may_be_resolved() => Reason::Deriver,
            Some(_) => continue,
            None if addressed => Reason::Addressed,
            None => Reason::Missing,
        };
        let (best, _) = names
            .entry(deriver.name().to_owned())
            .or_insert((reason, Vec::new()));
        *best = reason.min(*best);
    }
    // One listing of the store, and only if there is reason to.
    if names.values().all(|(reason, _)| *reason == Reason::Missing) {
        return found;
    }
    let entries = match std::fs::read_dir(store.directory()) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!("the store cannot be listed: {error}");
            return found;
        }
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some(file_name) = file_name.to_str() else {
            continue;
        };
        let Some((_, name)) = file_name.split_once('-') else {
            continue;
        };
        if let Some((_, paths)) = names.get_mut(name)
            && let Ok(path) = file_name.parse()
        {
            paths.push(path);
        }
    }
    add_open(store, names, &mut found);
    found
}

/// Adds the derivations that are open. Names that many derivations have come late: most of those are in nobody's way.
fn add_open(store: &LocalStore, names: HashMap<String, (Reason, Vec<StorePath>)>, found: &mut Candidates) {
    let mut names: Vec<_> = names
        .into_iter()
        .map(|(name, (reason, paths))| (reason, paths.len(), name, paths))
        .collect();
    names.sort_unstable();
    let has_reason = names.first().is_some_and(|(best, ..)| *best == Reason::Deriver);
    let mut heads = 0;
    for (reason, _, name, mut paths) in names {
        // Only what is content-addressed leaves the paths of others open.
        if reason == Reason::Missing && !has_reason && found.others.is_empty() {
            return;
        }
        paths.sort_unstable();
        let mut open = 0;
        for path in paths {
            if found.is_deriver(&path) {
                continue;
            }
            if heads == MAX_HEADS {
                tracing::debug!("{heads} derivations were read: {name} and more are left");
                return;
            }
            heads += 1;
            let Some(head) = Head::read(&store.real_path(&path)).filter(Head::is_open) else {
                continue;
            };
            if open == MAX_OF_ONE_NAME {
                tracing::warn!(
                    "more than {MAX_OF_ONE_NAME} content-addressed derivations are called {name}: the rest is not looked at"
                );
                break;
            }
            open += 1;
            found.others.push((path, head.into_outputs()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a.drv";
    const RESOLVED: &str = "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b.drv";
    const EVALUATED: &str = "2c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b.drv";
    const OTHER: &str = "3c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-other.drv";
    const OPEN: &str = r#"Derive([("out","","r:sha256","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;
    const DEFERRED: &str = r#"Derive([("out","","","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;
    const RESOLVED_TEXT: &str = r#"Derive([("out","/x/b","","")],[],["/x/a"],"x","/bin/sh",[],[])"#;
    const PLAIN: &str = r#"Derive([("out","/x/b","","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;

    fn store(names: &[(&str, &str)]) -> (tempfile::TempDir, LocalStore) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in names {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let store = LocalStore::at(dir.path());
        (dir, store)
    }

    fn names(store: &LocalStore, derivers: &[(&str, bool)]) -> Vec<String> {
        let derivers = derivers
            .iter()
            .map(|(name, addressed)| (name.parse().unwrap(), *addressed))
            .collect();
        let Candidates { derivers, others } = candidates(store, derivers);
        let found = derivers.into_iter().chain(others);
        found.map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn the_derivations_that_were_evaluated_are_found_by_the_name_of_the_deriver() {
        let floating = OPEN.replace(r#"("/x/a.drv",["out"])"#, "");
        let (_dir, store) = store(&[(A, OPEN), (RESOLVED, &floating), (EVALUATED, OPEN), (OTHER, OPEN)]);
        assert_eq!(names(&store, &[(RESOLVED, true)]), [RESOLVED, EVALUATED]);
        let (_dir, store) = self::store(&[(RESOLVED, RESOLVED_TEXT), (EVALUATED, DEFERRED)]);
        assert_eq!(names(&store, &[(RESOLVED, false)]), [EVALUATED]);
        // The deriver of what was substituted is not here.
        let (_dir, store) = self::store(&[(EVALUATED, OPEN)]);
        assert_eq!(names(&store, &[(RESOLVED, true)]), [EVALUATED]);
    }

    #[test]
    fn without_content_addressed_derivations_nobody_is_asked() {
        let (_dir, store) = store(&[(RESOLVED, PLAIN), (EVALUATED, DEFERRED)]);
        assert_eq!(names(&store, &[(RESOLVED, false), (OTHER, false)]), [""; 0]);
    }

    #[test]
    fn derivations_of_one_name_are_looked_at_up_to_a_bound() {
        let (dir, store) = store(&[]);
        for i in 0..MAX_OF_ONE_NAME + 50 {
            let name = format!("{i:04}{}", &EVALUATED[4..]);
            std::fs::write(dir.path().join(name), OPEN).unwrap();
        }
        assert_eq!(names(&store, &[(RESOLVED, true)]).len(), MAX_OF_ONE_NAME);
    }

    #[test]
    fn derivations_that_are_not_open_do_not_count() {
        let (dir, store) = store(&[]);
        for i in 0..MAX_OF_ONE_NAME + 50 {
            let name = format!("{i:04}{}", &EVALUATED[4..]);
            std::fs::write(dir.path().join(name), PLAIN).unwrap();
        }
        assert_eq!(names(&store, &[(RESOLVED, true)]), [""; 0]);
        let last = format!("zzzz{}", &EVALUATED[4..]);
        std::fs::write(dir.path().join(&last), OPEN).unwrap();
        assert_eq!(names(&store, &[(RESOLVED, true)]), [last]);
    }

    #[test]
    fn the_derivers_of_what_is_pushed_are_told_from_others() {
        let (_dir, store) = store(&[(RESOLVED, OPEN), (EVALUATED, OPEN)]);
        let found = candidates(&store, BTreeMap::from([(EVALUATED.parse().unwrap(), true)]));
        let names =
            |some: &[Candidate]| -> Vec<String> { some.iter().map(|(path, _)| path.to_string()).collect() };
        assert_eq!(names(&found.derivers), [EVALUATED]);
        assert_eq!(names(&found.others), [RESOLVED]);
    }

    #[test]
    fn a_deriver_that_is_missing_counts_once_others_are_open() {
        let (_dir, store) = store(&[(A, PLAIN), (EVALUATED, DEFERRED)]);
        let derivers = [(OTHER, true), (RESOLVED, false)];
        assert_eq!(names(&store, &derivers), [""; 0]);
        let (_dir, store) = self::store(&[(OTHER, OPEN), (EVALUATED, DEFERRED)]);
        let other = OTHER.replacen('3', "4", 1);
        assert_eq!(
            names(&store, &[(other.as_str(), true), (RESOLVED, false)]),
            [OTHER, EVALUATED]
        );
    }
}
