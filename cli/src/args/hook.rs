//! Arguments of `niks3 hook`.

use std::path::PathBuf;

use clap::{Args as ArgGroup, Subcommand};

use super::{Age, Server, Upstreams, age};

/// Name of the original's second program.
pub(crate) const ORIGINAL_PROGRAM: &str = "niks3-hook";
/// Long option that says that the program was called so.
pub(crate) const ORIGINAL_PLACES: &str = "original-places";

const EXAMPLES: &str = "\
Nix runs a post-build hook without arguments, so the setting `post-build-hook` names a script:
  #!/bin/sh
  niks3 hook send --queue /var/lib/niks3-hook || true";

const WATCH_EXAMPLES: &str = "\
Examples:
  niks3 watch-store                      until Ctrl-C
  niks3 watch-store --server work -v     to a server that `niks3 login` has stored";

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
/// The queue is a directory, so no path is lost if this program is killed: the next one pushes it. A path that cannot be
/// pushed is logged as an error and does not hold up the others. Listens on a socket from systemd if there is one.
#[derive(Debug, ArgGroup)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) serving: Serving,
    /// End after nothing has come for this long, as 90s, 5m or 1h.
    #[arg(long, value_name = "DURATION", value_parser = age)]
    pub(crate) idle_exit: Option<Age>,
    /// The same as the original niks3 calls it: 0 means that it never ends.
    #[arg(long, value_name = "DURATION", value_parser = idle_exit_timeout, hide = true, conflicts_with = "idle_exit")]
    pub(crate) idle_exit_timeout: Option<Age>,
    /// Database in which the original niks3 keeps its queue: the folder it is in is that of this queue.
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "queue")]
    pub(crate) db_path: Option<PathBuf>,
}

/// Push what this machine builds or adds to its store, from now on.
///
/// Looks into the store directory every second, so that neither a post-build hook nor a right to change nix.conf is needed.
/// What was substituted, and derivations, are not pushed for themselves. What waits is kept in a queue on disk, as by
/// `niks3 hook serve`. What is built while nobody watches is not pushed.
#[derive(Debug, ArgGroup)]
#[command(after_help = WATCH_EXAMPLES)]
pub(crate) struct WatchStore {
    #[command(flatten)]
    pub(crate) serving: Serving,
}

// What both have. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
pub(crate) struct Serving {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Most paths of one push.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) batch_size: u16,
    /// Uploads at the same time.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = super::uploads)]
    pub(crate) max_concurrent_uploads: u16,
    /// Send again what the server believes to be in the bucket and is not.
    #[arg(long)]
    pub(crate) verify_s3_integrity: bool,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
    #[command(flatten)]
    pub(crate) server: Server,
}

// Where the queue is. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
pub(crate) struct Place {
    /// Folder of the queue [default: $STATE_DIRECTORY, or hook or watch in ~/.local/state/niks3].
    #[arg(long, value_name = "DIR", env = "NIKS3_HOOK_QUEUE")]
    pub(crate) queue: Option<PathBuf>,
    /// Socket to wake who serves [default: one in the queue's folder].
    #[arg(long, value_name = "PATH", env = "NIKS3_HOOK_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// The program was called niks3-hook: folder and socket are where that has them.
    #[arg(long = ORIGINAL_PLACES, hide = true)]
    pub(crate) original_places: bool,
}

/// A length of time; 0 without a unit is one too.
fn idle_exit_timeout(text: &str) -> Result<Age, String> {
    age(if text == "0" { "0s" } else { text })
}
