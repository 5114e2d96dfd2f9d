//! Measures niks3 beside `zstd` and `nix copy`, each number from a fresh server in a temporary directory.
//!
//! `bench/run` builds the release binaries and runs this; `bench/run --help` lists what there is. It needs
//! `nix`, `nix-store` and `zstd` in `PATH`; PostgreSQL and Garage are measured where they are installed.

mod against;
mod args;
mod catalogue;
mod children;
mod commit;
mod garage;
mod large;
mod postgres;
mod process;
mod proxy;
mod push;
mod report;
mod scale;
mod server;
mod small;
mod store;
mod synthetic;
mod zstd_calls;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Args, Benchmark};
use report::Targets;
use server::Build;

/// Prints what it measured, and returns what of that should be so.
type Run = fn(&Bench) -> anyhow::Result<Targets>;

/// What all benchmarks use.
struct Bench {
    args: Args,
    runtime: tokio::runtime::Runtime,
    /// Everything that is written lies here, and goes with it, not before: whenever ext4 without a journal makes a
    /// file, it looks at every inode that was freed in the last minutes, so what is measured next would pay for it.
    dir: tempfile::TempDir,
}

impl Bench {
    /// The other build that this one is measured beside, if any.
    fn against(&self) -> anyhow::Result<Option<Build>> {
        self.args.against.as_deref().map(Build::at).transpose()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::note(&format!("niks3-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as it should be.
fn run() -> anyhow::Result<bool> {
    let args = Args::parse();
    let mut builder = tempfile::Builder::new();
    builder.prefix("niks3-bench-");
    let dir = match &args.dir {
        Some(dir) => builder.tempdir_in(dir),
        None => builder.tempdir(),
    }
    .context("no directory to work in")?;
    let runtime = tokio::runtime::Runtime::new()?;
    children::end_in_order(&runtime, dir.path().to_owned())?;
    let bench = Bench { args, runtime, dir };
    report::machine();
    // The last two make this process big, and a child's peak memory begins with its parent's.
    let all: [(Benchmark, Run); 6] = [
        (Benchmark::Push, push::run),
        (Benchmark::Small, small::run),
        (Benchmark::Large, large::run),
        (Benchmark::Commit, commit::run),
        (Benchmark::Scale, scale::run),
        (Benchmark::Zstd, zstd_calls::run),
    ];
    let mut met = true;
    for (benchmark, run) in all {
        if bench.args.only.is_empty() || bench.args.only.contains(&benchmark) {
            let targets = run(&bench).with_context(|| format!("benchmark {benchmark:?}"))?;
            met &= targets.print();
        }
    }
    Ok(met)
}
