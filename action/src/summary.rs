//! What post says: a sentence, and a page.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
};

use niks3_nix::store_path::StorePath;
use niks3_push::upstream_name;
use niks3_queue::{Journal, Outcome};
use regex::Regex;

use crate::nix_conf;

/// What there is to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) journal: Journal,
    /// What went wrong besides single paths.
    pub(crate) troubles: Vec<String>,
    /// What is worth knowing, and no fault of the action.
    pub(crate) notices: Vec<String>,
    /// The server, as it may be shown.
    pub(crate) server: String,
    /// How long post took.
    pub(crate) seconds: f64,
    /// The run's page at the server.
    pub(crate) run_url: Option<String>,
}

/// A page of a megabyte is refused.
const MAX_ROWS: usize = 500;
/// Conflicts and replacements on the page, each.
const MAX_LISTED: usize = 100;

/// Bytes, as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = None;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{value:.1} {unit}"),
    }
}

fn nar_bytes(report: &Report) -> u64 {
    let sizes = report.journal.paths.values().map(|outcome| match outcome {
        Outcome::Pushed { nar_size } => *nar_size,
        _ => 0,
    });
    sizes.sum()
}

/// Everything in one line.
pub(crate) fn sentence(report: &Report) -> String {
    let journal = &report.journal;
    let filtered = match journal.filtered() {
        0 => String::new(),
        count => format!(", {count} left out by `push-filter`"),
    };
    format!(
        "{} pushed ({} as {}), {} already cached, {} failed{filtered}{}{}; {:.1} s after the build",
        journal.pushed(),
        size(nar_bytes(report)),
        size(journal.bytes_sent),
        journal.cached(),
        journal.failed(),
        left(journal),
        verification(journal),
        report.seconds
    )
}

/// What is left to upstream caches.
fn left(journal: &Journal) -> String {
    let caches = journal.left().into_iter();
    caches
        .map(|(cache, paths)| {
            let noun = if paths == 1 { "path" } else { "paths" };
            format!(", {paths} {noun} left to {}", upstream_name(cache))
        })
        .collect()
}

/// What the server found when it read and compared what was pushed, as far as there is anything to say.
fn verification(journal: &Journal) -> String {
    let mut text = String::new();
    if journal.verified > 0 {
        let _ = write!(text, ", {} verified", journal.verified);
    }
    if !journal.replaced.is_empty() {
        let _ = write!(text, ", {} replaced", journal.replaced.len());
    }
    match journal.conflicts.len() {
        0 => {}
        1 => text += ", 1 conflict",
        count => {
            let _ = write!(text, ", {count} conflicts");
        }
    }
    text
}

/// The page of a job that is refused before it builds anything.
pub(crate) fn refusal(server: Option<&str>, reason: &str) -> String {
    let mut text = "## niks3\n\n".to_owned();
    if let Some(server) = server {
        let _ = writeln!(text, "Server: {}\n", escaped(server));
    }
    let _ = writeln!(
        text,
        "> [!WARNING]\n> This job pushes nothing: {}\n",
        escaped(reason)
    );
    text
}

/// What was built without the post-build hook, if anything was.
pub(crate) fn unseen(paths: &[StorePath], are_ours: bool) -> Option<String> {
    let how_many = match paths {
        [] => return None,
        [path] => format!("1 path was built that the post-build hook did not see, {path}"),
        [first, ..] => format!(
            "{} paths were built that the post-build hook did not see, {first} for example",
            paths.len()
        ),
    };
    Some(if are_ours {
        format!(
            "{how_many}: a step ran Nix without the variable {} of this job (under sudo, or with an `env` of its own). What \
             was built is pushed all the same, but only now",
            nix_conf::VARIABLE
        )
    } else {
        format!(
            "{how_many}. Other jobs used the same store, so these paths are taken for theirs and not pushed. To push \
             everything that is built on this machine meanwhile, set the input `mode` to `scan`"
        )
    })
}

