//! Commands on standard output.

use std::io::Write as _;

/// A line of the log; never a command, whatever it says.
pub(crate) fn log(text: &str) {
    for line in text.lines() {
        let harmless = line.trim_start();
        if harmless.starts_with("::") || harmless.starts_with("##[") {
            print(&format!("> {line}"));
        } else {
            print(line);
        }
    }
}

/// An annotation in blue.
pub(crate) fn notice(title: &str, text: &str) {
    annotate("notice", title, text);
}

/// An annotation in yellow.
pub(crate) fn warning(title: &str, text: &str) {
    annotate("warning", title, text);
}

/// An annotation in red.
pub(crate) fn error(title: &str, text: &str) {
    annotate("error", title, text);
}

/// Keeps a secret out of every log of the job.
pub(crate) fn mask(secret: &str) {
    for line in secret.lines().filter(|line| !line.trim().is_empty()) {
        print(&format!("::add-mask::{}", data(line)));
    }
}

/// Text that is folded away, in which no line is a command.
pub(crate) fn group(title: &str, text: &str) {
    print(&format!("::group::{}", data(title)));
    let resume = format!("{:032x}", rand::random::<u128>());
    print(&format!("::stop-commands::{resume}"));
    print(text.trim_end());
    print(&format!("::{resume}::"));
    print("::endgroup::");
}

fn annotate(level: &str, title: &str, text: &str) {
    print(&format!("::{level} title={}::{}", property(title), data(text)));
}

/// A reader that went away is no reason to fail.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_on_one_line_and_ends_no_property() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a,b: c"), "a%2Cb%3A c");
    }
}
