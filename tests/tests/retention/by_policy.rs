//! What a policy does over time: undo, purge, guards, dry runs with another policy, explanations, covered repositories.

use niks3_test_support::{Backend, Server, ServerOptions, on_both, run};
use serde_json::json;

use super::world::{DAY, HOUR, Run, World, days_ago, names};

on_both!(
    what_is_released_stays_for_the_undo_time_and_is_then_deleted,
    what_a_mended_policy_keeps_again_is_no_longer_released,
    all_that_a_collection_has_released_is_restored_at_once,
    a_policy_is_tried_and_compared_without_any_change,
    it_is_explained_what_keeps_a_path_and_what_comes_next,
    a_repository_that_does_not_report_its_uses_loses_nothing_by_short_rules,
    the_guards_let_stay_what_was_pushed_used_or_pinned_after_the_plan,
);

const SHORT: &str = r#"{ "version": 1, "undo": "2d", "max_release": 100,
    "rules": [{ "name": "main", "branches": ["main"], "keep": { "last": 1 } }] }"#;

/// Two runs of main, of which the older one's closure is kept by nothing.
async fn two_runs(world: &mut World) {
    for (number, day, name) in [(1, 9, "old"), (2, 3, "new")] {
        let at = days_ago(world.now, day);
        let run = world.run(Run::main(number, at));
        world.pushed(name, run, at).await;
    }
}

async fn what_is_released_stays_for_the_undo_time_and_is_then_deleted(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    let collected = world.collect(&[]);
    assert_eq!(
        World::listed(&collected),
        [("old".to_owned(), "release".to_owned())]
    );
    let reason = collected["closures"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("rule \"main\" keeps it no longer"), "{reason}");
    assert!(world.has("old"));
    world.age_releases(2 * DAY - 60);
    assert_eq!(world.collect(&[])["gc"]["retention"]["waiting"], 1);
    assert!(world.has("old"));
    world.age_releases(61);
    let collected = world.collect(&[]);
    assert_eq!(
        World::listed(&collected),
        [("old".to_owned(), "delete".to_owned())]
    );
    assert_eq!(collected["gc"]["counts"]["old_closures_deleted"], 1);
    assert!(!world.has("old") && world.has("new"));
    let hash = world.sql("SELECT policy FROM retention_state");
    assert_eq!(hash[0], collected["gc"]["retention"]["policy"].as_str().unwrap());
    assert_eq!(world.sql("SELECT count(*) FROM retention_policies"), ["1"]);
    let said = world.gc(&[]);
    assert!(said.stderr.contains("older-than is ignored"), "{said:?}");
}

async fn what_a_mended_policy_keeps_again_is_no_longer_released(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    world.collect(&[]);
    assert_eq!(world.kept(), names(&["new"]));
    world.age_releases(5 * DAY);
    world.change_policy(&SHORT.replace("\"last\": 1", "\"last\": 2"));
    let collected = world.collect(&[]);
    assert_eq!(collected["gc"]["retention"]["restored"], 1);
    assert_eq!(world.kept(), names(&["new", "old"]));
    // What somebody has deleted by hand comes back by no rule.
    let path = world.path("new").await;
    let _ = run(world.api.server.niks3().args(["closures", "delete", &path])).ok();
    world.collect(&[]);
    assert_eq!(world.kept(), names(&["old"]));
    world.age_releases(3 * DAY);
    world.collect(&[]);
    assert_eq!(world.closures("1 = 1"), names(&["old"]));
}

async fn all_that_a_collection_has_released_is_restored_at_once(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    let collected = world.collect(&[]);
    let id = collected["gc"]["id"].as_str().unwrap();
    let restored = run(world
        .api
        .server
        .niks3()
        .args(["closures", "restore", "--json", "--gc", id]))
    .json();
    assert_eq!(restored, json!({ "restored": 1 }));
    world.collect(&[]);
    assert_eq!(
        world.kept(),
        names(&["new", "old"]),
        "a restored closure counts as pushed"
    );
}

async fn a_policy_is_tried_and_compared_without_any_change(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    let longer = world.file("longer.json", &SHORT.replace("\"last\": 1", "\"last\": 2"));
    let told = world.collect(&["--dry-run", "--policy", &longer]);
    assert_eq!(World::listed(&told), [("old".to_owned(), "keep".to_owned())]);
    assert_eq!(told["gc"]["retention"]["only_in_force"], 1);
    let nothing = SHORT.replace("{ \"last\": 1 }", "\"nothing\"");
    let shorter = world.file("shorter.json", &nothing);
    let told = world.collect(&["--dry-run", "--policy", &shorter]);
    assert_eq!(told["gc"]["retention"]["only_here"], 1, "{told}");
    assert_eq!(told["gc"]["retention"]["released"], 2);
    assert_eq!(world.kept(), names(&["new", "old"]));
    assert_eq!(world.sql("SELECT policy FROM retention_state"), [""]);
    let wrong = world.file("wrong.json", "{ \"version\": 1,\n \"rulez\": [] }");
    let told = world.gc(&["--dry-run", "--policy", &wrong]).fails(1);
    assert!(told.contains("line 2") && told.contains("rulez"), "{told}");
    let _ = world.gc(&["--policy", &longer]).fails(2);
}

