//! An independent judge, written from sections 2 to 6 of the contract alone, naive and slow, compared with the crate over
//! random worlds. `NIKS3_WORLDS=100000` compares as many; a difference is shrunk to the smallest world that has it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod worlds;

use niks3_nix::glob::Glob;
use niks3_retention::policy::{Conditions, RepositoryPattern};
use niks3_retention::{
    Closure, Judge, Keep, Link, OpenPulls, Outcome, Policy, Release, Rule, Run, Time, Verdict, World,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use worlds::{DAY, HOUR, NOW};

const MONTH: i64 = 30 * DAY;

// ---------------------------------------------------------------------------------------------- the judge

fn is_pull_request(run: &Run) -> bool {
    [
        "pull_request",
        "pull_request_target",
        "merge_request_event",
        "merge_group",
    ]
    .contains(&&*run.event)
        || run.git_ref.starts_with("refs/pull/")
        || run.git_ref.starts_with("refs/merge-requests/")
}

fn tag(run: &Run) -> Option<&str> {
    run.git_ref
        .strip_prefix("refs/tags/")
        .filter(|_| !is_pull_request(run))
}

fn branch(run: &Run) -> Option<&str> {
    let events = [
        "push",
        "schedule",
        "workflow_dispatch",
        "repository_dispatch",
        "web",
        "api",
        "trigger",
        "pipeline",
    ];
    let is_branch = !is_pull_request(run) && events.contains(&&*run.event);
    run.git_ref.strip_prefix("refs/heads/").filter(|_| is_branch)
}

fn same_repository(one: &Run, other: &Run) -> bool {
    one.provider == other.provider
        && one.repository_id == other.repository_id
        && (!one.repository_id.is_empty() || one.repository == other.repository)
}

/// Both are of one branch, tag or pull request, and count for each other.
fn same_branch(one: &Run, other: &Run) -> bool {
    let what = |run: &Run| {
        if is_pull_request(run) && run.pull_request > 0 {
            return (2, format!("#{}", run.pull_request));
        }
        let kind = match (is_pull_request(run), tag(run), branch(run)) {
            (true, ..) => 2,
            (_, Some(_), _) => 1,
            (.., Some(_)) => 0,
            _ => 3,
        };
        (kind, run.git_ref.to_string())
    };
    same_repository(one, other) && one.verified == other.verified && what(one) == what(other)
}

fn same_run(one: &Run, other: &Run) -> bool {
    same_repository(one, other) && one.verified == other.verified && one.run_id == other.run_id
}

fn same_execution(one: &Run, other: &Run) -> bool {
    same_run(one, other) && one.job == other.job
}

fn same_job(one: &Run, other: &Run) -> bool {
    same_branch(one, other) && one.workflow == other.workflow && one.job == other.job
}

struct Naive<'a> {
    policy: &'a Policy,
    world: &'a World,
}

