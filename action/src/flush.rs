//! `action/flush`: pushes what the job has built so far, waits until readers see it, and sets outputs that later steps
//! and jobs can read.

use std::{
    collections::{BTreeMap, HashSet},
    process::ExitCode,
    time::{Duration, Instant},
};

use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;
use niks3_queue::{Address, Folder, Journal, Outcome, Request, Status, ask, ring};

use crate::{
    ActionError,
    inputs::{OnError, http_url, input, seconds},
    outputs::shown_url,
    paths,
    post::{self, enqueue},
    runner, scan,
    secrets::mask_token,
    state::{Doing, State, Use},
    summary,
    visibility::{self, Reader},
};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// A pusher that pauses because its server is away is woken this often.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The runner shows ten annotations of a kind for a step.
const MAX_ANNOTATIONS: usize = 9;
/// All outputs of a job together may be 1 MiB.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idoutputs>
const MAX_OUTPUT_BYTES: usize = 400 * 1024;

struct Inputs {
    server_url: Option<String>,
    timeout: Duration,
    on_error: Option<OnError>,
}

impl Inputs {
    fn from_environment() -> Result<Self, ActionError> {
        let server_url = input("server-url")
            .map(|text| http_url("server-url", &text))
            .transpose()?;
        Ok(Self {
            server_url: server_url.map(|url| shown_url(url.as_str())),
            timeout: seconds("timeout", input("timeout"), 300)?,
            on_error: OnError::read(input("on-error").as_deref())?,
        })
    }
}

