//! Closures and runs as both of their commands ask for them and show them.

use niks3_client::{Api, types};
use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;

use crate::{Failure, output};

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

/// A closure in a line.
pub(super) fn closure_line(closure: &types::ClosureInfo) -> String {
    format!(
        "{}\t{}\t{} paths\t{} bytes\t{} bytes",
        closure.path,
        output::time(closure.pushed_at),
        closure.paths,
        closure.nar_bytes,
        closure.file_bytes
    )
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

/// A run in a line.
pub(super) fn run_line(run: &types::Run) -> String {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        run.id.clone(),
        output::time(run.created_at),
        run.repository.clone(),
        or(&run.ref_),
        format!("{}/{}", or(&run.workflow), or(&run.job)),
        or(&run.conclusion),
        or(&run.url),
    ]
    .join("\t")
}
