//! The run, recorded at the server: out of the token's claims, completed with what GitHub knows.

use std::time::Duration;

use niks3_client::{Api, types};
use niks3_push::run_of_environment;
use serde_json::Value;

use crate::{github, inputs::Inputs, runner, state::State, target::Target, uses};

/// A server that does not answer any more is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// All of it takes no longer, whoever does not answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Before the build, the address of the page is worth only a short wait.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);

/// Records the run before anything is built; the address of its page at the server.
pub(crate) async fn announce(inputs: &Inputs) -> Option<String> {
    let recorded = tokio::time::timeout(ANNOUNCE_TIMEOUT, record(inputs)).await;
    let (api, run) = recorded.ok()?.ok()??;
    Some(page(&api, &run))
}

/// Records the run; the address of its page at the server. Nothing that goes wrong here is worth
/// failing a job for.
pub(crate) async fn run(inputs: &Inputs, state: &State) -> Option<String> {
    let recorded = async {
        let Some((api, run)) = record(inputs).await? else {
            return Ok(None);
        };
        complete(inputs, &api, &run).await;
        Ok(Some((api, run)))
    };
    let recorded = match tokio::time::timeout(TIMEOUT, recorded).await {
        Ok(recorded) => recorded,
        Err(_) => Err("it takes too long".to_owned()),
    };
    let (api, run) = recorded.unwrap_or_else(|why| {
        runner::log(&format!("niks3: the run is not recorded at the server: {why}"));
        None
    })?;
    uses::report(&api, &run, state).await;
    Some(page(&api, &run))
}

/// The page of a run in the dashboard.
fn page(api: &Api, run: &types::Run) -> String {
    format!("{}/dashboard/runs/{}", api.shown(), run.id)
}

async fn record(inputs: &Inputs) -> Result<Option<(Api, types::Run)>, String> {
    let Some(stated) = run_of_environment() else {
        return Ok(None);
    };
    let target = Target::of(inputs);
    let Some(tokens) = target.tokens().map_err(|trouble| trouble.0)? else {
        return Ok(None);
    };
    let api = target.api(tokens, PATIENCE).map_err(|trouble| trouble.0)?;
    let stated = &stated;
    let run = api
        .call("recording the run", |client| async move {
            client.record_run(stated).await
        })
        .await
        .map_err(|error| error.to_string())?;
    Ok(Some((api, run)))
}

/// Adds what the runner says, and what only GitHub knows.
async fn complete(inputs: &Inputs, api: &Api, run: &types::Run) {
    let pull_request = run.pull_request.or_else(pull_request_of_event);
    let (known, trouble) = match &inputs.github_token {
        Some(token) => github::look_up(token, pull_request.is_some()).await,
        None => (github::Known::default(), None),
    };
    if let Some(trouble) = trouble {
        runner::log(&format!("niks3: GitHub does not say more of this run: {trouble}"));
    }
    let conclusion = inputs.job_status.map(|status| status.name().to_owned());
    let completion = types::CompleteRun {
        job: known.job,
        job_url: known.job_url,
        conclusion: conclusion.or(known.conclusion),
        url: None,
        // What the claims say stays as it is.
        pull_request: pull_request
            .or(known.pull_request)
            .filter(|_| run.pull_request.is_none()),
    };
    let (id, completion) = (run.id.as_str(), &completion);
    let completed = api
        .call("completing the run", |client| async move {
            client.complete_run(id, completion).await
        })
        .await;
    if let Err(error) = completed {
        runner::log(&format!("niks3: the run is not completed at the server: {error}"));
    }
}

/// The pull request that the job's event is about.
fn pull_request_of_event() -> Option<u64> {
    let text = std::fs::read(runner::variable("GITHUB_EVENT_PATH")?).ok()?;
    let event: Value = serde_json::from_slice(&text).ok()?;
    event.pointer("/pull_request/number")?.as_u64()
}
