//! Pushes by tokens.

use niks3_test_support::{Backend, Store, check_bucket, on_both, run};
use niks3_tests::api::A;
use serde_json::json;

use super::world::World;

on_both!(
    a_token_of_an_issuer_pushes_a_closure,
    a_rule_limits_the_pins_that_its_pushes_set,
    a_rule_limits_what_its_pushes_have_under_way,
);

async fn a_token_of_an_issuer_pushes_a_closure(backend: Backend) {
    let store = Store::default();
    let rules = json!([{ "bound_claims": { "ref": ["refs/heads/*"] } }]);
    let world = World::new(backend, Some(&store), &rules, &[]);
    let path = store.build("build \"app\" \"echo app > $out\"").remove(0);
    let push = |claims| {
        let file = world.token_file(&world.token(&claims));
        let mut command = world.api.server.niks3();
        command.env("NIKS3_AUTH_TOKEN_FILE", file).args(["push", &path]);
        store.prepare(&mut command);
        run(&mut command)
    };
    let refused = push(json!({ "ref": "refs/pull/1/merge" }));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("the claim ref is \"refs/pull/1/merge\""),
        "{}",
        refused.stderr
    );
    let _ = push(json!({ "ref": "refs/heads/main" })).ok();
    let found = check_bucket(&world.api.server, &store.dir(), &store.closure(&path), &[]);
    assert_eq!(found.len(), 1);
}

async fn a_rule_limits_the_pins_that_its_pushes_set(backend: Backend) {
    let store = Store::default();
    let rules = json!([{ "bound_subject": "*", "scopes": ["push", "read"], "pins": ["release-*"] }]);
    let world = World::new(backend, Some(&store), &rules, &[]);
    let path = store.build("build \"app\" \"echo app > $out\"").remove(0);
    let niks3 = |arguments: &[&str]| {
        let file = world.token_file(&world.token(&json!({})));
        let mut command = world.api.server.niks3();
        command.env("NIKS3_AUTH_TOKEN_FILE", file).args(arguments);
        store.prepare(&mut command);
        run(&mut command)
    };
    let refused = niks3(&["push", "--pin", "main", &path]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("may not set the pin main"),
        "{}",
        refused.stderr
    );
    assert!(world.api.server.get("pins/main").is_none());
    let _ = niks3(&["push", "--pin", "release-1", &path]).ok();
    assert!(world.api.server.get("pins/release-1").is_some());
    // What the administrator has pinned is not the rule's to move or to delete.
    let admin = |arguments: &[&str]| run(world.api.server.niks3().args(arguments));
    let _ = admin(&["pins", "create", "main", &path]).ok();
    for arguments in [
        &["pins", "create", "main", &path] as &[&str],
        &["pins", "delete", "main"],
    ] {
        let refused = niks3(arguments);
        assert!(
            refused.code == 1 && refused.stderr.contains("may not set the pin main"),
            "{refused:?}"
        );
    }
    assert!(world.api.server.get("pins/main").is_some());
    let _ = niks3(&["pins", "delete", "release-1"]).ok();
}

async fn a_rule_limits_what_its_pushes_have_under_way(backend: Backend) {
    let rules = json!([
        { "bound_subject": "one", "max_pushes": 1, "max_claimed_bytes": "1 KiB" },
        { "bound_subject": "two" },
    ]);
    let mut world = World::new(backend, None, &rules, &["--max-pushes=2".to_owned()]);
    let body = json!({ "store_dir": "/nix/store", "roots": [A] });
    for (who, most) in [("one", 1), ("two", 2)] {
        world.api.token = world.token(&json!({ "sub": who }));
        for _ in 0..most {
            let _ = world.api.open(A).await;
        }
        let problem = world.api.post("/pushes", &body).await.problem(429);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("may have {most}")), "{detail}");
    }
}
