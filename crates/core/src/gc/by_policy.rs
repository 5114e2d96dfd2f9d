//! A collection that goes by a retention policy: it judges all closures anew, releases what nothing keeps, and deletes what
//! was released long enough ago.

use std::collections::HashSet;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{ClosureId, PathId, Release, RunId};
use niks3_retention::{ALWAYS_KEPT, Judge, Keep, MONTH, Plan, Policy, Verdict, fill};

use super::departures::{self, Action, Departure, Departures, PAGE};
use super::marker::Marker;
use super::progress::QuotaReport;
use super::run::Run;
use crate::policy_file::PolicyFile;
use crate::retention::holds::{self, Question};
use crate::retention::wording;
use crate::retention::world::{self, Loaded};

/// Repositories that a notice names.
const MAX_NAMES: usize = 20;

/// What judging has found.
struct Judged {
    loaded: Loaded,
    plan: Plan,
    /// What the policy in force would let go, where a dry run compares.
    in_force: Option<Vec<bool>>,
    /// Uses that keep nothing any more.
    stale_uses: Vec<(ClosureId, RunId)>,
    /// They were reported before this time.
    stale_before: i64,
}

/// Releases, restores and deletes closures as a policy says, or finds which it would. The marker is needed for a quota.
pub(super) async fn depart(
    run: &Run<'_>,
    file: &Arc<PolicyFile>,
    marker: Option<&Marker>,
) -> Result<Departures, Error> {
    let catalog = &run.app.catalog;
    let now = catalog.clock().await?.unwrap_or(run.now);
    let others = catalog
        .policies_of_other_servers(&run.app.retention.instance)
        .await?;
    let _walk = run.app.retention.walk.lock().await;
    let loaded = world::load(catalog, now).await?;
    let mut judged = judge(run, file, loaded).await?;
    run.shared.report(|report| {
        report.policy.clone_from(&file.hash);
        report.closures = judged.plan.decisions.len() as u64;
    });
    let kept_before: Vec<bool> = judged
        .plan
        .decisions
        .iter()
        .map(|decision| decision.reason.is_some())
        .collect();
    if let Some(marker) = marker {
        fit_into_quota(run, &file.policy, marker, &mut judged).await?;
    }
    notices(run, &judged.plan);
    let held = holds::hold(
        catalog,
        &Question {
            file,
            world: &judged.loaded.world,
            plan: &judged.plan,
            accepted: run.request.accept_policy.as_deref(),
            others: &others,
            task: run.id,
            started_at: run.now,
        },
    )
    .await?;
    let is_held = held.is_some();
    run.shared.report(|report| report.held = held);
    let mut departures = list(&file.policy, &judged, &kept_before, is_held, run.request.dry_run);
    if run.request.dry_run {
        compare(run, &file.policy, &judged, &mut departures);
    } else {
        carry_out(run, file, &judged, is_held, &mut departures).await?;
        forget(run, &file.policy, &judged).await?;
    }
    departures::count(run, &departures);
    run.shared.report(|report| {
        let count = |action| {
            let found = departures
                .list
                .iter()
                .filter(|departure| departure.action == action);
            found.count() as u64
        };
        report.released = count(Action::Release);
        report.waiting = count(Action::Wait);
        report.deleted = count(Action::Delete);
    });
    Ok(departures)
}

/// Judges on a thread of its own: it takes seconds for a cache of millions of uses.
async fn judge(run: &Run<'_>, file: &Arc<PolicyFile>, loaded: Loaded) -> Result<Judged, Error> {
    let file = file.clone();
    let is_trial = run.request.policy.is_some();
    let in_force = run.app.retention.policy.clone();
    let older_than = i64::from(run.request.older_than);
    let work = tokio::task::spawn_blocking(move || {
        let world = &loaded.world;
        let judge = Judge::new(&file.policy, world);
        let plan = judge.plan();
        let stale_before = world.now - file.policy.default.max(ALWAYS_KEPT);
        let uses = world.links[loaded.uses.clone()].iter();
        let stale = uses.filter(|link| link.at < stale_before && judge.link(link).reason.is_none());
        let stale_uses = stale.filter_map(|link| {
            let run = loaded.runs.get(link.run? as usize)?;
            Some((loaded.closures[link.closure as usize].id, run.0))
        });
        let stale_uses = stale_uses.collect();
        let in_force = is_trial.then(|| match in_force {
            Some(file) => {
                let plan = Judge::new(&file.policy, world).plan();
                let decisions = plan.decisions.iter();
                decisions.map(|decision| decision.reason.is_none()).collect()
            }
            None => {
                let rows = loaded.closures.iter().zip(&world.closures);
                let before = world.now - older_than;
                rows.map(|(row, closure)| !closure.pinned && row.pushed_at <= before && row.used_at <= before)
                    .collect()
            }
        });
        Judged {
            plan,
            in_force,
            stale_uses,
            stale_before,
            loaded,
        }
    });
    work.await.map_err(Error::internal)
}

