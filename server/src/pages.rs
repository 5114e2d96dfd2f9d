//! Pages for people: rendered here, whole without JavaScript and without anything from
//! elsewhere. Every text that others chose goes through [`format`].

pub mod closures;
mod entries;
pub mod format;
pub mod gc;
pub mod landing;
pub mod overview;
pub mod pins;
pub mod runs;
pub mod search;

use std::sync::LazyLock;

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("pages/style.css");

/// What a page may load: its own style, which is known by its hash, and nothing else.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The part of [`POLICY`] that a page can say of itself.
static POLICY_IN_PAGE: LazyLock<String> = LazyLock::new(|| POLICY.replace("; frame-ancestors 'none'", ""));

/// The parts of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The first page.
    Overview,
    /// Closures.
    Closures,
    /// Runs of CI.
    Runs,
    /// Pins.
    Pins,
    /// Garbage collections and checks.
    Gc,
}

impl Section {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Overview, "/dashboard", "Overview"),
        (Self::Closures, "/dashboard/closures", "Closures"),
        (Self::Runs, "/dashboard/runs", "Runs"),
        (Self::Pins, "/dashboard/pins", "Pins"),
        (Self::Gc, "/dashboard/gc", "Garbage collection"),
    ];
}

fn document(title: &str, head: Markup, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                (head)
                title { (format::clean(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}

/// A page of the dashboard.
#[must_use]
pub fn page(title: &str, section: Option<Section>, query: &str, main: Markup) -> String {
    let body = html! {
        a class="skip" href="#main" { "Skip to the content" }
        header {
            a class="name" href="/dashboard" { "niks3" }
            nav aria-label="Dashboard" {
                ul {
                    @for (known, address, words) in Section::ALL {
                        li { a href=(address) aria-current=[(section == Some(known)).then_some("page")] { (words) } }
                    }
                }
            }
            form class="search" role="search" action="/dashboard/search" method="get" {
                input type="search" name="q" value=(query) maxlength="300" aria-label="Store path or name" placeholder="Store path or name";
                button { "Search" }
            }
        }
        main id="main" { (main) }
        footer { "niks3 " (env!("CARGO_PKG_VERSION")) " · " a href="/docs" { "API" } " · " a href="/metrics" { "Metrics" } }
    };
    document(&format!("{title} · niks3"), html! {}, body)
}

/// A page that says why there is no other.
#[must_use]
pub fn failure(title: &str, detail: &str, request_id: &str) -> String {
    let body = html! {
        main id="main" {
            h1 { (title) }
            p { (format::clean(detail)) }
            p class="soft" { "Request " code { (request_id) } }
            p { a href="/dashboard" { "To the dashboard" } }
        }
    };
    document(&format!("{title} · niks3"), html! {}, body)
}

/// The link to the next page of a list.
fn more(address: Option<String>, words: &str) -> Markup {
    html! {
        @if let Some(address) = address {
            nav class="pages" aria-label="Pages" { a rel="next" href=(address) { (words) } }
        }
    }
}
/// The same page for clients that find the server below a path: its links, which begin with a slash, lead there.
#[must_use]
pub fn below(prefix: &str, page: String) -> String {
    if prefix.is_empty() {
        return page;
    }
    // Quotation marks in what a page shows are written otherwise.
    ["href", "action"].iter().fold(page, |page, attribute| {
        page.replace(&format!("{attribute}=\"/"), &format!("{attribute}=\"{prefix}/"))
    })
}
