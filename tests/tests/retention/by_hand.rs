//! `niks3 closures delete` and `restore`.

use niks3_test_support::{Backend, Output, Site, on_both, run};
use niks3_tests::api::{A, Api, B};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{DAY, World, names};

on_both!(
    a_closure_deleted_by_hand_stays_for_the_undo_time_and_is_then_collected_without_a_policy,
    what_is_deleted_at_once_goes_with_what_nothing_else_needs_and_says_what_stays,
    a_path_that_is_no_root_is_deleted_with_those_that_contain_it_only_when_asked,
    a_pin_and_a_running_push_are_in_the_way_and_named,
    a_push_or_a_use_brings_back_what_was_deleted_by_hand,
);

fn closures(world: &World, arguments: &[&str]) -> Output {
    run(world.api.server.niks3().arg("closures").args(arguments))
}

async fn delete(api: &Api, path: &str, token: &str) -> niks3_tests::api::Answer {
    api.send(Method::DELETE, &format!("/api/v1/closures/{path}"), token, "", "")
        .await
}

async fn a_closure_deleted_by_hand_stays_for_the_undo_time_and_is_then_collected_without_a_policy(
    backend: Backend,
) {
    let mut world = World::new(backend, "");
    let mut paths = Vec::new();
    for name in ["a", "b", "c"] {
        paths.push(world.path(name).await);
        world.pushed_by_hand(name, world.now).await;
    }
    let told = closures(&world, &["delete", &paths[0], &paths[1]]).ok();
    assert!(told.contains("from 20"), "{told}");
    assert_eq!(world.kept(), names(&["c"]));
    let show: Value = closures(&world, &["show", "--json", &paths[0]]).json();
    assert!(show["released_at"].is_i64(), "{show}");
    // It can still be downloaded, and no collection takes it yet.
    world.collect(&[]);
    assert!(world.has("a") && world.has("b"));
    assert_eq!(world.kept(), names(&["c"]));
    let restored = closures(&world, &["restore", "--json", &paths[1]]).json();
    assert_eq!(restored[0]["released_at"], Value::Null, "{restored}");
    world.age_releases(3 * DAY + 10);
    let before = world.sql("SELECT id, released_at FROM closures ORDER BY id");
    let told = world.collect(&["--dry-run"]);
    assert_eq!(World::listed(&told), [("a".to_owned(), "delete".to_owned())]);
    assert_eq!(
        world.sql("SELECT id, released_at FROM closures ORDER BY id"),
        before
    );
    let done = world.collect(&[]);
    assert_eq!(World::listed(&done), World::listed(&told));
    for field in [
        "old_closures_deleted",
        "objects_deleted_after_grace_period",
        "bytes_freed",
    ] {
        assert_eq!(
            done["gc"]["counts"][field], told["gc"]["counts"][field],
            "{field}: {done} {told}"
        );
    }
    assert_eq!(world.closures("1 = 1"), names(&["b", "c"]));
    assert!(!world.has("a") && world.has("b"));
    let gone = closures(&world, &["restore", &paths[0]]).fails(1);
    assert!(gone.contains("push it again"), "{gone}");
    let _ = closures(&world, &["delete", &paths[0]]).fails(1);
}

async fn what_is_deleted_at_once_goes_with_what_nothing_else_needs_and_says_what_stays(backend: Backend) {
    let site = Site::new(backend).await;
    let expression = "let shared = build \"shared\" \"echo shared > $out\"; own = build \"own\" \"echo own > $out\"; in \
         { app = build \"app\" \"echo ${shared} ${own} > $out\"; other = build \"other\" \"echo ${shared} > $out\"; inherit shared own; }";
    let [app, other, shared, own] = ["app", "other", "shared", "own"]
        .map(|name| site.store.build(&format!("({expression}).{name}")).remove(0));
    let _ = site.push(&app).ok();
    let _ = site.push(&other).ok();
    let deleted = run(site
        .server
        .niks3()
        .args(["closures", "delete", "--now", "--json", &app]))
    .json();
    assert_eq!(deleted[0]["released"], json!([app]));
    assert_eq!(
        deleted[0]["kept_by"],
        json!([{ "path": other, "paths": 1 }]),
        "{deleted}"
    );
    let has = |path: &str| {
        let name = path.rsplit('/').next().unwrap();
        site.server.get(&format!("{}.narinfo", &name[..32])).is_some()
    };
    assert!(!has(&app) && !has(&own) && has(&other) && has(&shared));
    site.whole(&other);
    // What was unreferenced before is left to a collection with its grace period.
    assert_eq!(site.server.sql("SELECT count(*) FROM closures"), ["1"]);
    let _ = site.push(&app).ok();
    site.whole(&app);
}

