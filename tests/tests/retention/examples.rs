//! The worked examples of the contract, through a real server: a collection releases what they say, and a dry run says so
//! before.

use niks3_test_support::{Backend, on_both};
use serde_json::Value;

use super::world::{DAY, HOUR, Run, World, days_ago, names};

on_both!(
    the_newest_good_executions_stay_and_a_failed_one_displaces_nothing,
    main_keeps_what_it_uses_of_a_merged_pull_request_and_releases_stay_for_ever,
    each_job_counts_for_itself_and_an_old_run_that_is_run_again_displaces_nothing,
    unknown_outcomes_count_too_and_an_idle_branch_keeps_nothing,
    a_push_without_a_run_is_kept_by_the_default_and_what_others_need_stays,
    a_quota_is_filled_in_the_order_of_the_rules_and_of_the_last_use,
);

fn policy(rules: &str) -> String {
    format!("{{ \"version\": 1, \"max_release\": 100, \"rules\": [{rules}] }}")
}

/// Collects after a dry run, which changes nothing and says the same; names of the closures that are not released.
fn released(world: &World) -> Vec<String> {
    let tables = [
        "closures",
        "closure_runs",
        "closure_uses",
        "runs",
        "paths",
        "objects",
        "retention_policies",
    ];
    let rows = || tables.map(|table| world.sql(&format!("SELECT * FROM {table} ORDER BY 1, 2")));
    let bucket = || world.api.server.bucket().keys();
    let (rows_before, keys_before) = (rows(), bucket());
    let told = world.collect(&["--dry-run"]);
    assert_eq!(rows(), rows_before, "a dry run changes nothing");
    assert_eq!(bucket(), keys_before, "a dry run changes nothing");
    let done = world.collect(&[]);
    assert_eq!(
        done["gc"]["retention"]["notices"],
        serde_json::json!([]),
        "{done}"
    );
    assert_eq!(World::listed(&done), World::listed(&told));
    let report = |run: &Value| run["gc"]["retention"].clone();
    assert_eq!(report(&done), report(&told));
    let released = world.closures("c.released_at <> 0");
    assert_eq!(report(&done)["released"], released.len());
    // Everything is there until the undo time is over, and a second collection has nothing to do.
    assert_eq!(bucket(), keys_before);
    assert_eq!(world.collect(&[])["gc"]["retention"]["released"], 0);
    released
}

const MAIN: &str = r#"{ "name": "main", "branches": ["main"], "keep": "#;

async fn the_newest_good_executions_stay_and_a_failed_one_displaces_nothing(backend: Backend) {
    let mut world = World::new(
        backend,
        &policy(&format!("{MAIN} {{ \"last\": 2, \"for\": \"3d\" }} }}")),
    );
    for (number, at, conclusion, name) in [
        (41, days_ago(world.now, 7), "success", "A"),
        (42, days_ago(world.now, 4), "success", "B"),
        (43, days_ago(world.now, 3) - 3 * HOUR, "failure", "C"),
        (44, days_ago(world.now, 2), "success", "D"),
    ] {
        let run = world.run(Run {
            conclusion,
            ..Run::main(number, at)
        });
        world.pushed(name, run, at).await;
    }
    assert_eq!(released(&world), names(&["A", "C"]));
}

async fn main_keeps_what_it_uses_of_a_merged_pull_request_and_releases_stay_for_ever(backend: Backend) {
    let rules = format!(
        r#"{{ "name": "pulls", "pull_requests": true, "keep": {{ "for": "7d", "until_closed": true }} }},
           {{ "name": "releases", "tags": ["v*"], "keep": "forever" }}, {MAIN} {{ "last": 2 }} }}"#
    );
    let mut world = World::new(backend, &policy(&rules));
    let pull = |number, pull_request, at| Run {
        git_ref: "refs/pull/7/merge",
        event: "pull_request",
        pull_request,
        ..Run::main(number, at)
    };
    let at = days_ago(world.now, 9);
    let run = world.run(pull(50, 7, at));
    for name in ["P", "unused"] {
        world.pushed(name, run, at).await;
    }
    let at = days_ago(world.now, 57);
    let run = world.run(pull(30, 9, at));
    world.pushed("R", run, at).await;
    let tag = Run {
        git_ref: "refs/tags/v1.2",
        ..Run::main(31, at + DAY)
    };
    let run = world.run(tag);
    world.pushed("R", run, at + DAY).await;
    // Pull request 11 is open, and an old list does not know it.
    let at = days_ago(world.now, 5);
    let run = world.run(pull(52, 11, at));
    world.pushed("open", run, at).await;
    world.open_pulls("[11]", days_ago(world.now, 2));
    let at = days_ago(world.now, 2);
    let run = world.run(Run::main(51, at));
    world.used("P", run, at).await;
    assert_eq!(released(&world), names(&["unused"]));
}

