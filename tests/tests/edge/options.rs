//! What options do.

use niks3_test_support::{Backend, Server, ServerOptions};
use niks3_tests::api::{A, Api, HASH, info};
use reqwest::Method;
use serde_json::json;

use super::reads::behind_another;

#[tokio::test]
async fn the_cache_info_says_what_the_options_say_also_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    for (store_dir, arguments, expected) in [
        (
            "/nix/store",
            vec![],
            "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n",
        ),
        (
            "/nix/store",
            vec!["--priority".to_owned(), "7".into()],
            "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 7\n",
        ),
    ] {
        let options = ServerOptions {
            data_dir: Some(folder.path().to_owned()),
            store_dir: Some(store_dir.into()),
            arguments,
            ..ServerOptions::default()
        };
        let mut server = Server::with(Backend::Embedded, options);
        let found = server.get("nix-cache-info").unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        let file = std::fs::read_to_string(folder.path().join("bucket/nix-cache-info")).unwrap();
        assert_eq!(file, expected);
        server.terminate();
    }
}

#[tokio::test]
async fn a_server_without_the_read_proxy_shows_nothing_of_the_bucket() {
    let api = Api::new(Backend::Embedded, &["--enable-read-proxy=false"]);
    let _ = api.push(A, b"contents").await.ok();
    for path in [
        "/",
        "/nix-cache-info",
        &format!("/{}.narinfo", &A[..32]),
        "/pins/x",
    ] {
        for token in ["", &api.token] {
            api.send(Method::GET, path, token, "", "").await.problem(404);
            let head = api.send(Method::HEAD, path, token, "", "").await;
            assert_eq!(head.status, 404, "{path}");
        }
    }
    assert_eq!(api.server.get("health").unwrap(), b"ok\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upload_urls_have_the_public_address_of_the_object_store() {
    let (api, _store, _s3) = behind_another(&["--s3-public-url", "https://bucket.example:8443"]).await;
    let push = api.open(A).await;
    api.claim(&push, json!([info(A, &[])])).await.ok();
    let upload = json!({ "uploads": [{ "kind": "nar", "path": A, "sha256": HASH, "size": 5 }] });
    let answer = api.post(&format!("/pushes/{push}/uploads"), &upload).await.ok();
    let url = answer["uploads"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("https://bucket.example:8443/niks3/nar/"), "{url}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_to_the_object_store_begin_no_faster_than_they_may() {
    let (api, _store, s3) = behind_another(&["--enable-read-proxy=true", "--s3-rate-limit", "2"]).await;
    let begun = std::time::Instant::now();
    let before = s3.requests().len();
    let reads = (0..9).map(|_| api.send(Method::GET, "/nix-cache-info", "", "", ""));
    for answer in futures::future::join_all(reads).await {
        assert_eq!(answer.status, 200);
    }
    assert!(s3.requests().len() >= before + 9);
    // No machine is too slow for this: the ninth begins four seconds after the first.
    assert!(begun.elapsed().as_secs_f64() > 3.9, "{:?}", begun.elapsed());
}
