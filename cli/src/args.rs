//! The arguments, as typed.

pub(crate) mod doctor;
pub(crate) mod hook;
pub(crate) mod login;
pub(crate) mod retention;
pub(crate) mod runs;
pub(crate) mod tokens;
pub(crate) mod use_cache;

use std::path::PathBuf;

use clap::{ArgAction, Args as ArgGroup, Parser, Subcommand, ValueEnum};
use niks3_push::{DEFAULT_UPSTREAM, Upstream};
use url::Url;

use crate::output::Verbosity;

const START: &str = "\
To begin:
  niks3 login work https://niks3.example.com   store the server and a token for it
  niks3 push ./result                          push what `nix build` has made
  niks3 COMMAND --help                         what a command does, its options and examples";

const PIN_EXAMPLES: &str = "\
Examples:
  niks3 pins create release-1.2 ./result
  nix-store -r $(curl https://cache.example.com/pins/release-1.2)";

const FSCK_EXAMPLES: &str = "\
Examples:
  niks3 fsck                     list what is missing, wrong or unknown
  niks3 fsck --repair --dry-run  list what a repair would do
  niks3 fsck --repair";

const EXAMPLES: &str = "\
Examples:
  niks3 push ./result                        push what `nix build` has made, with its closure
  niks3 push --pin release --no-skip-upstream ./result
                                             everything, also what cache.nixos.org has, kept under a name
  nix build --print-out-paths | niks3 push --stdin";

const GC_EXAMPLES: &str = "\
Examples:
  niks3 gc --older-than=720h                 keep what was pushed in the last 30 days, and what is pinned
  niks3 gc --older-than=720h --dry-run       say what that would delete
  niks3 gc --dry-run --policy retention.json try a retention policy";

/// Push closures to a Nix binary cache in an S3 bucket, and manage the cache.
#[derive(Debug, Parser)]
#[command(
    after_help = START,
    name = "niks3",
    version = niks3_arguments::VERSION,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// Print more: -v retries and skipped paths, -vv every step.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Output")]
    verbose: u8,
    /// Print only errors.
    #[arg(short, long, global = true, help_heading = "Output")]
    quiet: bool,
    /// The same as -vv, as the original niks3 calls it.
    #[arg(long, global = true, hide = true, conflicts_with = "quiet")]
    debug: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    pub(crate) const fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            _ if self.debug => Verbosity::Debug,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Debug,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Push(Push),
    Gc(Gc),
    Fsck(Fsck),
    /// Keep closures from garbage collection under names.
    #[command(subcommand)]
    Pins(Pins),
    Ls(runs::Ls),
    Info(runs::Info),
    /// Runs of CI that have pushed, and what they pushed.
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Closures in the cache, and the runs that have pushed them.
    #[command(subcommand)]
    Closures(runs::Closures),
    /// How long closures stay, and why.
    #[command(subcommand)]
    Retention(retention::Retention),
    Du(retention::Du),
    /// Tokens with names, scopes and an end.
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    Login(login::Login),
    Logout(login::Logout),
    Servers(login::Servers),
    Use(use_cache::Use),
    Doctor(doctor::Doctor),
    Whoami(tokens::Whoami),
    /// Push what this machine builds, by a post-build hook of Nix.
    #[command(subcommand)]
    Hook(hook::Hook),
    WatchStore(Box<hook::WatchStore>),
    /// Print the completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print names for completions, as the last answer had them.
    #[command(hide = true)]
    Names {
        /// Whose names.
        kind: NameKind,
    },
    /// Print the version.
    #[command(hide = true)]
    Version,
    /// Write the manual pages.
    #[command(hide = true)]
    Manual {
        /// Folder to write them into.
        directory: PathBuf,
    },
}

/// What has names that completions offer.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NameKind {
    Servers,
    Pins,
    Tokens,
}

/// What to do with pins.
#[derive(Debug, Subcommand)]
pub(crate) enum Pins {
    Create(CreatePin),
    #[command(visible_alias = "ls")]
    List(ListPins),
    #[command(visible_alias = "rm")]
    Delete(DeletePin),
}

