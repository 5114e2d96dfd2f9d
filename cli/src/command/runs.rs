//! `niks3 runs`.

use niks3_client::types;
use serde_json::json;

use super::contents::{RUNS, closure_root, closures_of_run, closures_table, runs_table};
use crate::{
    Failure,
    args::runs::{ListRuns, Runs, ShowRun},
    output::{self, Output},
};

pub(super) async fn run(command: Runs, output: &Output) -> Result<(), Failure> {
    match command {
        Runs::List(args) => list(args, output).await,
        Runs::Show(args) => show(args, output).await,
    }
}

async fn list(args: ListRuns, output: &Output) -> Result<(), Failure> {
    let closure = args.closure.as_deref().map(closure_root).transpose()?;
    let api = super::connect(args.server)?;
    let filter = args.filter;
    let mut all: Vec<types::Run> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let left = filter.limit - u32::try_from(all.len()).unwrap_or(filter.limit);
        let (from, closure, filter) = (after.as_deref(), closure.as_deref(), &filter);
        let page = api
            .call("listing the runs", |client| async move {
                client
                    .list_runs(
                        from,
                        closure,
                        Some(left.min(RUNS)),
                        filter.pull_request,
                        filter.git_ref.as_deref(),
                        filter.repository.as_deref(),
                        filter.since,
                        filter.until,
                    )
                    .await
            })
            .await?;
        all.extend(page.runs);
        after = page.next;
        if after.is_none() || all.len() >= filter.limit as usize {
            break;
        }
    }
    if filter.json {
        return output.json(&all);
    }
    runs_table(&all).print()
}

async fn show(args: ShowRun, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let id = args.id.as_str();
    let run = api
        .call(
            "showing the run",
            |client| async move { client.get_run(id).await },
        )
        .await?;
    let closures = closures_of_run(&api, &run.id).await?;
    if args.json {
        let mut value = serde_json::to_value(&run)?;
        // The number of closures gives way to themselves.
        value["closures"] = json!(closures);
        return output.json(&value);
    }
    let trust = if run.verified {
        "verified by its token"
    } else {
        "as its pusher states it"
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    for (name, value) in [
        ("run", Some(format!("{} ({trust})", run.id))),
        ("recorded", Some(output::time(run.created_at))),
        ("provider", Some(run.provider.clone())),
        ("repository", Some(run.repository.clone())),
        ("ref", run.ref_.clone()),
        ("commit", run.sha.clone()),
        ("pull request", number(run.pull_request)),
        ("event", run.event.clone()),
        ("workflow", run.workflow.clone()),
        ("job", run.job.clone()),
        ("job page", run.job_url.clone()),
        ("number", Some(run.run_id.clone())),
        ("attempt", run.run_attempt.clone()),
        ("actor", run.actor.clone()),
        ("conclusion", run.conclusion.clone()),
        ("page", run.url.clone()),
        ("closures", Some(closures.len().to_string())),
        (
            "used",
            run.closures_used
                .filter(|used| *used > 0)
                .map(|used| used.to_string()),
        ),
    ] {
        if let Some(value) = value {
            output.line_out(&format!("{name:13}{value}"))?;
        }
    }
    if closures.is_empty() {
        Ok(())
    } else {
        closures_table(&closures).print()
    }
}
