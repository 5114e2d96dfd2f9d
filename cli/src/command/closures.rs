//! `niks3 closures`.

use indicatif::BinaryBytes;
use niks3_client::types;
use niks3_nix::glob::Glob;
use niks3_push::upstream_name;
use serde_json::json;

use super::contents::{CLOSURES, closure_root, closures_table, name_of, runs_of_closure, runs_table};
use super::task;
use crate::{
    Failure,
    args::runs::{Closures, DeleteClosures, ListClosures, Ls, RestoreClosures, ShowClosure},
    output::{self, Output, table::Table},
};

pub(super) async fn run(command: Closures, output: &Output) -> Result<(), Failure> {
    match command {
        Closures::List(args) => list(args, output).await,
        Closures::Show(args) => show(args, output).await,
        Closures::Delete(args) => delete(args, output).await,
        Closures::Restore(args) => restore_closures(args, output).await,
    }
}

/// Deletes closures, or says what is in the way.
async fn delete(args: DeleteClosures, output: &Output) -> Result<(), Failure> {
    let roots = args.paths.iter().map(|path| closure_root(path));
    let roots = roots.collect::<Result<Vec<String>, Failure>>()?;
    let api = super::connect(args.server)?;
    let mut all: Vec<types::DeletedClosures> = Vec::new();
    let mut freed = 0;
    for root in &roots {
        let (contains, now) = (Some(args.contains), Some(args.now));
        let deleted = api
            .call("deleting the closure", |client| async move {
                client.delete_closure(root, contains, now).await
            })
            .await?;
        if let Some(id) = &deleted.gc {
            let run = task::finished(&api, id, output).await?;
            freed += run.counts.bytes_freed;
        }
        all.push(deleted);
    }
    let unchanged = all.iter().filter(|deleted| deleted.released.is_empty()).count();
    if args.json {
        output.json(&all)?;
    } else {
        tell_deleted(&all, &roots, output)?;
        if args.now && unchanged < all.len() {
            output.info(&format!("{} freed", BinaryBytes(freed)));
        }
    }
    match unchanged {
        0 => Ok(()),
        _ => Err(Failure::Failed(
            "nothing was deleted for a path that is no root of a closure: name one that contains it, or say --contains".to_owned(),
        )),
    }
}

fn tell_deleted(all: &[types::DeletedClosures], roots: &[String], output: &Output) -> Result<(), Failure> {
    for (deleted, root) in all.iter().zip(roots) {
        if deleted.released.is_empty() {
            output.warning(&format!("{root} is no root of a closure; these contain it:"));
            let mut table = Table::new(["NAME", "PATH"]);
            for path in &deleted.contained_in {
                table.row([name_of(path), path.clone()]);
            }
            table.print()?;
            if deleted.more {
                output.warning("more closures contain it");
            }
            continue;
        }
        let mut table = Table::new(["NAME", "DELETED", "PATH"]);
        let when = match deleted.delete_from {
            Some(at) => format!("from {} on", output::time(at)),
            None => "now".to_owned(),
        };
        for path in &deleted.released {
            table.row([name_of(path), when.clone(), path.clone()]);
        }
        table.print()?;
        for keeper in &deleted.kept_by {
            output.info(&format!(
                "{} stay: {} needs them",
                output::paths(keeper.paths),
                keeper.path
            ));
        }
    }
    Ok(())
}

/// Restores closures.
async fn restore_closures(args: RestoreClosures, output: &Output) -> Result<(), Failure> {
    let roots = args.paths.iter().map(|path| closure_root(path));
    let roots = roots.collect::<Result<Vec<String>, Failure>>()?;
    let api = super::connect(args.server)?;
    if let Some(id) = args.gc.as_deref() {
        let restored = api
            .call("restoring the closures", |client| async move {
                client.restore_gc(id).await
            })
            .await?;
        if args.json {
            return output.json(&restored);
        }
        output.info(&format!(
            "{} restored",
            output::counted(restored.restored, "closure")
        ));
        return Ok(());
    }
    let mut all: Vec<types::ClosureInfo> = Vec::new();
    for root in &roots {
        let restored = api
            .call("restoring the closure", |client| async move {
                client.restore_closure(root).await
            })
            .await?;
        all.push(restored);
    }
    if args.json {
        return output.json(&all);
    }
    closures_table(&all).print()
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
    lines.extend(closure.released_at.map(|at| ("released", output::time(at))));
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