/// Keep the closure of a path that is in the cache from garbage collection.
///
/// The pin can be read without the server too: `nix-store -r $(curl CACHE/pins/NAME)`. To push and pin in one step, so
/// that garbage collection cannot come between, use `niks3 push --pin NAME`.
#[derive(Debug, ArgGroup)]
#[command(after_help = PIN_EXAMPLES)]
pub(crate) struct CreatePin {
    /// Name: 1 to 256 letters, digits, `.`, `_` and `-`, not dots alone.
    #[arg(value_name = "NAME", value_parser = pin_name)]
    pub(crate) name: String,
    /// Store path, a path inside one, or a symlink to one such as ./result. It need not be in the local store.
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Print one JSON object on standard output when done.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// List the pins, with a header: name, store path, when it was set.
#[derive(Debug, ArgGroup)]
pub(crate) struct ListPins {
    /// Print the names alone.
    #[arg(long, help_heading = "Output")]
    pub(crate) names_only: bool,
    /// Print a JSON list of objects, or of names.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Delete a pin.
#[derive(Debug, ArgGroup)]
pub(crate) struct DeletePin {
    /// Its name.
    #[arg(value_name = "NAME", value_parser = pin_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Upload store paths with their closures.
///
/// All of it becomes visible in the cache together, or nothing. What the cache has already is not sent again. If a push is
/// interrupted, run it again: it continues where it stopped.
#[derive(Debug, ArgGroup)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Push {
    /// Store paths, paths inside of them, or symlinks to them such as ./result.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// Store to push from, as Nix's own --store: a folder in which it is, as nix/store, or local?root=FOLDER
    /// [default: the one that Nix uses].
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// Read paths from standard input, one a line, besides those given as arguments. Lines such as
    /// {"id": 1, "paths": ["/nix/store/…"]} are pushed as they come, each in one transaction, while the pipe stays open. Each
    /// path is acknowledged on standard output by {"id", "path", "status": "ok" or "error", "message", "signatures"}.
    #[arg(long)]
    pub(crate) stdin: bool,
    /// With --stdin, also push plain lines as they come, at most this many paths in one transaction.
    #[arg(long, value_name = "N", requires = "stdin", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) batch_size: Option<u16>,
    /// With --stdin, push lines as they come, this many transactions at the same time [default: 4].
    #[arg(long, value_name = "N", requires = "stdin", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel_pushes: Option<u16>,
    /// Make a pin of this name, which keeps the closure from garbage collection; needs exactly one path.
    #[arg(long, value_name = "NAME", value_parser = pin_name)]
    pub(crate) pin: Option<String>,
    /// Push the paths alone, without what they refer to.
    #[arg(long)]
    pub(crate) no_closure: bool,
    #[command(flatten)]
    pub(crate) upstreams: Upstreams,
    /// Send objects again that the database lists and the bucket does not have.
    #[arg(long)]
    pub(crate) verify_s3_integrity: bool,
    /// Uploads at the same time.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = uploads)]
    pub(crate) max_concurrent_uploads: u16,
    /// Level of zstd: 1 is the fastest, 19 the smallest.
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub(crate) compression_level: i32,
    /// Print one JSON object on standard output when done.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

// What is left to other caches. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
pub(crate) struct Upstreams {
    /// Leave out what this cache has: paths with the same NarHash, signed by one of the public keys after `#`. Can be
    /// repeated. The cache is asked for each path. If it does not answer within 2 s, nothing is left out. What it has is
    /// remembered for an hour. Keys, such as example-1:BASE64, are separated by commas; the one of cache.nixos.org is
    /// known [default: https://cache.nixos.org].
    #[arg(long, value_name = "URL[#KEY]", env = "NIKS3_SKIP_UPSTREAM", hide_env_values = true,
        value_parser = upstreams)]
    skip_upstream: Vec<UpstreamList>,
    /// Push everything, also what https://cache.nixos.org has. For releases and pins that have to be complete.
    #[arg(long, env = "NIKS3_NO_SKIP_UPSTREAM", value_parser = clap::builder::FalseyValueParser::new())]
    no_skip_upstream: bool,
}

impl Upstreams {
    /// What the arguments say, or else the default.
    pub(crate) fn chosen(&self) -> Result<Vec<Upstream>, String> {
        if self.no_skip_upstream {
            return Ok(Vec::new());
        }
        let chosen = self.skip_upstream.iter().flat_map(|list| &list.0);
        let chosen: Vec<Upstream> = chosen.cloned().collect();
        if chosen.is_empty() {
            Upstream::parse_list(DEFAULT_UPSTREAM)
        } else {
            Ok(chosen)
        }
    }
}

/// What a variable or an option names; nothing if it is empty.
#[derive(Debug, Clone)]
struct UpstreamList(Vec<Upstream>);

/// The whole text is one value: a password with a blank in it is not taken apart before errors hide it.
fn upstreams(text: &str) -> Result<UpstreamList, String> {
    Upstream::parse_list(text).map(UpstreamList)
}

/// Delete old closures, and the objects that nothing references any more.
///
/// Closures that were neither pushed nor used by a CI job for --older-than are deleted, unless they are pinned. Objects that
/// are unreferenced then are marked, and deleted from the bucket after the grace period. It can run while pushes run. If it
/// is interrupted, the next collection continues.
#[derive(Debug, ArgGroup)]
#[command(after_help = GC_EXAMPLES)]
pub(crate) struct Gc {
    /// Delete closures that were neither pushed nor used for this long, as 720h, 30d, 90m or 1h30m. Ignored if the server
    /// has a retention policy.
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = age)]
    pub(crate) older_than: Age,
    /// Delete what failed uploads left if they failed this long ago; also the grace period.
    #[arg(long, value_name = "DURATION", default_value = "6h", value_parser = age)]
    pub(crate) failed_uploads_older_than: Age,
    /// No grace period. As safe as with one: objects that a running push needs stay.
    #[arg(long)]
    pub(crate) force: bool,
    /// Change nothing; list, closure by closure, what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: go by this retention policy instead of the server's, and compare the two.
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    pub(crate) policy: Option<PathBuf>,
    /// Let the server's retention policy release more than its `max_release` although it is new. A collection that is
    /// held prints the hash.
    #[arg(long, value_name = "HASH")]
    pub(crate) accept_policy: Option<String>,
    /// Collect although the clock of the server looks wrong. Without it nothing is deleted if the clock was set by
    /// more than 5 minutes while the server ran, or differs from that of PostgreSQL by more than 5 minutes, or from
    /// that of the object store by more than 15, or is behind the start of the last collection.
    #[arg(long)]
    pub(crate) accept_clock: bool,
    /// Print one JSON object on standard output when done.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Compare the bucket with the database, and repair what differs.
