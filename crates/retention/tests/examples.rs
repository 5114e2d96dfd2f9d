//! The worked examples of the contract, as they stand there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod worlds;

use niks3_retention::{Judge, Outcome, Policy, Reason, Verdict, fill};
use worlds::{Builder, DAY, HOUR, at};

use Outcome::{Failed, Success, Unknown};

fn policy(rules: &str) -> Policy {
    Policy::parse(&format!("{{ \"version\": 1, \"rules\": [{rules}] }}")).unwrap()
}

const MAIN: &str = r#"{ "name": "main", "branches": ["main"], "keep": "#;

/// The names of the closures that stay.
fn kept(policy: &Policy, world: &Builder) -> Vec<String> {
    let plan = Judge::new(policy, &world.world).plan();
    assert_eq!(plan.uncovered, [], "all repositories are covered");
    let closures = world.world.closures.iter().zip(&plan.decisions);
    closures
        .filter(|(_, decision)| decision.verdict == Verdict::Keep)
        .map(|(closure, _)| closure.name.to_string())
        .collect()
}

#[test]
fn example_1_the_newest_good_two_stay_and_a_failed_one_displaces_nothing() {
    let mut world = Builder::new();
    for (number, day, hour, outcome, closure) in [
        (41, 20, 12, Success, "A"),
        (42, 23, 12, Success, "B"),
        (43, 24, 9, Failed, "C"),
        (44, 25, 12, Success, "D"),
    ] {
        let run = world.run("refs/heads/main", number, "build", 1, outcome, at(11, day, hour));
        world.link(closure, Some(run), at(11, day, hour));
    }
    let policy = policy(&format!("{MAIN} {{ \"last\": 2, \"for\": \"3d\" }} }}"));
    assert_eq!(kept(&policy, &world), ["B", "D"]);
}

#[test]
fn example_2_main_keeps_what_it_uses_of_a_merged_pull_request() {
    let rules = format!(
        r#"{{ "name": "pulls", "pull_requests": true, "keep": {{ "for": "7d", "until_closed": true }} }}, {MAIN} {{ "last": 2 }} }}"#
    );
    let policy = policy(&rules);
    for uses in [true, false] {
        let mut world = Builder::new();
        let pull = world.run("refs/pull/7/merge", 50, "build", 1, Success, at(11, 18, 12));
        world.link("P", Some(pull), at(11, 18, 12));
        world.open_pulls(&[], at(11, 25, 12));
        let main = world.run("refs/heads/main", 51, "build", 1, Success, at(11, 25, 12));
        if uses {
            world.link("P", Some(main), at(11, 25, 12));
        }
        assert_eq!(!kept(&policy, &world).is_empty(), uses);
    }
}

#[test]
fn example_3_a_release_keeps_what_a_closed_pull_request_has_built() {
    let mut rules = [
        r#"{ "name": "pulls", "pull_requests": true, "keep": { "for": "7d", "until_closed": true } }"#,
        r#"{ "name": "releases", "tags": ["v*"], "keep": "forever" }"#,
    ];
    for _ in 0..2 {
        let mut world = Builder::new();
        let pull = world.run("refs/pull/9/merge", 10, "build", 1, Success, at(10, 1, 12));
        world.link("R", Some(pull), at(10, 1, 12));
        world.open_pulls(&[], at(11, 25, 12));
        let tag = world.run("refs/tags/v1.2", 11, "build", 1, Success, at(10, 3, 12));
        world.link("R", Some(tag), at(10, 3, 12));
        let policy = policy(&rules.join(","));
        let plan = Judge::new(&policy, &world.world).plan();
        let releases = policy
            .rules
            .iter()
            .position(|rule| rule.name == "releases")
            .unwrap();
        let rule = u8::try_from(releases).unwrap();
        assert_eq!(plan.decisions[0].reason, Some(Reason::Forever { rule }));
        rules.reverse();
    }
}

#[test]
fn example_4_each_job_has_a_count_of_its_own() {
    let mut world = Builder::new();
    for (number, day) in [(58, 23), (59, 24), (60, 25)] {
        for (job, prefix) in [("linux", "L"), ("mac", "M")] {
            let outcome = if number == 60 && job == "mac" {
                Failed
            } else {
                Success
            };
            let run = world.run("refs/heads/main", number, job, 1, outcome, at(11, day, 12));
            world.link(&format!("{prefix}{number}"), Some(run), at(11, day, 12));
        }
    }
    let policy = policy(&format!("{MAIN} {{ \"last\": 1 }} }}"));
    // The newest good one of mac is #59.
    assert_eq!(kept(&policy, &world), ["M59", "L60"]);
}

