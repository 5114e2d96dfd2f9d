//! Commands on standard output.

use std::io::{self, Write};

/// A line of the log; never a command, whatever it says.
pub(crate) fn log(text: &str) {
    text.split(['\n', '\r']).for_each(|line| print(&harmless(line)));
}

/// A line that the runner takes for text. It looks for `::` where a line begins, and for `##[` anywhere.
///
/// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>
fn harmless(line: &str) -> String {
    let line = line.replace("##[", "## [");
    if line.trim_start().starts_with("::") {
        format!("> {line}")
    } else {
        line
    }
}

/// Standard error, of which the runner takes no line for a command.
#[derive(Debug)]
pub(crate) struct HarmlessStderr;

impl Write for HarmlessStderr {
    /// A whole event comes at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<String> = text.split(['\n', '\r']).map(harmless).collect();
        io::stderr().lock().write_all(lines.join("\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
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
    let _ = writeln!(io::stdout().lock(), "{line}");
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
    fn no_text_is_a_command() {
        for (line, shown) in [
            ("::error::x", "> ::error::x"),
            (" \t::stop-commands::x", ">  \t::stop-commands::x"),
            (
                "a ##[save-state name=directory]/",
                "a ## [save-state name=directory]/",
            ),
            ("#[##[##[", "#[## [## ["),
            ("a::b", "a::b"),
        ] {
            assert_eq!(harmless(line), shown);
        }
    }

    #[test]
    fn text_stays_on_one_line_and_ends_no_property() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a,b: c"), "a%2Cb%3A c");
    }
}
