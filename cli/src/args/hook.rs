//! Arguments of `niks3 hook`.

use std::path::PathBuf;

use clap::{Args as ArgGroup, Subcommand};

use super::{Age, Server, Upstreams, age};

const EXAMPLES: &str = "\
Nix runs a post-build hook without arguments, so the setting `post-build-hook` names a script:
  #!/bin/sh
  niks3 hook send --queue /var/lib/niks3-hook || true";

/// What to do for a post-build hook.
#[derive(Debug, Subcommand)]
pub(crate) enum Hook {
    Send(Send),
    Serve(Box<Serve>),
}

/// Put what has just been built into the queue, and return at once.
///
/// What that is, Nix says in the environment, unless paths are given.
#[derive(Debug, ArgGroup)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Send {
    /// Store paths, instead of those in OUT_PATHS.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Push what is put into the queue.
///
/// The queue is a folder: what it holds is pushed by whoever serves it next, however the one before ended. A path that
/// cannot be pushed is left out, with an error in the log, and holds up no other. Listens on a socket from systemd if
/// there is one.
#[derive(Debug, ArgGroup)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// End after nothing has come for this long, as 90s, 5m or 1h.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(crate) idle_exit: Option<Age>,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
    #[command(flatten)]
    pub(crate) server: Server,
}

// Where the queue is. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
pub(crate) struct Place {
    /// Folder of the queue [default: $STATE_DIRECTORY, or ~/.local/state/niks3/hook].
    #[arg(long, value_name = "DIR", env = "NIKS3_HOOK_QUEUE")]
    pub(crate) queue: Option<PathBuf>,
    /// Socket to wake who serves [default: one in the queue's folder].
    #[arg(long, value_name = "PATH", env = "NIKS3_HOOK_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
}
