//! How much an address may fail and an identity have under way, and what the log says of whoever changes something.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use niks3_test_support::{Backend, Server, ServerOptions, on_both};
use niks3_tests::api::{A, Answer, Api, B, HASH};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    an_address_that_brings_many_wrong_tokens_is_told_to_wait,
    an_identity_has_as_many_pushes_under_way_as_it_may,
    an_identity_claims_as_many_bytes_as_it_may,
    every_operation_that_changes_something_has_one_line_in_the_log,
);

async fn ask(api: &Api, address: &str, token: &str) -> Answer {
    let mut request = api
        .client
        .get(format!("{}/api/v1/pins", api.server.url()))
        .header("x-forwarded-for", address);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn an_address_that_brings_many_wrong_tokens_is_told_to_wait(backend: Backend) {
    let api = Api::new(
        backend,
        &["--auth-failure-limit", "3", "--trusted-proxy", "127.0.0.1"],
    );
    let mut refused = 0;
    let limited = loop {
        let answer = ask(&api, "203.0.113.1", "wrong").await;
        match answer.status.as_u16() {
            401 => refused += 1,
            _ => break answer,
        }
        assert!(refused < 100, "it is never limited");
    };
    assert!(refused >= 3, "{refused}");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let problem = limited.problem(429);
    assert!(
        problem["detail"].as_str().unwrap().contains("too many"),
        "{problem}"
    );
    // Whoever has another address, brings nothing, or the right thing, is not told to wait.
    let _ = ask(&api, "203.0.113.2", "wrong").await.problem(401);
    let _ = ask(&api, "203.0.113.1", "").await.problem(401);
    let _ = ask(&api, "203.0.113.1", &api.token).await.ok();
    let metrics = String::from_utf8(api.server.get("metrics").unwrap()).unwrap();
    assert!(
        metrics.contains("niks3_auth_failures_total{reason=\"too_many\"} 1"),
        "{metrics}"
    );
}

/// A server, asked by whoever may push and nothing else.
async fn pusher(backend: Backend, arguments: &[&str]) -> Api {
    let mut api = Api::new(backend, arguments);
    let made = api
        .post("/tokens", &json!({ "name": "ci", "scopes": ["push"] }))
        .await
        .ok();
    made["token"].as_str().unwrap().clone_into(&mut api.token);
    api
}

async fn open(api: &Api, token: &str) -> Answer {
    let body = json!({ "store_dir": "/nix/store", "roots": [A] }).to_string();
    api.send(Method::POST, "/api/v1/pushes", token, "application/json", body)
        .await
}

async fn give_up(api: &Api, push: &str) {
    let path = format!("/api/v1/pushes/{push}");
    let gone = api.send(Method::DELETE, &path, &api.token, "", "").await;
    assert_eq!(gone.status, 204, "{}", gone.body);
}

async fn an_identity_has_as_many_pushes_under_way_as_it_may(backend: Backend) {
    let api = pusher(backend, &["--max-pushes", "2"]).await;
    let first = api.open(A).await;
    let _ = api.open(B).await;
    let refused = open(&api, &api.token).await;
    assert!(refused.headers.contains_key("retry-after"));
    let problem = refused.problem(429);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("token:ci has 2 pushes under way and may have 2"),
        "{detail}"
    );
    for _ in 0..3 {
        let _ = open(&api, &api.server.token()).await.ok();
    }
    give_up(&api, &first).await;
    let _ = open(&api, &api.token).await.ok();
}

async fn an_identity_claims_as_many_bytes_as_it_may(backend: Backend) {
    let api = pusher(backend, &["--max-claimed-bytes", "1kB"]).await;
    let (first, second) = (api.open(A).await, api.open(B).await);
    let path = |path: &str, size: u64| json!([{ "path": path, "nar_hash": HASH, "nar_size": size, "references": [] }]);
    let _ = api.claim(&first, path(A, 600)).await.ok();
    let problem = api.claim(&first, path(B, 600)).await.problem(413);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("would bring 1200 bytes") && detail.contains("may bring 1000"),
        "{detail}"
    );
    let problem = api.claim(&second, path(B, 600)).await.problem(429);
    assert!(
        problem["detail"].as_str().unwrap().contains("together"),
        "{problem}"
    );
    // What was refused was not claimed.
    let _ = api.claim(&second, path(B, 400)).await.ok();
    let _ = api.claim(&first, path(A, 601)).await.problem(429);
    give_up(&api, &second).await;
    let _ = api.claim(&first, path(A, 1000)).await.ok();
}

async fn every_operation_that_changes_something_has_one_line_in_the_log(backend: Backend) {
    let options = ServerOptions {
        arguments: ["--log-format", "json", "--verify-uploads=none"]
            .map(str::to_owned)
            .to_vec(),
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(backend, options));
    let document: Value = serde_json::from_slice(&api.server.get("openapi.json").unwrap()).unwrap();
    let push = api.open(A).await;
    let mut asked = vec![("create_push".to_owned(), "admin", "done", Some(push.clone()))];
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let method: Method = verb.to_uppercase().parse().unwrap();
            if method.is_safe() {
                continue;
            }
            let path = path
                .replace("{multipart}", "1")
                .replace("{id}", if path.contains("/pushes/") { &push } else { "1" })
                .replace("{name}", "x");
            for (token, identity) in [(api.token.as_str(), "admin"), ("wrong", "")] {
                let answer = api
                    .send(method.clone(), &path, token, "application/json", "{}")
                    .await;
                let result = match answer.status.as_u16() {
                    200..=299 => "done",
                    401 => "refused",
                    400..=499 => "rejected",
                    other => panic!("{verb} {path}: {other}"),
                };
                let about = path.contains("/pushes/").then(|| push.clone());
                asked.push((
                    operation["operationId"].as_str().unwrap().to_owned(),
                    identity,
                    result,
                    about,
                ));
            }
        }
    }
    let log = api.server.log();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["message"] == "audit");
    let mut seen: Vec<_> = lines
        .map(|line| {
            let result = ["done", "refused", "rejected"].into_iter();
            let result = result.into_iter().find(|result| line["result"] == **result);
            let identity = ["admin"]
                .into_iter()
                .find(|who| line["span"]["identity"] == **who);
            (
                line["operation"].as_str().unwrap().to_owned(),
                identity.unwrap_or_default(),
                result.unwrap_or_default(),
                line["span"]["push"].as_str().map(str::to_owned),
            )
        })
        .collect();
    // A line is written when its answer is, so that some may be out of order.
    seen.sort();
    asked.sort();
    assert_eq!(seen, asked);
    assert!(!log.contains(&api.token));
}