impl Naive<'_> {
    fn runs(&self) -> impl Iterator<Item = &Run> + Clone {
        self.world.runs.iter()
    }

    /// Newer runs have larger numbers.
    fn number(&self, run: &Run) -> (u64, i64) {
        let first = self
            .runs()
            .filter(|other| same_run(run, other))
            .map(|other| other.id)
            .min();
        (run.run_id.parse().unwrap_or(0), first.unwrap())
    }

    fn highest_attempt(&self, run: &Run) -> Vec<&Run> {
        let all = self.runs().filter(|other| same_execution(run, other));
        let highest = all.clone().map(|other| other.attempt).max().unwrap();
        all.filter(|other| other.attempt == highest).collect()
    }

    fn outcome(&self, run: &Run) -> Outcome {
        let rows = self.highest_attempt(run);
        for outcome in [Outcome::Failed, Outcome::Unknown] {
            if rows.iter().any(|row| row.outcome == outcome) {
                return outcome;
            }
        }
        Outcome::Success
    }

    fn has_link(&self, run: &Run) -> bool {
        self.world.links.iter().any(|link| {
            link.run
                .is_some_and(|place| same_execution(run, &self.world.runs[place as usize]))
        })
    }

    /// One row of each execution of the job.
    fn executions(&self, run: &Run) -> Vec<&Run> {
        let mut found: Vec<&Run> = Vec::new();
        for other in self.runs().filter(|other| same_job(run, other)) {
            if !found.iter().any(|known| same_execution(known, other)) {
                found.push(other);
            }
        }
        found
    }

    fn is_retired(&self, run: &Run) -> bool {
        let last = |of: &dyn Fn(&Run) -> bool| {
            self.runs()
                .filter(|other| of(other))
                .map(|other| other.at)
                .max()
                .unwrap()
        };
        let newest = *self
            .executions(run)
            .iter()
            .max_by_key(|other| self.number(other))
            .unwrap();
        let of_branch = self.runs().filter(|other| same_branch(run, other));
        let of_branch = of_branch.max_by_key(|other| self.number(other)).unwrap();
        last(&|other| same_run(of_branch, other)) - last(&|other| same_execution(newest, other)) > MONTH
    }

    fn is_among_last(&self, run: &Run, count: u32) -> bool {
        if self.is_retired(run) {
            return false;
        }
        let count = usize::try_from(count).unwrap();
        let linked: Vec<&Run> = self
            .executions(run)
            .into_iter()
            .filter(|run| self.has_link(run))
            .collect();
        let newer = |outcome| {
            linked
                .iter()
                .filter(|other| self.outcome(other) == outcome && self.number(other) > self.number(run))
                .count()
        };
        match self.outcome(run) {
            Outcome::Success => newer(Outcome::Success) < count,
            Outcome::Unknown => newer(Outcome::Unknown) < count && newer(Outcome::Success) < count,
            Outcome::Failed => false,
        }
    }

    fn name(&self, run: &Run) -> &str {
        let all = self.runs().filter(|other| same_repository(run, other));
        &all.max_by_key(|other| (other.verified, other.at, other.id))
            .unwrap()
            .repository
    }

    fn fits(&self, rule: &Rule, run: Option<&Run>) -> bool {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        let repository = |run: &Run| {
            rule.repositories.iter().any(|pattern| match pattern {
                RepositoryPattern::Name(glob) => glob.matches(self.name(run)),
                RepositoryPattern::Id(glob) => {
                    !run.repository_id.is_empty() && glob.matches(&run.repository_id)
                }
            })
        };
        (rule.repositories.is_empty() || run.is_some_and(repository))
            && (rule.branches.is_empty()
                || run.and_then(branch).is_some_and(|name| any(&rule.branches, name)))
            && (rule.tags.is_empty() || run.and_then(tag).is_some_and(|name| any(&rule.tags, name)))
            && (!rule.pull_requests || run.is_some_and(is_pull_request))
    }

    fn rule(&self, link: &Link) -> Option<&Rule> {
        let run = link.run.map(|place| &self.world.runs[place as usize]);
        let name = &self.world.closures[link.closure as usize].name;
        let fits_root =
            |rule: &Rule| rule.roots.is_empty() || rule.roots.iter().any(|glob| glob.matches(name));
        self.policy
            .rules
            .iter()
            .find(|rule| self.fits(rule, run) && fits_root(rule))
    }

    fn is_idle(&self, rule: &Rule, conditions: &Conditions, run: &Run) -> bool {
        let literal =
            branch(run).is_some_and(|name| rule.branches.iter().any(|glob| glob.to_string() == name));
        let idle = conditions.idle.or(if literal { None } else { Some(MONTH) });
        let last = self
            .runs()
            .filter(|other| same_branch(run, other))
            .map(|other| other.at)
            .max()
            .unwrap();
        idle.is_some_and(|idle| self.world.now > last + idle)
    }

    fn is_closed(&self, run: &Run) -> bool {
        let list = self
            .world
            .open_pulls
            .iter()
            .filter(|list| list.provider == run.provider && list.repository_id == run.repository_id)
            .max_by_key(|list| list.at);
        let newest = self.runs().filter(|other| {
            other.provider == run.provider
                && other.repository_id == run.repository_id
                && other.pull_request == run.pull_request
        });
        let newest = newest.map(|other| other.at).max().unwrap();
        run.pull_request > 0
            && list.is_some_and(|list| !list.numbers.contains(&run.pull_request) && newest < list.at)
    }

    fn rule_keeps(&self, rule: &Rule, link: &Link) -> bool {
        let conditions = match rule.keep {
            Keep::Forever => return true,
            Keep::Nothing => return false,
            Keep::While(conditions) => conditions,
        };
        let run = link.run.map(|place| &self.world.runs[place as usize]);
        if conditions.until_closed && run.is_some_and(|run| self.is_closed(run)) {
            return false;
        }
        let in_time = conditions
            .for_seconds
            .is_some_and(|time| self.world.now <= link.at + time);
        let counts = run.is_some_and(|run| {
            let among = match (conditions.last, conditions.for_seconds) {
                (Some(count), _) => self.is_among_last(run, count),
                // Until it is closed.
                (None, None) => true,
                (None, Some(_)) => false,
            };
            among && !self.is_idle(rule, &conditions, run)
        });
        in_time || counts
    }

    fn is_covered(&self, run: &Run) -> bool {
        let recent = |at: Time| self.world.now - at <= MONTH;
        let last_of =
            |of: &dyn Fn(&Run) -> bool| self.runs().filter(|other| of(other)).map(|other| other.at).max();
        let recently_run: Vec<&Run> = self
            .runs()
            .filter(|other| same_repository(run, other))
            .filter(|other| last_of(&|third| same_branch(other, third)).is_some_and(recent))
            .collect();
        let by_last = |run: &&&Run| {
            let rules = &self.policy.rules;
            rules.iter().any(|rule| {
                matches!(rule.keep, Keep::While(Conditions { last: Some(_), .. }))
                    && self.fits(rule, Some(run))
            })
        };
        let mut looked_at: Vec<&Run> = recently_run.iter().filter(by_last).copied().collect();
        if looked_at.is_empty() {
            looked_at = recently_run;
        }
        let same_workflow =
            |one: &Run, other: &Run| same_branch(one, other) && one.workflow == other.workflow;
        let mut seen = false;
        for one in looked_at {
            if !last_of(&|other| same_workflow(one, other)).is_some_and(recent) {
                continue;
            }
            seen = true;
            let is_good = |run: &&Run| {
                self.runs()
                    .filter(|other| same_run(run, other))
                    .all(|other| self.outcome(other) == Outcome::Success)
            };
            let good = self
                .runs()
                .filter(|other| same_workflow(one, other))
                .filter(is_good);
            let Some(newest) = good.max_by_key(|other| self.number(other)) else {
                return false;
            };
            let complete = self
                .runs()
                .filter(|other| same_run(newest, other))
                .all(|other| self.highest_attempt(other).iter().all(|row| row.uses_complete));
            if !complete {
                return false;
            }
        }
        seen
    }

    fn link_keeps(&self, link: &Link) -> bool {
        let by_default = self.world.now <= link.at + self.policy.default;
        let run = link.run.map(|place| &self.world.runs[place as usize]);
        match self.rule(link) {
            None => by_default,
            Some(rule) => {
                self.rule_keeps(rule, link) || (by_default && run.is_some_and(|run| !self.is_covered(run)))
            }
        }
    }

    fn keeps(&self, place: usize) -> bool {
        let closure = &self.world.closures[place];
        closure.pinned
            || closure.in_push
            || self
                .world
                .links
                .iter()
                .filter(|link| link.closure as usize == place)
                .any(|link| {
                    let counts = closure
                        .released
                        .is_none_or(|release| !release.by_hand || link.at >= release.at);
                    counts && (self.world.now <= link.at + DAY || self.link_keeps(link))
                })
    }

    fn verdict(&self, place: usize) -> Verdict {
        match (self.keeps(place), self.world.closures[place].released) {
            (true, None) => Verdict::Keep,
            (true, Some(_)) => Verdict::Restore,
            (false, None) => Verdict::Release,
            (false, Some(release)) if release.at + self.policy.undo <= self.world.now => Verdict::Purge,
            (false, Some(release)) => Verdict::Wait(release.at + self.policy.undo),
        }
    }
}

