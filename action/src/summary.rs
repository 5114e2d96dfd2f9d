//! What post says: a sentence, and a page.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use niks3_queue::{Journal, Outcome};

use crate::post::Report;

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
    format!(
        "{} pushed ({} as {}), {} already cached, {} failed{}; {:.1} s after the build",
        journal.pushed(),
        size(nar_bytes(report)),
        size(journal.bytes_sent),
        journal.cached(),
        journal.failed(),
        verification(journal),
        report.seconds
    )
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

/// The page: what failed first, since that is what somebody looks for.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = "## niks3\n\n".to_owned();
    let _ = writeln!(text, "{}\n", escaped(&sentence(report)));
    if let Some(url) = &report.run_url {
        let _ = writeln!(text, "[The run at the server]({url})\n");
    }
    for trouble in &report.troubles {
        let _ = writeln!(text, "> [!WARNING]\n> {}\n", escaped(trouble));
    }
    list(&mut text, "Conflicts", &report.journal.conflicts);
    list(&mut text, "Replaced in the cache", &report.journal.replaced);
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
        })
        .collect();
    if rows.is_empty() {
        return text;
    }
    rows.sort();
    text += "| path | | size |\n|---|---|---|\n";
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
