//! The page in the bucket: how to use the cache.

use maud::html;

use super::format::{bytes, number};
use super::{POLICY_IN_PAGE, document};
use crate::catalog::CacheCounts;

/// What the page says.
#[derive(Debug)]
pub struct Landing<'a> {
    /// Where readers find the cache.
    pub cache: &'a str,
    /// Where those who push find the server, if that is known.
    pub server: Option<&'a str>,
    /// Store directory.
    pub store_dir: &'a str,
    /// Public keys.
    pub keys: &'a [String],
    /// What the cache holds, if that could be counted.
    pub counts: Option<&'a CacheCounts>,
}

/// A text of the language Nix.
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{text}\"")
}

/// The page.
#[must_use]
pub fn page(landing: &Landing<'_>) -> String {
    let keys: Vec<String> = landing.keys.iter().map(|key| quoted(key)).collect();
    let (url, keys, plain) = (quoted(landing.cache), keys.join(" "), landing.keys.join(" "));
    let settings = format!("  extra-substituters = [ {url} ];\n  extra-trusted-public-keys = [ {keys} ];\n");
    let server = landing.server.unwrap_or("https://SERVER");
    let head = html! { meta http-equiv="Content-Security-Policy" content=(*POLICY_IN_PAGE); };
    let body = html! {
        main id="main" {
            h1 { "Nix binary cache" }
            p {
                "This is a binary cache for " a href="https://nixos.org" { "Nix" } ", of the store "
                code { (landing.store_dir) } "."
            }
            @if let Some(counts) = landing.counts {
                ul class="tiles" {
                    li { b { (number(counts.narinfos.objects)) } "paths" }
                    li { b { (bytes(counts.stored_bytes())) } "in the bucket" }
                    li { b { (bytes(counts.nar_bytes)) } "unpacked" }
                    li { b { (number(counts.closures)) } "closures" }
                    li { b { (number(counts.pins.objects)) } "pins" }
                }
            }
            h2 { "Public keys" }
            p { "Its paths are signed with" }
            ul { @for key in landing.keys { li { code { (key) } } } }
            h2 { "nix.conf" }
            pre { (format!("extra-substituters = {}\nextra-trusted-public-keys = {plain}", landing.cache)) }
            h2 { "NixOS" }
            pre { (format!("nix.settings = {{\n{settings}}};")) }
            h2 { "flake.nix" }
            pre { (format!("nixConfig = {{\n{settings}}};")) }
            h2 { "GitHub Actions" }
            p { "To read from the cache, and to push what a job builds:" }
            pre {
                "permissions: { id-token: write, contents: read }\nsteps:\n  - uses: cachix/install-nix-action@v31\n  - uses: niks3/push@v1\n    with: { server-url: "
                (server) " }\n  - run: nix build"
            }
            h2 { "Once" }
            pre { (format!("nix build --option extra-substituters {} --option extra-trusted-public-keys \"{plain}\"", landing.cache)) }
            h2 { "Pins" }
            p { "A pin is a name for a store path:" }
            pre { (format!("nix-store -r $(curl -fsS {}/pins/NAME)", landing.cache)) }
        }
        footer { "Kept by niks3" }
    };
    document("Nix binary cache", head, body)
}