async fn each_job_counts_for_itself_and_an_old_run_that_is_run_again_displaces_nothing(backend: Backend) {
    let mut world = World::new(
        backend,
        &policy(&format!("{MAIN} {{ \"last\": 1, \"for\": \"1d\" }} }}")),
    );
    for (number, day, job, conclusion, name) in [
        (58, 4, "linux", "success", "L58"),
        (58, 4, "mac", "success", "M58"),
        (59, 3, "linux", "success", "L59"),
        (59, 3, "mac", "success", "M59"),
        (60, 2, "linux", "success", "L60"),
        (60, 2, "mac", "failure", "M60"),
    ] {
        let at = days_ago(world.now, day);
        let run = world.run(Run {
            job,
            conclusion,
            ..Run::main(number, at)
        });
        world.pushed(name, run, at).await;
    }
    // A job of its own: attempt 1 failed, attempt 2 is good, and then an old run is run again.
    let at = days_ago(world.now, 3);
    for (attempt, conclusion, name) in [(1, "failure", "Ta"), (2, "success", "Tb")] {
        let run = world.run(Run {
            job: "test",
            attempt,
            conclusion,
            ..Run::main(60, at)
        });
        world.pushed(name, run, at).await;
    }
    let at = world.now - 26 * HOUR;
    let run = world.run(Run {
        job: "test",
        attempt: 2,
        ..Run::main(40, at)
    });
    world.pushed("X", run, at).await;
    assert_eq!(released(&world), names(&["L58", "L59", "M58", "M60", "X"]));
}

async fn unknown_outcomes_count_too_and_an_idle_branch_keeps_nothing(backend: Backend) {
    let rules = format!(
        r#"{MAIN} {{ "last": 2 }} }}, {{ "name": "branches", "branches": ["*"], "keep": {{ "last": 1, "idle": "14d" }} }}"#
    );
    let mut world = World::new(backend, &policy(&rules));
    for (number, day, conclusion, name) in [
        (80, 7, "success", "good"),
        (81, 6, "", "died"),
        (82, 5, "", "died-too"),
    ] {
        let at = days_ago(world.now, day);
        let run = world.run(Run {
            conclusion,
            ..Run::main(number, at)
        });
        world.pushed(name, run, at).await;
    }
    for (git_ref, day, name) in [("refs/heads/a", 17, "idle"), ("refs/heads/b", 13, "busy")] {
        let at = days_ago(world.now, day);
        let run = world.run(Run {
            git_ref,
            ..Run::main(90 - day, at)
        });
        world.pushed(name, run, at).await;
    }
    assert_eq!(released(&world), names(&["idle"]));
}

async fn a_push_without_a_run_is_kept_by_the_default_and_what_others_need_stays(backend: Backend) {
    let rules =
        r#"{ "name": "pulls", "pull_requests": true, "keep": { "for": "7d", "until_closed": true } }"#;
    let mut world = World::new(backend, &policy(rules));
    let at = days_ago(world.now, 26);
    let run = world.run(Run {
        git_ref: "refs/pull/3/merge",
        event: "pull_request",
        pull_request: 3,
        ..Run::main(90, at)
    });
    world.open_pulls("[]", days_ago(world.now, 25));
    for name in ["Q", "closed"] {
        world.pushed(name, run, at).await;
    }
    world.pushed_by_hand("Q", days_ago(world.now, 7)).await;
    world.pushed_by_hand("old", days_ago(world.now, 31)).await;
    world.pushed_by_hand("pinned", days_ago(world.now, 40)).await;
    let path = world.path("pinned").await;
    let _ = world.sql(&format!(
        "INSERT INTO pins (name, path_id, created_at, updated_at) SELECT 'p', id, 1, 1 FROM paths WHERE name = '{path}'"
    ));
    // A main run that is covered, so that pull requests are judged by their rule.
    let at = days_ago(world.now, 2);
    let run = world.run(Run::main(91, at));
    world.pushed("main", run, at).await;
    assert_eq!(released(&world), names(&["closed", "old"]));
}

async fn a_quota_is_filled_in_the_order_of_the_rules_and_of_the_last_use(backend: Backend) {
    let rules = r#"{ "name": "main", "branches": ["main"], "keep": { "for": "30d" } },
                   { "name": "branches", "branches": ["*"], "keep": { "for": "30d" } }"#;
    let mut world = World::new(backend, &policy(rules));
    for (git_ref, day, name) in [
        ("refs/heads/a", 2, "branch"),
        ("refs/heads/main", 9, "main-old"),
        ("refs/heads/main", 3, "main-new"),
    ] {
        let at = days_ago(world.now, day);
        let run = world.run(Run {
            git_ref,
            ..Run::main(day, at)
        });
        world.pushed(name, run, at).await;
    }
    world.pushed_by_hand("today", world.now - HOUR).await;
    let sizes =
        world.sql("SELECT p.name, o.size FROM paths p JOIN objects o ON o.id = p.object_id ORDER BY p.id");
    let size = |name: &str| -> u64 {
        let line = sizes
            .iter()
            .find(|line| line.contains(&format!("-{name}|")))
            .unwrap();
        line.rsplit('|').next().unwrap().parse().unwrap()
    };
    let fitting = size("today") + size("main-new");
    // 90 % of it hold what was used today and the newest of main.
    let quota = (fitting + 1) * 100 / 90 + 1;
    assert!(quota < fitting + size("main-old") + size("branch"), "{sizes:?}");
    world.change_policy(&format!(
        "{{ \"version\": 1, \"max_release\": 100, \"quota\": {quota}, \"rules\": [{rules}] }}"
    ));
    assert_eq!(released(&world), names(&["branch", "main-old"]));
}
