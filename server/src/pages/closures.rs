//! Closures, and one of them with its paths.

use std::collections::HashMap;

use maud::{Markup, html};

use super::format::{bytes, clean, count, number, part, path, time};
use super::{Section, entries, more, page};
use crate::catalog::{ClosureRow, ClosureSize, Member, Members, ObjectId, PathId, Replaced, RunRow};

/// Paths on one page of a closure.
pub const PATHS: usize = 100;
/// References that are named, of one path.
const REFERENCES: usize = 50;

/// The list of closures.
#[must_use]
pub fn list(rows: &[(ClosureRow, Option<ClosureSize>)], next: Option<String>) -> String {
    let main = html! {
        h1 { "Closures" }
        p class="soft" { "What pushes have committed, from the last one on. A closure stays as long as it is pushed again, or pinned." }
        @if rows.is_empty() { p { "There are none." } } @else {
            ul class="list" { @for (row, size) in rows { (entries::closure(row, size.as_ref())) } }
        }
        (more(next, "Older closures"))
    };
    page("Closures", Some(Section::Closures), "", main)
}

/// What the page of a closure shows.
#[derive(Debug)]
pub struct Closure<'a> {
    /// The store directory.
    pub store_dir: &'a str,
    /// Where readers find the cache, if that is known; nothing for here.
    pub cache: Option<&'a str>,
    /// The cache has the listing of the root there.
    pub listed: bool,
    /// Its root.
    pub root: &'a Member,
    /// When it was pushed, if it was pushed by itself.
    pub row: Option<&'a ClosureRow>,
    /// Its paths.
    pub members: &'a Members,
    /// Pins of the root.
    pub pins: &'a [String],
    /// Runs that have pushed it, the last ones.
    pub runs: &'a [RunRow],
    /// There are more runs.
    pub more_runs: bool,
    /// Contents of the root that others have replaced.
    pub replacements: &'a [Replaced],
    /// Which page of the paths, from 0 on.
    pub page: usize,
}

/// The page of a closure.
#[must_use]
pub fn show(closure: &Closure<'_>) -> String {
    let root = closure.root.path.to_string();
    let members = &closure.members.paths;
    let names: HashMap<PathId, String> = members
        .iter()
        .map(|member| (member.id, member.path.to_string()))
        .collect();
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|a, b| b.nar_bytes.cmp(&a.nar_bytes).then_with(|| a.id.cmp(&b.id)));
    let mut objects: HashMap<ObjectId, u64> = HashMap::new();
    objects.extend(members.iter().map(|member| (member.object, member.file_bytes)));
    let nar_bytes: u64 = members.iter().map(|member| member.nar_bytes).sum();
    let file_bytes: u64 = objects.values().sum();
    let at_least = if closure.members.complete { "" } else { "at least " };
    let address = format!("/dashboard/closures/{}", part(&root));
    let full = format!("{}/{root}", closure.store_dir);
    let shown = sorted.iter().skip(closure.page * PATHS).take(PATHS);
    let next = (sorted.len() > (closure.page + 1) * PATHS)
        .then(|| format!("{address}?page={}#paths", closure.page + 1));
    let main = html! {
        h1 { (path(&root)) }
        pre { (super::format::clean(&full)) }
        ul class="tiles" {
            li { b { (at_least) (number(members.len() as u64)) } "paths" }
            li { b { (at_least) (bytes(nar_bytes)) } "unpacked" }
            li { b { (at_least) (bytes(file_bytes)) } "in the bucket" }
        }
        dl {
            @if let Some(row) = closure.row {
                dt { "Last pushed" } dd { (time(row.pushed_at)) }
                dt { "First pushed" } dd { (time(row.created_at)) }
            } @else {
                dt { "Pushed" } dd { "as a part of other closures" }
            }
            @if !closure.pins.is_empty() {
                dt { "Pins" }
                dd { @for (index, pin) in closure.pins.iter().enumerate() { @if index > 0 { ", " } (super::format::name(pin)) } }
            }
            @if !closure.root.deriver.is_empty() { dt { "Deriver" } dd { (path(&closure.root.deriver)) } }
            @if !closure.root.ca.is_empty() { dt { "Content address" } dd { (path(&closure.root.ca)) } }
            @if let Some(cache) = closure.cache {
                @let object = format!("{cache}/{}", closure.root.path.hash_part());
                dt { "Objects" }
                dd {
                    a href={ (object) ".narinfo" } { "narinfo" }
                    @if closure.listed { " · " a href={ (object) ".ls" } { "listing" } }
                }
            }
        }
        h2 { "Runs" }
        @if closure.runs.is_empty() { p { "No run of CI is known to have pushed it." } } @else {
            ul class="list" { @for run in closure.runs { (entries::run(run)) } }
            @if closure.more_runs { p class="soft" { "Older runs are left out." } }
        }
        (replacements(closure.replacements))
        h2 id="paths" { "Paths" }
        @if !closure.members.complete { p { "The closure is too large for a page: these are the paths next to its root." } }
        p class="soft" { "From the largest on." }
        ul class="list" {
            @for member in shown { (member_entry(member, &names)) }
        }
        (more(next, "More paths"))
    };
    page(&root, Some(Section::Closures), "", main)
}

fn replacements(replaced: &[Replaced]) -> Markup {
    let signers = |names: &str| match names.is_empty() {
        true => "no key".to_owned(),
        false => names.lines().collect::<Vec<_>>().join(", "),
    };
    html! {
        @if !replaced.is_empty() {
            h2 { "Replacements" }
            p class="soft" { "Contents that a push with a higher-ranked key has replaced, the latest first." }
            ul class="list" {
                @for one in replaced {
                    li {
                        (time(one.replaced_at)) " by " (clean(&one.identity))
                        div class="meta" {
                            (clean(&one.nar_hash.0)) ", signed by " (clean(&signers(&one.signed_by.0))) " → "
                            (clean(&one.nar_hash.1)) ", signed by " (clean(&signers(&one.signed_by.1)))
                            " · kept until " (time(one.kept_until))
                        }
                    }
                }
            }
        }
    }
}

fn member_entry(member: &Member, names: &HashMap<PathId, String>) -> Markup {
    let base = member.path.to_string();
    let references: Vec<&String> = member
        .refs
        .iter()
        .filter(|id| **id != member.id)
        .filter_map(|id| names.get(id))
        .collect();
    html! {
        li {
            a href={ "/dashboard/closures/" (part(&base)) } { (path(&base)) }
            div class="meta" { (bytes(member.nar_bytes)) " unpacked · " (bytes(member.file_bytes)) " in the bucket" }
            @if !references.is_empty() {
                details class="meta" {
                    summary { (count(references.len() as u64, "reference", "references")) }
                    ul {
                        @for reference in references.iter().take(REFERENCES) {
                            li { a href={ "/dashboard/closures/" (part(reference)) } { (path(reference)) } }
                        }
                        @if references.len() > REFERENCES { li { "and " (number((references.len() - REFERENCES) as u64)) " more" } }
                    }
                }
            }
        }
    }
}
