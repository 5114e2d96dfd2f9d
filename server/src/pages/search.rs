//! What a search found.

use maud::html;

use super::format::{name, part, path};
use super::{more, page};

/// The page with what was found.
#[must_use]
pub fn show(query: &str, found: &[String], next: Option<String>) -> String {
    let main = html! {
        h1 { "Search" }
        @if query.is_empty() {
            p { "Write a store path, the beginning of its hash, or a part of its name." }
        } @else if found.is_empty() {
            p { @if next.is_some() { "Nothing among the newer paths is called " } @else { "Nothing in the cache is called " } (name(query)) "." }
        } @else {
            p { "In the cache for " (name(query)) ":" }
            ul class="list" {
                @for base in found { li { a href={ "/dashboard/closures/" (part(base)) } { (path(base)) } } }
            }
        }
        (more(next, "Look among older paths"))
    };
    page("Search", None, query, main)
}
