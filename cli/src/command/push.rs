//! `niks3 push`.

mod lines;
mod stream;

use std::{collections::HashSet, fs, os::unix::fs::FileTypeExt as _, sync::Arc};

use niks3_push::{LocalStore, NixError, Progress, PushError, PushOptions, Summary, push, run_of_environment};

use crate::{Failure, args::Push, output::Output, signals::Signals};
use lines::StdinLines;
use stream::Stream;

/// As many roots as the server takes in one push; more are several pushes.
const MAX_ROOTS: usize = 10_000;

pub(super) async fn run(args: Push, output: &Output) -> Result<(), Failure> {
    let mut paths = args.paths.clone();
    if args.stdin {
        let mut lines = StdinLines::start();
        let mut line = lines.next().await?;
        if is_stream(&args, line.as_deref()) {
            return run_stream(args, line, lines, output).await;
        }
        while let Some(path) = line {
            paths.push(path);
            line = lines.next().await?;
        }
    }
    if paths.is_empty() && !args.stdin {
        return Err(no_paths());
    }
    let store = LocalStore::open(args.store.as_deref())?;
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
    let options = options(&args)?;
    let api = super::connect(args.server)?;
    if roots.is_empty() {
        // Nothing on standard input: nothing to do is done.
        return print(output, args.json, &Summary::default());
    }

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

fn options(args: &Push) -> Result<PushOptions, Failure> {
    Ok(PushOptions {
        pin: args.pin.clone(),
        no_closure: args.no_closure,
        skip_upstream: args.upstreams.chosen().map_err(Failure::Usage)?,
        verify_integrity: args.verify_s3_integrity,
        run: run_of_environment(),
        compression_level: args.compression_level,
        max_concurrent_uploads: args.max_concurrent_uploads.into(),
        ..PushOptions::default()
    })
}

/// Whether lines are pushed as they come.
fn is_stream(args: &Push, first: Option<&str>) -> bool {
    first.is_some_and(|line| line.starts_with('{'))
        || args.batch_size.is_some()
        || args.parallel_pushes.is_some()
}

async fn run_stream(
    args: Push,
    first: Option<String>,
    lines: StdinLines,
    output: &Output,
) -> Result<(), Failure> {
    if args.pin.is_some() {
        return Err(Failure::Usage(
            "--pin names exactly one path, and lines that are pushed as they come are any number".to_owned(),
        ));
    }
    let parallel = args.parallel_pushes.map_or(stream::DEFAULT_PARALLEL, usize::from);
    let options = options(&args)?;
    let stream = Stream {
        store: LocalStore::open(args.store.as_deref())?,
        options: PushOptions {
            memory: options.memory / parallel as u64,
            ..options
        },
        output: output.clone(),
        batch: args.batch_size.map_or(stream::DEFAULT_BATCH, usize::from),
        parallel,
        api: super::connect(args.server)?,
    };
    let signals = Signals::listen()?;
    stream.run(args.paths, first, lines, &signals).await
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