///
/// Prints a line for each object that is missing, wrong or unknown. It can run while pushes and garbage collections run. If it
/// is interrupted, the next check continues. Exits with 1 if a finding is left.
#[derive(Debug, ArgGroup)]
#[command(after_help = FSCK_EXAMPLES)]
pub(crate) struct Fsck {
    /// Repair what can be repaired without guessing. Paths whose NAR is lost are withdrawn from the cache, so that the next
    /// push uploads them again.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Change nothing, list what --repair would do.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not read the NARs, only check that they exist and have the right size.
    #[arg(long)]
    pub(crate) no_contents: bool,
    /// Adopt also what this public key has signed, as well as what the keys of the server have: `name:base64`, repeatable.
    #[arg(long, value_name = "KEY", env = "NIKS3_TRUST_KEY", value_delimiter = ' ')]
    pub(crate) trust_key: Vec<String>,
    /// Print one JSON object on standard output when done.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// A length of time, with the text it was given as.
#[derive(Debug, Clone)]
pub(crate) struct Age {
    pub(crate) text: String,
    pub(crate) seconds: u64,
}

fn age(text: &str) -> Result<Age, String> {
    let age = humantime::parse_duration(text)
        .map_err(|_| "a duration is a number and a unit, such as 720h, 30d, 90m or 1h30m".to_owned())?;
    if age.as_secs() > 100 * 365 * 24 * 3600 {
        return Err("that is more than a hundred years".to_owned());
    }
    Ok(Age {
        text: text.to_owned(),
        seconds: age.as_secs(),
    })
}

// Where the server is, and how to get in. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// Server that `niks3 login` has stored under this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Address of the server, for example https://niks3.example.com [default: the default of `niks3 servers`].
    #[arg(long, value_name = "URL", env = "NIKS3_SERVER_URL", hide_env_values = true, value_parser = http_url)]
    pub(crate) server_url: Option<Url>,
    /// File with the token [default: $NIKS3_AUTH_TOKEN_FILE, or what `niks3 login` has stored for this server; in GitHub
    /// Actions, a token of the job].
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_token_path: Option<PathBuf>,
    /// The token itself, which other users of this machine can see; warned of.
    #[arg(long, value_name = "TOKEN", hide = true)]
    pub(crate) auth_token: Option<String>,
    /// Command that prints a token, or {"token": "…", "expires_at": "…"}; run again when the token ends
    /// [default: $NIKS3_AUTH_TOKEN_SCRIPT].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) auth_token_script: Option<String>,
    #[command(flatten)]
    pub(crate) tls: Tls,
    /// How long a request is tried again once the server has answered, as 90s or 5m.
    #[arg(long, value_name = "DURATION", env = "NIKS3_RETRY_FOR", default_value = "5m", value_parser = age)]
    pub(crate) retry_for: Age,
}

