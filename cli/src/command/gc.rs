//! `niks3 gc`.

use chrono::DateTime;
use indicatif::BinaryBytes;
use niks3_client::{Api, types};

use super::contents::name_of;
use super::task;
use crate::{
    Failure,
    args::Gc,
    output::{self, Output, table::Table},
    signals::Signals,
};

/// Entries of one page of closures.
const PAGE: u32 = 1000;

pub(super) async fn run(args: Gc, output: &Output) -> Result<(), Failure> {
    let policy = args.policy.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("--policy: {}: {error}", path.display())))
    });
    let policy = policy.transpose()?;
    let api = super::connect(args.server)?;
    let request = types::StartGc {
        policy,
        accept_policy: args.accept_policy,
        older_than_seconds: args.older_than.seconds,
        failed_uploads_older_than_seconds: args.failed_uploads_older_than.seconds,
        force: args.force,
        dry_run: args.dry_run,
        accept_clock: args.accept_clock,
    };
    output.info(&format!(
        "INFO Starting garbage collection older-than={} failed-uploads-older-than={} force={}{}",
        args.older_than.text,
        args.failed_uploads_older_than.text,
        args.force,
        if args.dry_run { " dry-run=true" } else { "" }
    ));
    let signals = Signals::listen()?;
    let collecting = task::to_its_end(
        output,
        async || {
            let request = &request;
            let started = api.call("starting the garbage collection", |client| async move {
                client.start_gc(request).await
            });
            Ok(started.await?)
        },
        async |run: &types::GcRun| {
            let id = &run.id;
            let asked = api.call("asking how far the garbage collection is", |client| async move {
                client.get_gc(id).await
            });
            Ok(asked.await?)
        },
    );
    let run = tokio::select! {
        run = collecting => run?,
        () = signals.token().cancelled() => {
            output.warning("the garbage collection goes on at the server");
            return Err(Failure::Signal(signals.received().unwrap_or(2)));
        }
    };
    let closures = if args.dry_run || args.json {
        closures(&api, &run.id).await?
    } else {
        Vec::new()
    };
    if args.json {
        output.json(&serde_json::json!({ "gc": run, "closures": closures }))?;
    } else if args.dry_run && run.retention.is_some() {
        departures(&closures).print()?;
    } else if args.dry_run {
        for closure in &closures {
            output.line_out(&format!(
                "{}  last pushed {}, longer ago than {}: {}, {}",
                closure.root,
                DateTime::from_timestamp(closure.pushed_at, 0)
                    .map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
                    .unwrap_or_default(),
                args.older_than.text,
                output::counted(closure.paths, "path"),
                BinaryBytes(closure.nar_bytes)
            ))?;
        }
    }
    let counts = &run.counts;
    let statistics = format!(
        "failed-uploads-deleted={} old-closures-deleted={} objects-marked-for-deletion={} \
         objects-deleted-after-grace-period={} objects-failed-to-delete={} bytes-freed={}",
        counts.failed_uploads_deleted,
        counts.old_closures_deleted,
        counts.objects_marked_for_deletion,
        counts.objects_deleted_after_grace_period,
        counts.objects_failed_to_delete,
        counts.bytes_freed
    );
    if args.dry_run {
        output.info(&format!("INFO Garbage collection would do this {statistics}"));
    } else {
        output.info(&format!(
            "INFO Garbage collection completed successfully {statistics}"
        ));
    }
    if counts.objects_failed_to_delete > 0 {
        output.warning(&format!(
            "{} could not be deleted; the log of the server says why, and the next garbage collection tries again",
            output::counted(counts.objects_failed_to_delete, "object")
        ));
    }
    match &run.retention {
        Some(retention) => tell_retention(retention, args.dry_run, args.policy.is_some(), output),
        None => Ok(()),
    }
}

/// What becomes of closures, for people.
fn departures(closures: &[types::GcClosure]) -> Table {
    let mut table = Table::new(["NAME", "WHAT", "DELETED", "PATHS", "NARS", "WHY", "PATH"]);
    for closure in closures {
        table.row([
            name_of(&closure.root),
            closure.action.clone().unwrap_or_default(),
            match closure.delete_from {
                Some(at) => format!("from {} on", output::time(at)),
                None if closure.action.as_deref() == Some("keep") => "-".to_owned(),
                None => "now".to_owned(),
            },
            closure.paths.to_string(),
            BinaryBytes(closure.nar_bytes).to_string(),
            closure.reason.clone().unwrap_or_default(),
            closure.root.clone(),
        ]);
    }
    table
}

/// What a retention policy has made of the closures; a collection that is held is a failure.
fn tell_retention(
    retention: &types::GcRetention,
    is_dry_run: bool,
    is_compared: bool,
    output: &Output,
) -> Result<(), Failure> {
    output.info(&format!(
        "INFO Retention policy {} closures={} released={} restored={} waiting={} deleted={} bytes-in-the-end={}; \
         older-than is ignored",
        retention.policy,
        retention.closures,
        retention.released,
        retention.restored,
        retention.waiting,
        retention.deleted,
        retention.bytes_in_the_end
    ));
    if is_compared {
        output.info(&format!(
            "INFO Compared with the policy in force: {} closures more go, {} closures more stay",
            retention.only_here, retention.only_in_force
        ));
    }
    if let Some(filled) = &retention.quota {
        output.info(&format!(
            "INFO Quota {}: {} stay, {} of them in any case; {} closures give way",
            BinaryBytes(filled.quota),
            BinaryBytes(filled.kept),
            BinaryBytes(filled.exempt),
            filled.closures
        ));
    }
    for notice in &retention.notices {
        output.warning(notice);
    }
    match &retention.held {
        None => Ok(()),
        Some(why) if is_dry_run => {
            output.warning(&format!("the collection would be held: {why}"));
            Ok(())
        }
        Some(why) => Err(Failure::Failed(format!(
            "the collection is held, and nothing was released: {why}"
        ))),
    }
}

async fn closures(api: &Api, id: &str) -> Result<Vec<types::GcClosure>, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = api
            .call("asking for the closures", |client| async move {
                client.list_gc_closures(id, after, Some(PAGE)).await
            })
            .await?;
        all.extend(page.closures);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
