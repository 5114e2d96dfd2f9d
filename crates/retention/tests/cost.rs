//! Judging takes as long as sorting does. `NIKS3_COST=4` judges the 20,000 closures, 100,000 runs and 2 million links of
//! the contract; without it, a quarter.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says how long it took"
)]

mod worlds;

use std::time::{Duration, Instant};

use niks3_retention::{Judge, Link, Outcome, Policy};
use worlds::{Builder, DAY, HOUR, NOW};

/// A world of so many runs, with a fifth as many closures and twenty times as many links.
fn world(runs: u32) -> Builder {
    let mut world = Builder::new();
    let closures = runs / 5;
    for number in 0..closures {
        world.link_new(&format!("c{number}"), NOW - 90 * DAY);
    }
    for number in 0..runs {
        let git_ref = match number % 10 {
            0 => "refs/heads/main".to_owned(),
            1 => format!("refs/heads/b{}", number % 5_000),
            _ => format!("refs/pull/{}/merge", number / 7 + 1),
        };
        let outcome = [Outcome::Success, Outcome::Failed, Outcome::Unknown][number as usize % 3];
        let at = NOW - 60 * DAY + i64::from(number) * HOUR / 80;
        let job = format!("job {}", number % 4);
        let row = world.run(&git_ref, u64::from(number / 4), &job, 1, outcome, at);
        for link in 0..20_u32 {
            world.world.links.push(Link {
                closure: (number.wrapping_mul(7_919) + link.wrapping_mul(104_729)) % closures,
                run: Some(row),
                at,
            });
        }
    }
    world
}

/// The shortest of three times.
fn time(policy: &Policy, runs: u32) -> Duration {
    let world = world(runs);
    let judge = || {
        let begun = Instant::now();
        let plan = Judge::new(policy, &world.world).plan();
        assert_eq!(plan.decisions.len(), world.world.closures.len());
        begun.elapsed()
    };
    (0..3).map(|_| judge()).min().unwrap()
}

#[test]
#[ignore = "it measures time"]
fn judging_four_times_as_much_takes_little_more_than_four_times_as_long() {
    let quarters: u32 = std::env::var("NIKS3_COST").map_or(1, |text| text.parse().unwrap());
    let policy = Policy::parse(
        r#"{ "version": 1, "rules": [
            { "name": "releases", "tags": ["v*"], "keep": "forever" },
            { "name": "debug", "roots": ["*-debug"], "keep": { "for": "1d" } },
            { "name": "main", "branches": ["main"], "keep": { "last": 5, "for": "7d" } },
            { "name": "pulls", "pull_requests": true, "keep": { "for": "7d", "until_closed": true } },
            { "name": "branches", "branches": ["*"], "keep": { "last": 1, "for": "3d", "idle": "14d" } } ] }"#,
    )
    .unwrap();
    let runs = 25_000 * quarters;
    let [quarter, half, whole] = [runs / 4, runs / 2, runs].map(|runs| time(&policy, runs));
    println!("{runs} runs: {quarter:?}, {half:?}, {whole:?}");
    // What grows with the square takes 16 times as long.
    assert!(whole < quarter * 8, "{quarter:?} {half:?} {whole:?}");
}
