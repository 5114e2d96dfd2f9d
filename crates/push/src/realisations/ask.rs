//! Asking Nix about many derivations, of which some have no answer.

use futures::{StreamExt as _, stream::FuturesUnordered};
use niks3_nix::store_path::StorePath;
use tokio::sync::OnceCell;

use super::{
    candidates::{Candidate, Candidates},
    entry::realisation,
};
use crate::nix::{LocalStore, NixError};

const COMMAND: &str = "realisation info";
const FEATURES: &str = "nix-command ca-derivations";
const MAX_OUTPUT: usize = 256 << 20;
const PARALLEL: usize = 8;
/// Derivations that Nix is asked about at once: a command line may have a megabyte on macOS.
const AT_ONCE: usize = 500;
/// How often Nix is asked in one push about derivations other than the derivers of what is pushed: one that it cannot
/// answer for, as those that are not built, spoils an answer about many.
const MAX_RUNS: usize = 256;
/// Derivations that are tried to find out how this Nix takes them.
const MAX_PROBES: usize = 8;
/// What stands behind a derivation for all its outputs. Nix 2.8 does not know it.
const ALL_OUTPUTS: &str = "^*";

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

/// What `read` finds in what Nix says of any of `candidates`. Of those that are not built it says nothing.
pub(super) async fn ask<T>(
    store: &LocalStore,
    candidates: Candidates,
    read: fn(&serde_json::Value) -> Option<T>,
) -> Vec<T> {
    let Candidates { derivers, others } = candidates;
    let nix = Nix::new(store, derivers.iter().chain(&others), read);
    // There are no more derivers than paths are pushed.
    let mut found = search(derivers, usize::MAX, |question| nix.answer(question)).await;
    found.extend(search(others, MAX_RUNS, |question| nix.answer(question)).await);
    found
}

/// The same of each of some candidates by itself.
pub(super) async fn ask_each<T>(
    store: &LocalStore,
    mut candidates: Vec<Candidate>,
    read: fn(&serde_json::Value) -> Option<T>,
) -> Vec<(StorePath, Vec<T>)> {
    if candidates.len() > MAX_RUNS {
        tracing::warn!(
            "Nix is asked about {MAX_RUNS} of {} derivations",
            candidates.len()
        );
        candidates.truncate(MAX_RUNS);
    }
    let nix = Nix::new(store, candidates.iter(), read);
    let nix = &nix;
    futures::stream::iter(candidates)
        .map(|candidate| async move {
            let derivation = candidate.0.clone();
            let found = search(vec![candidate], usize::MAX, |question| nix.answer(question)).await;
            (derivation, found)
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await
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
struct Nix<'s, T> {
    store: &'s LocalStore,
    read: fn(&serde_json::Value) -> Option<T>,
    probes: Vec<StorePath>,
    /// What stands behind a derivation for all its outputs, once that is known.
    suffix: OnceCell<&'static str>,
}

impl<'s, T> Nix<'s, T> {
    fn new<'c>(
        store: &'s LocalStore,
        candidates: impl Iterator<Item = &'c Candidate>,
        read: fn(&serde_json::Value) -> Option<T>,
    ) -> Self {
        let probes = candidates.take(MAX_PROBES);
        Self {
            store,
            read,
            probes: probes.map(|(derivation, _)| derivation.clone()).collect(),
            suffix: OnceCell::new(),
        }
    }

    async fn answer(&self, question: Question) -> Answer<T> {
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
            Ok(entries) => (Ok(entries.iter().filter_map(self.read).collect()), more),
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

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a.drv";
    const EVALUATED: &str = "2c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-b.drv";
    const OTHER: &str = "3c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-other.drv";

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
