//! What the action costs a job, printed: `cargo test --test suites -- --ignored --nocapture action::figures`.

use std::time::{Duration, Instant};

use niks3_test_support::Backend;

use super::bench::Bench;

const ROUNDS: usize = 5;
/// Runs of the hook in a row.
const BUILDS: u32 = 50;

/// The median, so that one slow round does not count.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// `NIKS3_FIGURES_BINARY` names another program to compare with.
#[test]
#[ignore = "prints figures"]
#[allow(clippy::print_stdout, reason = "the figures are the point")]
fn figures() {
    let other = std::env::var("NIKS3_FIGURES_BINARY").ok();
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let mut bench = Bench::with_token(Backend::Embedded);
        let path = bench.store.build("build \"x\" \"echo x > $out\"").remove(0);
        let mut action = bench.action(&[("mode", "hook")]);
        if let Some(other) = &other {
            action = action.with("binary", other);
        }
        let begun = Instant::now();
        bench.job.main(&mut action).green();
        figures[0].push(begun.elapsed());

        let begun = Instant::now();
        bench.job.post(&mut action).green();
        figures[2].push(begun.elapsed());

        bench.job.main(&mut action).green();
        let shown = bench.job.run(&["nix", "show-config"]).ok();
        let hook = shown
            .lines()
            .find_map(|line| line.strip_prefix("post-build-hook = "))
            .unwrap();
        bench.job.set("OUT_PATHS", &path);
        let runs = format!("i=0; while [ $i -lt {BUILDS} ]; do {hook}; i=$((i + 1)); done");
        let begun = Instant::now();
        let _ = bench.job.run(&["sh", "-c", &runs]).ok();
        figures[1].push(begun.elapsed() / BUILDS);
        bench.job.post(&mut action).green();
    }
    let names = [
        "main, on loopback",
        "the hook, for a built path",
        "post, with nothing to push",
    ];
    for (name, times) in names.iter().zip(figures) {
        println!("{name}: {:.0} ms", median(times).as_secs_f64() * 1000.0);
    }
}