// Certificates. No documentation comment: it would take the place of that of the command.
#[derive(Debug, ArgGroup)]
#[command(next_help_heading = "Server")]
pub(crate) struct Tls {
    /// Client certificate to show to the server, in PEM form.
    #[arg(long, value_name = "FILE", env = "NIKS3_CLIENT_CERT")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Key of the client certificate, in PEM form.
    #[arg(long, value_name = "FILE", env = "NIKS3_CLIENT_KEY")]
    pub(crate) client_key: Option<PathBuf>,
    /// Certificates of authorities to trust besides those of the system, in PEM form.
    #[arg(long, value_name = "FILE", env = "NIKS3_CA_CERT")]
    pub(crate) ca_cert: Option<PathBuf>,
}

pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    match text.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("an address begins with http:// or https://, as in https://niks3.example.com".to_owned()),
    }
}

/// How many uploads go on at the same time; the original niks3 takes 0 for 1.
pub(crate) fn uploads(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(count) if count <= 1024 => Ok(count.max(1)),
        _ => Err("a number from 1 to 1024 is expected".to_owned()),
    }
}

fn pin_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let dots = text.chars().all(|c| c == '.');
    if dots || text.len() > 256 || !text.chars().all(allowed) {
        return Err("a name has 1 to 256 letters, digits, `.`, `_` and `-`, and not dots alone".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("720h", 2_592_000),
            ("30d", 2_592_000),
            ("90m", 5400),
            ("1h30m", 5400),
            ("1s", 1),
            ("0s", 0),
        ] {
            assert_eq!(age(text).unwrap().seconds, seconds, "{text}");
        }
        for wrong in [
            "",
            "720",
            "-1h",
            "1x",
            "h",
            "1e9h",
            "999999999999d",
            "200000000000000000000s",
            "101years",
        ] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn upstreams_are_the_default_unless_others_or_none_are_named() {
        let chosen = |args: &[&str]| {
            let parsed = Args::try_parse_from([&["niks3", "push", "x"], args].concat()).unwrap();
            let Command::Push(push) = parsed.command else {
                panic!()
            };
            let chosen = push.upstreams.chosen().unwrap();
            chosen.iter().map(Upstream::address).collect::<Vec<_>>()
        };
        let other = "https://example.org#example-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        assert_eq!(chosen(&[]), [DEFAULT_UPSTREAM]);
        assert_eq!(chosen(&["--skip-upstream", ""]), [DEFAULT_UPSTREAM]);
        assert_eq!(chosen(&["--skip-upstream", other]), ["https://example.org"]);
        assert_eq!(
            chosen(&["--skip-upstream", other, "--skip-upstream", DEFAULT_UPSTREAM]),
            ["https://example.org", DEFAULT_UPSTREAM]
        );
        assert!(chosen(&["--no-skip-upstream"]).is_empty());
    }

    #[test]
    fn names_and_addresses_are_checked_before_anything_is_done() {
        let parsed = |args: &[&str]| Args::try_parse_from([&["niks3", "push"], args].concat());
        assert!(parsed(&["./result"]).is_ok());
        assert!(parsed(&["--stdin"]).is_ok());
        for wrong in [
            &["--pin", "a/b", "x"][..],
            &["--pin", "", "x"],
            &["--pin", "..", "x"],
            &["--skip-upstream", "cache.nixos.org", "x"],
            &["--skip-upstream", "https://example.org", "x"],
            &["--server-url", "localhost:5751", "x"],
            &["--compression-level", "0", "x"],
            &["--max-concurrent-uploads", "1025", "x"],
            &["--batch-size", "5", "x"],
        ] {
            let error = parsed(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }
}
