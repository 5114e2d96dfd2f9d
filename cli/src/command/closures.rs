//! `niks3 closures`.

use indicatif::BinaryBytes;
use niks3_client::types;
use niks3_nix::glob::Glob;
use niks3_push::upstream_name;
use serde_json::json;

use super::contents::{CLOSURES, closure_root, closures_table, name_of, runs_of_closure, runs_table};
use crate::{
    Failure,
    args::runs::{Closures, ListClosures, Ls, ShowClosure},
    output::{self, Output},
};

pub(super) async fn run(command: Closures, output: &Output) -> Result<(), Failure> {
    match command {
        Closures::List(args) => list(args, output).await,
        Closures::Show(args) => show(args, output).await,
    }
}

async fn list(args: ListClosures, output: &Output) -> Result<(), Failure> {
    let api = super::connect(args.server)?;
    let filter = args.filter;
    let mut all: Vec<types::ClosureInfo> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let left = filter.limit - u32::try_from(all.len()).unwrap_or(filter.limit);
        let (from, run, filter) = (after.as_deref(), args.run.as_deref(), &filter);
        let page = api
            .call("listing the closures", |client| async move {
                client
                    .list_closures(
                        from,
                        Some(left.min(CLOSURES)),
                        filter.pull_request,
                        filter.git_ref.as_deref(),
                        filter.repository.as_deref(),
                        run,
                        filter.since,
                        filter.until,
                    )
                    .await
            })
            .await?;
        all.extend(page.closures);
        after = page.next;
        if after.is_none() || all.len() >= filter.limit as usize {
            break;
        }
    }
    if filter.json {
        return output.json(&all);
    }
    closures_table(&all).print()
}

/// `niks3 ls`.
pub(super) async fn ls(args: Ls, output: &Output) -> Result<(), Failure> {
    let glob = Glob::new(args.glob.as_deref().unwrap_or("*"));
    let api = super::connect(args.server)?;
    let mut found: Vec<types::ClosureInfo> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.as_deref();
        let page = api
            .call("listing the closures", |client| async move {
                client
                    .list_closures(from, Some(CLOSURES), None, None, None, None, None, None)
                    .await
            })
            .await?;
        let fitting = page
            .closures
            .into_iter()
            .filter(|closure| glob.matches(&name_of(&closure.path)));
        found.extend(fitting.take(args.limit as usize - found.len()));
        after = page.next;
        if after.is_none() || found.len() >= args.limit as usize {
            break;
        }
    }
    if args.json {
        return output.json(&found);
    }
    closures_table(&found).print()
}

async fn show(args: ShowClosure, output: &Output) -> Result<(), Failure> {
    let root = closure_root(&args.path)?;
    let api = super::connect(args.server)?;
    let name = root.as_str();
    let closure = api
        .call("showing the closure", |client| async move {
            client.get_closure(name).await
        })
        .await?;
    let runs = runs_of_closure(&api, &root).await?;
    if args.json {
        let mut value = serde_json::to_value(&closure)?;
        value["runs"] = json!(runs);
        return output.json(&value);
    }
    let mut lines = vec![
        ("closure", closure.path.clone()),
        ("first pushed", output::time(closure.created_at)),
        ("last pushed", output::time(closure.pushed_at)),
        ("paths", closure.paths.to_string()),
        ("NARs", BinaryBytes(closure.nar_bytes).to_string()),
        ("in the bucket", BinaryBytes(closure.file_bytes).to_string()),
    ];
    lines.extend(closure.left_to.iter().map(|left| {
        let paths = output::paths(left.paths);
        let text = match &left.cache {
            Some(cache) => format!("{paths} left to {}", upstream_name(cache)),
            None => format!("{paths} left out"),
        };
        ("not here", text)
    }));
    lines.push(("runs", runs.len().to_string()));
    for (name, value) in lines {
        output.line_out(&format!("{name:15}{value}"))?;
    }
    if runs.is_empty() {
        Ok(())
    } else {
        runs_table(&runs).print()
    }
}
