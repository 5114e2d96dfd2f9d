//! Arguments and variables as all programs take them, and what is said of wrong ones.
//!
//! The programs of the original niks3 read theirs with Go's `flag` package, and scripts rely on what that accepts: one dash
//! before a long option, and `=true` or `=false` after one that takes no value.

mod sentence;

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command};

pub use sentence::{sentence, without_error_numbers};

/// The version, with the commit and its date where that is known.
pub const VERSION: &str = env!("NIKS3_VERSION");

/// Reads arguments, as Go reads them too, and variables, of which an empty one is not set.
///
/// # Errors
/// Those of clap, among them `--help` and `--version`.
pub fn matches(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, clap::Error> {
    let command = without_empty_variables(command);
    let arguments = as_clap_reads(&command, arguments);
    command.try_get_matches_from(arguments)
}

/// A variable that is empty is one that is not set.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) {
            argument.env(None::<&'static str>)
        } else {
            argument
        }
    });
    command.mut_subcommands(without_empty_variables)
}

/// The same arguments with two dashes before long options, and without values of options that take none.
fn as_clap_reads(root: &Command, arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut read: Vec<OsString> = arguments.next().into_iter().collect();
    let mut commands = vec![root];
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            read.push(argument);
            continue;
        };
        if text == "--" {
            read.push(argument);
            break;
        }
        if let Some(option) = GivenOption::parse(&commands, text) {
            option.read(&mut read, &mut arguments);
        } else {
            let last = commands.last().copied().unwrap_or(root);
            commands.extend(last.find_subcommand(text));
            read.push(argument);
        }
    }
    read.extend(arguments);
    read
}

/// A long option that the command has.
struct GivenOption<'a> {
    name: &'a str,
    value: Option<&'a str>,
    kind: OptionKind,
}

/// Where an option has its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OptionKind {
    /// It has none.
    Flag,
    /// Behind `=`, or nowhere.
    OptionalValue,
    /// Behind `=`, or in the next argument.
    Value,
}

impl<'a> GivenOption<'a> {
    fn parse(commands: &[&Command], text: &'a str) -> Option<Self> {
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        // One letter after one dash is a short option, whatever long options are called.
        if name.len() < 2 || name.starts_with('-') {
            return None;
        }
        let kind = match name {
            "help" | "version" => OptionKind::Flag,
            _ => kind_of(find(commands, name)?),
        };
        Some(Self { name, value, kind })
    }

    fn read(self, read: &mut Vec<OsString>, rest: &mut impl Iterator<Item = OsString>) {
        let value = match self.value {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") if self.kind == OptionKind::Flag => None,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") if self.kind == OptionKind::Flag => return,
            value => value,
        };
        let name = self.name;
        read.push(
            value
                .map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}"))
                .into(),
        );
        if self.kind == OptionKind::Value && value.is_none() {
            // What follows is its value, however it begins.
            read.extend(rest.next());
        }
    }
}

fn find<'a>(commands: &[&'a Command], name: &str) -> Option<&'a Arg> {
    let (last, before) = commands.split_last()?;
    let has_name = |argument: &&Arg| {
        argument.get_long() == Some(name)
            || argument
                .get_all_aliases()
                .is_some_and(|names| names.contains(&name))
    };
    last.get_arguments().find(has_name).or_else(|| {
        let inherited = before.iter().flat_map(|command| command.get_arguments());
        inherited
            .filter(|argument| argument.is_global_set())
            .find(has_name)
    })
}

fn kind_of(argument: &Arg) -> OptionKind {
    match argument.get_action() {
        ArgAction::Set | ArgAction::Append if argument.is_require_equals_set() => OptionKind::OptionalValue,
        ArgAction::Set | ArgAction::Append => OptionKind::Value,
        _ => OptionKind::Flag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> String {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let command = Command::new("program")
            .arg(flag("debug").global(true))
            .arg(Arg::new("db").long("db"))
            .subcommand(
                Command::new("push")
                    .arg(flag("stdin"))
                    .arg(Arg::new("url").long("server-url")),
            );
        let arguments = arguments.split(' ').map(OsString::from);
        let read = as_clap_reads(&command, arguments);
        let read: Vec<_> = read.iter().map(|argument| argument.to_str().unwrap()).collect();
        read.join(" ")
    }

    #[test]
    fn one_dash_before_a_long_option_is_as_good_as_two() {
        assert_eq!(read("p -db x push -stdin"), "p --db x push --stdin");
        assert_eq!(
            read("p push -server-url=u -debug a"),
            "p push --server-url=u --debug a"
        );
        assert_eq!(read("p push -help"), "p push --help");
    }

    #[test]
    fn truth_may_stand_behind_an_option_without_value() {
        assert_eq!(read("p push --stdin=true -debug=F a"), "p push --stdin a");
        assert_eq!(read("p push --stdin=maybe"), "p push --stdin=maybe");
    }

    #[test]
    fn values_short_options_and_what_follows_two_dashes_stay() {
        assert_eq!(
            read("p push --server-url -debug x"),
            "p push --server-url -debug x"
        );
        assert_eq!(read("p -vv push -x -q"), "p -vv push -x -q");
        assert_eq!(read("p push -- -stdin"), "p push -- -stdin");
        // An option of another command.
        assert_eq!(read("p push -db"), "p push -db");
    }
}
