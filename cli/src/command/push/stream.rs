//! `niks3 push --stdin` while the pipe stays open: lines are pushed as they come, and each path is acknowledged.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt as _};
use niks3_client::Api;
use niks3_nix::store_path::StorePath;
use niks3_push::{CancellationToken, LocalStore, Progress, PushOptions, Summary, push};
use niks3_queue::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MAX_ROOTS, lines::StdinLines};
use crate::{
    Failure,
    output::{Output, paths},
    signals::Signals,
};

/// Paths of plain lines that one transaction takes, unless an option says otherwise.
pub(super) const DEFAULT_BATCH: usize = 100;
/// Transactions at the same time, unless an option says otherwise.
pub(super) const DEFAULT_PARALLEL: usize = 4;

/// What every push of the stream has in common.
pub(super) struct Stream {
    pub(super) api: Api,
    pub(super) store: LocalStore,
    pub(super) options: PushOptions,
    pub(super) output: Output,
    pub(super) batch: usize,
    pub(super) parallel: usize,
}

/// A line in braces.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    paths: Vec<String>,
}

/// What goes together.
#[derive(Debug)]
enum Group {
    /// All of these paths or none.
    Transaction { id: Value, paths: Vec<String> },
    /// As many of these as can be pushed.
    Plain(Vec<String>),
    /// A line that says nothing sensible.
    Malformed(String),
}

/// What became of a path.
#[derive(Debug, Serialize)]
struct Acknowledgement<'a> {
    id: &'a Value,
    path: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<Vec<String>>,
}

/// How many paths were acknowledged, and how many of these as failed.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    all: u64,
    failed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.failed += other.failed;
    }
}

impl Stream {
    /// Pushes the paths of the arguments and then the lines, from `first` on, until there are no more.
    pub(super) async fn run(
        self,
        arguments: Vec<String>,
        first: Option<String>,
        mut lines: StdinLines,
        signals: &Signals,
    ) -> Result<(), Failure> {
        let parallel = self.parallel;
        let mut held = first;
        let mut counts = Counts::default();
        let begin = |group| self.push_group(group, signals.token());
        let mut pushes = FuturesUnordered::new();
        if !arguments.is_empty() {
            pushes.push(begin(Group::Plain(arguments)));
        }
        let mut is_open = true;
        while is_open || !pushes.is_empty() {
            tokio::select! {
                () = signals.token().cancelled() => {
                    while pushes.next().await.is_some() {}
                    return Err(Failure::Signal(signals.received().unwrap_or(2)));
                }
                Some(done) = pushes.next() => counts += done?,
                group = next_group(&mut lines, &mut held, self.batch), if is_open && pushes.len() < parallel => {
                    match group? {
                        Some(group) => pushes.push(begin(group)),
                        None => is_open = false,
                    }
                }
            }
        }
        match counts.failed {
            0 => {
                self.output.info(&format!("{} pushed", paths(counts.all)));
                Ok(())
            }
            failed => Err(Failure::Failed(format!(
                "{failed} of {} could not be pushed",
                paths(counts.all)
            ))),
        }
    }

    async fn push_group(&self, group: Group, interrupt: &CancellationToken) -> Result<Counts, Failure> {
        match group {
            Group::Transaction { id, paths } => {
                let result = self.push_together(&paths, interrupt).await;
                self.acknowledge(&id, &paths, &result)
            }
            Group::Plain(paths) => {
                let result = self.push_together(&paths, interrupt).await;
                if !matches!(result, Err(PushFailure { of_path: true, .. })) || paths.len() == 1 {
                    return self.acknowledge(&Value::Null, &paths, &result);
                }
                let mut counts = Counts::default();
                for path in paths {
                    let alone = std::slice::from_ref(&path);
                    let result = self.push_together(alone, interrupt).await;
                    counts += self.acknowledge(&Value::Null, alone, &result)?;
                }
                Ok(counts)
            }
            Group::Malformed(message) => {
                self.output.json(&Acknowledgement {
                    id: &Value::Null,
                    path: None,
                    status: "error",
                    message: Some(message),
                    signatures: None,
                })?;
                Ok(Counts { all: 1, failed: 1 })
            }
        }
    }

