//! `niks3 push`.

use std::{collections::HashSet, fs, io::BufRead as _, os::unix::fs::FileTypeExt as _, sync::Arc};

use niks3_push::{LocalStore, NixError, Progress, PushError, PushOptions, Summary, push, run_of_environment};

use crate::{Failure, args::Push, output::Output, signals::Signals};

/// As many roots as the server takes in one push; more are several pushes.
const MAX_ROOTS: usize = 10_000;

pub(super) async fn run(args: Push, output: &Output) -> Result<(), Failure> {
    let mut paths = args.paths;
    if args.stdin {
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
            if !line.trim().is_empty() {
                paths.push(line.trim().to_owned());
            }
        }
    }
    if paths.is_empty() && !args.stdin {
        return Err(no_paths());
    }
    let store = LocalStore::from_environment()?;
    let mut seen = HashSet::new();
    let mut roots = Vec::with_capacity(paths.len());
    for path in &paths {
        let root = store.resolve(path).map_err(|error| not_a_path(path, error))?;
        if seen.insert(root.clone()) {
            roots.push(root);
        }
    }
    if args.pin.is_some() && roots.len() != 1 {
        return Err(Failure::Usage(format!(
            "--pin names exactly one path, and there are {}",
            roots.len()
        )));
    }
    let api = super::connect(args.server)?;
    if roots.is_empty() {
        // Nothing on standard input: nothing to do is done.
        return print(output, args.json, &Summary::default());
    }

    let options = PushOptions {
        pin: args.pin,
        no_closure: args.no_closure,
        skip_upstream: args.upstreams.chosen().map_err(Failure::Usage)?,
        verify_integrity: args.verify_s3_integrity,
        run: run_of_environment(),
        compression_level: args.compression_level,
        max_concurrent_uploads: args.max_concurrent_uploads.into(),
        ..PushOptions::default()
    };
    let signals = Signals::listen()?;
    let (progress, shown) = output.push_progress();
    let progress: Arc<dyn Progress> = progress;
    let mut all = Summary::default();
    let pushes = roots.chunks(MAX_ROOTS);
    let count = pushes.len();
    for (done, roots) in pushes.enumerate() {
        let options = PushOptions {
            roots: roots.to_vec(),
            ..options.clone()
        };
        match push(&api, &store, &options, &progress, signals.token()).await {
            Ok(summary) => all.add(summary),
            Err(PushError::Interrupted) => return Err(Failure::Signal(signals.received().unwrap_or(2))),
            Err(error) if done > 0 => {
                return Err(Failure::Failed(format!(
                    "{error}; {done} of {count} pushes of {MAX_ROOTS} paths are done, and the same command goes on from there"
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(shown);
    print(output, args.json, &all)
}

fn no_paths() -> Failure {
    let is_piped = fs::metadata("/dev/stdin").is_ok_and(|stdin| stdin.file_type().is_fifo());
    Failure::Usage(
        if is_piped {
            "no paths are named: give --stdin to read them from standard input"
        } else {
            "no paths are named: give store paths or links to them, such as ./result, or --stdin"
        }
        .to_owned(),
    )
}

/// Why an argument names no store path; what other programs take in its place is recognised.
fn not_a_path(argument: &str, error: NixError) -> Failure {
    let is_installable =
        argument.contains('#') || FLAKES.iter().any(|beginning| argument.starts_with(beginning));
    match error {
        NixError::Missing(_) if argument == "-" => {
            Failure::Usage("'-' is not a path: give --stdin to read paths from standard input".to_owned())
        }
        NixError::Missing(_) if is_installable => Failure::Usage(format!(
            "'{argument}' is not a path, and niks3 builds nothing: run `nix build --print-out-paths '{argument}' | niks3 push \
             --stdin`"
        )),
        error => error.into(),
    }
}

/// Beginnings of addresses of flakes.
const FLAKES: [&str; 7] = [
    "flake:",
    "git+",
    "github:",
    "gitlab:",
    "path:",
    "sourcehut:",
    "tarball+",
];

fn print(output: &Output, json: bool, summary: &Summary) -> Result<(), Failure> {
    for conflict in &summary.conflicts {
        output.warning(&conflict.to_string());
    }
    for path in &summary.replaced {
        output.warning(&format!(
            "{path} was in the cache with other contents, signed by a key of a lower rank, which this push has replaced"
        ));
    }
    output.summary(summary);
    if json { output.json(summary) } else { Ok(()) }
}
