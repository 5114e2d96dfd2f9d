//! Manual pages and completions, out of the arguments themselves.

use std::{collections::BTreeMap, path::Path};

use clap::CommandFactory as _;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{Failure, args::Args, output::print};

/// What the programs exit with.
const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Done."),
    ("1", "Failed; the last line on standard error says why."),
    ("2", "Wrong usage: nothing was begun."),
    ("128+N", "Ended by signal N: 130 after Ctrl-C, 143 after SIGTERM."),
];

/// Variables of whoever talks to a server, besides those of options.
const SERVER_VARIABLES: [(&str, &str); 7] = [
    (
        "NIKS3_AUTH_TOKEN_FILE",
        "File with the token, if no option names one.",
    ),
    (
        "NIKS3_AUTH_TOKEN_SCRIPT",
        "Command that prints the token, if no option names one.",
    ),
    (
        "CI",
        "If set, a server that does not answer yet is tried for 30 s instead of 1.5 s.",
    ),
    (
        "NIX_SSL_CERT_FILE",
        "Certificates of authorities to trust besides those of the system, in PEM form.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
        "Proxy for requests, and the hosts that are asked without one.",
    ),
    (
        "ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "Where a job of GitHub Actions gets its token.",
    ),
    (
        "XDG_CONFIG_HOME",
        "Folder of the configuration; ~/.config by default.",
    ),
];

/// Variables of every command.
const VARIABLES: [(&str, &str); 2] = [
    (
        "NIKS3_LOG",
        "What to log, as error, warn, info, debug, or niks3_push=debug,warn.",
    ),
    ("NO_COLOR", "If set, nothing is coloured."),
];

const FILES: [(&str, &str); 4] = [
    (
        "~/.config/niks3/config.toml",
        "Servers that `niks3 login` has stored, and which is the default.",
    ),
    (
        "~/.config/niks3/tokens/NAME",
        "Token of such a server. It is refused while others than its owner can read it.",
    ),
    (
        "~/.cache/niks3/names",
        "Names of pins and tokens, as the last answer had them, for completions.",
    ),
    (
        "~/.config/niks3/auth-token",
        "Token for any server; it counts only while no server is stored.",
    ),
];

/// Prints the completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "niks3", &mut text);
    text.extend_from_slice(super::names::script(shell).as_bytes());
    print(&String::from_utf8_lossy(&text))
}

/// Writes a page for the program and for each of its commands.
pub(super) fn pages(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)?;
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    write_pages(&command, directory)
}

fn write_pages(command: &clap::Command, directory: &Path) -> Result<(), Failure> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(command, directory)?;
    }
    let man = Man::new(command.clone());
    std::fs::write(directory.join(man.get_filename()), page(command, &man)?)?;
    Ok(())
}

fn page(command: &clap::Command, man: &Man) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    let talks_to_server = command
        .get_arguments()
        .any(|argument| argument.get_id() == "server_url");
    let mut roff = Roff::new();
    section(&mut roff, "EXIT STATUS", EXIT_STATUS);
    let mut variables = BTreeMap::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if let (Some(variable), Some(option)) = (argument.get_env(), argument.get_long()) {
            let variable = variable.to_string_lossy().into_owned();
            variables.insert(variable, format!("The same as --{option}, which wins over it."));
        }
    }
    let others = if talks_to_server {
        &SERVER_VARIABLES[..]
    } else {
        &[]
    };
    for (name, meaning) in others.iter().chain(&VARIABLES) {
        variables.insert((*name).to_owned(), (*meaning).to_owned());
    }
    section(&mut roff, "ENVIRONMENT", variables);
    section(&mut roff, "FILES", FILES);
    if let Some(examples) = command.get_after_help() {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.to_string().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// A section that is a list of terms with their meanings.
fn section<T: Into<String>, M: Into<String>>(
    roff: &mut Roff,
    title: &str,
    entries: impl IntoIterator<Item = (T, M)>,
) {
    roff.control("SH", [title]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(term.into())]);
        roff.text([roman(meaning.into())]);
    }
}
