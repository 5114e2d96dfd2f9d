//! Which output of which derivation came out as which path, as far as the local Nix knows and cannot say beforehand.
//!
//! That is so of content-addressed derivations, and of others whose inputs are content-addressed. Nix builds such a
//! one after it has *resolved* it: made another derivation of it, in which the inputs are what they came out as. The
//! resolved one is the deriver that Nix records; what readers up to 2.34 ask a cache for is the realisation of the
//! one that they evaluated. So every derivation of the deriver's name is asked about.
//!
//! Nix prints realisations as an array of objects: with `id` (`sha256:…!out`) up to 2.34, with a key made of
//! derivation and output later, where only resolved derivations have any. Where the feature is off, or nothing is
//! known, there is nothing to push and no error.

mod derivation;

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{StreamExt as _, stream::FuturesUnordered};
use niks3_client::types;
use niks3_nix::{
    realisation::{DrvOutput, Realisation},
    store_path::StorePath,
};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{
    nix::{LocalStore, NixError},
    path_info::{MAX_SIGNATURES, PathInfo, PathInfos},
};
use derivation::Head;

const COMMAND: &str = "realisation info";
const FEATURES: &str = "nix-command ca-derivations";
const MAX_OUTPUT: usize = 256 << 20;
const PARALLEL: usize = 8;
/// Derivations that Nix is asked about at once: a command line may have a megabyte on macOS.
const AT_ONCE: usize = 500;
/// Open derivations of one name that Nix is asked about.
const MAX_OF_ONE_NAME: usize = 1000;
/// Derivations that are read in one push to find those that are open.
const MAX_HEADS: usize = 20_000;
/// How often Nix is asked in one push about derivations other than the derivers of what is pushed: one that it cannot
/// answer for, as those that are not built, spoils an answer about many.
const MAX_RUNS: usize = 256;
/// Derivations that are tried to find out how this Nix takes them.
const MAX_PROBES: usize = 8;
/// What stands behind a derivation for all its outputs. Nix 2.8 does not know it.
const ALL_OUTPUTS: &str = "^*";

/// The realisations of `paths`, which are pushed.
pub(crate) async fn of(
    store: &LocalStore,
    infos: &PathInfos,
    paths: &[StorePath],
) -> Vec<types::Realisation> {
    let pushed: HashSet<&StorePath> = paths.iter().collect();
    let mut derivers = BTreeMap::new();
    for info in paths.iter().filter_map(|path| infos.get(path)) {
        if let Some(deriver) = &info.deriver {
            *derivers.entry(deriver.clone()).or_default() |= is_output_addressed(info);
        }
    }
    let looking = {
        let store = store.clone();
        tokio::task::spawn_blocking(move || candidates(&store, derivers))
    };
    let candidates = looking.await.unwrap_or_else(|error| {
        tracing::warn!("looking for content-addressed derivations ended: {error}");
        Candidates::default()
    });
    let mut known = BTreeMap::new();
    for mut realisation in ask(store, candidates).await {
        let path = realisation.path.parse().ok();
        let path = path.filter(|path: &StorePath| pushed.contains(path));
        let Some((path, info)) = path.and_then(|path| infos.get_key_value(&path)) else {
            continue;
        };
        if realisation.drv.is_none() && is_output_addressed(info) {
            // The derivations that share an output may have different names for it.
            let same = |deriver: &&StorePath| is_output(deriver, &realisation.output, path);
            realisation.drv = info.deriver.as_ref().filter(same).map(ToString::to_string);
        }
        let key = (
            realisation.id.clone(),
            realisation.drv.clone(),
            realisation.output.to_string(),
        );
        known.insert(key, realisation);
    }
    known.into_values().collect()
}

/// Whether a path that has a deriver is named after what it holds. A derivation whose outputs are open may choose any
/// method, that of text too if derivations come out of it.
fn is_output_addressed(info: &PathInfo) -> bool {
    info.ca.is_some()
}

/// Whether `path` has the name that this output of `derivation` has.
fn is_output(derivation: &StorePath, output: &str, path: &StorePath) -> bool {
    let name = derivation.name();
    let name = name.strip_suffix(".drv").unwrap_or(name);
    match output {
        "out" => path.name() == name,
        _ => {
            path.name()
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'))
                == Some(output)
        }
    }
}

/// A derivation that may have realisations, and its outputs.
type Candidate = (StorePath, Vec<String>);

/// What Nix is asked about.
#[derive(Default)]
struct Candidates {
    /// Derivers of what is pushed, in order: nearly all of them are built.
    derivers: Vec<Candidate>,
    /// Others of their names, of which many may be merely evaluated.
    others: Vec<Candidate>,
}

