//! What callers that race, lie or dawdle can not do to others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use futures::future::join_all;
use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Fault, FaultProxy, Server, ServerOptions, garage_bucket, on_both};
use niks3_tests::api::{A, Answer, Api, B, HASH, UNVERIFIED, info};
use serde_json::{Value, json};

on_both!(
    only_a_push_that_verifies_sends_again_what_the_bucket_has_lost,
    a_push_committed_many_times_at_once_is_committed_once,
    headers_of_a_request_do_not_redirect_its_uploads,
    two_names_with_one_hash_part_are_refused_and_named,
    connections_that_do_nothing_are_ended,
);

/// A server whose object store is behind a proxy.
async fn behind_proxy(arguments: &[&str]) -> (Api, FaultProxy) {
    let bucket = garage_bucket();
    let s3 = FaultProxy::before(&bucket.endpoint).await;
    let options = ServerOptions {
        s3_endpoint: Some(s3.url()),
        bucket: Some(bucket),
        arguments: arguments
            .iter()
            .chain(&[UNVERIFIED])
            .map(ToString::to_string)
            .collect(),
        ..ServerOptions::default()
    };
    (Api::of(Server::with(Backend::Services, options)), s3)
}

fn contents(path: &str, nar: &[u8]) -> Value {
    json!({ "path": path, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": [] })
}

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

/// A push that needs only to be committed.
async fn ready(api: &Api, path: &str, nar: &[u8]) -> String {
    let push = api.open(path).await;
    api.claim(&push, json!([contents(path, nar)])).await.ok();
    api.upload(&push, "nar", path, &packed(nar)).await;
    api.upload(&push, "listing", path, b"{}").await;
    push
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_replaced_while_a_commit_looks_for_it_is_looked_for_again() {
    let (api, s3) = behind_proxy(&[]).await;
    let push = ready(&api, A, b"looked at").await;
    s3.fail("HEAD", "/nar/", Fault::Hold, 1);
    let committing = commit(&api, &push);
    let replacing = async {
        s3.happened().await;
        // It is being looked for, and another NAR, which nobody sends, takes its place.
        let hash = FileHash::of(b"never sent").to_string();
        let upload = json!({ "kind": "nar", "path": A, "sha256": hash, "size": 10 });
        let url = format!("/pushes/{push}/uploads");
        api.post(&url, &json!({ "uploads": [upload] })).await.ok();
        s3.release();
    };
    let (committed, ()) = tokio::join!(committing, replacing);
    assert_eq!(committed.problem(409)["missing"], json!([format!("nar {A}")]));
    assert!(api.server.get(&format!("{}.narinfo", &A[..32])).is_none());
    api.upload(&push, "nar", A, &packed(b"looked at")).await;
    commit(&api, &push).await.ok();
    assert!(api.server.get(&format!("{}.narinfo", &A[..32])).is_some());
}

async fn only_a_push_that_verifies_sends_again_what_the_bucket_has_lost(backend: Backend) {
    let (api, s3) = match backend {
        Backend::Embedded => (Api::new(backend, &[]), None),
        Backend::Services => {
            let (api, s3) = behind_proxy(&[]).await;
            (api, Some(s3))
        }
    };
    let nar = b"lost later";
    // Both have the one NAR.
    for path in [A, B] {
        api.push(path, nar).await.ok();
    }
    let key = format!("nar/{}.nar.zst", FileHash::of(&packed(nar)).base32());
    match &s3 {
        None => std::fs::remove_file(api.server.directory().join("bucket").join(&key)).unwrap(),
        Some(s3) => s3.fail("HEAD", &key, Fault::Status(404), usize::MAX / 2),
    }
    let claims = json!([contents(A, nar), contents(B, nar)]);
    let trusting = api.open(A).await;
    let claimed = api.claim(&trusting, claims.clone()).await.ok();
    assert_eq!(claimed["needed"], json!([]), "nobody asked to look");
    let create = json!({ "store_dir": "/nix/store", "roots": [A, B], "verify_integrity": true });
    let verifying = api.post("/pushes", &create).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let claimed = api.claim(&verifying, claims).await.ok();
    let mut needed: Vec<&str> = claimed["needed"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    needed.sort_unstable();
    assert_eq!(needed, [A, B], "whoever shares what was lost has lost it");
    // The push that trusted hears of it before it is committed.
    let missing = commit(&api, &trusting).await.problem(409)["missing"].clone();
    assert!(
        missing.as_array().unwrap().contains(&json!(format!("nar {A}"))),
        "{missing}"
    );
    if let Some(s3) = &s3 {
        s3.heal();
    }
    for path in [A, B] {
        api.upload(&verifying, "nar", path, &packed(nar)).await;
        api.upload(&verifying, "listing", path, b"{}").await;
    }
    commit(&api, &verifying).await.ok();
    assert_eq!(api.server.get(&key).unwrap(), packed(nar));
}

async fn a_push_committed_many_times_at_once_is_committed_once(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = ready(&api, A, b"committed by many").await;
    let answers = join_all((0..12).map(|_| commit(&api, &push))).await;
    let answers: Vec<Value> = answers.into_iter().map(Answer::ok).collect();
    assert_eq!(answers[0]["paths_added"], 1, "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(commit(&api, &push).await.ok(), answers[0]);
}

async fn headers_of_a_request_do_not_redirect_its_uploads(backend: Backend) {
    let evil = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "for=10.0.0.1;host=evil.example;proto=https"),
        ("x-original-url", "http://evil.example/"),
        ("x-host", "evil.example"),
    ];
    for known in [true, false] {
        let arguments: &[&str] = if known {
            &["--server-url", "https://cache.example"]
        } else {
            &[]
        };
        let api = Api::new(backend, arguments);
        let push = api.open(A).await;
        api.claim(&push, json!([info(A, &[])])).await.ok();
        let upload = json!({ "uploads": [{ "kind": "nar", "path": A, "sha256": HASH, "size": 5 }] });
        // Where only a proxy could tell the address, one that is not trusted is told so.
        let untold = backend == Backend::Embedded && !known;
        let asked = |host: Option<&str>, with_evil: bool| {
            let url = format!("{}/api/v1/pushes/{push}/uploads", api.server.url());
            let mut request = api.client.post(url).bearer_auth(&api.token).json(&upload);
            for (name, value) in evil.iter().filter(|_| with_evil) {
                request = request.header(*name, *value);
            }
            host.into_iter()
                .fold(request, |request, host| request.header("host", host))
        };
        let url = async |host| {
            let answer = Answer::of(asked(host, !untold).send().await.unwrap()).await.ok();
            answer["uploads"][0]["url"].as_str().unwrap().to_owned()
        };
        if untold {
            let refused = asked(None, true).send().await.unwrap();
            assert_eq!(refused.status(), 400);
            assert!(refused.text().await.unwrap().contains("--trusted-proxy"));
        }
        let plain = url(None).await;
        assert!(!plain.contains("evil") && !plain.contains(":444"), "{plain}");
        let hosted = url(Some("evil.example")).await;
        match (backend, known) {
            (Backend::Embedded, true) => {
                assert!(plain.starts_with("https://cache.example/"), "{plain}");
                assert!(hosted.starts_with("https://cache.example/"), "{hosted}");
            }
            // Nobody else knows by which name the caller reaches the server.
            (Backend::Embedded, false) => {
                assert!(plain.starts_with(&api.server.url()), "{plain}");
                assert!(hosted.starts_with("http://evil.example/"), "{hosted}");
                let again = url(None).await;
                assert!(
                    again.starts_with(&api.server.url()),
                    "one caller's word is for one caller: {again}"
                );
            }
            (Backend::Services, _) => assert!(!hosted.contains("evil"), "{hosted}"),
        }
    }
}

async fn two_names_with_one_hash_part_are_refused_and_named(backend: Backend) {
    let api = Api::new(backend, &[]);
    let other = A.replace("-a", "-other");
    let named = |problem: Value| {
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(A) && detail.contains(&other), "{detail}");
    };
    let push = api.open(A).await;
    named(
        api.claim(&push, json!([info(A, &[]), info(&other, &[])]))
            .await
            .problem(422),
    );
    named(api.claim(&push, json!([info(A, &[&other])])).await.problem(422));
    let create = json!({ "store_dir": "/nix/store", "roots": [A, other] });
    named(api.post("/pushes", &create).await.problem(422));
    api.claim(&push, json!([info(A, &[])])).await.ok();
    // In another batch, and in another push.
    named(api.claim(&push, json!([info(&other, &[])])).await.problem(422));
    let create = json!({ "store_dir": "/nix/store", "roots": [other] });
    named(api.post("/pushes", &create).await.problem(422));
    let another = api.open(B).await;
    named(
        api.claim(&another, json!([info(B, &[&other])]))
            .await
            .problem(422),
    );
    api.claim(&another, json!([info(B, &[A])])).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_do_not_read_leave_their_turn_to_others() {
    let (api, _s3) = behind_proxy(&["--s3-concurrency", "1"]).await;
    // It does not fit into the buffers on the way.
    let noise: Vec<u8> = (0..8_u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let push = api.open(A).await;
    api.claim(&push, json!([contents(A, &noise)])).await.ok();
    api.upload(&push, "nar", A, &noise).await;
    api.upload(&push, "listing", A, b"{}").await;
    commit(&api, &push).await.ok();
    let key = format!("/nar/{}.nar.zst", FileHash::of(&noise).base32());
    let mut dawdling = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(api.server.url().trim_start_matches("http://")).unwrap();
        write!(stream, "GET {key} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        dawdling.push(stream);
    }
    assert!(api.server.get(&format!("{}.narinfo", &A[..32])).is_some());
    api.push(B, b"meanwhile").await.ok();
}

async fn connections_that_do_nothing_are_ended(backend: Backend) {
    let api = Api::new(backend, &[]);
    let address = api.server.url().replace("http://", "");
    let ended: Vec<_> = [
        "",
        "GET /health",
        "GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ",
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    .into_iter()
    .map(|begun| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        std::thread::spawn(move || {
            let mut answer = Vec::new();
            // Ended by the server, in one way or another.
            let end = stream.read_to_end(&mut answer);
            let waited = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            (begun, waited)
        })
    })
    .collect();
    let ended: Vec<_> = ended.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(
        ended.iter().all(|(_, waited)| !waited),
        "kept without end: {ended:?}"
    );
}
