//! Pins.

use maud::{Markup, html};

use super::format::{name, part, path, time};
use super::{Section, more, page};
use crate::catalog::Pin;

/// A pin in a list.
pub(super) fn entry(pin: &Pin) -> Markup {
    let base = pin.path.to_string();
    html! {
        li {
            strong { (name(&pin.name)) }
            div { a href={ "/dashboard/closures/" (part(&base)) } { (path(&base)) } }
            div class="meta" { "set " (time(pin.updated_at)) }
        }
    }
}

/// The list of pins.
#[must_use]
pub fn list(pins: &[Pin], next: Option<String>) -> String {
    let main = html! {
        h1 { "Pins" }
        p class="soft" { "Names that keep a closure in the cache." }
        @if pins.is_empty() { p { "There are none: " code { "niks3 pins create NAME PATH" } " makes one." } } @else {
            ul class="list" { @for pin in pins { (entry(pin)) } }
        }
        (more(next, "More pins"))
    };
    page("Pins", Some(Section::Pins), "", main)
}