impl Candidates {
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
fn candidates(store: &LocalStore, derivers: BTreeMap<StorePath, bool>) -> Candidates {
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
    let entries = match std::fs::read_dir(store.real_dir()) {
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

/// What Nix is asked about in one run.
enum Question {
    /// All outputs of derivations.
    All(Vec<Candidate>),
    /// One output of one.
    Output(StorePath, String),
}

impl Question {
    /// `suffix` stands for all outputs.
    fn arguments(&self, store: &LocalStore, suffix: &str) -> Vec<String> {
        let display = |derivation: &StorePath| store.store_dir().display(derivation);
        let json = std::iter::once("--json".to_owned());
        match self {
            Self::All(candidates) => json
                .chain(
                    candidates
                        .iter()
                        .map(|(derivation, _)| display(derivation) + suffix),
                )
                .collect(),
            Self::Output(derivation, output) => json
                .chain([format!("{}^{output}", display(derivation))])
                .collect(),
        }
    }

    /// Smaller questions, when this one has no answer.
    fn split(self) -> Vec<Self> {
        match self {
            Self::All(mut candidates) if candidates.len() > 1 => {
                let half = candidates.split_off(candidates.len() / 2);
                vec![Self::All(candidates), Self::All(half)]
            }
            Self::All(candidates) => candidates
                .into_iter()
                .filter(|(_, outputs)| outputs.len() > 1)
                .flat_map(|(derivation, outputs)| {
                    outputs
                        .into_iter()
                        .map(move |output| Self::Output(derivation.clone(), output))
                })
                .collect(),
            Self::Output(..) => Vec::new(),
        }
    }
}

/// The realisations that Nix has of any of `candidates`. Those that are not built have none.
async fn ask(store: &LocalStore, candidates: Candidates) -> Vec<types::Realisation> {
    let Candidates { derivers, others } = candidates;
    let nix = Nix {
        store,
        probes: derivers
            .iter()
            .chain(&others)
            .take(MAX_PROBES)
            .map(|(derivation, _)| derivation.clone())
            .collect(),
        suffix: OnceCell::new(),
    };
    // There are no more derivers than paths are pushed.
    let mut found = search(derivers, usize::MAX, |question| nix.answer(question)).await;
    found.extend(search(others, MAX_RUNS, |question| nix.answer(question)).await);
    found
}

/// The answer, or the question if it has none; and how often Nix was run for it beyond the first time.
type Answer<T> = (Result<Vec<T>, Question>, usize);

/// Asks about `candidates` in about `most` runs of Nix. What is split is followed down first, so that something is
/// found however soon that ends.
async fn search<T, Answering>(
    candidates: Vec<Candidate>,
    most: usize,
    ask: impl Fn(Question) -> Answering,
) -> Vec<T>
where
    Answering: Future<Output = Answer<T>>,
{
    let mut questions: Vec<Question> = candidates
        .chunks(AT_ONCE)
        .rev()
        .map(|some| Question::All(some.to_vec()))
        .collect();
    let mut running = FuturesUnordered::new();
    let (mut runs, mut found) = (0, Vec::new());
    loop {
        while running.len() < PARALLEL
            && runs < most
            && let Some(question) = questions.pop()
        {
            runs += 1;
            running.push(ask(question));
        }
        let Some((answer, more)) = running.next().await else {
            break;
        };
        runs += more;
        match answer {
            Ok(realisations) => found.extend(realisations),
            Err(question) => questions.extend(question.split().into_iter().rev()),
        }
    }
    if !questions.is_empty() {
        tracing::warn!("Nix was asked for realisations {runs} times: what is left is not asked for");
    }
    found
}

/// How Nix is asked in one push.
struct Nix<'s> {
    store: &'s LocalStore,
    probes: Vec<StorePath>,
    /// What stands behind a derivation for all its outputs, once that is known.
    suffix: OnceCell<&'static str>,
}

impl Nix<'_> {
    async fn answer(&self, question: Question) -> Answer<types::Realisation> {
        let mut more = 0;
        let suffix = self.suffix.get().copied().unwrap_or(ALL_OUTPUTS);
        let mut answer = self.run(&question, suffix).await;
        if suffix == ALL_OUTPUTS && matches!(question, Question::All(_)) {
            if answer.is_ok() {
                // An error says that it is known already.
                let _ = self.suffix.set(ALL_OUTPUTS);
            } else {
                let probing = self.probe(&mut more);
                let suffix = *self.suffix.get_or_init(|| probing).await;
                if suffix != ALL_OUTPUTS {
                    more += 1;
                    answer = self.run(&question, suffix).await;
                }
            }
        }
        match answer {
            Ok(entries) => (Ok(entries.iter().filter_map(realisation).collect()), more),
            Err(error) => {
                tracing::debug!("no realisations: {error}");
                (Err(question), more)
            }
        }
    }

    /// What stands behind a derivation for all its outputs, after an attempt with [`ALL_OUTPUTS`] failed.
    ///
    /// Nix 2.8 takes the name of a derivation for its outputs, and fails if they are not built; later ones answer
    /// about its file, which is there.
    async fn probe(&self, runs: &mut usize) -> &'static str {
        for derivation in &self.probes {
            *runs += 1;
            let question = Question::All(vec![(derivation.clone(), Vec::new())]);
            if let Ok(entries) = self.run(&question, "").await {
                let of_outputs = entries.iter().any(|entry| realisation(entry).is_some());
                return if of_outputs { "" } else { ALL_OUTPUTS };
            }
        }
        ""
    }

