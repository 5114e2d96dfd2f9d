//! The closures that a collection lets go, and those that it would.

use std::collections::HashSet;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{ClosureId, GcClosure, JudgedClosure, OldClosure, PathId};
use niks3_retention::Policy;

use super::Request;
use super::marker::Marker;
use super::run::Run;
use crate::app::App;
use crate::policy_file::PolicyFile;

/// Closures that one transaction lets go.
pub(super) const PAGE: i64 = 5_000;
/// Notes that one transaction writes.
const NOTES: usize = 5_000;

/// What becomes of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nobody has pushed or used it for long, and no policy says more.
    Age,
    /// It is released.
    Release,
    /// It is released, and its undo time is not over.
    Wait,
    /// It is deleted.
    Delete,
    /// It stays, and the policy in force would let it go.
    Keep,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Age => "",
            Self::Release => "release",
            Self::Wait => "wait",
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }

    /// This collection ends it as a root.
    const fn is_end(self) -> bool {
        matches!(self, Self::Age | Self::Delete)
    }
}

/// A closure that goes, or will.
#[derive(Debug, Clone)]
pub(super) struct Departure {
    /// Id of its root.
    pub path_id: PathId,
    /// Base name of its root.
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// What becomes of it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Unix time from which it is deleted; 0: now, or never.
    pub delete_from: i64,
}

impl From<&OldClosure> for Departure {
    fn from(closure: &OldClosure) -> Self {
        Self {
            path_id: closure.path_id,
            root: closure.root.clone(),
            pushed_at: closure.pushed_at,
            action: Action::Age,
            reason: String::new(),
            delete_from: 0,
        }
    }
}

impl Departure {
    /// A closure that was released, or is now.
    pub(super) fn of(closure: &JudgedClosure, action: Action, reason: String) -> Self {
        Self {
            path_id: closure.path_id,
            root: closure.root.clone(),
            pushed_at: closure.pushed_at,
            action,
            reason,
            delete_from: 0,
        }
    }
}

/// What a collection lets go.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// In the order of their ids.
    pub list: Vec<Departure>,
    /// Nothing of it has happened.
    pub is_dry_run: bool,
}

impl Departures {
    /// Roots of what goes in the end, as far as it is there: what only these reach is what the bucket loses.
    pub(super) fn going(&self) -> HashSet<PathId> {
        let is_going = |action: Action| match action {
            Action::Keep => false,
            Action::Release | Action::Wait => true,
            Action::Age | Action::Delete => self.is_dry_run,
        };
        let going = self.list.iter().filter(|departure| is_going(departure.action));
        going.map(|departure| departure.path_id).collect()
    }

    /// Roots of what a dry run counts as gone now.
    pub(super) fn gone(&self) -> HashSet<PathId> {
        let gone = self.list.iter().filter(|departure| departure.action.is_end());
        match self.is_dry_run {
            true => gone.map(|departure| departure.path_id).collect(),
            false => HashSet::new(),
        }
    }

    /// Some of them are roots for some time yet.
    pub(super) fn stay_until_later(&self) -> bool {
        let mut actions = self.list.iter().map(|departure| departure.action);
        actions.any(|action| matches!(action, Action::Release | Action::Wait))
    }
}

/// The policy that a collection goes by.
///
/// # Errors
/// When the one of the request, which was read before, cannot be read.
pub(super) fn policy(app: &App, request: &Request) -> Result<Option<Arc<PolicyFile>>, Error> {
    match &request.policy {
        Some(text) => Ok(Some(Arc::new(
            PolicyFile::parse(text.clone()).map_err(Error::internal)?,
        ))),
        None => Ok(app.retention.policy.clone()),
    }
}

