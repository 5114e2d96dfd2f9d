//! SIGHUP: certificates and credentials are read again, and a file that is wrong changes nothing.

use std::path::Path;

use niks3_test_support::{
    Backend, Issuer, Server, ServerOptions, Store, eventually, garage_bucket, on_both, run,
};
use niks3_tests::api::{A, Api, B};
use reqwest::{Method, StatusCode};
use serde_json::json;

on_both!(the_admin_token_and_the_providers_are_read_again);

async fn asks(api: &Api, token: &str) -> StatusCode {
    let answer = api.send(Method::GET, "/api/v1/whoami", token, "", "").await;
    answer.status
}

/// Hangs up, and waits for the log to say what became of it.
fn reload(server: &Server, line: &str) {
    let before = server.log().matches(line).count();
    server.hang_up();
    eventually(line, || server.log().matches(line).count() > before);
}

async fn the_admin_token_and_the_providers_are_read_again(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issuer = Issuer::start(&["RS256"]);
    let provider = |branch: &str| {
        json!({ "allow_insecure": true, "providers": { "ci": {
            "issuer": issuer.url(), "audience": "cache", "bound_claims": { "ref": branch } } } })
        .to_string()
    };
    std::fs::write(path("oidc.json"), provider("main")).unwrap();
    let api = Api::new(backend, &["--oidc-config", &path("oidc.json")]);
    let (first, second) = (
        api.token.clone(),
        "a-token-that-an-operator-has-made-up-1".to_owned(),
    );
    let token_path = api.server.token_path();
    let main = issuer.token("cache", &json!({ "ref": "main" }));
    let next = issuer.token("cache", &json!({ "ref": "next" }));
    assert_eq!(asks(&api, &first).await, 200);
    assert_eq!(asks(&api, &main).await, 200);
    assert_eq!(asks(&api, &next).await, 403);

    std::fs::write(&token_path, &second).unwrap();
    std::fs::write(path("oidc.json"), provider("next")).unwrap();
    reload(&api.server, "read the OpenID Connect providers again");
    assert_eq!(asks(&api, &first).await, 401);
    assert_eq!(asks(&api, &second).await, 200);
    assert_eq!(asks(&api, &main).await, 403);
    assert_eq!(asks(&api, &next).await, 200);

    // What is wrong is said, and changes nothing; what is right beside it is taken.
    std::fs::write(&token_path, "short").unwrap();
    std::fs::write(path("oidc.json"), "{").unwrap();
    reload(&api.server, "the OpenID Connect providers stay as they were");
    let log = api.server.log();
    assert!(
        log.contains("the admin token stays as it was") && log.contains("an API token needs 36 characters"),
        "{log}"
    );
    assert_eq!(asks(&api, &second).await, 200);
    assert_eq!(asks(&api, &next).await, 200);
    std::fs::remove_file(&token_path).unwrap();
    std::fs::write(path("oidc.json"), provider("main")).unwrap();
    reload(&api.server, "read the OpenID Connect providers again");
    assert_eq!(asks(&api, &second).await, 200);
    assert_eq!(asks(&api, &main).await, 200);
}

/// Pushes a new path with the real client.
fn push(api: &Api, store: &Store, name: &str) {
    let path = store
        .build(&format!("build \"{name}\" \"echo {name} > $out\""))
        .remove(0);
    let mut command = api.server.niks3();
    store.prepare(command.args(["push", &path]));
    let _ = run(&mut command).ok();
    store.substitutes(&api.server.url(), api.server.public_key(), &path);
}

/// Whether the object store has refused a request: after that the keys are read again, within that request.
fn was_refused(log: &str) -> bool {
    let again = "read the credentials of the object store again";
    log.lines()
        .any(|line| line.contains(again) && line.contains("finally_attempt"))
}

/// A server whose keys of the object store are in this folder, and the first access key.
fn with_keys_in(folder: &Path, store: Option<&Store>) -> (Api, niks3_test_support::S3Bucket, String) {
    let bucket = garage_bucket();
    let first = bucket.new_key(folder);
    let options = ServerOptions {
        store_dir: store.map(Store::dir),
        bucket: Some(bucket.clone()),
        s3_key_files: Some(folder.to_owned()),
        ..ServerOptions::default()
    };
    (Api::with(Backend::Services, options), bucket, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_keys_of_the_object_store_are_read_again() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    let (api, bucket, first) = with_keys_in(folder.path(), Some(&store));
    push(&api, &store, "first");
    let second = bucket.new_key(folder.path());
    reload(&api.server, "read the credentials of the object store again");
    bucket.delete_key(&first);
    push(&api, &store, "second");
    // An empty file is no key.
    std::fs::write(folder.path().join("secret-key"), "").unwrap();
    reload(&api.server, "the keys of the object store stay as they were");
    push(&api, &store, "third");
    let _ = bucket.new_key(folder.path());
    reload(&api.server, "read the credentials of the object store again");
    bucket.delete_key(&second);
    push(&api, &store, "fourth");
    assert!(!was_refused(&api.server.log()), "no request was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_the_object_store_refuses_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (api, bucket, first) = with_keys_in(folder.path(), None);
    api.push(A, b"with the first").await.ok();
    let _ = bucket.new_key(folder.path());
    bucket.delete_key(&first);
    // Nobody told the server. Its own first request is refused, and goes on with what the files say now.
    assert!(api.server.get(&format!("{}.narinfo", &A[..32])).is_some());
    let log = api.server.log();
    assert!(was_refused(&log), "{log}");
    api.push(B, b"with the second").await.ok();
}
