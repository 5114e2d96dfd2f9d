//! `niks3 push`.

use std::{collections::HashSet, io::BufRead as _, sync::Arc};

use niks3_push::{LocalStore, Progress, PushError, PushOptions, Summary, push, run_of_environment};

use crate::{Failure, args::Push, output::Output, signals::Signals};

/// As many roots as the server takes in one push.
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
    let store = LocalStore::from_environment()?;
    let mut seen = HashSet::new();
    let mut roots = Vec::with_capacity(paths.len());
    for path in &paths {
        let root = store.resolve(path)?;
        if seen.insert(root.clone()) {
            roots.push(root);
        }
    }
    if roots.len() > MAX_ROOTS {
        return Err(Failure::Usage(format!(
            "{} paths; push at most {MAX_ROOTS} at once",
            roots.len()
        )));
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
        roots,
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
    let result = push(&api, &store, &options, &progress, signals.token()).await;
    drop(shown);
    match result {
        Ok(summary) => print(output, args.json, &summary),
        Err(PushError::Interrupted) => Err(Failure::Signal(signals.received().unwrap_or(2))),
        Err(error) => Err(error.into()),
    }
}

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