    async fn run(&self, question: &Question, suffix: &str) -> Result<Vec<serde_json::Value>, NixError> {
        let arguments = question.arguments(self.store, suffix);
        let output = self.store.run(COMMAND, FEATURES, &arguments, MAX_OUTPUT).await?;
        serde_json::from_slice(&output).map_err(|source| NixError::Unintelligible {
            command: COMMAND,
            source,
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    #[serde(rename_all = "camelCase")]
    ById {
        id: DrvOutput,
        out_path: String,
        #[serde(default)]
        dependent_realisations: BTreeMap<String, serde_json::Value>,
        #[serde(default)]
        signatures: Vec<serde_json::Value>,
    },
    Keyed {
        key: Key,
        value: Value,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    drv_path: String,
    output_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    out_path: String,
}

fn realisation(entry: &serde_json::Value) -> Option<types::Realisation> {
    let base_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match Entry::deserialize(entry).ok()? {
        Entry::ById {
            id,
            out_path,
            dependent_realisations,
            signatures,
        } => {
            let path = base_name(&out_path);
            let mut body = Realisation::new(id.clone(), path.parse().ok()?);
            // No cache publishes dependent realisations; what was signed together with them is no longer signed.
            if dependent_realisations.is_empty() {
                // Nix keeps whatever a cache said were signatures.
                let signatures = signatures.iter().filter_map(|text| text.as_str()?.parse().ok());
                for signature in signatures.take(MAX_SIGNATURES) {
                    body.add_signature(signature);
                }
            }
            Some(types::Realisation {
                output: id.output().as_str().try_into().ok()?,
                path,
                drv: None,
                id: Some(id.to_string()),
                body: Some(body.to_json()),
            })
        }
        Entry::Keyed { key, value } => Some(types::Realisation {
            output: key.output_name.try_into().ok()?,
            path: base_name(&value.out_path),
            drv: Some(base_name(&key.drv_path)),
            id: None,
            body: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "qmbahbhry8m0vkap5kcvsn6gipwhc221-catop.drv";
    const OUT: &str = "jk4ljndxvdhk7k17j9rbgripipm84sk5-catop";

    #[test]
    fn realisations_are_read_as_old_and_new_nix_print_them() {
        let id = format!("sha256:{}!out", "2c".repeat(32));
        let old = serde_json::json!({
            "dependentRealisations": {}, "id": id, "outPath": OUT, "signatures": [],
        });
        let read = realisation(&old).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "out", None)
        );
        assert_eq!(read.id.as_deref(), Some(id.as_str()));
        assert_eq!(read.body, Some(old.to_string()));
        let new = serde_json::json!({
            "key": { "drvPath": DRV, "outputName": "dev" }, "value": { "outPath": OUT, "signatures": [] },
        });
        let read = realisation(&new).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "dev", Some(DRV))
        );
        assert!(realisation(&serde_json::json!({ "opaquePath": OUT })).is_none());
    }

    #[test]
    fn what_every_version_of_nix_prints_is_understood() {
        for version in ["2.8", "2.26", "2.34"] {
            let path = format!(
                "{}/tests/fixtures/path-info/{version}-realisations.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let json = std::fs::read(&path).unwrap();
            let entries: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
            let read: Vec<_> = entries.iter().filter_map(realisation).collect();
            assert_eq!(read.len(), entries.len(), "{version}");
            assert!(
                read.iter().all(|read| read.id.is_some() && read.body.is_some()),
                "{version}"
            );
        }
    }

    #[test]
    fn signatures_that_are_none_or_no_longer_hold_are_left_out() {
        let signature = format!("k-1:{}==", "A".repeat(86));
        let of = |dependent: serde_json::Value| {
            let entry = serde_json::json!({
                "dependentRealisations": dependent, "id": format!("sha256:{}!out", "2c".repeat(32)),
                "outPath": OUT, "signatures": ["odd", signature, "k:c2ln"],
            });
            let body = realisation(&entry).unwrap().body.unwrap();
            Realisation::parse(body.as_bytes()).unwrap()
        };
        let plain = of(serde_json::json!({}));
        assert_eq!(plain.signatures().len(), 1);
        let id = format!("sha256:{}!out", "3c".repeat(32));
        let dependent = of(serde_json::json!({ id: OUT }));
        assert!(dependent.signatures().is_empty() && dependent.dependent_realisations().is_empty());
    }

    #[test]
    fn an_output_is_told_by_its_name() {
        let [drv, out]: [StorePath; 2] = [DRV, OUT].map(|name| name.parse().unwrap());
        let doc = format!("{OUT}-doc").parse().unwrap();
        assert!(is_output(&drv, "out", &out) && is_output(&drv, "doc", &doc));
        assert!(!is_output(&drv, "doc", &out) && !is_output(&drv, "out", &doc));
        // A derivation that comes out of a derivation.
        let [outer, inner]: [StorePath; 2] =
            [format!("{DRV}.drv"), DRV.to_owned()].map(|name| name.parse().unwrap());
        assert!(is_output(&outer, "out", &inner) && !is_output(&outer, "out", &out));
    }

    fn store(names: &[(&str, &str)]) -> (tempfile::TempDir, LocalStore) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in names {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let store = LocalStore::at(dir.path());
        (dir, store)
    }

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a.drv";
    const RESOLVED: &str = "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b.drv";
    const EVALUATED: &str = "2c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b.drv";
    const OTHER: &str = "3c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-other.drv";
    const OPEN: &str = r#"Derive([("out","","r:sha256","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;
    const DEFERRED: &str = r#"Derive([("out","","","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;
    const RESOLVED_TEXT: &str = r#"Derive([("out","/x/b","","")],[],["/x/a"],"x","/bin/sh",[],[])"#;
    const PLAIN: &str = r#"Derive([("out","/x/b","","")],[("/x/a.drv",["out"])],[],"x","/bin/sh",[],[])"#;

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

    /// Searches among as many derivations, of which every second is built; and how often Nix was asked.
    async fn search_among(count: usize, most: usize) -> (usize, usize) {
        let is_built = |path: &StorePath| path.as_str().as_bytes()[3].is_multiple_of(2);
        let all: Vec<Candidate> = (0..count)
            .map(|i| format!("{i:04}{}", &A[4..]).parse::<StorePath>().unwrap())
            .map(|path| (path, vec!["out".to_owned()]))
            .collect();
        let runs = std::cell::Cell::new(0);
        let found = search(all, most, |question| {
            runs.set(runs.get() + 1);
            std::future::ready(match &question {
                Question::All(some) if some.iter().all(|(path, _)| is_built(path)) => {
                    (Ok(some.iter().map(|(path, _)| path.clone()).collect()), 0)
                }
                _ => (Err(question), 0),
            })
        })
        .await;
        assert!(found.iter().all(is_built));
        (found.len(), runs.get())
    }

    #[tokio::test]
    async fn what_is_built_is_found_among_what_is_not() {
        assert_eq!(search_among(400, usize::MAX).await, (200, 799));
        assert_eq!(search_among(1200, usize::MAX).await.0, 600);
        let (found, runs) = search_among(400, MAX_RUNS).await;
        assert!(found >= 32 && runs == MAX_RUNS, "{found} in {runs}");
    }

    #[test]
    fn a_question_without_an_answer_is_asked_in_parts() {
        let two: Vec<String> = vec!["out".to_owned(), "doc".to_owned()];
        let all: Vec<Candidate> = [A, EVALUATED, OTHER]
            .iter()
            .map(|name| (name.parse().unwrap(), two.clone()))
            .collect();
        let (mut questions, mut outputs) = (vec![Question::All(all)], Vec::new());
        while let Some(question) = questions.pop() {
            if let Question::Output(derivation, output) = &question {
                outputs.push(format!("{derivation}^{output}"));
            }
            questions.extend(question.split());
        }
        assert_eq!(outputs.len(), 6, "{outputs:?}");
    }
}
