//! Runs of CI, and one of them with what it pushed.

use maud::html;

use super::format::{link, name, path, time};
use super::{Section, entries, more, page};
use crate::catalog::{ClosureRow, RunRow};

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
            ul class="list" { @for run in rows { (entries::run(run)) } }
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
        h1 { (name(&entries::run_title(run))) }
        dl {
            @for (label, text) in texts {
                @if !text.is_empty() { dt { (label) } dd { (name(text)) } }
            }
            dt { "Recorded" } dd { (time(run.created_at)) }
            @if !run.conclusion.is_empty() { dt { "Conclusion" } dd { (entries::conclusion(&run.conclusion)) } }
            @if !facts.url.is_empty() { dt { "Page" } dd { (link(&facts.url, &facts.url)) } }
            @if !run.job_url.is_empty() { dt { "Page of the job" } dd { (link(&run.job_url, &run.job_url)) } }
            dt { "Verified" }
            dd {
                @if run.verified { "yes, by the claims of its token" } @else { "no: its pusher says so" }
            }
        }
        h2 { "Closures" }
        @if pushed.is_empty() { p { "None of those that it pushed is in the cache." } } @else {
            ul class="list" { @for row in pushed { (entries::closure(row, None)) } }
        }
        (more(next, "More closures"))
        p class="soft" { "On the command line: " (path(&format!("niks3 runs show {}", run.token))) }
    };
    page(&entries::run_title(run), Some(Section::Runs), "", main)
}
