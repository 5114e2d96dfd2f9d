//! How much an address may fail and an identity have under way, and what the log says of whoever changes something.

use niks3_test_support::{Backend, Server, ServerOptions, on_both};
use niks3_tests::api::{A, Answer, Api, B, HASH, nar_of};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    an_address_that_brings_many_wrong_tokens_is_told_to_wait,
    an_identity_has_as_many_pushes_under_way_as_it_may,
    an_identity_has_a_bound_on_its_pushes_unless_the_operator_sets_another,
    an_identity_has_as_many_unfinished_uploads_in_parts_as_it_may,
    an_identity_claims_as_many_bytes_as_it_may,
    an_upload_is_no_larger_than_its_claim_allows,
    everything_that_is_uploaded_counts_against_the_bytes_of_an_identity,
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

/// The upload URL that a client gets whose request came with such headers; or why there is none.
async fn upload_url(api: &Api, headers: &[(&str, &str)]) -> Result<String, String> {
    let path = format!("{}-forwarded", "0".repeat(32));
    let push = api.open(&path).await;
    let nar = nar_of(b"forwarded");
    let hash = niks3_nix::hash::NarHash::of(&nar).to_string();
    let info = json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [] });
    let _ = api.claim(&push, json!([info])).await.ok();
    let bytes = zstd::encode_all(nar.as_slice(), 3).unwrap();
    let sha256 = niks3_nix::hash::FileHash::of(&bytes).to_string();
    let upload = json!({ "kind": "nar", "path": path, "sha256": sha256, "size": bytes.len() });
    let mut request = api
        .client
        .post(format!("{}/api/v1/pushes/{push}/uploads", api.server.url()))
        .bearer_auth(&api.token)
        .header("content-type", "application/json")
        .body(json!({ "uploads": [upload] }).to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = Answer::of(request.send().await.unwrap()).await;
    if answer.status == 400 {
        return Err(answer.problem(400)["detail"].as_str().unwrap().to_owned());
    }
    Ok(answer.ok()["uploads"][0]["url"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_trusted_says_at_which_address_clients_reach_the_server() {
    let all = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "cache.example.com"),
        ("x-forwarded-prefix", "/niks3/"),
    ];
    let api = Api::new(Backend::Embedded, &["--trusted-proxy", "127.0.0.0/8"]);
    let own = api.server.url();
    let port = own.rsplit(':').next().unwrap();
    for (headers, base) in [
        (&all[..], "https://cache.example.com/niks3/".to_owned()),
        (&all[..1], format!("https://127.0.0.1:{port}/")),
        (&[], format!("{own}/")),
    ] {
        let url = upload_url(&api, headers).await.unwrap();
        assert!(url.starts_with(&base), "{base}: {url}");
    }
    // One that is not is refused, with what to do.
    let api = Api::new(Backend::Embedded, &[]);
    let why = upload_url(&api, &all).await.unwrap_err();
    for part in [
        "https://cache.example.com/niks3",
        "--server-url",
        "--trusted-proxy 127.0.0.1",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let host = api.server.url().replace("http://", "");
    let same = upload_url(
        &api,
        &[("x-forwarded-proto", "http"), ("x-forwarded-host", &host)],
    )
    .await;
    assert!(same.is_ok_and(|url| url.starts_with(&api.server.url())));
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
        detail.contains("token:ci has 2 pushes in progress and may have 2"),
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

/// 429 with a time to wait and a sentence.
fn told_to_wait(refused: Answer, sentence: &str) {
    assert!(
        refused.headers.contains_key("retry-after"),
        "{:?}",
        refused.headers
    );
    let problem = refused.problem(429);
    assert!(
        problem["detail"].as_str().unwrap().contains(sentence),
        "{problem}"
    );
}

async fn an_identity_has_a_bound_on_its_pushes_unless_the_operator_sets_another(backend: Backend) {
    let api = pusher(backend, &[]).await;
    for _ in 0..16 {
        let opened = (0..16).map(|_| open(&api, &api.token));
        for answer in futures::future::join_all(opened).await {
            let _ = answer.ok();
        }
    }
    told_to_wait(
        open(&api, &api.token).await,
        "token:ci has 256 pushes in progress and may have 256",
    );
}

const LARGE: u64 = 9 << 20;
const PART: u64 = 8 << 20;

/// An open push that has to upload a NAR of so many bytes.
async fn claimed(api: &Api, path: &str, size: u64) -> String {
    let push = api.open(path).await;
    let claim =
        json!([{ "path": path, "nar_hash": HASH, "nar_size": size, "references": [], "deriver": DRV }]);
    let _ = api.claim(&push, claim).await.ok();
    push
}

const DRV: &str = "22222222222222222222222222222222-a.drv";

async fn begin(api: &Api, push: &str, path: &str) -> Answer {
    let begin = json!({ "path": path, "part_size": PART, "compressor": "test", "fresh": true });
    api.post(&format!("/pushes/{push}/multipart-uploads"), &begin)
        .await
}

async fn announce(api: &Api, push: &str, kind: &str, path: &str, hash: &str, size: u64) -> Answer {
    let upload = json!({ "kind": kind, "path": path, "sha256": hash, "size": size });
    api.post(
        &format!("/pushes/{push}/uploads"),
        &json!({ "uploads": [upload] }),
    )
    .await
}

async fn an_identity_has_as_many_unfinished_uploads_in_parts_as_it_may(backend: Backend) {
    let api = pusher(backend, &["--max-multipart-uploads", "2"]).await;
    let push = claimed(&api, A, LARGE).await;
    for _ in 0..2 {
        let _ = begin(&api, &push, A).await.ok();
    }
    told_to_wait(
        begin(&api, &push, A).await,
        "token:ci has 2 unfinished uploads in parts and may have 2",
    );
    assert_eq!(
        api.server.bucket().uploads().len(),
        2,
        "what is refused leaves nothing"
    );
    // Those of the same contents that nobody goes on with make room.
    let _ = api
        .server
        .sql("UPDATE multiparts SET used_at = 1 WHERE id = (SELECT min(id) FROM multiparts)");
    let _ = begin(&api, &push, A).await.ok();
    // A byte limit holds for them, too.
    let api = pusher(backend, &["--max-claimed-bytes", "10MB"]).await;
    let push = claimed(&api, A, LARGE).await;
    let _ = begin(&api, &push, A).await.ok();
    told_to_wait(begin(&api, &push, A).await, "would have 18874368 bytes");
}

async fn an_upload_is_no_larger_than_its_claim_allows(backend: Backend) {
    let api = pusher(backend, &[]).await;
    let push = claimed(&api, A, 216).await;
    for (kind, size) in [("nar", 1 << 20), ("listing", 1 << 20)] {
        let problem = announce(&api, &push, kind, A, HASH, size).await.problem(422);
        assert_eq!(problem["field"], "uploads.size");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("a NAR of 216 bytes"), "{kind}: {detail}");
    }
    let push = claimed(&api, B, LARGE).await;
    let upload = begin(&api, &push, B).await.ok()["id"].clone();
    let verbs = format!("/pushes/{push}/multipart-uploads/{upload}");
    let parts = |numbers: &[u64]| {
        json!(
            numbers
                .iter()
                .map(|number| json!({ "number": number, "size": PART, "sha256": HASH }))
                .collect::<Vec<_>>()
        )
    };
    let asked = |numbers: &[u64]| json!({ "parts": parts(numbers) });
    let problem = api
        .post(&format!("{verbs}/parts"), &asked(&[1, 2]))
        .await
        .problem(422);
    assert_eq!(problem["field"], "parts.size");
    // One after the other they are as many bytes.
    let _ = api.post(&format!("{verbs}/parts"), &asked(&[1])).await.ok();
    let _ = api
        .post(&format!("{verbs}/parts"), &asked(&[2]))
        .await
        .problem(422);
    let whole = json!({ "file_hash": HASH, "file_size": 2 * PART, "parts": parts(&[1, 2]) });
    let problem = api.post(&format!("{verbs}/complete"), &whole).await.problem(422);
    assert_eq!(problem["field"], "file_size");
    // The uploads of other contents are not the push's.
    let other = claimed(&api, A, 216).await;
    let verbs = format!("/pushes/{other}/multipart-uploads/{upload}");
    let _ = api
        .post(&format!("{verbs}/parts"), &asked(&[1]))
        .await
        .problem(409);
}

async fn everything_that_is_uploaded_counts_against_the_bytes_of_an_identity(backend: Backend) {
    let api = pusher(backend, &["--max-claimed-bytes", "1MB"]).await;
    let hash = |text: &str| niks3_nix::hash::FileHash::of(text.as_bytes()).to_string();
    let push = claimed(&api, A, 100_000).await;
    let log = announce(&api, &push, "log", DRV, &hash("log"), 600_000).await;
    let _ = log.ok();
    // Asked again it is the same.
    for _ in 0..3 {
        let _ = announce(&api, &push, "log", DRV, &hash("log"), 600_000)
            .await
            .ok();
    }
    let _ = announce(&api, &push, "listing", A, &hash("listing"), 300_000)
        .await
        .ok();
    // One NAR after the other for one claim, each of which the bucket would keep.
    let _ = announce(&api, &push, "nar", A, &hash("one"), 90_000).await.ok();
    let problem = announce(&api, &push, "nar", A, &hash("other"), 90_000).await;
    let problem = problem.problem(413);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("would bring 1080000 bytes"), "{detail}");
    let other = claimed(&api, B, 5000).await;
    told_to_wait(
        announce(&api, &other, "log", DRV, &hash("log"), 20_000).await,
        "together would bring 1010000 bytes",
    );
    // What was refused is not counted.
    let _ = announce(&api, &other, "log", DRV, &hash("log"), 9_000).await.ok();
    give_up(&api, &push).await;
    let _ = announce(&api, &other, "log", DRV, &hash("more"), 800_000)
        .await
        .ok();
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
