//! What stands in lists on several pages.

use maud::{Markup, html};

use super::format::{bytes, count, duration, name, part, path, time};
use crate::catalog::{ClosureRow, ClosureSize, RunRow, now};

/// A closure in a list.
pub(super) fn closure(row: &ClosureRow, size: Option<&ClosureSize>) -> Markup {
    let root = row.root.to_string();
    html! {
        li {
            a href={ "/dashboard/closures/" (part(&root)) } { (path(&root)) }
            div class="meta" {
                "pushed " (time(row.pushed_at)) ", " (duration(now() - row.pushed_at)) " ago"
                @if let Some(size) = size {
                    " · " (count(size.paths, "path", "paths")) " · " (bytes(size.nar_bytes)) " unpacked · "
                    (bytes(size.file_bytes)) " in the bucket"
                    @let left_out = size.left_to.values().sum::<u64>();
                    @if left_out > 0 { " · " (count(left_out, "path", "paths")) " left to other caches" }
                }
            }
        }
    }
}

/// What a run is called.
pub(super) fn run_title(run: &RunRow) -> String {
    let facts = &run.facts;
    let mut words: Vec<&str> = Vec::new();
    words.extend([facts.repository.as_str(), &facts.workflow, &facts.job].map(str::trim));
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        "a run".into()
    } else {
        words.join(" / ")
    }
}

/// A run in a list.
pub(super) fn run(run: &RunRow) -> Markup {
    let facts = &run.facts;
    html! {
        li {
            a href={ "/dashboard/runs/" (part(&run.token)) } { (name(&run_title(run))) }
            @if !run.conclusion.is_empty() { " " (conclusion(&run.conclusion)) }
            div class="meta" {
                (time(run.created_at))
                @if !facts.git_ref.is_empty() { " · " (name(&facts.git_ref)) }
                @if facts.pull_request > 0 { " · pull request " (facts.pull_request) }
                @if !facts.actor.is_empty() { " · by " (name(&facts.actor)) }
                " · " (count(run.closures.unsigned_abs(), "closure", "closures"))
                @if !run.verified { " · not verified" }
            }
        }
    }
}

/// How a run ended.
pub(super) fn conclusion(text: &str) -> Markup {
    let class = match text {
        "success" => "good",
        "failure" | "timed_out" | "startup_failure" => "bad",
        _ => "soft",
    };
    html! { span class=(class) { (name(text)) } }
}
