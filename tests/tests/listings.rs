//! Where the listings of NARs are: in the bucket, in the database, or nowhere.

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Server, on_both, run};
use niks3_tests::api::{A, Api, B, nar_of};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    listings_of_small_nars_are_in_the_database_and_readers_get_them,
    without_listings_nothing_is_missing,
    a_listing_that_is_in_neither_place_is_missed_and_made_again,
    a_path_with_the_nar_of_an_older_one_has_a_listing_all_the_same,
);

const VERIFIED: &str = "--verify-uploads=all";
/// Bytes of a NAR whose listing is in the bucket.
const LARGE: usize = 64 << 10;

async fn push(api: &Api, path: &str, contents: &[u8]) {
    let nar = nar_of(contents);
    let push = api.open(path).await;
    let hash = NarHash::of(&nar).to_string();
    let info = json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    api.claim(&push, json!([info])).await.ok();
    api.upload(&push, "nar", path, &zstd::encode_all(nar.as_slice(), 3).unwrap())
        .await;
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
}

fn key(path: &str) -> String {
    format!("{}.ls", &path[..32])
}

/// The size of the file that the listing of a path names, for readers of the server.
fn listed(server: &Server, path: &str) -> Option<u64> {
    let listing: Value = serde_json::from_slice(&server.get(&key(path))?).unwrap();
    listing["root"]["size"].as_u64()
}

fn in_bucket(api: &Api, path: &str) -> bool {
    api.server.bucket().keys().contains(&key(path))
}

/// The kinds of what a check finds.
fn findings(api: &Api, repair: bool) -> Vec<String> {
    let mut command = api.server.niks3();
    command.args(["fsck", "--json"]);
    if repair {
        command.arg("--repair");
    }
    let report: Value = serde_json::from_str(&run(&mut command).stdout).unwrap();
    let found = report["findings"].as_array().unwrap();
    let kind = |finding: &Value| finding["kind"].as_str().unwrap().to_owned();
    found.iter().map(kind).collect()
}

async fn listings_of_small_nars_are_in_the_database_and_readers_get_them(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED, "--listings=large"]);
    push(&api, A, b"hello").await;
    push(&api, B, &vec![b'x'; LARGE]).await;
    assert_eq!((in_bucket(&api, A), in_bucket(&api, B)), (false, true));
    assert_eq!(listed(&api.server, A), Some(5));
    assert_eq!(listed(&api.server, B), Some(LARGE as u64));
    let ask = |method: Method, tag: &str| {
        let url = format!("{}/{}", api.server.url(), key(A));
        api.client
            .request(method, url)
            .header("if-none-match", tag)
            .send()
    };
    let got = ask(Method::GET, "\"other\"").await.unwrap();
    assert_eq!(got.status(), 200);
    let header = |answer: &reqwest::Response, name: &str| {
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header(&got, "content-type").as_deref(), Some("application/json"));
    let tag = header(&got, "etag").unwrap();
    let length = header(&got, "content-length");
    let body = got.bytes().await.unwrap();
    assert_eq!(tag, format!("\"{}\"", FileHash::of(&body).base32()));
    assert_eq!(length, Some(body.len().to_string()));
    assert_eq!(ask(Method::GET, &tag).await.unwrap().status(), 304);
    let head = ask(Method::HEAD, "\"other\"").await.unwrap();
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, length)
    );
    // Nothing of that is missing, for a check or for a push that looks into the bucket.
    assert_eq!(findings(&api, false), [""; 0]);
    let again = json!({ "store_dir": "/nix/store", "roots": [A], "verify_integrity": true });
    let id = api.post("/pushes", &again).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let nar = nar_of(b"hello");
    let hash = NarHash::of(&nar).to_string();
    let info = json!({ "path": A, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    assert_eq!(api.claim(&id, json!([info])).await.ok()["needed"], json!([]));
    api.post(&format!("/pushes/{id}/commit"), &json!({})).await.ok();
    assert!(!in_bucket(&api, A));
    // It goes with its path.
    let _ = run(api.server.niks3().args(["gc", "--force", "--older-than=0s"])).ok();
    assert_eq!(listed(&api.server, A), None);
}

async fn without_listings_nothing_is_missing(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED, "--listings=none"]);
    push(&api, A, b"hello").await;
    push(&api, B, &vec![b'x'; LARGE]).await;
    for path in [A, B] {
        assert!(!in_bucket(&api, path));
        assert_eq!(listed(&api.server, path), None);
    }
    assert_eq!(findings(&api, true), [""; 0]);
}

async fn a_listing_that_is_in_neither_place_is_missed_and_made_again(backend: Backend) {
    let mut api = Api::new(backend, &[VERIFIED, "--listings=large"]);
    push(&api, A, b"hello").await;
    let empty = if backend == Backend::Embedded {
        "x''"
    } else {
        "''::bytea"
    };
    let _ = api
        .server
        .sql(&format!("UPDATE verifications SET listing = {empty}"));
    assert_eq!(listed(&api.server, A), None);
    assert_eq!(findings(&api, true), ["missing-listing"]);
    assert_eq!((in_bucket(&api, A), listed(&api.server, A)), (true, Some(5)));
    assert_eq!(findings(&api, false), [""; 0]);
    // A server that is to have all of them in the bucket misses those of the database.
    push(&api, B, b"another").await;
    assert!(!in_bucket(&api, B));
    restart(&mut api, "--listings=all");
    assert_eq!(findings(&api, true), ["missing-listing"]);
    assert_eq!((in_bucket(&api, B), listed(&api.server, B)), (true, Some(7)));
    assert_eq!(findings(&api, false), [""; 0]);
}

async fn a_path_with_the_nar_of_an_older_one_has_a_listing_all_the_same(backend: Backend) {
    let mut api = Api::new(backend, &[VERIFIED, "--listings=all"]);
    push(&api, A, b"hello").await;
    assert!(in_bucket(&api, A));
    restart(&mut api, "--listings=large");
    let nar = nar_of(b"hello");
    let id = api.open(B).await;
    let hash = NarHash::of(&nar).to_string();
    let info = json!({ "path": B, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    api.claim(&id, json!([info])).await.ok();
    api.upload(&id, "nar", B, &zstd::encode_all(nar.as_slice(), 3).unwrap())
        .await;
    api.post(&format!("/pushes/{id}/commit"), &json!({})).await.ok();
    assert_eq!(listed(&api.server, B), Some(5));
    assert_eq!(findings(&api, false), [""; 0]);
}

/// The same server with another answer to the question where listings are.
fn restart(api: &mut Api, listings: &str) {
    api.server.terminate();
    api.server.reconfigure(|command| {
        let given = command.iter().position(|word| word.starts_with("--listings="));
        command[given.unwrap()] = listings.to_owned();
    });
    api.server.resume();
}