async fn fit_into_quota(
    run: &Run<'_>,
    policy: &Policy,
    marker: &Marker,
    judged: &mut Judged,
) -> Result<(), Error> {
    let catalog = &run.app.catalog;
    let graph = &marker.graph;
    let mut seen = (vec![false; graph.len()], vec![false; graph.objects().count()]);
    let mut exempt = catalog.pinned_paths().await?;
    exempt.extend(catalog.paths_in_pushes().await?);
    let base = exempt.into_iter().map(|id| graph.reach(id, &mut seen)).sum();
    let closures = &judged.loaded.closures;
    let filled = fill(policy, &judged.loaded.world, &mut judged.plan, base, |index| {
        graph.reach(closures[index].path_id, &mut seen)
    });
    let (Some(filled), Some(quota)) = (filled, policy.quota) else {
        return Ok(());
    };
    run.shared.report(|report| {
        report.quota = Some(QuotaReport {
            quota,
            exempt: filled.exempt,
            kept: filled.kept,
            closures: filled.released as u64,
        });
        if filled.exempt > quota {
            report.notices.push(format!(
                "what the quota never takes (pins, rules that keep forever, what was used in the last 24 hours) has {} bytes, \
                 and the quota is {quota}",
                filled.exempt
            ));
        }
    });
    Ok(())
}

fn notices(run: &Run<'_>, plan: &Plan) {
    let mut notices = Vec::new();
    if !plan.uncovered.is_empty() {
        let names: Vec<&str> = plan
            .uncovered
            .iter()
            .take(MAX_NAMES)
            .map(|name| &**name)
            .collect();
        let more = plan.uncovered.len() - names.len();
        notices.push(format!(
            "no rule keeps anything for less than the default in repositories whose jobs do not report what they use: {}{}",
            names.join(", "),
            if more > 0 { format!(" and {more} more") } else { String::new() }
        ));
    }
    run.shared.report(|report| {
        report.uncovered = plan.uncovered.len() as u64;
        report.notices.extend(notices);
    });
}

/// What becomes of the closures that do not simply stay.
fn list(
    policy: &Policy,
    judged: &Judged,
    kept_before: &[bool],
    is_held: bool,
    is_dry_run: bool,
) -> Departures {
    let mut departures = Departures {
        list: Vec::new(),
        is_dry_run,
    };
    let decisions = judged.plan.decisions.iter().zip(&judged.loaded.closures);
    for ((decision, closure), kept_before) in decisions.zip(kept_before) {
        let by_hand = closure.released_at.is_some() && closure.released_by.is_empty();
        let (action, delete_from) = match decision.verdict {
            Verdict::Keep | Verdict::Restore => continue,
            Verdict::Release if is_held => continue,
            Verdict::Release => (
                Action::Release,
                judged.loaded.world.now.saturating_add(policy.undo),
            ),
            Verdict::Wait(until) => (Action::Wait, until),
            Verdict::Purge => (Action::Delete, 0),
        };
        let reason = wording::departure(policy, decision, by_hand, *kept_before);
        departures.list.push(Departure {
            delete_from,
            ..Departure::of(closure, action, reason)
        });
    }
    departures
}