/// What is in the cache though the filter matches it, if anything is.
pub(crate) fn pushed_in_spite_of_filter(filter: Option<&Regex>, journal: &Journal) -> Option<String> {
    let filter = filter?;
    let roots: HashSet<&StorePath> = journal.closures.iter().collect();
    let pushed: Vec<&StorePath> = journal
        .paths
        .iter()
        .filter(|(path, outcome)| {
            matches!(outcome, Outcome::Pushed { .. })
                && filter.is_match(path.as_str())
                && !roots.contains(path)
        })
        .map(|(path, _)| path)
        .collect();
    let names = match &pushed[..] {
        [] => return None,
        [path] => {
            return Some(format!(
                "{path} matches the input `push-filter`, and is pushed since another pushed path refers to it"
            ));
        }
        [first, second] => format!("{first} and {second}"),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
    };
    Some(format!(
        "{names} match the input `push-filter`, and are pushed since other pushed paths refer to them"
    ))
}

/// A text about a server, which names its address if the text does not.
pub(crate) fn with_address(text: &str, server: &str) -> String {
    if text.contains(server) {
        text.to_owned()
    } else {
        format!("{text} (server: {server})")
    }
}

/// The page: what failed first, since that is what somebody looks for.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = "## niks3\n\n".to_owned();
    let _ = writeln!(text, "{}\n", escaped(&sentence(report)));
    let _ = writeln!(text, "Server: {}\n", escaped(&report.server));
    if let Some(url) = &report.run_url {
        let _ = writeln!(text, "[The run at the server]({url})\n");
    }
    for trouble in &report.troubles {
        let _ = writeln!(text, "> [!WARNING]\n> {}\n", escaped(trouble));
    }
    for warning in report.journal.warnings.iter().take(MAX_LISTED) {
        let _ = writeln!(text, "> [!WARNING]\n> {}\n", escaped(warning));
    }
    list(&mut text, "Conflicts", &report.journal.conflicts);
    list(&mut text, "Replaced in the cache", &report.journal.replaced);
    for notice in &report.notices {
        let _ = writeln!(text, "> [!NOTE]\n> {}\n", escaped(notice));
    }
    let mut rows: Vec<(u8, String)> = report
        .journal
        .paths
        .iter()
        .map(|(path, outcome)| match outcome {
            Outcome::Failed { error } => (0, format!("| `{path}` | **failed** | {} |", escaped(error))),
            Outcome::Pushed { nar_size } => (1, format!("| `{path}` | pushed | {} |", size(*nar_size))),
            Outcome::Cached { nar_size } => {
                (2, format!("| `{path}` | already cached | {} |", size(*nar_size)))
            }
            Outcome::Left { cache } => (
                3,
                format!(
                    "| `{path}` | left out | {} has it |",
                    escaped(upstream_name(cache))
                ),
            ),
            Outcome::Filtered => (4, format!("| `{path}` | left out | `push-filter` |")),
        })
        .collect();
    if rows.is_empty() {
        return text;
    }
    rows.sort();
    text += "| Path | Outcome | Size or reason |\n|---|---|---|\n";
    for (_, row) in rows.iter().take(MAX_ROWS) {
        text += row;
        text.push('\n');
    }
    if rows.len() > MAX_ROWS {
        let _ = writeln!(text, "\nand {} more", rows.len() - MAX_ROWS);
    }
    text.push('\n');
    text
}

/// A list, if there is anything in it.
fn list(text: &mut String, title: &str, items: &BTreeSet<String>) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "**{title}**\n");
    for item in items.iter().take(MAX_LISTED) {
        let _ = writeln!(text, "- {}", escaped(item));
    }
    if items.len() > MAX_LISTED {
        let _ = writeln!(text, "- and {} more", items.len() - MAX_LISTED);
    }
    text.push('\n');
}

/// Text of others, as text.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => result.push(' '),
            '<' => result.push_str("&lt;"),
            '&' => result.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' => {
                result.push('\\');
                result.push(c);
            }
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_once() {
        let server = "https://niks3.example.com";
        assert_eq!(
            with_address("cannot reach https://niks3.example.com", server),
            "cannot reach https://niks3.example.com"
        );
        assert_eq!(
            with_address("refused", server),
            "refused (server: https://niks3.example.com)"
        );
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }

    #[test]
    fn text_of_others_makes_no_table_and_no_tag() {
        assert_eq!(escaped("a|b <img>\nc"), "a\\|b &lt;img> c");
    }
}
