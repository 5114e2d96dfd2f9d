//! How pages write names, sizes and times.

use maud::{Markup, html};

/// Most characters of a text that a page shows.
const MAX_TEXT: usize = 300;

/// Whether a character has no shape of its own, or moves others about.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text that others chose, as one line: what cannot be seen is marked, what is too long is cut.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_TEXT)
        .map(|c| if unseen(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// A text that others chose, that has no effect on what is around it.
#[must_use]
pub fn name(text: &str) -> Markup {
    html! { bdi { (clean(text)) } }
}

/// The same in the letters of code.
#[must_use]
pub fn path(text: &str) -> Markup {
    html! { bdi class="path" { (clean(text)) } }
}

/// Bytes, as `1.5 GiB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number for people")]
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// So many of something.
#[must_use]
pub fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

fn date(time: i64, format: &str) -> String {
    chrono::DateTime::from_timestamp(time, 0)
        .map(|time| time.format(format).to_string())
        .unwrap_or_default()
}

/// A Unix time.
#[must_use]
pub fn time(time: i64) -> Markup {
    html! { time datetime=(date(time, "%Y-%m-%dT%H:%M:%SZ")) { (date(time, "%Y-%m-%d %H:%M UTC")) } }
}

/// The day of a Unix time.
#[must_use]
pub fn day(time: i64) -> Markup {
    html! { time datetime=(date(time, "%Y-%m-%d")) { (date(time, "%Y-%m-%d")) } }
}

/// Seconds, roughly.
#[must_use]
pub fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What stands for itself in a part of a path.
const PLAIN: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// A part of a URL's path.
#[must_use]
pub fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, PLAIN).to_string()
}

/// An address that others chose, where it leads to the web.
#[must_use]
pub fn link(address: &str, text: &str) -> Markup {
    let web = url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    html! {
        @if web {
            a href=(address) rel="noopener noreferrer nofollow" { (name(text)) }
        } @else {
            (name(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_marked_and_what_is_markup_is_text() {
        assert_eq!(
            name("<b>\u{202e}gpj\u{0}\n\u{2066}").into_string(),
            "<bdi>&lt;b&gt;\u{fffd}gpj\u{fffd}\u{fffd}\u{fffd}</bdi>"
        );
        assert_eq!(clean(&"x".repeat(400)).chars().count(), 301);
        for address in [
            "javascript:alert(1)",
            "data:text/html,x",
            " javascript:alert(1)",
            "//host",
        ] {
            assert_eq!(link(address, "x").into_string(), "<bdi>x</bdi>", "{address}");
        }
        assert!(
            link("https://host/\"><script>", "x")
                .into_string()
                .contains("&quot;&gt;&lt;script&gt;")
        );
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(12), "12");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(7200), "2 h");
    }
}