// ---------------------------------------------------------------------------------------------- worlds

fn hours() -> impl Strategy<Value = Time> {
    // Few times, so that many are equal; many close to the ends of what rules say, some of long ago.
    prop_oneof![
        3 => (0..8_i64).prop_map(|days| NOW - days * DAY),
        1 => (0..80_i64).prop_map(|hours| NOW - hours * HOUR),
        1 => (0..70_i64).prop_map(|days| NOW - days * DAY),
        1 => select(vec![DAY, 3 * DAY, 7 * DAY, MONTH])
            .prop_flat_map(|ago| (-1..=1_i64).prop_map(move |by| NOW - ago + by)),
    ]
}

/// What all rows of one run have in common.
fn run_facts() -> impl Strategy<Value = Run> {
    let kinds = vec![
        ("push", "refs/heads/main", 0),
        ("push", "refs/heads/main", 0),
        ("push", "refs/heads/main", 0),
        ("push", "refs/heads/main", 0),
        ("push", "refs/heads/main", 0),
        ("schedule", "refs/heads/main", 0),
        ("pull_request", "refs/pull/7/merge", 7),
        ("pull_request", "refs/pull/7/merge", 7),
        ("push", "refs/heads/feature/a", 0),
        ("push", "refs/tags/v1", 0),
        ("pull_request", "refs/pull/7/merge", 7),
        ("pull_request", "refs/pull/8/merge", 8),
        ("pull_request_target", "refs/heads/main", 0),
        ("pull_request_target", "refs/heads/main", 7),
        ("merge_group", "refs/heads/gh-readonly-queue/main/x", 0),
        ("workflow_run", "refs/heads/main", 0),
    ];
    let repositories = [("o/r", "17"), ("o/renamed", "17"), ("o/s", "18"), ("o/r", "")];
    (
        select(kinds),
        prop_oneof![9 => Just(0_usize), 1 => 1..4_usize],
        prop_oneof![15 => Just(true), 1 => Just(false)],
        select(vec!["CI", "CI", "CI", "CI", "CI", "CI", "Nightly"]),
        prop_oneof![9 => (1..12_u64).prop_map(|number| number.to_string()), 1 => Just("x".to_owned())],
    )
        .prop_map(
            move |((event, git_ref, pull_request), repository, verified, workflow, run_id)| Run {
                id: 0,
                verified,
                provider: "github".into(),
                repository: repositories[repository].0.into(),
                repository_id: repositories[repository].1.into(),
                git_ref: git_ref.into(),
                event: event.into(),
                workflow: workflow.into(),
                job: "".into(),
                run_id: run_id.into(),
                attempt: 1,
                // Only a verified claim says it.
                pull_request: if verified { pull_request } else { 0 },
                outcome: Outcome::Success,
                uses_complete: true,
                at: NOW,
            },
        )
}