async fn it_is_explained_what_keeps_a_path_and_what_comes_next(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    let at = world.now - HOUR;
    let newest = world.run(Run {
        git_ref: "refs/heads/other",
        ..Run::main(3, at)
    });
    world.used("new", newest, at).await;
    let paths = [world.path("old").await, world.path("new").await];
    let explain = |path: &str| {
        run(world
            .api
            .server
            .niks3()
            .args(["retention", "explain", "--json", path]))
        .json()
    };
    let old = explain(&paths[0]);
    assert_eq!(old["closures"][0]["next"], "release", "{old}");
    assert_eq!(old["closures"][0]["kept"], false);
    assert_eq!(old["closures"][0]["uses"][0]["rule"], "main");
    let new = explain(&paths[1]);
    assert_eq!(new["closures"][0]["next"], "keep", "{new}");
    let uses = new["closures"][0]["uses"].as_array().unwrap();
    assert_eq!(
        (&uses[0]["used"], &uses[1]["used"]),
        (&json!(true), &json!(false)),
        "{new}"
    );
    assert!(
        uses[1]["keeps"].as_str().unwrap().contains("last execution"),
        "{new}"
    );
    world.collect(&[]);
    assert_eq!(explain(&paths[0])["closures"][0]["next"], "wait");
    let told = run(world.api.server.niks3().args(["retention", "explain", &paths[0]])).ok();
    assert!(told.contains("rule \"main\" keeps it no longer"), "{told}");
    let _ = run(world.api.server.niks3().args([
        "retention",
        "explain",
        "/nix/store/22222222222222222222222222222222-c",
    ]))
    .fails(1);
}

async fn a_repository_that_does_not_report_its_uses_loses_nothing_by_short_rules(backend: Backend) {
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    let _ = world.sql("UPDATE runs SET uses_complete = 0");
    let collected = world.collect(&[]);
    assert_eq!(collected["gc"]["retention"]["released"], 0);
    let notices = collected["gc"]["retention"]["notices"].to_string();
    assert!(notices.contains("o/r"), "{notices}");
    let _ = world.sql("UPDATE runs SET uses_complete = 1");
    assert_eq!(world.collect(&[])["gc"]["retention"]["released"], 1);
}

async fn the_guards_let_stay_what_was_pushed_used_or_pinned_after_the_plan(backend: Backend) {
    // What a plan of a moment ago did not know is in the rows by the time of the statements: times that no link has.
    let mut world = World::new(backend, SHORT);
    two_runs(&mut world).await;
    for column in ["pushed_at", "used_at"] {
        let _ = world.sql(&format!("UPDATE closures SET {column} = {}", world.now));
        assert_eq!(world.collect(&[])["gc"]["retention"]["released"], 0, "{column}");
        let _ = world.sql(&format!("UPDATE closures SET {column} = 1000"));
    }
    assert_eq!(world.collect(&[])["gc"]["retention"]["released"], 1);
    world.age_releases(5 * DAY);
    for column in ["pushed_at", "used_at"] {
        let _ = world.sql(&format!("UPDATE closures SET {column} = {}", world.now));
        assert_eq!(world.collect(&[])["gc"]["retention"]["deleted"], 0, "{column}");
        assert!(world.has("old"), "{column}");
        let _ = world.sql(&format!("UPDATE closures SET {column} = 1000"));
    }
    assert_eq!(world.collect(&[])["gc"]["retention"]["deleted"], 1);
}

#[test]
fn mistakes_in_a_policy_file_stop_the_start_with_line_field_and_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("retention.json");
    for (text, line, field, mend) in [
        ("{", "line 1", "", "not JSON"),
        ("{ \"version\": 2 }", "line 1", "version", "reads version 1"),
        (
            "{ \"version\": 1,\n\"rules\": [\n{ \"name\": \"x\", \"branches\": [\"refs/heads/main\"], \"keep\": \"forever\" }] }",
            "line 3",
            "rules[0].branches",
            "write \"main\"",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let options = ServerOptions {
            arguments: vec![format!("--retention-config={}", file.display())],
            ..ServerOptions::default()
        };
        let failed = Server::attempt(Backend::Embedded, options).expect_err(text);
        assert_eq!(failed.code, 2, "{failed:?}");
        let said = format!("{}{}", failed.stdout, failed.stderr);
        for part in ["--retention-config", line, field, mend] {
            assert!(said.contains(part), "{part:?}: {said}");
        }
    }
}
