//! Names that completions offer: servers from the configuration, pins and tokens as the last answer had them.

use std::{
    env, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use clap_complete::Shell;

use crate::{Failure, args::NameKind, config::Config, output::print};

/// More names help nobody who completes one.
const MAX_NAMES: usize = 10_000;

impl NameKind {
    /// The file with the names of the last answer.
    fn file(self) -> Option<PathBuf> {
        let name = match self {
            Self::Servers => return None,
            Self::Pins => "pins",
            Self::Tokens => "tokens",
        };
        let folder = |variable: &str| {
            env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
        Some(cache.join("niks3/names").join(name))
    }
}

/// Prints names, one a line; nothing if none are known.
pub(super) fn list(kind: NameKind) -> Result<(), Failure> {
    let names = match kind.file() {
        Some(file) => fs::read_to_string(file).unwrap_or_default(),
        None => {
            let servers = Config::load()?.servers()?;
            servers.into_iter().map(|server| server.name + "\n").collect()
        }
    };
    print(&names)
}

/// Keeps the names of an answer. Nothing depends on them, so that a full disk does not matter.
pub(super) fn remember<'a>(kind: NameKind, names: impl Iterator<Item = &'a str>) {
    let text: String = names.take(MAX_NAMES).flat_map(|name| [name, "\n"]).collect();
    if let Some(file) = kind.file()
        && let Err(error) = write(&file, &text)
    {
        tracing::debug!("cannot keep names for completions: {error}");
    }
}

fn write(file: &std::path::Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = file.with_extension(std::process::id().to_string());
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// What goes behind the script that clap makes for a shell, so that it completes names.
pub(super) const fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("names/names.bash"),
        Shell::Fish => include_str!("names/names.fish"),
        Shell::Zsh => include_str!("names/names.zsh"),
        _ => "",
    }
}
