//! Reads through the server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, FaultProxy, Server, ServerOptions, eventually};
use niks3_tests::api::{A, Answer, Api};
use reqwest::Method;
use serde_json::json;

/// A server whose object store is that of another server, behind a proxy.
pub async fn behind_another(arguments: &[&str]) -> (Api, Server, FaultProxy) {
    let store = Server::with(Backend::Embedded, ServerOptions::default());
    let s3 = FaultProxy::before(&store.url()).await;
    let service = store.as_service();
    let endpoint = s3.url();
    let mut all = vec!["--s3-endpoint", &endpoint, "--s3-bucket", &service.name];
    all.extend(["--s3-access-key", service.access_key]);
    all.extend(["--s3-secret-key", service.secret_key]);
    all.extend(arguments);
    (Api::new(Backend::Embedded, &all), store, s3)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_is_one_request_to_the_object_store_and_says_how_long_it_is_good_for() {
    let (api, store, s3) = behind_another(&["--enable-read-proxy=true"]).await;
    let hash = "0".repeat(32);
    let forever = "public, max-age=31536000, immutable";
    let (hour, minutes) = ("public, max-age=3600", "public, max-age=300");
    for (key, kept) in [
        (format!("nar/{}.nar.zst", "0".repeat(52)), forever),
        (format!("{hash}.narinfo"), hour),
        (format!("{hash}.ls"), hour),
        (format!("log/{hash}-x.drv"), hour),
        (format!("realisations/sha256:{}!out.doi", "0".repeat(64)), hour),
        ("nix-cache-info".into(), minutes),
        ("index.html".into(), minutes),
        ("pins/pinned".into(), "no-cache"),
    ] {
        let asked = |key: &str| {
            let requests = s3.requests();
            let last = key.rsplit(['/', '!']).next().unwrap();
            requests.iter().filter(|request| request.contains(last)).count()
        };
        let path = format!("/{key}");
        if key != "nix-cache-info" {
            let before = asked(&key);
            api.send(Method::GET, &path, "", "", "").await.problem(404);
            assert_eq!(asked(&key) - before, 1, "{key} is not there");
            store.bucket().put(&key, b"contents");
        }
        for (method, range) in [
            (Method::GET, None),
            (Method::HEAD, None),
            (Method::GET, Some("bytes=1-3")),
        ] {
            let before = asked(&key);
            let mut request = api
                .client
                .request(method.clone(), format!("{}{path}", api.server.url()));
            if let Some(range) = range {
                request = request.header("range", range);
            }
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(
                answer.status,
                if range.is_some() { 206 } else { 200 },
                "{method} {key}"
            );
            assert_eq!(answer.headers["cache-control"], kept, "{method} {key}");
            assert_eq!(asked(&key) - before, 1, "{method} {key} {range:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_takes_nothing_is_let_go() {
    let api = Api::new(Backend::Embedded, &[]);
    // It does not fit into the buffers on the way.
    let noise: Vec<u8> = (0..8_u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let push = api.open(A).await;
    let claim = json!({ "path": A, "nar_hash": NarHash::of(&noise).to_string(), "nar_size": noise.len(), "references": [] });
    api.claim(&push, json!([claim])).await.ok();
    api.upload(&push, "nar", A, &noise).await;
    api.upload(&push, "listing", A, b"{}").await;
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    let key = format!("nar/{}.nar.zst", FileHash::of(&noise).base32());
    let mut stream = TcpStream::connect(api.server.url().trim_start_matches("http://")).unwrap();
    write!(stream, "GET /{key} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    eventually("the connection ends", || {
        api.server.log().contains("error writing a body")
    });
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < noise.len(), "all of it came: {}", rest.len());
}

#[tokio::test]
async fn the_page_that_describes_the_api_is_a_page() {
    let api = Api::new(Backend::Embedded, &[]);
    let page = api.send(Method::GET, "/docs", "", "", "").await;
    assert_eq!(page.status, 200);
    assert!(
        page.content_type.starts_with("text/html"),
        "{}",
        page.content_type
    );
    assert!(
        page.body.contains("<rapi-doc") && page.body.contains("/api/v1"),
        "{}",
        page.body
    );
}
