//! Closures and runs as both of their commands ask for them and show them.

use indicatif::BinaryBytes;
use niks3_client::{Api, types};
use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;

use crate::{
    Failure,
    output::{self, table::Table},
};

/// Closures of one page.
pub(super) const CLOSURES: u32 = 100;
/// Runs of one page.
pub(super) const RUNS: u32 = 1000;

/// Base name of the root that somebody means.
pub(super) fn closure_root(text: &str) -> Result<String, Failure> {
    let missing = match LocalStore::from_environment()?.resolve(text) {
        Ok(found) => return Ok(found.to_string()),
        Err(missing) => missing,
    };
    match text.split('/').find_map(|part| part.parse::<StorePath>().ok()) {
        Some(named) => Ok(named.to_string()),
        None => Err(missing.into()),
    }
}

/// Every closure that a run has pushed.
pub(super) async fn closures_of_run(api: &Api, run: &str) -> Result<Vec<types::ClosureInfo>, Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref();
        let page = api
            .call("listing the closures", |client| async move {
                client
                    .list_closures(from, Some(CLOSURES), None, None, None, Some(run), None, None)
                    .await
            })
            .await?;
        all.extend(page.closures);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Closures for people, the name before the hash.
pub(super) fn closures_table<'a>(closures: impl IntoIterator<Item = &'a types::ClosureInfo>) -> Table {
    let mut table = Table::new(["NAME", "PUSHED", "PATHS", "NARS", "STORED", "PATH"]);
    for closure in closures {
        table.row([
            name_of(&closure.path),
            output::time(closure.pushed_at),
            closure.paths.to_string(),
            BinaryBytes(closure.nar_bytes).to_string(),
            BinaryBytes(closure.file_bytes).to_string(),
            closure.path.clone(),
        ]);
    }
    table
}

/// The name in a store path, without its hash.
pub(super) fn name_of(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    let parsed = base.parse::<StorePath>();
    parsed.map_or_else(|_| base.to_owned(), |path| path.name().to_owned())
}

/// Every run that has pushed a closure.
pub(super) async fn runs_of_closure(api: &Api, root: &str) -> Result<Vec<types::Run>, Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref();
        let page = api
            .call("listing the runs", |client| async move {
                client
                    .list_runs(from, Some(root), Some(RUNS), None, None, None, None, None)
                    .await
            })
            .await?;
        all.extend(page.runs);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Runs for people, with the number that the provider gives them, and their page.
pub(super) fn runs_table(runs: &[types::Run]) -> Table {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut table = Table::new([
        "REPOSITORY",
        "REF",
        "RUN",
        "JOB",
        "RESULT",
        "RECORDED",
        "ID",
        "URL",
    ]);
    for run in runs {
        let attempt = run.run_attempt.as_deref().filter(|attempt| *attempt != "1");
        table.row([
            run.repository.clone(),
            or(&run.ref_),
            attempt.map_or_else(
                || run.run_id.clone(),
                |attempt| format!("{} (attempt {attempt})", run.run_id),
            ),
            format!("{}/{}", or(&run.workflow), or(&run.job)),
            or(&run.conclusion),
            output::time(run.created_at),
            run.id.clone(),
            or(&run.url),
        ]);
    }
    table
}
