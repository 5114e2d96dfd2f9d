//! What keeps a collection from releasing: a new policy that releases much, another server with another file, and lists of
//! pull requests that nobody may send.

use niks3_test_support::{Backend, Server, ServerOptions, on_both};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{DAY, World};

on_both!(
    a_new_policy_that_would_release_much_is_held_until_somebody_accepts_it,
    a_server_with_another_file_is_held_and_one_without_any_deletes_nothing,
    lists_of_open_pull_requests_are_bounded_and_only_newer_ones_count,
);

/// So many closures without a run, all of them the same path's age.
fn many(world: &World, count: i64) {
    let old = world.now - 20 * DAY;
    let numbers = match world.api.server.db().starts_with("sqlite:") {
        true => format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"),
        false => format!("WITH n AS (SELECT generate_series(1, {count}) AS i)"),
    };
    let hash = match world.api.server.db().starts_with("sqlite:") {
        true => "printf('%032d', i + 5000)",
        false => "lpad(CAST(i + 5000 AS text), 32, '0')",
    };
    let _ = world.sql(&format!(
        "{numbers} INSERT INTO paths (hash, name, created_at) SELECT {hash}, {hash} || '-x', {old} FROM n"
    ));
    let _ = world.sql(&format!(
        "INSERT INTO closures (path_id, created_at, pushed_at, direct_at) SELECT id, {old}, {old}, {old} FROM paths WHERE name LIKE '%-x'"
    ));
}

fn policy(days: i64) -> String {
    format!(
        "{{ \"version\": 1, \"default\": \"{days}d\", \"rules\": [{{ \"name\": \"mian\", \"branches\": [\"mian\"], \"keep\": {{ \"last\": 1 }} }}] }}"
    )
}

async fn a_new_policy_that_would_release_much_is_held_until_somebody_accepts_it(backend: Backend) {
    let mut world = World::new(backend, &policy(30));
    many(&world, 150);
    // Nothing to hold, and from now on this policy is in force.
    assert_eq!(world.collect(&[])["gc"]["retention"]["released"], 0);
    world.change_policy(&policy(10));
    let told = world.gc(&["--dry-run"]);
    assert!(told.stderr.contains("would be held"), "{told:?}");
    let _ = told.ok();
    for _ in 0..2 {
        let held = world.gc(&[]);
        assert_eq!(held.code, 1, "{held:?}");
        for part in [
            "150 of 150",
            "25 %",
            "rule \"mian\" matches no run",
            "the default keeps 0 closures, 150 before",
            "--accept-policy",
        ] {
            assert!(held.stderr.contains(part), "{part}: {held:?}");
        }
        assert_eq!(
            world.sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
            ["0"]
        );
    }
    let _ = world.gc(&["--accept-policy", "0000"]).fails(1);
    let hash = world.collect(&["--dry-run"])["gc"]["retention"]["policy"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        world.collect(&["--accept-policy", &hash])["gc"]["retention"]["released"],
        150
    );
    assert_eq!(world.sql("SELECT count(*) FROM retention_policies"), ["2"]);
    // Once it is in force, it is not asked again.
    many_again(&world);
    assert_eq!(world.collect(&[])["gc"]["retention"]["held"], Value::Null);
}

fn many_again(world: &World) {
    let _ = world.sql("UPDATE closures SET released_at = 0, released_by = ''");
}

async fn a_server_with_another_file_is_held_and_one_without_any_deletes_nothing(backend: Backend) {
    let mut world = World::new(backend, &policy(30));
    many(&world, 3);
    world.collect(&[]);
    // Another server of the same database says that it runs with the policy in force.
    let hash = world.sql("SELECT policy FROM retention_state")[0].clone();
    let live = |world: &World| {
        let _ = world.sql("DELETE FROM retention_servers WHERE instance = 'other'");
        let _ = world.sql(&format!(
            "INSERT INTO retention_servers (instance, policy, seen_at) VALUES ('other', '{hash}', {})",
            world.now + 3600
        ));
    };
    world.change_policy(&policy(10));
    live(&world);
    let held = world.gc(&[]).fails(1);
    assert!(held.contains("another server") && held.contains(&hash), "{held}");
    assert_eq!(
        world.sql("SELECT count(*) FROM closures WHERE released_at <> 0"),
        ["0"]
    );
    world
        .api
        .server
        .reconfigure(|command| command.retain(|argument| !argument.starts_with("--retention-config")));
    let _ = world.api.server.terminate();
    world.api.server.resume();
    live(&world);
    let refused = world.gc(&["--older-than=1s"]).fails(1);
    assert!(refused.contains("--retention-config"), "{refused}");
    assert_eq!(world.sql("SELECT count(*) FROM closures"), ["3"]);
    let _ = world.sql("DELETE FROM retention_servers");
    let _ = world.gc(&["--older-than=1s"]).ok();
    assert_eq!(world.sql("SELECT count(*) FROM closures"), ["0"]);
}

async fn lists_of_open_pull_requests_are_bounded_and_only_newer_ones_count(backend: Backend) {
    let world = World::new(backend, "");
    let list = |numbers: Value, at: i64| json!({ "provider": "github", "repository_id": "7", "numbers": numbers, "at": at });
    let put = async |body: Value, token: &str| {
        let kind = "application/json";
        let address = "/api/v1/retention/open-pulls";
        world
            .api
            .send(Method::PUT, address, token, kind, body.to_string())
            .await
    };
    let token = world.api.token.clone();
    let now = world.now;
    assert_eq!(
        put(list(json!([3, 1, 3]), now - 50), &token).await.ok()["kept"],
        true
    );
    assert_eq!(put(list(json!([]), now - 60), &token).await.ok()["kept"], false);
    assert_eq!(world.sql("SELECT numbers FROM open_pulls"), ["[1,3]"]);
    put(list(json!([]), now + 3600), &token).await.problem(422);
    put(list(json!((0..20_001).collect::<Vec<i64>>()), now - 1), &token)
        .await
        .problem(422);
    put(
        json!({ "provider": "", "repository_id": "7", "numbers": [], "at": 1 }),
        &token,
    )
    .await
    .problem(422);
    put(
        json!({ "provider": "github", "repository_id": "\u{0}", "numbers": [], "at": 1 }),
        &token,
    )
    .await
    .problem(422);
    put(
        json!({ "provider": "github", "repository_id": "7", "numbers": [-1], "at": 1 }),
        &token,
    )
    .await
    .problem(400);
    let pusher = world.api.push_token("pusher").await;
    put(list(json!([]), now - 1), &pusher).await.problem(403);
    assert_eq!(world.sql("SELECT numbers FROM open_pulls"), ["[1,3]"]);
}

#[test]
fn a_server_collects_by_itself_when_it_is_told_to() {
    let options = |arguments: &[&str]| ServerOptions {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        ..ServerOptions::default()
    };
    let server = Server::with(
        Backend::Embedded,
        options(&["--gc-every=1h", "--gc-older-than=2d"]),
    );
    niks3_test_support::eventually("a collection", || {
        server
            .sql("SELECT identity, request FROM tasks WHERE state = 1")
            .iter()
            .any(|row| row.starts_with("schedule|") && row.contains("172800"))
    });
    assert_eq!(server.sql("SELECT count(*) FROM tasks"), ["1"]);
    let wrong = Server::attempt(Backend::Embedded, options(&["--gc-every=1s"])).expect_err("too often");
    assert!(wrong.stderr.contains("--gc-every"), "{wrong:?}");
}