#[test]
fn example_5_an_execution_has_all_its_attempts_and_an_old_run_stays_old() {
    let mut world = Builder::new();
    let day = at(11, 24, 12);
    let linux = world.run("refs/heads/main", 70, "linux", 1, Success, day);
    world.link("L", Some(linux), day);
    let mac = world.run("refs/heads/main", 70, "mac", 1, Failed, day);
    world.link("Ma", Some(mac), day);
    let mac = world.run("refs/heads/main", 70, "mac", 2, Success, day + HOUR);
    world.link("Mb", Some(mac), day + HOUR);
    let again = at(11, 26, 10);
    world.run("refs/heads/main", 40, "linux", 1, Success, at(11, 1, 12));
    let old = world.run("refs/heads/main", 40, "linux", 2, Success, again);
    world.link("X", Some(old), again);
    let policy = policy(&format!("{MAIN} {{ \"last\": 1, \"for\": \"1d\" }} }}"));
    assert_eq!(kept(&policy, &world), ["L", "Ma", "Mb"]);
}

#[test]
fn example_6_unknown_outcomes_count_where_they_are_newer() {
    let mut world = Builder::new();
    for (number, day, outcome) in [(80, 20, Success), (81, 21, Unknown), (82, 22, Unknown)] {
        let run = world.run("refs/heads/main", number, "build", 1, outcome, at(11, day, 12));
        world.link(&format!("c{number}"), Some(run), at(11, day, 12));
    }
    let policy = policy(&format!("{MAIN} {{ \"last\": 2 }} }}"));
    assert_eq!(kept(&policy, &world), ["c80", "c81", "c82"]);
}

