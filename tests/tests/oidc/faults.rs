//! Issuers that are down, lie or change their keys, and rule files that are wrong.

use std::time::{Duration, Instant};

use niks3_test_support::{Backend, Issuer, IssuerFault, Server, on_both};
use niks3_tests::api::{A, B};
use reqwest::Method;
use serde_json::json;

use super::world::World;

on_both!(
    an_issuer_that_fails_costs_only_its_own_tokens,
    keys_that_rotate_during_a_push_are_fetched_again,
);

async fn status(world: &World, token: &str) -> (u16, String) {
    let answer = world.api.send(Method::GET, "/api/v1/pins", token, "", "").await;
    (answer.status.as_u16(), answer.body)
}

async fn an_issuer_that_fails_costs_only_its_own_tokens(backend: Backend) {
    let elsewhere = Issuer::start(&["RS256"]);
    let faults = [
        (IssuerFault::Down, "cannot be fetched"),
        (IssuerFault::Status(500), "answers HTTP 500"),
        (IssuerFault::Garbage, "not JSON"),
        (IssuerFault::Huge(600 << 10), "more than"),
        (
            IssuerFault::Redirect(format!("{}/keys", elsewhere.url())),
            "redirects elsewhere",
        ),
        (IssuerFault::OtherIssuer(elsewhere.url()), "another issuer"),
        (
            IssuerFault::KeysAt("file:///etc/passwd".into()),
            "not an https URL",
        ),
        (IssuerFault::Silent, "cannot be fetched"),
    ];
    let rules = json!([{ "bound_subject": "*", "scopes": ["read"] }]);
    let world = World::new(backend, None, &rules, &[]);
    let token = world.token(&json!({}));
    for (fault, reason) in faults {
        world.issuer.fault(Some(fault.clone()));
        // Not asked again at once, so the reason of the fault before may be heard for a moment.
        let asked = Instant::now();
        loop {
            let (status, body) = status(&world, &token).await;
            assert_eq!(status, 503, "{fault:?}: {body}");
            if body.contains(reason) {
                break;
            }
            assert!(asked.elapsed() < Duration::from_secs(60), "{fault:?}: {body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (admin, body) = status(&world, &world.api.token).await;
        assert_eq!(admin, 200, "{body}");
    }
    assert!(elsewhere.requests().is_empty(), "no redirect was followed");
    world.issuer.fault(None);
    let asked = Instant::now();
    while status(&world, &token).await.0 != 200 {
        assert!(asked.elapsed() < Duration::from_secs(60), "it recovers");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Keys that are known serve on while their issuer is down.
    world.issuer.fault(Some(IssuerFault::Down));
    assert_eq!(
        status(&world, &world.token(&json!({ "sub": "later" }))).await.0,
        200
    );
}

async fn keys_that_rotate_during_a_push_are_fetched_again(backend: Backend) {
    let rules = json!([{ "bound_subject": "*" }]);
    let mut world = World::new(backend, None, &rules, &[]);
    world.api.token = world.token(&json!({}));
    world.api.push(A, b"before").await.ok();
    let push = world.api.open(B).await;
    let old = world.api.token.clone();
    for algorithm in ["ES256", "RS512", "EdDSA"] {
        world.issuer.rotate(&[algorithm]);
        let renewed = world.token(&json!({}));
        let asked = Instant::now();
        loop {
            let path = format!("/api/v1/pushes/{push}/lease");
            let answer = world.api.send(Method::PUT, &path, &renewed, "", "").await;
            if answer.status == 200 {
                break;
            }
            // Keys are fetched for an unknown one once a second here.
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert!(asked.elapsed() < Duration::from_secs(60), "{}", answer.body);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let path = format!("/api/v1/pushes/{push}/lease");
    let answer = world.api.send(Method::PUT, &path, &old, "", "").await;
    assert_eq!(
        answer.status, 401,
        "a key that is gone counts no more: {}",
        answer.body
    );
}

#[test]
fn mistakes_in_a_rule_file_stop_the_start_and_are_shown_by_line() {
    let provider = |rest: &str| {
        format!(
            "{{ \"providers\": {{\n\"ci\": {{\n\"issuer\": \"https://i.example.com\",\n\"audience\": \"a\",\n{rest}\n}} }} }}"
        )
    };
    let table = [
        (String::new(), "line 1"),
        ("{".into(), "line 1"),
        ("[]".into(), "line 1"),
        ("{}".into(), "`providers` is missing"),
        ("{\n\"provider\": {}\n}".into(), "line 2"),
        (provider("\"rules\": []"), "line 2"),
        (provider("\"rules\": [{}]"), "line 5"),
        (provider("\"rules\": [{ \"bound_subject\": \"x\", \"scopes\": [] }]"), "line 5"),
        (provider("\"rules\": [{ \"bound_subject\": \"x\",\n\"scopes\": [\"upload\"] }]"), "line 6"),
        (provider("\"rules\": [{ \"bound_subject\": \"x\",\n\"pins\": [\"a/b\"] }]"), "line 6"),
        (provider("\"rules\": [{ \"bound_subject\": \"x\",\n\"signing_keys\": [\"gone-1\"] }]"), "line 6"),
        (provider("\"rules\": [{ \"bound_claim\": { \"a\": \"b\" } }]"), "line 5"),
        (provider("\"bound_claims\": {}"), "line 5"),
        (provider("\"bound_claims\": { \"a\": [] }"), "line 5"),
        (provider("\"bound_subject\": {}"), "line 5"),
        (provider("\"bound_subject\": \"x\", \"key_refetch_seconds\": 0"), "line 5"),
        (
            "{ \"providers\": { \"ci\": {\n\"issuer\": \"http://i.example.com\", \"audience\": \"a\", \"bound_subject\": \"x\" } } }"
                .into(),
            "line 2",
        ),
        (
            "{ \"providers\": { \"ci\": {\n\"audience\": \"a\", \"bound_subject\": \"x\" } } }".into(),
            "`issuer` is missing",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oidc.json");
    let data = folder.path().join("data");
    for (text, expected) in table {
        std::fs::write(&path, &text).unwrap();
        let output = Server::try_start(&[
            "--data-dir",
            data.to_str().unwrap(),
            "--oidc-config",
            path.to_str().unwrap(),
        ]);
        assert_eq!(output.code, 2, "{text}: {output:?}");
        assert!(
            output.stderr.contains("oidc-config") && output.stderr.contains(expected),
            "{text}: {}",
            output.stderr
        );
    }
}