    async fn push_together(
        &self,
        paths: &[String],
        interrupt: &CancellationToken,
    ) -> Result<Pushed, PushFailure> {
        if paths.len() > MAX_ROOTS {
            return Err(PushFailure {
                message: format!(
                    "{} paths in one transaction: {MAX_ROOTS} are possible",
                    paths.len()
                ),
                of_path: false,
            });
        }
        let mut roots = Vec::with_capacity(paths.len());
        for path in paths {
            let root = self.store.resolve(path).map_err(|error| PushFailure {
                message: error.to_string(),
                of_path: true,
            })?;
            roots.push(root);
        }
        let mut options = PushOptions {
            roots: roots.clone(),
            ..self.options.clone()
        };
        options.roots.sort_unstable();
        options.roots.dedup();
        let progress: Arc<dyn Progress> = Arc::new(Warnings(self.output.clone()));
        match push(&self.api, &self.store, &options, &progress, interrupt).await {
            Ok(summary) => Ok(Pushed { roots, summary }),
            Err(error) => Err(PushFailure {
                message: error.to_string(),
                of_path: matches!(Kind::of(&error), Kind::Path | Kind::Unclear),
            }),
        }
    }

    fn acknowledge(
        &self,
        id: &Value,
        paths: &[String],
        result: &Result<Pushed, PushFailure>,
    ) -> Result<Counts, Failure> {
        for (index, path) in paths.iter().enumerate() {
            let acknowledgement = match result {
                Ok(pushed) => pushed.acknowledgement(id, path, &pushed.roots[index]),
                Err(failure) => Acknowledgement {
                    id,
                    path: Some(path),
                    status: "error",
                    message: Some(failure.message.clone()),
                    signatures: None,
                },
            };
            self.output.json(&acknowledgement)?;
        }
        let all = paths.len() as u64;
        Ok(Counts {
            all,
            failed: if result.is_ok() { 0 } else { all },
        })
    }
}

/// Paths that were pushed together, and what each means in the store.
struct Pushed {
    roots: Vec<StorePath>,
    summary: Summary,
}

impl Pushed {
    fn acknowledgement<'a>(&self, id: &'a Value, path: &'a str, root: &StorePath) -> Acknowledgement<'a> {
        let left = self.summary.left.iter().find(|left| left.path == *root);
        Acknowledgement {
            id,
            path: Some(path),
            status: "ok",
            message: left.map(|left| format!("left to {}", left.cache)),
            signatures: Some(self.summary.signatures.get(root).cloned().unwrap_or_default()),
        }
    }
}

/// Why paths were not pushed together.
struct PushFailure {
    message: String,
    /// It may be the fault of one of them.
    of_path: bool,
}

/// Says what the user should know, and shows no bars: several pushes go on at the same time.
struct Warnings(Output);

impl Progress for Warnings {
    fn warning(&self, text: &str) {
        self.0.warning(text);
    }
}

/// What goes together next: a line in braces, or the plain lines that are there.
async fn next_group(
    lines: &mut StdinLines,
    held: &mut Option<String>,
    batch: usize,
) -> Result<Option<Group>, Failure> {
    if held.is_none() {
        // Nothing is lost when this is cut off here, and below nothing is waited for.
        *held = lines.next().await?;
    }
    let mut plain = Vec::new();
    while let Some(line) = held.take() {
        if line.starts_with('{') {
            if plain.is_empty() {
                return Ok(Some(parse(&line)));
            }
            *held = Some(line);
            break;
        }
        plain.push(line);
        if plain.len() == batch {
            break;
        }
        *held = lines.next_ready()?;
    }
    Ok((!plain.is_empty()).then_some(Group::Plain(plain)))
}

fn parse(line: &str) -> Group {
    match serde_json::from_str::<Request>(line) {
        Err(error) => Group::Malformed(format!("a line is not {{\"id\", \"paths\"}}: {error}")),
        Ok(Request { id, path, mut paths }) => {
            paths.extend(path);
            if paths.is_empty() {
                Group::Malformed(format!("the line with the id {id} names no paths"))
            } else {
                Group::Transaction { id, paths }
            }
        }
    }
}
