//! `niks3 retention`, as typed.

use clap::{Args, Subcommand, ValueEnum};

use super::Server;

const EXAMPLES: &str = "\
Examples:
  niks3 retention explain ./result
  niks3 retention explain --json /nix/store/…-openssl-3.0.1";

/// What to do with retention.
#[derive(Debug, Subcommand)]
pub(crate) enum Retention {
    Explain(Explain),
}

/// Say what keeps a path, and until when.
///
/// Prints the closures that hold the path, each push and use with the rule that judges it, and what the next garbage
/// collection does.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// Any store path in the cache, or a symlink to one such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

const DU_EXAMPLES: &str = "\
Examples:
  niks3 du
  niks3 du --by repository";

/// What closures are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The rule that keeps them.
    Rule,
    /// The repositories whose jobs have pushed or used them.
    Repository,
}

/// Show how much closures hold in the bucket.
///
/// Prints closures, the bytes that they reach, and those that nothing else reaches. Equal contents count once.
#[derive(Debug, Args)]
#[command(after_help = DU_EXAMPLES)]
pub(crate) struct Du {
    /// Into which groups.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) by: Option<By>,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}