/// Compares a trial with the policy in force: what only that would let go is listed as well.
fn compare(run: &Run<'_>, policy: &Policy, judged: &Judged, departures: &mut Departures) {
    let restored = judged.plan.decisions.iter();
    let restored = restored
        .filter(|decision| decision.verdict == Verdict::Restore)
        .count() as u64;
    run.shared.report(|report| report.restored = restored);
    let Some(in_force) = &judged.in_force else { return };
    let mut only_here = 0;
    let mut only_in_force = Vec::new();
    let decisions = judged.plan.decisions.iter().zip(&judged.loaded.closures);
    for ((decision, closure), goes_in_force) in decisions.zip(in_force) {
        match (decision.reason, goes_in_force) {
            (None, false) => only_here += 1,
            (Some(reason), true) => {
                let reason = wording::reason(policy, reason);
                only_in_force.push(Departure::of(closure, Action::Keep, reason));
            }
            _ => {}
        }
    }
    run.shared.report(|report| {
        report.only_here = only_here;
        report.only_in_force = only_in_force.len() as u64;
    });
    departures.list.extend(only_in_force);
}

/// Does what was planned, chunk by chunk. What is used, pushed or pinned meanwhile stays.
async fn carry_out(
    run: &Run<'_>,
    file: &PolicyFile,
    judged: &Judged,
    is_held: bool,
    departures: &mut Departures,
) -> Result<(), Error> {
    let now = judged.loaded.world.now;
    let row = run.app.catalog.task_token(run.id).await?;
    if !is_held {
        let mut tx = run.write().await?;
        tx.use_retention_policy(&file.hash, &file.text).await?;
        tx.commit().await?;
    }
    let chunk_size = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let of = |wanted: fn(Verdict) -> bool| -> Vec<(ClosureId, PathId)> {
        let decisions = judged.plan.decisions.iter().zip(&judged.loaded.closures);
        let found = decisions.filter(|(decision, _)| wanted(decision.verdict));
        found.map(|(_, closure)| (closure.id, closure.path_id)).collect()
    };
    let ids =
        |closures: &[(ClosureId, PathId)]| -> Vec<ClosureId> { closures.iter().map(|(id, _)| *id).collect() };
    let mut restored = 0;
    for chunk in of(|verdict| verdict == Verdict::Restore).chunks(chunk_size) {
        let mut tx = run.write().await?;
        restored += tx.keep_closures(&ids(chunk)).await?;
        tx.commit().await?;
    }
    run.shared.report(|report| report.restored = restored);
    let release = Release {
        at: now,
        by: &row,
        unused_since: now - ALWAYS_KEPT,
    };
    let mut done: HashSet<ClosureId> = HashSet::new();
    let mut planned = Vec::new();
    if !is_held {
        let released = of(|verdict| verdict == Verdict::Release);
        for chunk in released.chunks(chunk_size) {
            let mut tx = run.write().await?;
            done.extend(tx.release_closures(&ids(chunk), release).await?);
            tx.commit().await?;
        }
        planned.extend(released);
    }
    let purged = of(|verdict| verdict == Verdict::Purge);
    for chunk in purged.chunks(chunk_size) {
        let mut tx = run.write().await?;
        let before = now - file.policy.undo;
        done.extend(
            tx.purge_closures(&ids(chunk), before, release.unused_since)
                .await?,
        );
        tx.commit().await?;
    }
    planned.extend(purged);
    let stayed = planned.into_iter().filter(|(id, _)| !done.contains(id));
    let stayed: HashSet<PathId> = stayed.map(|(_, path_id)| path_id).collect();
    departures
        .list
        .retain(|departure| departure.action == Action::Wait || !stayed.contains(&departure.path_id));
    Ok(())
}

/// Forgets uses that keep nothing, and runs that nothing names and no rule will ask for.
async fn forget(run: &Run<'_>, policy: &Policy, judged: &Judged) -> Result<(), Error> {
    let chunk_size = usize::try_from(PAGE).unwrap_or(usize::MAX);
    for chunk in judged.stale_uses.chunks(chunk_size) {
        let mut tx = run.write().await?;
        tx.drop_these_uses(chunk, judged.stale_before).await?;
        tx.commit().await?;
    }
    // A branch is idle, and a job retired, by the last run that is known.
    let idle = policy.rules.iter().filter_map(|rule| match rule.keep {
        Keep::While(terms) => terms.idle,
        _ => None,
    });
    let longest = idle.max().unwrap_or_default().max(policy.default).max(MONTH);
    let mut tx = run.write().await?;
    tx.drop_runs(run.now.saturating_sub(longest).saturating_sub(MONTH))
        .await?;
    tx.commit().await?;
    Ok(())
}
