//! Garbage collections: what the next one would free, and what those before did.

use maud::{Markup, html};

use super::format::{bytes, clean, count, duration, name, number, time};
use super::{Section, more, page};
use crate::catalog::{CacheCounts, TaskRow, TaskState, now};
use crate::gc::{Progress, Request};

/// Closures are counted up to so many.
pub const MANY: i64 = 10_000;

/// What is known of the next collection.
#[derive(Debug, Default)]
pub struct Next {
    /// Seconds after which the last one let closures go, and how many are as old now.
    pub old: Option<(u32, i64)>,
    /// The last one that changed nothing.
    pub foreseen: Option<TaskRow>,
}

fn state(task: &TaskRow) -> Markup {
    let (class, word) = match task.state {
        TaskState::Running if task.abandoned() => ("bad", "abandoned"),
        TaskState::Running => ("soft", "under way"),
        TaskState::Done => ("good", "done"),
        TaskState::Failed => ("bad", "failed"),
        TaskState::Cancelled => ("soft", "cancelled"),
    };
    html! { span class=(class) { (word) } }
}

fn dry_run(task: &TaskRow) -> bool {
    serde_json::from_str::<Request>(&task.request).is_ok_and(|request| request.dry_run)
}

/// A collection in a list.
pub(super) fn entry(task: &TaskRow) -> Markup {
    let progress: Progress = serde_json::from_str(&task.progress).unwrap_or_default();
    let counts = progress.counts;
    let would = dry_run(task);
    html! {
        li {
            (time(task.started_at)) " " (state(task))
            @if would { " · dry run" }
            @if task.state == TaskState::Running { " · " (progress.phase.as_str()) }
            div class="meta" {
                @if would { "would free " } @else { "freed " }
                (bytes(counts.bytes_freed)) " · "
                (count(counts.old_closures_deleted, "closure", "closures")) " · "
                (count(counts.objects_deleted_after_grace_period, "object", "objects"))
                @if would { " to delete" } @else { " deleted, " (number(counts.objects_marked_for_deletion)) " marked" }
                @if counts.objects_failed_to_delete > 0 {
                    " · " span class="bad" { (number(counts.objects_failed_to_delete)) " could not be deleted" }
                }
                @if task.finished_at > 0 { " · took " (duration(task.finished_at - task.started_at)) }
                " · by " (name(&task.identity))
            }
            @if !task.error.is_empty() { div class="bad" { (clean(&task.error)) } }
        }
    }
}

/// What the next one would free.
pub(super) fn next(counts: Option<&CacheCounts>, next: &Next) -> Markup {
    html! {
        @if let Some(counts) = counts {
            @let kinds = counts.kinds();
            @let waiting: u64 = kinds.iter().filter_map(|(_, kind)| kind.condemned).sum();
            @let size: u64 = kinds.iter().filter_map(|(_, kind)| kind.condemned_bytes).sum();
            p {
                "Nothing needs " strong { (count(waiting, "object", "objects")) " with " (bytes(size)) }
                " any more: the next collection deletes them once their grace period is over."
            }
        }
        @if let Some((older_than, old)) = next.old {
            p {
                @if old >= MANY { "At least " }
                (count(old.unsigned_abs(), "closure was", "closures were")) " neither pushed nor used for "
                (duration(older_than.into())) ", the age at which the last collection let them go; the pinned ones of them stay."
            }
        }
        @if let Some(task) = &next.foreseen {
            @let progress: Progress = serde_json::from_str(&task.progress).unwrap_or_default();
            p {
                "The last dry run, " (duration(now() - task.started_at)) " ago, found "
                (bytes(progress.counts.bytes_freed)) " to free in "
                (count(progress.counts.objects_deleted_after_grace_period, "object", "objects")) " and "
                (count(progress.counts.old_closures_deleted, "closure", "closures")) " to let go."
            }
        } @else {
            p class="soft" { code { "niks3 gc --dry-run" } " says in full what would go." }
        }
    }
}

/// The list of collections, and the next.
#[must_use]
pub fn list(counts: Option<&CacheCounts>, ahead: &Next, rows: &[TaskRow], older: Option<String>) -> String {
    let main = html! {
        h1 { "Garbage collection" }
        h2 { "The next one" }
        (next(counts, ahead))
        h2 { "Those before" }
        @if rows.is_empty() { p { "There was none." } } @else {
            ul class="list" { @for task in rows { (entry(task)) } }
        }
        (more(older, "Older collections"))
    };
    page("Garbage collection", Some(Section::Gc), "", main)
}
