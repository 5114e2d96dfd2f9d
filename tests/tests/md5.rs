//! Object stores that check MD5 and not SHA-256: the same guarantees, since no name of a NAR
//! is believed before the server has read it.

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{
    Backend, Fault, FaultProxy, Output, Server, ServerOptions, Site, Store, check_bucket, garage_bucket,
    on_both, run,
};
use niks3_tests::api::{A, Answer, Api, B, md5};
use serde_json::{Value, json};

on_both!(
    closures_with_large_paths_and_logs_come_back_whole,
    what_a_killed_client_had_sent_is_not_sent_again,
    a_bit_flipped_in_transit_is_sent_again,
    bytes_under_a_false_name_are_not_taken_for_it,
    a_url_for_a_name_that_is_taken_replaces_nothing,
    the_last_of_two_uploads_to_one_name_counts_and_is_read,
    a_nar_that_another_commit_has_moved_has_arrived,
);

const MD5: [&str; 2] = ["--s3-checksum", "md5"];
const CLOSURE: &str = "build \"large\" ''mkdir $out; echo logged; head -c 40000000 /dev/urandom > $out/noise; \
    echo ${build \"small\" \"head -c 4000000 /dev/urandom > $out\"} > $out/ref''";

async fn site(backend: Backend) -> Site {
    let options = ServerOptions {
        arguments: MD5.map(str::to_owned).to_vec(),
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    // Small NARs go to upload URLs, as with an older client.
    site.api.without_small_objects();
    site
}

fn bytes_sent(output: Output) -> u64 {
    let summary = output.json();
    summary["bytes_sent"].as_u64().unwrap()
}

async fn closures_with_large_paths_and_logs_come_back_whole(backend: Backend) {
    let site = site(backend).await;
    let path = site.store.build(CLOSURE).remove(0);
    assert!(bytes_sent(site.push(&path)) > 44_000_000);
    site.whole(&path);
    let log = site
        .store
        .nix("nix", &["log", "--store", &site.server.url(), &path]);
    assert_eq!(log, "logged\n");
    assert_eq!(bytes_sent(site.push(&path)), 0);
    let requests = site.api.requests();
    let direct = |request: &&String| {
        request.starts_with("PUT ") && request.contains("/nar/") && !request.contains("uploadId=")
    };
    if backend == Backend::Embedded {
        assert_eq!(
            requests.iter().find(direct),
            None,
            "what is no part goes to staging alone"
        );
    }
}

async fn what_a_killed_client_had_sent_is_not_sent_again(backend: Backend) {
    let site = site(backend).await;
    let path = site.store.build(CLOSURE).remove(0);
    site.api.fail("POST", "/commit", Fault::Silence, 1);
    let mut child = site.spawn(&path);
    site.api.seen("/commit").await;
    child.kill().unwrap();
    child.wait().unwrap();
    site.api.heal();
    let sent = bytes_sent(site.push(&path));
    assert!(sent < 100_000, "listings and the log alone: {sent}");
    site.whole(&path);
}

async fn a_bit_flipped_in_transit_is_sent_again(backend: Backend) {
    let site = site(backend).await;
    let path = site.store.build(CLOSURE).remove(0);
    for part in ["/nar.", "partNumber=2"] {
        site.s3.fail("PUT", part, Fault::FlipBit, 1);
    }
    if backend == Backend::Services {
        // These are the server's own: the second one to a NAR, since a copy has no body.
        site.s3.fail("PUT", "/nar/", Fault::FlipBit, 2);
        site.s3.fail("PUT", ".narinfo", Fault::FlipBit, 1);
    }
    let _ = site.push(&path).ok();
    assert_eq!(site.s3.pending(), 0, "every fault happened");
    site.whole(&path);
}

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

/// Bytes of the same length that are others.
fn other(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

/// A push that claims a path of some contents, and has sent its listing.
async fn open(api: &Api, path: &str, nar: &[u8]) -> String {
    let push = api.open(path).await;
    let hash = NarHash::of(nar).to_string();
    let info = json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    api.claim(&push, json!([info])).await.ok();
    let target = target(api, &push, "listing", path, b"{}", b"{}").await;
    put(api, &target, b"{}").await;
    push
}

/// Where to send `sent` as if it had the SHA-256 of `said`.
async fn target(api: &Api, push: &str, kind: &str, path: &str, said: &[u8], sent: &[u8]) -> Value {
    let sha256 = FileHash::of(said).to_string();
    let upload =
        json!({ "kind": kind, "path": path, "sha256": sha256, "size": sent.len(), "md5": md5(sent) });
    let url = format!("/pushes/{push}/uploads");
    api.post(&url, &json!({ "uploads": [upload] })).await.ok()["uploads"][0].clone()
}

async fn put(api: &Api, target: &Value, bytes: &[u8]) {
    let url = target["url"].as_str().unwrap();
    assert_eq!(api.put(url, &target["headers"], bytes).await, 200);
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

fn key(bytes: &[u8]) -> String {
    format!("nar/{}.nar.zst", FileHash::of(bytes).base32())
}

async fn bytes_under_a_false_name_are_not_taken_for_it(backend: Backend) {
    let mut api = Api::new(backend, &MD5);
    let admin = api.token.clone();
    let made = api
        .post("/tokens", &json!({ "name": "stranger", "scopes": ["push"] }))
        .await
        .ok();
    made["token"].as_str().unwrap().clone_into(&mut api.token);
    let nar = packed(b"what the name says");
    let push = open(&api, A, b"what the name says").await;
    let url = target(&api, &push, "nar", A, &nar, &other(&nar)).await;
    put(&api, &url, &other(&nar)).await;
    assert!(api.server.get(&key(&nar)).is_none());
    let problem = commit(&api, &push).await.problem(409);
    assert_eq!(problem["missing"], json!([format!("nar {A}")]));
    assert!(api.server.get(&key(&nar)).is_none());
    put(&api, &url, &other(&nar)).await;
    // Another's push of the same contents is asked for them, and commits them.
    api.token = admin;
    let honest = open(&api, B, b"what the name says").await;
    let asked = target(&api, &honest, "nar", B, &nar, &nar).await;
    put(&api, &asked, &nar).await;
    commit(&api, &honest).await.ok();
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
    put(&api, &url, &other(&nar)).await;
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
}

async fn a_url_for_a_name_that_is_taken_replaces_nothing(backend: Backend) {
    let api = Api::new(backend, &MD5);
    let nar = packed(b"first right, then wrong");
    let push = open(&api, A, b"first right, then wrong").await;
    let wrong = target(&api, &push, "nar", A, &nar, &other(&nar)).await;
    let right = target(&api, &push, "nar", A, &nar, &nar).await;
    put(&api, &right, &nar).await;
    commit(&api, &push).await.ok();
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
    put(&api, &wrong, &other(&nar)).await;
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
}

async fn the_last_of_two_uploads_to_one_name_counts_and_is_read(backend: Backend) {
    let api = Api::new(backend, &MD5);
    let nar = packed(b"right, wrong, right");
    let push = open(&api, A, b"right, wrong, right").await;
    let wrong = target(&api, &push, "nar", A, &nar, &other(&nar)).await;
    let right = target(&api, &push, "nar", A, &nar, &nar).await;
    put(&api, &right, &nar).await;
    put(&api, &wrong, &other(&nar)).await;
    commit(&api, &push).await.problem(409);
    assert!(api.server.get(&key(&nar)).is_none());
    let again = target(&api, &push, "nar", A, &nar, &nar).await;
    put(&api, &again, &nar).await;
    commit(&api, &push).await.ok();
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
}

async fn a_nar_that_another_commit_has_moved_has_arrived(backend: Backend) {
    let api = Api::new(backend, &MD5);
    let nar = packed(b"moved, and nobody heard");
    let push = open(&api, A, b"moved, and nobody heard").await;
    let url = target(&api, &push, "nar", A, &nar, &nar).await;
    put(&api, &url, &nar).await;
    // As if the server had died after it had moved it.
    let staged = url["url"].as_str().unwrap().split('?').next().unwrap();
    let staged = &staged[staged.find("staging/").unwrap()..];
    api.server.bucket().delete(staged);
    api.server.bucket().put(&key(&nar), &other(&nar));
    commit(&api, &push).await.problem(409);
    api.server.bucket().put(&key(&nar), &nar);
    commit(&api, &push).await.ok();
    assert_eq!(api.server.get(&key(&nar)).unwrap(), nar);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_knows_no_sha256_is_found_out_and_works() {
    let store = Store::default();
    let bucket = garage_bucket();
    let s3 = FaultProxy::before(&bucket.endpoint).await;
    s3.refuse_headers("x-amz-checksum-");
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        s3_endpoint: Some(s3.url()),
        bucket: Some(bucket),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Services, options);
    let path = store.build(CLOSURE).remove(0);
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--json", &path]));
    assert!(bytes_sent(run(&mut command)) > 44_000_000);
    let closure = store.closure(&path);
    assert_eq!(check_bucket(&server, &store.dir(), &closure, &[]).len(), 2);
    store.substitutes(&server.url(), server.public_key(), &path);
    let said = run(server
        .niks3()
        .args(["gc", "--older-than=0s", "--force", "--json"]))
    .ok();
    let done: Value = serde_json::from_str(&said).unwrap();
    let counts = &done["gc"]["counts"];
    assert_eq!(counts["objects_failed_to_delete"], 0, "{counts}");
    assert!(check_bucket(&server, &store.dir(), &closure, &[]).is_empty());
}

/// Of a service that refuses what it does not know, nothing follows for what it checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_takes_no_upload_is_not_started_over() {
    let bucket = garage_bucket();
    let s3 = FaultProxy::before(&bucket.endpoint).await;
    s3.fail("PUT", "staging/probe/", Fault::Status(404), usize::MAX / 2);
    let folder = tempfile::tempdir().unwrap();
    let output = Server::try_start(&[
        "--data-dir",
        folder.path().to_str().unwrap(),
        "--http-addr",
        "127.0.0.1:0",
        "--s3-endpoint",
        &s3.url(),
        "--s3-bucket",
        &bucket.name,
        "--s3-region",
        bucket.region,
        "--s3-access-key",
        bucket.access_key,
        "--s3-secret-key",
        bucket.secret_key,
    ]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("refuses an upload"), "{output:?}");
}
