//! The first page of the dashboard.

use maud::{Markup, html};

use super::format::{bytes, day, number};
use super::gc::{self, Next};
use super::{Section, entries, page, pins};
use crate::catalog::{CacheCounts, ClosureRow, PastCounts, Pin, RunRow, TaskRow};

/// What the page shows.
#[derive(Debug, Default)]
pub struct Overview<'a> {
    /// What somebody has to do, in a sentence.
    pub alert: Option<String>,
    /// What the cache holds, if that could be counted.
    pub counts: Option<&'a CacheCounts>,
    /// The past, day by day.
    pub past: Vec<PastCounts>,
    /// The last runs.
    pub runs: Vec<RunRow>,
    /// The last closures.
    pub closures: Vec<ClosureRow>,
    /// Some pins.
    pub pins: Vec<Pin>,
    /// The last collection.
    pub last_gc: Option<TaskRow>,
    /// The next collection.
    pub next: Next,
}

/// The page.
#[must_use]
pub fn show(overview: &Overview<'_>) -> String {
    let main = html! {
        h1 { "Overview" }
        @if let Some(alert) = &overview.alert { p class="bad" role="alert" { (alert) } }
        @if let Some(counts) = overview.counts { (tiles(counts)) } @else {
            p class="bad" { "What the cache holds could not be counted in time." }
        }
        h2 { "Storage" }
        (chart(&overview.past))
        h2 { "Garbage collection" }
        @if let Some(task) = &overview.last_gc {
            ul class="list" { (gc::entry(task)) }
        } @else { p { "There was none yet: " code { "niks3 gc --older-than=720h" } " runs one." } }
        (gc::next(overview.counts, &overview.next))
        p { a href="/dashboard/gc" { "All collections" } }
        h2 { "Runs" }
        @if overview.runs.is_empty() { p { "No run of CI has pushed yet." } } @else {
            ul class="list" { @for run in &overview.runs { (entries::run(run)) } }
            p { a href="/dashboard/runs" { "All runs" } }
        }
        h2 { "Closures" }
        @if overview.closures.is_empty() { p { "Nothing was pushed yet." } } @else {
            ul class="list" { @for row in &overview.closures { (entries::closure(row, None)) } }
            p { a href="/dashboard/closures" { "All closures" } }
        }
        h2 { "Pins" }
        @if overview.pins.is_empty() { p { "There are none." } } @else {
            ul class="list" { @for pin in &overview.pins { (pins::entry(pin)) } }
            p { a href="/dashboard/pins" { "All pins" } }
        }
    };
    page("Overview", Some(Section::Overview), "", main)
}

fn tiles(counts: &CacheCounts) -> Markup {
    html! {
        ul class="tiles" {
            li { b { (number(counts.narinfos.objects)) } "paths" }
            li { b { (bytes(counts.stored_bytes())) } "in the bucket" }
            li { b { (bytes(counts.nar_bytes)) } "unpacked" }
            li { b { (format!("{:.2}", counts.dedup_ratio())) "×" } "use of each NAR" }
            li { b { (number(counts.closures)) } "closures" }
            li { b { (number(counts.pins.objects)) } "pins" }
            li { b { (number(counts.runs)) } "runs" }
            li { b { (number(counts.open_pushes)) } "pushes under way" }
        }
    }
}

const WIDTH: i64 = 1000;
const HEIGHT: i64 = 100;

/// Bytes in the bucket over time.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "places in a picture"
)]
fn chart(past: &[PastCounts]) -> Markup {
    let (Some(first), Some(last)) = (past.first(), past.last()) else {
        return html! { p { "There is no history yet: it is written once an hour." } };
    };
    let most = past.iter().map(|entry| entry.bytes).max().unwrap_or(0);
    let seconds = (last.at - first.at).max(1) as f64;
    let mut line = String::new();
    let mut flat = past.to_vec();
    if first.at == last.at {
        flat.push(PastCounts {
            at: first.at + 1,
            ..*first
        });
    }
    for entry in &flat {
        let x = ((entry.at - first.at) as f64 / seconds * WIDTH as f64) as i64;
        let y = HEIGHT - (entry.bytes as f64 / (most.max(1) as f64 * 1.1) * HEIGHT as f64) as i64;
        line.push_str(&format!("{}{x} {y}", if line.is_empty() { "M" } else { " L" }));
    }
    let area = format!("{line} L{WIDTH} {HEIGHT} L0 {HEIGHT} Z");
    let words = format!(
        "From {} to {} in the bucket, {} at most",
        bytes(first.bytes.unsigned_abs()),
        bytes(last.bytes.unsigned_abs()),
        bytes(most.unsigned_abs())
    );
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(words) {
                path class="area" d=(area) {}
                path class="line" d=(line) {}
            }
            figcaption { span { (day(first.at)) } span { (words) } span { (day(last.at)) } }
        }
    }
}