#[test]
fn example_7_an_idle_branch_keeps_nothing_by_its_count() {
    let policy = policy(r#"{ "name": "branches", "branches": ["*"], "keep": { "last": 1, "idle": "14d" } }"#);
    for (day, stays) in [(10, false), (14, true)] {
        let mut world = Builder::new();
        let run = world.run("refs/heads/a", 1, "build", 1, Success, at(11, day, 12));
        world.link("A", Some(run), at(11, day, 12));
        assert_eq!(!kept(&policy, &world).is_empty(), stays, "last run on Nov {day}");
    }
}

#[test]
fn example_8_a_push_from_a_laptop_is_kept_by_default() {
    let policy = policy(
        r#"{ "name": "pulls", "pull_requests": true, "keep": { "for": "7d", "until_closed": true } }"#,
    );
    let mut world = Builder::new();
    let pull = world.run("refs/pull/3/merge", 1, "build", 1, Success, at(11, 1, 12));
    world.link("Q", Some(pull), at(11, 1, 12));
    world.open_pulls(&[], at(11, 2, 12));
    world.link("Q", None, at(11, 20, 12));
    let plan = Judge::new(&policy, &world.world).plan();
    let until = at(12, 20, 12);
    assert_eq!(plan.decisions[0].reason, Some(Reason::Default { until }));
}

#[test]
fn example_9_what_a_pin_names_stays_whatever_the_rules_say() {
    let policy = policy(r#"{ "name": "none", "keep": "nothing" }"#);
    let mut world = Builder::new();
    for closure in ["A", "B"] {
        world.link(closure, None, at(11, 1, 12));
    }
    world.world.closures[1].pinned = true;
    assert_eq!(kept(&policy, &world), ["B"]);
}

#[test]
fn example_10_the_quota_is_filled_in_the_order_of_the_rules_and_of_the_last_use() {
    let mut policy = policy(
        r#"{ "name": "exempt", "tags": ["v*"], "keep": "forever" },
           { "name": "main", "branches": ["main"], "keep": { "for": "20d" } },
           { "name": "branches", "branches": ["*"], "keep": { "for": "20d" } }"#,
    );
    policy.quota = Some(100);
    let mut world = Builder::new();
    let tag = world.run("refs/tags/v1", 1, "build", 1, Success, at(11, 1, 12));
    world.link("exempt", Some(tag), at(11, 1, 12));
    for (number, branch, day, closure) in [
        (2, "a", 12, "E"),
        (3, "a", 13, "C"),
        (4, "a", 20, "A"),
        (5, "main", 20, "B"),
        (6, "main", 21, "D"),
    ] {
        let run = world.run(
            &format!("refs/heads/{branch}"),
            number,
            "build",
            1,
            Success,
            at(11, day, 12),
        );
        world.link(closure, Some(run), at(11, day, 12));
    }
    let mut plan = Judge::new(&policy, &world.world).plan();
    let mut marked = Vec::new();
    let filled = fill(&policy, &world.world, &mut plan, 0, |place| {
        let name = world.world.closures[place].name.to_string();
        let bytes = match name.as_str() {
            "exempt" => 40,
            "D" => 30,
            "B" => 15,
            // 8 of its 10 are of D.
            "A" => 2,
            "C" => 20,
            _ => 1,
        };
        marked.push(name);
        bytes
    })
    .unwrap();
    assert_eq!(marked, ["exempt", "D", "B", "A", "C", "E"]);
    assert_eq!((filled.exempt, filled.kept, filled.released), (40, 87, 2));
    let released: Vec<&str> = world
        .world
        .closures
        .iter()
        .zip(&plan.decisions)
        .filter(|(_, decision)| decision.verdict == Verdict::Release)
        .map(|(closure, _)| &*closure.name)
        .collect();
    assert_eq!(released, ["E", "C"]);
    policy.quota = Some(108);
    let mut plan = Judge::new(&policy, &world.world).plan();
    let filled = fill(&policy, &world.world, &mut plan, 0, |_| 18).unwrap();
    assert_eq!(
        (filled.kept, filled.released),
        (108, 0),
        "a cache at its quota is not above it"
    );
}

#[test]
fn example_11_a_rule_with_a_mistake_judges_nothing_and_the_plan_says_so() {
    let mut world = Builder::new();
    for number in 0..1000 {
        let branch = if number < 410 {
            "refs/heads/main"
        } else {
            "refs/tags/v1"
        };
        let run = world.run(branch, number, "build", 1, Success, at(10, 1, 12));
        world.link(&format!("c{number}"), Some(run), at(10, 1, 12));
    }
    let run = world.run("refs/heads/main", 2000, "build", 1, Success, at(11, 20, 12));
    world.link("new", Some(run), at(11, 20, 12));
    let policy = policy(
        r#"{ "name": "main", "branches": ["mian"], "keep": { "last": 1000 } },
           { "name": "releases", "tags": ["v*"], "keep": "forever" }"#,
    );
    let plan = Judge::new(&policy, &world.world).plan();
    assert_eq!(plan.judged, [0, 590]);
    assert_eq!(plan.released(), 410);
    assert!(plan.is_large(&policy), "41 % is over 25 %");
    let allowing = Policy {
        max_release: 41,
        ..policy
    };
    assert!(!plan.is_large(&allowing));
}

#[test]
fn example_12_what_a_mended_policy_keeps_comes_back() {
    let mut world = Builder::new();
    let run = world.run("refs/heads/main", 1, "build", 1, Success, at(11, 20, 12));
    world.link("G", Some(run), at(11, 20, 12));
    world.release("G", at(11, 26, 12), false);
    let mistaken = policy(r#"{ "name": "main", "branches": ["main"], "keep": "nothing" }"#);
    let mended = policy(&format!("{MAIN} {{ \"last\": 1 }} }}"));
    let verdict = |policy: &Policy| Judge::new(policy, &world.world).plan().decisions[0].verdict;
    assert_eq!(verdict(&mistaken), Verdict::Wait(at(11, 29, 12)));
    assert_eq!(verdict(&mended), Verdict::Restore);
    world.world.now += 2 * DAY;
    let verdict = |policy: &Policy| Judge::new(policy, &world.world).plan().decisions[0].verdict;
    assert_eq!(verdict(&mistaken), Verdict::Purge);
    // Deleted by hand, no rule brings it back, and a later use does.
    world.release("G", at(11, 26, 12), true);
    let verdict =
        |policy: &Policy, world: &Builder| Judge::new(policy, &world.world).plan().decisions[0].verdict;
    assert_eq!(verdict(&mended, &world), Verdict::Purge);
    world.link("G", Some(run), at(11, 27, 12));
    assert_eq!(verdict(&mended, &world), Verdict::Restore);
}
