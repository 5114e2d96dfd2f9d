//! Worlds to judge.
#![allow(dead_code, unreachable_pub, reason = "each test program uses some of it")]

use std::sync::Arc;

use niks3_retention::{Closure, Link, OpenPulls, Outcome, Release, Run, Time, World};

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;
/// Friday, 2026-11-27, 12:00 UTC.
pub const NOW: Time = 1_795_780_800;

/// A time of 2026 in October, November or December.
pub fn at(month: i64, day: i64, hour: i64) -> Time {
    let days_before = match month {
        10 => -31,
        11 => 0,
        _ => 30,
    };
    NOW + (days_before + day - 27) * DAY + (hour - 12) * HOUR
}

/// A world that is put together bit by bit.
#[derive(Debug, Default)]
pub struct Builder {
    pub world: World,
}

impl Builder {
    pub fn new() -> Self {
        Self {
            world: World {
                now: NOW,
                ..World::default()
            },
        }
    }

    /// A row of a run of the repository `o/r`, which reports all that it uses; its index.
    pub fn run(
        &mut self,
        git_ref: &str,
        number: u64,
        job: &str,
        attempt: u64,
        outcome: Outcome,
        at: Time,
    ) -> u32 {
        let text = |text: &str| Arc::<str>::from(text);
        let pull_request = git_ref
            .strip_prefix("refs/pull/")
            .and_then(|rest| rest.split('/').next()?.parse().ok());
        self.world.runs.push(Run {
            id: i64::try_from(self.world.runs.len()).unwrap_or_default() + 1,
            verified: true,
            provider: text("github"),
            repository: text("o/r"),
            repository_id: text("17"),
            git_ref: text(git_ref),
            event: text(if pull_request.is_some() {
                "pull_request"
            } else {
                "push"
            }),
            workflow: text("CI"),
            job: text(job),
            run_id: number.to_string().into(),
            attempt,
            pull_request: pull_request.unwrap_or_default(),
            outcome,
            uses_complete: true,
            at,
        });
        u32::try_from(self.world.runs.len() - 1).unwrap_or_default()
    }

    /// A push or use of a closure, which is there from the first on.
    pub fn link(&mut self, name: &str, run: Option<u32>, at: Time) {
        let known = self
            .world
            .closures
            .iter()
            .position(|closure| &*closure.name == name);
        let place = known.unwrap_or_else(|| {
            let place = self.world.closures.len();
            self.world.closures.push(Closure {
                id: i64::try_from(place).unwrap_or_default() + 1,
                name: name.into(),
                pinned: false,
                in_push: false,
                released: None,
            });
            place
        });
        self.world.links.push(Link {
            closure: u32::try_from(place).unwrap_or_default(),
            run,
            at,
        });
    }

    /// A push of a new closure, by nobody's run.
    pub fn link_new(&mut self, name: &str, at: Time) {
        let place = self.world.closures.len();
        self.world.closures.push(Closure {
            id: i64::try_from(place).unwrap_or_default() + 1,
            name: name.into(),
            pinned: false,
            in_push: false,
            released: None,
        });
        self.world.links.push(Link {
            closure: u32::try_from(place).unwrap_or_default(),
            run: None,
            at,
        });
    }

    pub fn open_pulls(&mut self, numbers: &[u64], at: Time) {
        self.world.open_pulls.push(OpenPulls {
            provider: "github".into(),
            repository_id: "17".into(),
            numbers: numbers.to_vec(),
            at,
        });
    }

    pub fn release(&mut self, name: &str, at: Time, by_hand: bool) {
        for closure in &mut self.world.closures {
            if &*closure.name == name {
                closure.released = Some(Release { at, by_hand });
            }
        }
    }
}