/// The step.
pub(crate) async fn run() -> ExitCode {
    let (inputs, uses) = match Inputs::from_environment().and_then(|inputs| {
        let uses = uses(inputs.server_url.as_deref())?;
        Ok((inputs, uses))
    }) {
        Ok(found) => found,
        Err(trouble) => {
            runner::error("niks3", &trouble.0);
            return ExitCode::FAILURE;
        }
    };
    let on_error = inputs
        .on_error
        .or_else(|| uses.first().map(|(_, used)| used.on_error))
        .unwrap_or(OnError::Fail);
    let begun = Instant::now();
    let deadline = begun + inputs.timeout;

    let mut troubles = Vec::new();
    let mut caches = BTreeMap::<String, (Journal, Option<Reader>)>::new();
    for (state, used) in &uses {
        mask_token(state);
        if let Err(trouble) = push(state, used, deadline).await {
            troubles.push(summary::with_address(&trouble.0, &used.server_url));
        }
        let journal = Folder::at(&state.queue_path()).read_journal();
        let (merged, reader) = caches.entry(used.server_url.clone()).or_default();
        merged.merge(journal.unwrap_or_default());
        if let (None, Some(url)) = (&reader, &used.substituter) {
            *reader = Some(Reader::new(url, used.ca_cert.clone(), state));
        }
    }
    for (journal, reader) in caches.values() {
        if let Some(reader) = reader
            && let Some(text) = visibility::wait_for(reader, &journal.closures, deadline).await
        {
            runner::warning("niks3", &text);
        }
    }

    let failed = annotate_failures(
        caches
            .iter()
            .map(|(server, (journal, _))| (server.as_str(), journal)),
        on_error,
    );
    let journals: Vec<Journal> = caches.into_values().map(|(journal, _)| journal).collect();
    for trouble in &troubles {
        on_error.annotate(trouble);
    }
    if let Err(trouble) = set_outputs(&journals) {
        runner::error("niks3", &trouble.0);
        return ExitCode::FAILURE;
    }
    runner::log(&format!(
        "niks3: {} pushed, {} already cached, {failed} failed so far; flushed in {:.1} s",
        sum(&journals, Journal::pushed),
        sum(&journals, Journal::cached),
        begun.elapsed().as_secs_f64()
    ));
    if on_error == OnError::Fail && (failed > 0 || !troubles.is_empty()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The uses of the action in this job, or those for one server.
fn uses(server_url: Option<&str>) -> Result<Vec<(State, Use)>, ActionError> {
    if !State::is_used_in_job() {
        return Err(ActionError::new(
            "no earlier step of this job uses niks3/push: add one before the builds",
        ));
    }
    let states = State::of_job().into_iter();
    let all: Vec<(State, Use)> = states
        .filter_map(|state| state.published().map(|used| (state, used)))
        .collect();
    let Some(server_url) = server_url else {
        return Ok(all);
    };
    let known: Vec<String> = all.iter().map(|(_, used)| used.server_url.clone()).collect();
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|(_, used)| used.server_url == server_url)
        .collect();
    if wanted.is_empty() && !known.is_empty() {
        return Err(ActionError(format!(
            "the input `server-url` is '{server_url}', and the earlier steps of this job push to {}",
            known.join(", ")
        )));
    }
    Ok(wanted)
}

/// Lets the pusher of one use push everything that is built.
async fn push(state: &State, used: &Use, deadline: Instant) -> Result<(), ActionError> {
    let folder = Folder::at(&state.queue_path());
    let found = match used.doing {
        Doing::Nothing => return Ok(()),
        Doing::Hook => Vec::new(),
        Doing::Scan => scan::built_since(&post::store()?, state.directory()).await?,
        Doing::Paths => resolve(&post::store()?, &used.paths),
    };
    let journal = folder.read_journal().unwrap_or_default();
    let new: Vec<StorePath> = found
        .into_iter()
        .filter(|path| !journal.paths.contains_key(path))
        .collect();
    if !new.is_empty() {
        enqueue(&folder, &post::store()?, &new)?;
    }
    wait_for_pusher(&folder, deadline).await
}

/// What is there of the paths named; the end of the job complains about the rest.
fn resolve(store: &LocalStore, words: &[String]) -> Vec<StorePath> {
    let resolved = paths::resolve(store, words);
    for text in resolved
        .troubles
        .iter()
        .map(|trouble| &trouble.0)
        .chain(&resolved.warnings)
    {
        runner::log(&format!("niks3: {text}"));
    }
    resolved.paths
}

/// Waits until everything that is queued now is pushed, or has failed.
async fn wait_for_pusher(folder: &Folder, deadline: Instant) -> Result<(), ActionError> {
    let queued = |folder: &Folder| {
        let waiting = folder
            .waiting()
            .map_err(|error| ActionError::io("read the queue", &error))?;
        Ok::<HashSet<String>, ActionError>(waiting.batches.into_iter().map(|batch| batch.name).collect())
    };
    let ours = queued(folder)?;
    let gone = || ActionError::new("the process that pushes is gone; the end of the job pushes what it left");
    let address = Address::of(folder).ok_or_else(gone)?;
    let mut status: Option<Status> = None;
    let mut failures_before = None;
    let (mut asked, mut woken) = (None::<Instant>, None::<Instant>);
    while !queued(folder)?.is_disjoint(&ours) {
        if asked.is_none_or(|asked| asked.elapsed() >= STATUS_INTERVAL) {
            asked = Some(Instant::now());
            if folder.served_by().ok().flatten().is_none() {
                return Err(gone());
            }
            status = ask(address.socket(), &Request::Status).await.ok().or(status);
        }
        if let Some(Status {
            trouble: Some(trouble),
            lasting,
            failures,
            ..
        }) = &status
            && *lasting
            && *failures > *failures_before.get_or_insert(*failures)
        {
            return Err(ActionError(format!(
                "what was built could not be pushed: {trouble}"
            )));
        }
        if let Some(status) = &status {
            failures_before.get_or_insert(status.failures);
        }
        if Instant::now() >= deadline {
            let trouble = status.and_then(|status| status.trouble);
            let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
            return Err(ActionError(format!(
                "not everything was pushed within the input `timeout`{trouble}. The end of the job tries again"
            )));
        }
        if woken.is_none_or(|woken| woken.elapsed() >= RETRY_INTERVAL) {
            woken = Some(Instant::now());
            // It looks at the queue by itself too, only later.
            let _ = ring(address.socket());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn sum(journals: &[Journal], count: impl Fn(&Journal) -> usize) -> usize {
    journals.iter().map(count).sum()
}

/// Reports the paths that failed; how many they are.
fn annotate_failures<'a>(journals: impl Iterator<Item = (&'a str, &'a Journal)>, on_error: OnError) -> usize {
    let failures =
        journals.flat_map(|(server, journal)| journal.paths.iter().map(move |path| (server, path)));
    let mut number = 0;
    for (server, (path, outcome)) in failures {
        let Outcome::Failed { error } = outcome else {
            continue;
        };
        let text = format!("{path} is not in the cache at {server}: {error}");
        if number < MAX_ANNOTATIONS {
            on_error.annotate(&text);
        } else {
            runner::log(&format!("niks3: {text}"));
        }
        number += 1;
    }
    number
}

fn set_outputs(journals: &[Journal]) -> Result<(), ActionError> {
    let store = LocalStore::from_environment();
    let display = |path: &StorePath| match &store {
        Ok(store) => store.store_dir().display(path),
        Err(_) => path.as_str().to_owned(),
    };
    let closures = journals.iter().flat_map(|journal| &journal.closures);
    let present = journals.iter().flat_map(|journal| &journal.paths);
    let present = present
        .filter(|(_, outcome)| matches!(outcome, Outcome::Pushed { .. } | Outcome::Cached { .. }))
        .map(|(path, _)| path);
    let closures = bounded("closures", closures.map(display));
    let present = bounded("store-paths", present.map(display));
    let bytes: u64 = journals.iter().map(|journal| journal.bytes_sent).sum();
    let closures = serde_json::to_string(&closures).unwrap_or_else(|_| "[]".to_owned());
    for (name, value) in [
        ("paths-pushed", sum(journals, Journal::pushed).to_string()),
        ("paths-cached", sum(journals, Journal::cached).to_string()),
        ("paths-failed", sum(journals, Journal::failed).to_string()),
        ("bytes-uploaded", bytes.to_string()),
        ("closures", closures),
        ("store-paths", present.join("\n")),
    ] {
        runner::set_output(name, &value)?;
    }
    Ok(())
}

/// As many as an output holds, each once.
fn bounded(name: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    let (mut kept, mut seen, mut bytes, mut left_out) = (Vec::new(), HashSet::new(), 0, 0_usize);
    for path in all.filter(|path| seen.insert(path.clone())) {
        // Quotes and a comma, or the end of a line.
        bytes += path.len() + 3;
        if bytes <= MAX_OUTPUT_BYTES {
            kept.push(path);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        runner::warning(
            "niks3",
            &format!("the output `{name}` leaves out {left_out} paths: GitHub takes no longer outputs"),
        );
    }
    kept
}
