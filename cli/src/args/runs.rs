//! `niks3 runs` and `niks3 closures`, as typed.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::Server;

const RUNS_EXAMPLES: &str = "\
Examples:
  niks3 runs list --repository owner/name --ref main --since 7d
  niks3 runs list --closure ./result --json";

const LS_EXAMPLES: &str = "\
Examples:
  niks3 ls
  niks3 ls 'hello-*'";

const INFO_EXAMPLES: &str = "\
Examples:
  niks3 info ./result
  niks3 info --json ./result";

const CLOSURES_EXAMPLES: &str = "\
Examples:
  niks3 closures list --repository owner/name --since 2026-01-31
  niks3 closures list --run ID";

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    #[command(visible_alias = "ls")]
    List(ListRuns),
    Show(ShowRun),
}

/// What to do with closures.
#[derive(Debug, Subcommand)]
pub(crate) enum Closures {
    #[command(visible_alias = "ls")]
    List(ListClosures),
    Show(ShowClosure),
    #[command(visible_alias = "rm")]
    Delete(DeleteClosures),
    Restore(RestoreClosures),
}

const DELETE_EXAMPLES: &str = "\
Examples:
  niks3 closures delete ./result             it can be restored until the undo time is over
  niks3 closures delete --now ./result       delete it from the bucket at once
  niks3 closures delete --contains /nix/store/…-openssl-3.0.1";

/// Delete closures: they can be restored for some time, three days unless the retention policy says otherwise.
///
/// What another closure or a pin needs stays, and is printed. Exits with 1 if a path is no root of a closure: the closures
/// that contain it are printed, and nothing is deleted. Needs a token with the scope gc.
#[derive(Debug, Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(crate) struct DeleteClosures {
    /// Store path of its root, or a symlink to it such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    /// Delete it from the bucket at once, with all that nothing else needs.
    #[arg(long)]
    pub(crate) now: bool,
    /// Delete all closures that contain the path, if it is no root itself.
    #[arg(long)]
    pub(crate) contains: bool,
    /// Print a JSON list: an object for each path.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  niks3 closures restore ./result
  niks3 closures restore --gc ID             all that this garbage collection has released";

/// Restore closures that were released or deleted by hand, as long as they are there.
///
/// A restored closure counts as pushed now, without a run. Needs a token with the scope gc.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub(crate) struct RestoreClosures {
    /// Store path of its root, or a symlink to it such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH", required_unless_present = "gc", conflicts_with = "gc")]
    pub(crate) paths: Vec<String>,
    /// All that the garbage collection of this id has released.
    #[arg(long, value_name = "ID")]
    pub(crate) gc: Option<String>,
    /// Print JSON: a list of closures, or with --gc an object with their number.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

// Which ones are listed. No documentation comment: it would take the place of that of the command.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Those of this repository.
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) repository: Option<String>,
    /// Those of this ref of Git, as refs/tags/v1; a name alone is a branch: main is refs/heads/main.
    #[arg(long = "ref", value_name = "REF", value_parser = git_ref)]
    pub(crate) git_ref: Option<String>,
    /// Those of this pull request.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pull_request: Option<u64>,
    /// Those from this time on: 2026-01-31, 2026-01-31T10:00:00Z, or how long ago, as 7d or 12h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<u64>,
    /// Those before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<u64>,
    /// Most entries.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print a JSON list.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

/// List runs, the newest first, with a header.
#[derive(Debug, Args)]
#[command(after_help = RUNS_EXAMPLES)]
pub(crate) struct ListRuns {
    /// Those that have pushed the closure of this store path.
    #[arg(long, value_name = "PATH")]
    pub(crate) closure: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Show a run.
#[derive(Debug, Args)]
pub(crate) struct ShowRun {
    /// Its id, as `niks3 runs list` prints it.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// List closures, the one pushed last first, with a header.
#[derive(Debug, Args)]
#[command(after_help = CLOSURES_EXAMPLES)]
pub(crate) struct ListClosures {
    /// Those that the run of this id has pushed.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// List what was pushed, by name.
///
/// Each entry is a closure that was pushed, with the name of its root, the one pushed last first.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct Ls {
    /// Those whose name fits this pattern, with `*` and `?`, as 'hello-*'.
    #[arg(value_name = "GLOB")]
    pub(crate) glob: Option<String>,
    /// Most entries.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print a JSON list.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Show what the cache has of a path.
///
/// Its sizes, references and signatures, as its narinfo has them, and the pins that keep it.
#[derive(Debug, Args)]
#[command(after_help = INFO_EXAMPLES)]
pub(crate) struct Info {
    /// Store path, a path inside one, or a symlink to one such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// The whole name of a ref.
fn git_ref(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(if text.starts_with("refs/") {
        text.to_owned()
    } else {
        format!("refs/heads/{text}")
    })
}

/// Show a closure.
#[derive(Debug, Args)]
pub(crate) struct ShowClosure {
    /// Store path of its root, or a symlink to it such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Print one JSON object.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Unix time of a date, or of a length of time ago.
fn time(text: &str) -> Result<u64, String> {
    let wrong =
        || "a time is written as 2026-01-31, 2026-01-31T10:00:00Z, or 7d for seven days ago".to_owned();
    let midnight = format!("{text}T00:00:00Z");
    let time = [text, midnight.as_str()]
        .iter()
        .find_map(|text| humantime::parse_rfc3339_weak(text).ok());
    let time = match time {
        Some(time) => time,
        None => {
            let ago: Duration = humantime::parse_duration(text).map_err(|_| wrong())?;
            SystemTime::now().checked_sub(ago).ok_or_else(wrong)?
        }
    };
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| wrong())?;
    Ok(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_or_so_long_ago() {
        assert_eq!(time("1970-01-02"), Ok(86_400));
        assert_eq!(time("1970-01-02T00:00:01Z"), Ok(86_401));
        assert!(time("1h").unwrap() > time("2h").unwrap());
        for wrong in ["", "yesterday", "9000y", "1960-01-01", "99999999999999999999s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