async fn a_path_that_is_no_root_is_deleted_with_those_that_contain_it_only_when_asked(backend: Backend) {
    let site = Site::new(backend).await;
    let expression = "let lib = build \"lib\" \"echo lib > $out\"; in { inherit lib; \
         app = build \"app\" \"echo ${lib} > $out\"; other = build \"other\" \"echo ${lib} other > $out\"; }";
    let [app, other, lib] =
        ["app", "other", "lib"].map(|name| site.store.build(&format!("({expression}).{name}")).remove(0));
    let _ = site.push(&app).ok();
    let _ = site.push(&other).ok();
    let told = run(site.server.niks3().args(["closures", "delete", "--json", &lib]));
    assert_eq!(told.code, 1, "{told:?}");
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let mut contained: Vec<&str> = told[0]["contained_in"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    contained.sort_unstable();
    let mut expected = [app.as_str(), other.as_str()];
    expected.sort_unstable();
    assert_eq!(contained, expected);
    assert_eq!(
        site.server
            .sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["0"]
    );
    let _ = run(site
        .server
        .niks3()
        .args(["closures", "delete", "--contains", &lib]))
    .ok();
    assert_eq!(
        site.server
            .sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["2"]
    );
}

async fn a_pin_and_a_running_push_are_in_the_way_and_named(backend: Backend) {
    let api = Api::new(backend, &[]);
    for path in [A, B] {
        api.push(path, path.as_bytes()).await.ok();
    }
    let pin = json!({ "path": A }).to_string();
    let kind = "application/json";
    api.send(Method::PUT, "/api/v1/pins/release-1", &api.token, kind, pin)
        .await
        .ok();
    let problem = delete(&api, A, &api.token).await.problem(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("release-1"),
        "{problem}"
    );
    let push = api.open(B).await;
    let problem = delete(&api, B, &api.token).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains(&push), "{problem}");
    assert_eq!(
        api.server
            .sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["0"]
    );
    delete(&api, "nothing", &api.token).await.problem(422);
    delete(&api, "22222222222222222222222222222222-c", &api.token)
        .await
        .problem(404);
    let pusher = api.push_token("pusher").await;
    delete(&api, B, &pusher).await.problem(403);
    let restore = format!("/api/v1/closures/{B}/restore");
    api.send(Method::POST, &restore, &pusher, kind, "")
        .await
        .problem(403);
    api.post("/gc/nothing/restore", &json!({})).await.problem(404);
}

async fn a_push_or_a_use_brings_back_what_was_deleted_by_hand(backend: Backend) {
    let api = Api::new(backend, &[]);
    for path in [A, B] {
        api.push(path, path.as_bytes()).await.ok();
        delete(&api, path, &api.token).await.ok();
    }
    assert_eq!(
        api.server
            .sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["2"]
    );
    api.push(A, A.as_bytes()).await.ok();
    let statement = json!({ "provider": "ci", "repository": "o/r", "run_id": "1" });
    let run = api.post("/runs", &statement).await.ok();
    let address = format!("/runs/{}/uses", run["id"].as_str().unwrap());
    api.post(&address, &json!({ "paths": [B] })).await.ok();
    assert_eq!(
        api.server
            .sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["0"]
    );
}
