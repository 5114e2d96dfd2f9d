//! `niks3`: push closures into a Nix binary cache, and look after it.

mod args;
mod command;
mod config;
mod output;
mod signals;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{
    CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use niks3_client::shown_address;

use crate::{
    args::Args,
    output::{Output, Verbosity},
};

/// How a command ends that does not succeed.
#[derive(Debug)]
enum Failure {
    /// The arguments make no sense: exit code 2.
    Usage(String),
    /// It did not work out: exit code 1.
    Failed(String),
    /// A signal ended it: 128 and its number.
    Signal(u8),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let output = Output::new(Verbosity::Normal);
            return match output::print(&help.render().to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => report(&output, &failure),
            };
        }
        Err(error) if error.use_stderr() => {
            return report(
                &Output::new(Verbosity::Normal),
                &Failure::Usage(one_sentence(error)),
            );
        }
        Err(help) => {
            let output = Output::new(Verbosity::Normal);
            return match output::help(&help) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => report(&output, &failure),
            };
        }
    };
    let output = Output::new(args.verbosity());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&output, &Failure::Failed(format!("cannot start: {error}"))),
    };
    let result = runtime.block_on(command::run(args, &output));
    // What still blocks somewhere is not waited for: everything that matters has ended.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&output, &failure),
    }
}

fn parse() -> Result<Args, clap::Error> {
    let matches = niks3_arguments::matches(Args::command(), given_arguments())?;
    Args::from_arg_matches(&matches)
}

/// The arguments. Under the name of the original's second program, `niks3-hook`, they are those of `niks3 hook`.
fn given_arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = arguments.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == args::hook::ORIGINAL_PROGRAM) {
        arguments.insert(1, "hook".into());
        if arguments
            .get(2)
            .is_some_and(|command| command == "send" || command == "serve")
        {
            arguments.insert(3, format!("--{}", args::hook::ORIGINAL_PLACES).into());
        }
    }
    arguments
}

/// What is wrong with the arguments, in the form of every other error.
fn one_sentence(mut error: clap::Error) -> String {
    // Before anything is cut: a password may hold what ends an address, a word or a message.
    for kind in [
        ContextKind::InvalidValue,
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
    ] {
        if let Some(ContextValue::String(given)) = error.get(kind) {
            let given = shown_address(given);
            error.insert(kind, ContextValue::String(given));
        }
    }
    let text = niks3_arguments::sentence(error, &command_of_arguments());
    if text.contains("://") {
        shown_address(&text)
    } else {
        text
    }
}

/// The command that the arguments name, as far as they name one: `niks3 pins create`.
fn command_of_arguments() -> String {
    let root = Args::command();
    let (mut command, mut name) = (&root, "niks3".to_owned());
    for argument in given_arguments().into_iter().skip(1) {
        let argument = argument.to_string_lossy();
        match command.find_subcommand(&*argument) {
            Some(found) => {
                name += &format!(" {}", found.get_name());
                command = found;
            }
            None if argument.starts_with('-') => {}
            None => break,
        }
    }
    name
}

fn report(output: &Output, failure: &Failure) -> ExitCode {
    let say = |text: &str| output.error(&niks3_arguments::without_error_numbers(text));
    match failure {
        Failure::Usage(text) => {
            say(text);
            ExitCode::from(2)
        }
        Failure::Failed(text) => {
            say(text);
            ExitCode::FAILURE
        }
        Failure::Signal(number) => {
            output.error("interrupted");
            ExitCode::from(128 + number)
        }
    }
}
