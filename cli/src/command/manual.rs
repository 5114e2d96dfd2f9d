//! Manual pages and completions, out of the arguments themselves.

use std::path::Path;

use clap::CommandFactory as _;

use crate::{Failure, args::Args, output::print};

/// Prints the completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "niks3", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Writes a page for the program and for each of its commands.
pub(super) fn pages(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Args::command(), directory)?;
    Ok(())
}