type Row = (&'static str, u64, Outcome, bool, Time);

fn row() -> impl Strategy<Value = Row> {
    (
        select(vec!["build", "build", "build", "build", "test"]),
        1..3_u64,
        prop_oneof![6 => Just(Outcome::Success), 2 => Just(Outcome::Failed), 2 => Just(Outcome::Unknown)],
        prop_oneof![19 => Just(true), 1 => Just(false)],
        hours(),
    )
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    vec((run_facts(), vec(row(), 1..3)), 0..9).prop_map(|groups| {
        let mut runs: Vec<Run> = Vec::new();
        for (facts, rows) in groups {
            // A number names one run, of one branch and workflow.
            let facts = match runs.iter().find(|known| same_run(known, &facts)) {
                Some(known) => Run {
                    repository: facts.repository,
                    ..known.clone()
                },
                None => facts,
            };
            for (job, attempt, outcome, uses_complete, at) in rows {
                runs.push(Run {
                    id: i64::try_from(runs.len()).unwrap() + 1,
                    job: job.into(),
                    attempt,
                    outcome,
                    uses_complete,
                    at,
                    ..facts.clone()
                });
            }
        }
        runs
    })
}

fn keep() -> impl Strategy<Value = Keep> {
    let time = || select(vec![0, HOUR, DAY, 3 * DAY, 7 * DAY, MONTH, 60 * DAY]);
    let conditions = (
        option::weighted(0.3, time()),
        option::weighted(0.7, 1..4_u32),
        option::of(time()),
        any::<bool>(),
    )
        .prop_map(|(for_seconds, last, idle, until_closed)| {
            Keep::While(Conditions {
                for_seconds,
                last,
                idle,
                until_closed: until_closed || (for_seconds.is_none() && last.is_none()),
            })
        });
    prop_oneof![1 => Just(Keep::Forever), 1 => Just(Keep::Nothing), 14 => conditions]
}

fn rule() -> impl Strategy<Value = Rule> {
    let globs = |texts: Vec<&str>| texts.iter().map(|text| Glob::new(text)).collect::<Vec<_>>();
    let repositories = select(vec![
        vec![],
        vec![],
        vec![("o/r", false)],
        vec![("o/re*", false)],
        vec![("1?", true)],
    ]);
    let of = select(vec![
        (vec![], vec![], false),
        (vec!["main"], vec![], false),
        (vec!["*"], vec![], false),
        (vec!["feature/*", "main"], vec![], false),
        (vec![], vec!["v*"], false),
        (vec![], vec![], true),
        (vec![], vec![], true),
        (vec!["main"], vec![], false),
    ]);
    let roots = select(vec![vec![], vec![], vec![], vec!["*-debug"]]);
    (repositories, of, roots, keep()).prop_map(
        move |(repositories, (branches, tags, pull_requests), roots, keep)| Rule {
            name: "r".into(),
            repositories: repositories
                .iter()
                .map(|(text, is_id)| match is_id {
                    true => RepositoryPattern::Id(Glob::new(text)),
                    false => RepositoryPattern::Name(Glob::new(text)),
                })
                .collect(),
            branches: globs(branches),
            tags: globs(tags),
            pull_requests,
            roots: globs(roots),
            keep,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let time = || select(vec![0, 0, 0, DAY, 3 * DAY, MONTH]);
    (time(), time(), vec(rule(), 0..4)).prop_map(|(default, undo, rules)| Policy {
        default,
        undo,
        rules,
        ..Policy::default()
    })
}

fn world() -> impl Strategy<Value = World> {
    let flag = || prop_oneof![9 => Just(false), 1 => Just(true)];
    let release = option::weighted(0.2, (hours(), any::<bool>()));
    let closure = (flag(), flag(), release, any::<bool>());
    let link = (any::<Index>(), option::weighted(0.9, any::<Index>()), hours());
    let list = (select(vec!["17", "18"]), vec(7..9_u64, 0..2), hours());
    (runs(), vec(closure, 1..5), vec(link, 0..12), vec(list, 0..3)).prop_map(
        |(runs, closures, links, lists)| {
            let closures: Vec<Closure> = closures
                .into_iter()
                .zip(1_i64..)
                .map(|((pinned, in_push, release, is_debug), id)| Closure {
                    id,
                    name: if is_debug { "app-debug" } else { "app" }.into(),
                    pinned,
                    in_push,
                    released: release.map(|(at, by_hand)| Release { at, by_hand }),
                })
                .collect();
            let links = links
                .into_iter()
                .map(|(closure, run, at)| Link {
                    closure: u32::try_from(closure.index(closures.len())).unwrap(),
                    run: run
                        .filter(|_| !runs.is_empty())
                        .map(|run| u32::try_from(run.index(runs.len())).unwrap()),
                    at,
                })
                .collect();
            // Of two lists of one time, nobody knows which is the newer one.
            let mut open_pulls: Vec<OpenPulls> = Vec::new();
            for (repository_id, numbers, at) in lists {
                if !open_pulls.iter().any(|known| known.at == at) {
                    open_pulls.push(OpenPulls {
                        provider: "github".into(),
                        repository_id: repository_id.into(),
                        numbers,
                        at,
                    });
                }
            }
            World {
                now: NOW,
                runs,
                closures,
                links,
                open_pulls,
            }
        },
    )
}

fn verdicts(policy: &Policy, world: &World) -> Vec<Verdict> {
    let plan = Judge::new(policy, world).plan();
    plan.decisions.iter().map(|decision| decision.verdict).collect()
}

fn is_kept(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Keep | Verdict::Restore)
}

fn cases() -> ProptestConfig {
    let worlds = std::env::var("NIKS3_WORLDS")
        .ok()
        .and_then(|count| count.parse().ok());
    ProptestConfig {
        cases: worlds.unwrap_or(3_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_crate_judges_as_the_contract_says(policy in policy(), world in world()) {
        let naive = Naive { policy: &policy, world: &world };
        let expected: Vec<Verdict> = (0..world.closures.len()).map(|place| naive.verdict(place)).collect();
        prop_assert_eq!(verdicts(&policy, &world), expected);
    }

    #[test]
    fn nothing_goes_that_is_pinned_in_a_push_or_used_within_a_day(policy in policy(), world in world()) {
        for (place, verdict) in verdicts(&policy, &world).into_iter().enumerate() {
            let closure = &world.closures[place];
            let by_hand = closure.released.is_some_and(|release| release.by_hand);
            let mut links = world.links.iter().filter(|link| link.closure as usize == place);
            let is_recent = links.any(|link| link.at >= NOW - DAY) && !by_hand;
            if closure.pinned || closure.in_push || is_recent {
                prop_assert!(is_kept(verdict), "{closure:?} {verdict:?}");
            }
        }
    }

    #[test]
    fn a_larger_count_or_time_keeps_what_a_smaller_one_keeps(policy in policy(), world in world(), which in any::<Index>()) {
        let before = verdicts(&policy, &world);
        let mut larger = policy;
        if let Some(count) = larger.rules.len().checked_sub(1) {
            let rule = &mut larger.rules[which.index(count + 1)];
            let has_last = rule.last().is_some();
            if let Keep::While(conditions) = &mut rule.keep {
                conditions.for_seconds = conditions.for_seconds.map(|time| time + DAY);
                conditions.last = conditions.last.map(|count| count + 1);
                conditions.idle = conditions.idle.map(|time| time + DAY);
            }
            prop_assert_eq!(rule.last().is_some(), has_last);
        }
        larger.default += HOUR;
        for (before, after) in before.into_iter().zip(verdicts(&larger, &world)) {
            prop_assert!(!is_kept(before) || is_kept(after), "{before:?} {after:?}");
        }
    }

    #[test]
    fn the_order_of_rows_changes_nothing(policy in policy(), world in world(), seed in any::<u64>()) {
        let mut shuffled = world.clone();
        // Rows of runs have ids; links name them by their places, which move with them.
        let mut places: Vec<usize> = (0..world.runs.len()).collect();
        places.sort_by_key(|place| ((place + 1) as u64).wrapping_mul(seed | 1) % 1_000_003);
        shuffled.runs = places.iter().map(|place| world.runs[*place].clone()).collect();
        for link in &mut shuffled.links {
            let now_at = |run: u32| places.iter().position(|place| *place == run as usize).unwrap();
            link.run = link.run.map(|run| u32::try_from(now_at(run)).unwrap());
        }
        shuffled.links.reverse();
        shuffled.open_pulls.reverse();
        prop_assert_eq!(verdicts(&policy, &world), verdicts(&policy, &shuffled));
    }

    #[test]
    fn a_second_collection_at_the_same_time_releases_nothing(policy in policy(), world in world()) {
        let mut after = world.clone();
        for (closure, verdict) in after.closures.iter_mut().zip(verdicts(&policy, &world)) {
            match verdict {
                Verdict::Release => closure.released = Some(Release { at: NOW, by_hand: false }),
                Verdict::Restore => closure.released = None,
                Verdict::Keep | Verdict::Wait(_) | Verdict::Purge => {}
            }
        }
        for (first, second) in verdicts(&policy, &world).into_iter().zip(verdicts(&policy, &after)) {
            prop_assert_ne!(second, Verdict::Release);
            prop_assert!(!is_kept(first) || is_kept(second));
        }
    }
}
