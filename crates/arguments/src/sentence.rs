//! What is wrong, in the form of every message: one sentence, without the layout of a parser or the numbers of a system.

use clap::error::{ContextKind, ContextValue};

/// What is wrong with the arguments of a command, and where its options are listed.
#[must_use]
pub fn sentence(mut error: clap::Error, command: &str) -> String {
    let similar = similar(&mut error);
    // "to pass '--x' as a value, use '-- --x'" helps nobody who has misspelt an option.
    error.remove(ContextKind::Suggested);
    let text = error.render().to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or(&text);
    let said = said.split("\n\nFor more information").next().unwrap_or(said);
    let words: Vec<_> = said.trim_start_matches("error: ").split_whitespace().collect();
    let similar = similar.map(|name| format!("; a similar one is '{name}'"));
    format!(
        "{}{}; see `{command} --help`",
        words.join(" "),
        similar.unwrap_or_default()
    )
}

/// Takes what the parser suggests out of an error; the first of it, if that can be what was meant.
fn similar(error: &mut clap::Error) -> Option<String> {
    let text = |value: ContextValue| match value {
        ContextValue::String(text) => Some(text),
        ContextValue::Strings(texts) => texts.into_iter().next(),
        _ => None,
    };
    let mut found = None;
    for (given, suggested) in [
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ] {
        let suggestion = error.remove(suggested).and_then(text);
        let given = error.get(given).cloned().and_then(text);
        if let (Some(given), Some(suggestion)) = (given, suggestion)
            && may_be_meant(&given, &suggestion)
        {
            found = Some(suggestion);
        }
    }
    found
}

/// Whether a name is another one that was cut off, went on, or has few letters wrong.
fn may_be_meant(given: &str, name: &str) -> bool {
    let (given, name) = (given.trim_start_matches('-'), name.trim_start_matches('-'));
    let shorter = given.len().min(name.len());
    let is_part = shorter >= 3 && (given.starts_with(name) || name.starts_with(given));
    is_part || strsim::osa_distance(given, name) * 3 <= shorter
}

/// A message without the numbers that systems give their errors: ` (os error 2)`.
#[must_use]
pub fn without_error_numbers(text: &str) -> String {
    const BEFORE: &str = " (os error ";
    let mut parts = text.split(BEFORE);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => kept += rest,
            _ => {
                kept += BEFORE;
                kept += part;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn said(arguments: &[&str]) -> String {
        let command = Command::new("p")
            .arg(Arg::new("skip").long("skip-upstream"))
            .arg(Arg::new("checksum").long("s3-checksum"))
            .arg(Arg::new("shell").long("shell").value_parser(["bash", "zsh"]))
            .subcommand(Command::new("push"));
        let error = command
            .try_get_matches_from([&["p"], arguments].concat())
            .unwrap_err();
        sentence(error, "p")
    }

    #[test]
    fn what_is_wrong_is_one_sentence_that_names_what_may_be_meant() {
        for (arguments, expected) in [
            (
                &["puhs"][..],
                "unrecognized subcommand 'puhs'; a similar one is 'push'; see `p --help`",
            ),
            (
                &["--skip-upstreams", "x"],
                "unexpected argument '--skip-upstreams' found; a similar one is '--skip-upstream'; see `p --help`",
            ),
            (
                &["--check"],
                "unexpected argument '--check' found; see `p --help`",
            ),
            (
                &["--shell", "tcsh"],
                "invalid value 'tcsh' for '--shell <shell>' [possible values: bash, zsh]; see `p --help`",
            ),
        ] {
            assert_eq!(said(arguments), expected);
        }
    }

    #[test]
    fn numbers_of_errors_are_left_out_and_nothing_else() {
        for (text, expected) in [
            (
                "a: No such file or directory (os error 2)",
                "a: No such file or directory",
            ),
            ("x (os error 1): y (os error 22); z", "x: y; z"),
            ("(os error x) (os error y)", "(os error x) (os error y)"),
            ("", ""),
        ] {
            assert_eq!(without_error_numbers(text), expected);
        }
    }
}
