//! Runs of CI, and one of them with what it pushed.

use maud::{Markup, html};

use super::format::{count, link, name, part, path, time};
use super::{Section, closures, more, page};
use crate::catalog::{ClosureRow, RunRow};

fn title(run: &RunRow) -> String {
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
pub(super) fn entry(run: &RunRow) -> Markup {
    let facts = &run.facts;
    html! {
        li {
            a href={ "/dashboard/runs/" (part(&run.token)) } { (name(&title(run))) }
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

fn conclusion(text: &str) -> Markup {
    let class = match text {
        "success" => "good",
        "failure" | "timed_out" | "startup_failure" => "bad",
        _ => "soft",
    };
    html! { span class=(class) { (name(text)) } }
}

/// The list of runs, of one repository if it is named.
#[must_use]
pub fn list(rows: &[RunRow], repository: &str, git_ref: &str, next: Option<String>) -> String {
    let main = html! {
        h1 { "Runs" }
        form class="fields" action="/dashboard/runs" method="get" {
            div { label for="repository" { "Repository" } input id="repository" name="repository" value=(repository) placeholder="owner/name" maxlength="300"; }
            div { label for="ref" { "Ref" } input id="ref" name="ref" value=(git_ref) placeholder="refs/heads/main" maxlength="300"; }
            div { button { "Filter" } }
        }
        @if rows.is_empty() { p { "There are none." } } @else {
            ul class="list" { @for run in rows { (entry(run)) } }
        }
        (more(next, "Older runs"))
    };
    page("Runs", Some(Section::Runs), "", main)
}

/// The page of a run.
#[must_use]
pub fn show(run: &RunRow, pushed: &[ClosureRow], next: Option<String>) -> String {
    let facts = &run.facts;
    let pull_request = if facts.pull_request > 0 {
        facts.pull_request.to_string()
    } else {
        String::new()
    };
    let texts = [
        ("Repository", &facts.repository),
        ("Ref", &facts.git_ref),
        ("Commit", &facts.sha),
        ("Pull request", &pull_request),
        ("Event", &facts.event),
        ("Workflow", &facts.workflow),
        ("Job", &facts.job),
        ("Run", &facts.run_id),
        ("Attempt", &facts.attempt),
        ("Started by", &facts.actor),
        ("Provider", &facts.provider),
        ("Pushed by", &run.identity),
    ];
    let main = html! {
        h1 { (name(&title(run))) }
        dl {
            @for (label, text) in texts {
                @if !text.is_empty() { dt { (label) } dd { (name(text)) } }
            }
            dt { "Recorded" } dd { (time(run.created_at)) }
            @if !run.conclusion.is_empty() { dt { "Conclusion" } dd { (conclusion(&run.conclusion)) } }
            @if !facts.url.is_empty() { dt { "Page" } dd { (link(&facts.url, &facts.url)) } }
            @if !run.job_url.is_empty() { dt { "Page of the job" } dd { (link(&run.job_url, &run.job_url)) } }
            dt { "Verified" }
            dd {
                @if run.verified { "yes, by the claims of its token" } @else { "no: its pusher says so" }
            }
        }
        h2 { "Closures" }
        @if pushed.is_empty() { p { "None of those that it pushed is in the cache." } } @else {
            ul class="list" { @for row in pushed { (closures::entry(row, None)) } }
        }
        (more(next, "More closures"))
        p class="soft" { "On the command line: " (path(&format!("niks3 runs show {}", run.token))) }
    };
    page(&title(run), Some(Section::Runs), "", main)
}