/// Deletes closures that were neither pushed nor used for long, or finds which it would.
pub(super) async fn by_age(run: &Run<'_>) -> Result<Departures, Error> {
    let before = run.now - i64::from(run.request.older_than);
    let mut departures = Departures {
        list: Vec::new(),
        is_dry_run: run.request.dry_run,
    };
    let mut after = ClosureId::default();
    loop {
        let page = run.app.catalog.old_closures(before, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let mut dropped: HashSet<ClosureId> = page.iter().map(|closure| closure.id).collect();
        if !run.request.dry_run {
            let ids: Vec<ClosureId> = dropped.into_iter().collect();
            let mut tx = run.write().await?;
            dropped = tx.drop_closures(&ids, before).await?.into_iter().collect();
            tx.commit().await?;
        }
        let gone = page.iter().filter(|closure| dropped.contains(&closure.id));
        departures.list.extend(gone.map(Departure::from));
        count(run, &departures);
    }
    end_releases(run, &mut departures).await?;
    if !run.request.dry_run {
        drop_old_uses(run, before).await?;
        let mut tx = run.write().await?;
        tx.drop_runs(before).await?;
        tx.commit().await?;
    }
    Ok(departures)
}

/// Of what is released, deletes what was by hand once the undo time is over; what a policy has released stays, since
/// there is none any more.
async fn end_releases(run: &Run<'_>, departures: &mut Departures) -> Result<(), Error> {
    let released_before = run.now - Policy::default().undo;
    let known: HashSet<PathId> = departures
        .list
        .iter()
        .map(|departure| departure.path_id)
        .collect();
    let pinned = run.app.catalog.pinned_paths().await?;
    let mut after = ClosureId::default();
    loop {
        let page = run.app.catalog.released_page(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let (by_hand, by_policy): (Vec<_>, Vec<_>) = page
            .into_iter()
            .filter(|closure| !known.contains(&closure.path_id))
            .partition(|closure| closure.released_by.is_empty());
        let over = by_hand.into_iter().filter(|closure| {
            closure.released_at.is_some_and(|at| at <= released_before) && !pinned.contains(&closure.path_id)
        });
        let over: Vec<JudgedClosure> = over.collect();
        let mut purged: HashSet<ClosureId> = over.iter().map(|closure| closure.id).collect();
        if !run.request.dry_run {
            let ids: Vec<ClosureId> = purged.into_iter().collect();
            let kept: Vec<ClosureId> = by_policy.iter().map(|closure| closure.id).collect();
            let mut tx = run.write().await?;
            purged = tx
                .purge_closures(&ids, released_before, run.now)
                .await?
                .into_iter()
                .collect();
            tx.keep_closures(&kept).await?;
            tx.commit().await?;
        }
        let gone = over.iter().filter(|closure| purged.contains(&closure.id));
        let reason = || "deleted by hand".to_owned();
        departures
            .list
            .extend(gone.map(|closure| Departure::of(closure, Action::Delete, reason())));
        count(run, departures);
    }
}

/// Says how many closures are deleted so far.
pub(super) fn count(run: &Run<'_>, departures: &Departures) {
    let ends = departures
        .list
        .iter()
        .filter(|departure| departure.action.is_end());
    let ends = ends.count() as u64;
    run.shared.count(|counts| counts.old_closures_deleted = ends);
}

/// Deletes uses that keep nothing any more.
async fn drop_old_uses(run: &Run<'_>, before: i64) -> Result<(), Error> {
    loop {
        let mut tx = run.write().await?;
        let dropped = tx.drop_uses(before, PAGE).await?;
        tx.commit().await?;
        if dropped < PAGE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Writes down, closure by closure, what goes with it: each path and NAR once, with the
/// first closure that has it.
pub(super) async fn note(run: &Run<'_>, marker: &Marker, departures: &Departures) -> Result<(), Error> {
    let mut seen_paths = vec![false; marker.graph.len()];
    let mut seen_nars = vec![false; marker.graph.objects().count()];
    let mut notes = Vec::with_capacity(departures.list.len());
    let mut all_bytes = 0;
    for departure in &departures.list {
        let kept = marker.graph.kept_by(departure.path_id, &mut seen_paths);
        let nars = kept
            .iter()
            .map(|path| marker.graph.nar_bytes(*path, &mut seen_nars));
        let bytes: i64 = nars.sum();
        all_bytes += bytes.unsigned_abs();
        // They are noted by the collection that releases them.
        if departure.action == Action::Wait && !departures.is_dry_run {
            continue;
        }
        notes.push(GcClosure {
            number: i64::try_from(notes.len()).unwrap_or(i64::MAX - 1) + 1,
            root: departure.root.clone(),
            pushed_at: departure.pushed_at,
            paths: i64::try_from(kept.len()).unwrap_or(i64::MAX),
            bytes,
            action: departure.action.as_str().to_owned(),
            reason: departure.reason.clone(),
            delete_from: departure.delete_from,
        });
    }
    if run.shared.get().retention.is_some() {
        run.shared.report(|report| report.bytes_in_the_end = all_bytes);
    }
    for chunk in notes.chunks(NOTES) {
        let mut tx = run.write().await?;
        tx.note_gc_closures(run.id, chunk).await?;
        tx.commit().await?;
    }
    Ok(())
}
