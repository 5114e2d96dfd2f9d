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

use futures::StreamExt as _;
use niks3_client::types;
use niks3_nix::{
    ca::ContentAddressMethod,
    realisation::{DrvOutput, Realisation},
    store_path::StorePath,
};
use serde::Deserialize;

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
/// Derivations of one name that are looked at.
const MAX_OF_ONE_NAME: usize = 1000;
/// How often Nix is asked in one push: one derivation that it cannot answer for spoils an answer about many.
const MAX_RUNS: usize = 256;

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
        Vec::new()
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

/// Whether a path is named after what it holds, as outputs are.
fn is_output_addressed(info: &PathInfo) -> bool {
    info.ca
        .is_some_and(|ca| ca.method() != ContentAddressMethod::Text)
}

/// Whether `path` has the name that this output of `derivation` has.
fn is_output(derivation: &StorePath, output: &str, path: &StorePath) -> bool {
    let name = derivation.name().trim_end_matches(".drv");
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

/// Derivations that may have come out as paths whose derivers are given, with whether such a path is content-addressed.
fn candidates(store: &LocalStore, derivers: BTreeMap<StorePath, bool>) -> Vec<Candidate> {
    let mut found = BTreeMap::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut unknown = Vec::new();
    for (deriver, addressed) in derivers {
        let name = deriver.name().to_owned();
        match Head::read(&store.real_path(&deriver)) {
            Some(head) if head.is_open() => {
                names.insert(name, 0);
                found.insert(deriver, head.into_outputs());
            }
            Some(head) if head.may_be_resolved() => {
                names.insert(name, 0);
            }
            Some(_) => {}
            None if addressed => {
                names.insert(name, 0);
            }
            None => unknown.push(name),
        }
    }
    // One listing of the store, and only if there is reason to.
    if names.is_empty() {
        return Vec::new();
    }
    names.extend(unknown.into_iter().map(|name| (name, 0)));
    let entries = match std::fs::read_dir(store.real_dir()) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!("the store cannot be listed: {error}");
            return found.into_iter().collect();
        }
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some((_, name)) = file_name.to_str().and_then(|name| name.split_once('-')) else {
            continue;
        };
        let Some(count) = names.get_mut(name) else {
            continue;
        };
        *count += 1;
        if *count > MAX_OF_ONE_NAME {
            if *count == MAX_OF_ONE_NAME + 1 {
                tracing::warn!(
                    "more than {MAX_OF_ONE_NAME} derivations are called {name}: the rest is not looked at"
                );
            }
            continue;
        }
        let Some(path) = file_name.to_str().and_then(|name| name.parse::<StorePath>().ok()) else {
            continue;
        };
        if !found.contains_key(&path)
            && let Some(head) = Head::read(&entry.path()).filter(Head::is_open)
        {
            found.insert(path, head.into_outputs());
        }
    }
    found.into_iter().collect()
}

/// What Nix is asked about in one run.
enum Question {
    /// All outputs of derivations.
    All(Vec<Candidate>),
    /// One output of one.
    Output(StorePath, String),
}

impl Question {
    fn arguments(&self, store: &LocalStore, outputs: bool) -> Vec<String> {
        let display = |derivation: &StorePath| store.store_dir().display(derivation);
        let json = std::iter::once("--json".to_owned());
        match self {
            Self::All(candidates) => json
                .chain(candidates.iter().map(|(derivation, _)| {
                    let suffix = if outputs { "^*" } else { "" };
                    display(derivation) + suffix
                }))
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
async fn ask(store: &LocalStore, candidates: Vec<Candidate>) -> Vec<types::Realisation> {
    let mut questions: Vec<Question> = candidates
        .chunks(AT_ONCE)
        .map(|some| Question::All(some.to_vec()))
        .collect();
    let (mut runs, mut found) = (0, Vec::new());
    while !questions.is_empty() {
        if runs + questions.len() > MAX_RUNS {
            tracing::warn!("Nix was asked for realisations {runs} times: what is left is not asked for");
            questions.truncate(MAX_RUNS.saturating_sub(runs));
        }
        runs += questions.len();
        let answers: Vec<_> = futures::stream::iter(std::mem::take(&mut questions))
            .map(|question| async move { (query(store, &question).await, question) })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (answer, question) in answers {
            match answer {
                Ok(realisations) => found.extend(realisations),
                Err(error) => {
                    tracing::debug!("no realisations: {error}");
                    questions.extend(question.split());
                }
            }
        }
    }
    found
}

async fn query(store: &LocalStore, question: &Question) -> Result<Vec<types::Realisation>, NixError> {
    let run = async |outputs| -> Result<Vec<serde_json::Value>, NixError> {
        let arguments = question.arguments(store, outputs);
        let output = store.run(COMMAND, FEATURES, &arguments, MAX_OUTPUT).await?;
        serde_json::from_slice(&output).map_err(|source| NixError::Unintelligible {
            command: COMMAND,
            source,
        })
    };
    let entries = match run(true).await {
        // 2.8 takes the name of a derivation for its outputs; later ones answer about its file.
        Err(error) => match run(false).await {
            Ok(entries) if entries.iter().all(|entry| entry.get("opaquePath").is_none()) => entries,
            _ => return Err(error),
        },
        Ok(entries) => entries,
    };
    Ok(entries.iter().filter_map(realisation).collect())
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
        let found = candidates(store, derivers);
        found.into_iter().map(|(path, _)| path.to_string()).collect()
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
