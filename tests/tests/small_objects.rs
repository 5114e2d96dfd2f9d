//! Small NARs and build logs that ride in requests to the server: what it takes, what it refuses, and that whoever dies in the
//! middle leaves nothing that readers see.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Fault, ServerOptions, Site, check_whole_bucket, finish, on_both, run};
use niks3_tests::api::{A, Answer, Api, B, nar_of};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    what_a_push_did_not_claim_or_is_something_else_is_refused_and_nothing_of_it_stored,
    what_is_too_much_is_refused,
    what_was_sent_is_seen_after_the_commit_alone,
    an_object_sent_many_times_at_once_is_stored_once,
    a_nar_of_two_paths_and_of_another_push_is_stored_once,
    objects_of_a_push_that_is_given_up_are_collected,
    a_server_that_verifies_nothing_reads_what_comes_to_it_all_the_same,
    the_same_where_the_service_checks_md5_alone,
    the_real_client_sends_small_objects_in_few_requests,
    lost_answers_and_refusals_only_delay_the_push,
);

const DRV: &str = "22222222222222222222222222222222-a.drv";
const VERIFIED: &str = "--verify-uploads=all";

fn packed(nar: &[u8]) -> Vec<u8> {
    zstd::encode_all(nar, 3).unwrap()
}

fn claim(path: &str, nar: &[u8]) -> Value {
    json!({
        "path": path, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": [], "deriver": DRV,
    })
}

fn object(kind: &str, path: &str, bytes: &[u8]) -> Value {
    let sha256 = FileHash::of(bytes).to_string();
    json!({ "kind": kind, "path": path, "sha256": sha256, "data": STANDARD.encode(bytes) })
}

async fn send(api: &Api, push: &str, objects: &[Value]) -> Answer {
    let path = format!("/api/v1/pushes/{push}/objects");
    let body = json!({ "objects": objects }).to_string();
    api.send(Method::PUT, &path, &api.token, "application/json", body)
        .await
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

async fn give_up(api: &Api, push: &str) {
    let path = format!("/api/v1/pushes/{push}");
    let answer = api.send(Method::DELETE, &path, &api.token, "", "").await;
    assert_eq!(answer.status, 204);
}

fn narinfo(api: &Api, path: &str) -> Option<String> {
    let found = api.server.get(&format!("{}.narinfo", &path[..32]))?;
    Some(String::from_utf8(found).unwrap())
}

/// A NAR of noise, which does not get smaller.
fn noise(size: usize) -> Vec<u8> {
    let blocks = (0..size as u64 / 32 + 1).map(|number| *FileHash::of(&number.to_le_bytes()).as_bytes());
    nar_of(&blocks.flatten().take(size).collect::<Vec<u8>>())
}

async fn what_a_push_did_not_claim_or_is_something_else_is_refused_and_nothing_of_it_stored(
    backend: Backend,
) {
    let api = Api::new(backend, &[VERIFIED]);
    let own = nar_of(b"what the owner has built");
    let other = nar_of(b"other bytes of that size");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &own)])).await.ok();
    let before = api.server.bucket().keys();
    let with = |field: &str, value: &str| {
        let mut object = object("nar", A, &packed(&own));
        object[field] = json!(value);
        object
    };
    let mut garbage = packed(&own);
    garbage.extend_from_slice(b"garbage");
    let mut trailing = own.clone();
    trailing.extend_from_slice(&[0; 8]);
    let good = object("nar", A, &packed(&own));
    let hash_of_other = FileHash::of(b"other").to_string();
    for (why, objects) in [
        ("wrong hash", vec![with("sha256", &hash_of_other)]),
        ("no hash", vec![with("sha256", "sha256:x")]),
        ("no base64", vec![with("data", "%%%%")]),
        ("no padding", vec![with("data", "YQ")]),
        ("other contents", vec![object("nar", A, &packed(&other))]),
        ("no zstd", vec![object("nar", A, &own)]),
        ("garbage after it", vec![object("nar", A, &garbage)]),
        ("no NAR", vec![object("nar", A, &packed(b"no NAR"))]),
        ("a longer NAR", vec![object("nar", A, &packed(&trailing))]),
        (
            "half a NAR",
            vec![object("nar", A, &packed(&own[..own.len() / 2]))],
        ),
        ("nothing", vec![object("nar", A, b"")]),
        ("a path of nobody", vec![object("nar", B, &packed(&own))]),
        ("no path", vec![object("nar", "../../etc/passwd", &packed(&own))]),
        ("a log of a path", vec![object("log", A, b"log")]),
        (
            "a log of a stranger",
            vec![object("log", &DRV.replace("-a.", "-b."), b"log")],
        ),
        ("a listing", vec![object("listing", A, b"{}")]),
        ("twice", vec![good.clone(), good.clone()]),
        // One of two is enough.
        (
            "the second is wrong",
            vec![good.clone(), object("log", A, b"log")],
        ),
    ] {
        let problem = send(&api, &push, &objects).await.problem(422);
        assert_eq!(api.server.bucket().keys(), before, "{why}: {problem}");
        assert_eq!(api.server.sql("SELECT count(*) FROM objects"), ["0"], "{why}");
        assert_eq!(api.server.sql("SELECT count(*) FROM push_logs"), ["0"], "{why}");
    }
    // Of what another push claims, and for what is no push of the caller.
    let second = api.open(B).await;
    send(&api, &second, std::slice::from_ref(&good))
        .await
        .problem(422);
    let stranger = api.push_token("stranger").await;
    let path = format!("/api/v1/pushes/{push}/objects");
    let body = json!({ "objects": [good.clone()] }).to_string();
    let answer = api.send(Method::PUT, &path, &stranger, "application/json", body);
    answer.await.problem(404);
    give_up(&api, &second).await;
    assert_eq!(api.server.bucket().keys(), before);
    // After all that the push goes on, once; and takes nothing after its commit.
    send(&api, &push, std::slice::from_ref(&good)).await.ok();
    commit(&api, &push).await.ok();
    let after = api.server.bucket().keys();
    send(&api, &push, &[good]).await.problem(409);
    send(&api, "nonsense", &[]).await.problem(404);
    assert_eq!(api.server.bucket().keys(), after);
    // A NAR that is there is not written again by whoever says something else of it.
    let liar = api.open(B).await;
    let mut lie = claim(B, &other);
    lie["nar_size"] = json!(own.len());
    api.claim(&liar, json!([lie])).await.ok();
    let answer = send(&api, &liar, &[object("nar", B, &packed(&own))]).await;
    let detail = answer.problem(422)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("nar-hash"), "{detail}");
    commit(&api, &liar).await.problem(409);
    assert_eq!(api.server.bucket().keys(), after);
}

async fn what_is_too_much_is_refused(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let push = api.open(A).await;
    let large = noise(70_000);
    let wide = nar_of(&vec![0; 2 << 20]);
    let small = nar_of(b"small");
    let paths = |number: usize| format!("{:032}-many", 1000 + number);
    let mut claims = vec![claim(A, &large), claim(B, &wide)];
    claims.extend((0..1001).map(|number| claim(&paths(number), &small)));
    api.claim(&push, json!(claims)).await.ok();
    assert!(packed(&wide).len() < 1000);
    for (status, objects, said) in [
        (400, vec![object("nar", A, &packed(&large))], "objects.data"),
        (
            422,
            vec![object("nar", B, &packed(&wide))],
            "a NAR in a request may have 1048576 bytes",
        ),
        (
            422,
            vec![object("log", DRV, &vec![b'x'; (64 << 10) + 1])],
            "65536",
        ),
        (
            422,
            (0..1001)
                .map(|number| object("nar", &paths(number), &packed(&small)))
                .collect(),
            "1001 entries",
        ),
        // Each is small enough, and all of them are more than 8 MiB.
        (
            422,
            (0..140)
                .map(|number| object("nar", &paths(number), &vec![0; 62_000]))
                .collect(),
            "8388608 bytes together",
        ),
    ] {
        let problem = send(&api, &push, &objects).await.problem(status);
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    assert_eq!(api.server.sql("SELECT count(*) FROM objects"), ["0"]);
    // As many as may be.
    let most: Vec<Value> = (0..1000)
        .map(|number| object("nar", &paths(number), &packed(&small)))
        .collect();
    send(&api, &push, &most).await.ok();
    assert_eq!(api.server.sql("SELECT count(*) FROM objects"), ["1"]);
    // Bytes count for who sends them, as if they had gone to an upload URL.
    let announced = api.server.sql("SELECT announced FROM pushes");
    assert_eq!(announced, [packed(&small).len().to_string()]);
}

async fn what_was_sent_is_seen_after_the_commit_alone(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let nar = nar_of(b"hello");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    send(&api, &push, &[]).await.ok();
    commit(&api, &push).await.problem(409);
    let objects = [object("nar", A, &packed(&nar)), object("log", DRV, b"hello\n")];
    send(&api, &push, &objects).await.ok();
    // Again, since the answer may have been lost; and with another log, since Nix may have built it again.
    send(&api, &push, &objects).await.ok();
    send(&api, &push, &[object("log", DRV, b"hello again\n")])
        .await
        .ok();
    let keys = api.server.bucket().keys();
    let key = format!("nar/{}.nar.zst", FileHash::of(&packed(&nar)).base32());
    assert!(keys.contains(&key), "{keys:?}");
    for hidden in [".narinfo", ".ls", "log/", "staging/"] {
        assert!(!keys.iter().any(|key| key.contains(hidden)), "{hidden}: {keys:?}");
    }
    let done = commit(&api, &push).await.ok();
    assert_eq!(
        (&done["paths_added"], &done["paths_verified"]),
        (&json!(1), &json!(1))
    );
    let info = narinfo(&api, A).unwrap();
    assert!(info.contains(&key), "{info}");
    assert_eq!(api.server.get(&key), Some(packed(&nar)));
    let log = api.server.get(&format!("log/{DRV}"));
    assert_eq!(log.as_deref(), Some(&b"hello again\n"[..]));
    let listing = api.server.get(&format!("{}.ls", &A[..32])).unwrap();
    let listing: Value = serde_json::from_slice(&listing).unwrap();
    assert_eq!(listing["root"]["size"], 5, "{listing}");
    assert_eq!(api.server.sql("SELECT count(*) FROM push_logs"), ["0"]);
}

async fn an_object_sent_many_times_at_once_is_stored_once(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let nar = nar_of(b"hello");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    let objects = [object("nar", A, &packed(&nar)), object("log", DRV, b"hello\n")];
    let sending = (0..16).map(|_| send(&api, &push, &objects));
    for answer in futures::future::join_all(sending).await {
        answer.ok();
    }
    for table in ["objects", "verifications", "push_logs"] {
        let count = api.server.sql(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, ["1"], "{table}");
    }
    commit(&api, &push).await.ok();
    let found = run(api.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
}

async fn a_nar_of_two_paths_and_of_another_push_is_stored_once(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let nar = nar_of(b"hello");
    let (push, other) = (api.open(A).await, api.open(A).await);
    for push in [&push, &other] {
        api.claim(push, json!([claim(A, &nar), claim(B, &nar)]))
            .await
            .ok();
        let objects = [object("nar", A, &packed(&nar)), object("nar", B, &packed(&nar))];
        send(&api, push, &objects).await.ok();
    }
    for push in [&push, &other] {
        commit(&api, push).await.ok();
    }
    let nars = api.server.bucket().keys();
    assert_eq!(nars.iter().filter(|key| key.starts_with("nar/")).count(), 1);
    assert!(narinfo(&api, A).is_some() && narinfo(&api, B).is_some());
}

async fn objects_of_a_push_that_is_given_up_are_collected(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let nar = nar_of(b"hello");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    let objects = [object("nar", A, &packed(&nar)), object("log", DRV, b"hello\n")];
    send(&api, &push, &objects).await.ok();
    let collect = || {
        let mut gc = api.server.niks3();
        run(gc.args([
            "gc",
            "--force",
            "--older-than=0s",
            "--failed-uploads-older-than=0s",
        ]))
        .ok()
    };
    let nars = || {
        let keys = api.server.bucket().keys();
        keys.iter().filter(|key| key.starts_with("nar/")).count()
    };
    let _ = collect();
    assert_eq!(nars(), 1, "what a live push has sent stays");
    give_up(&api, &push).await;
    let _ = collect();
    assert_eq!(nars(), 0);
    let found = run(api.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
    // Whoever comes next begins with nothing.
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    commit(&api, &push).await.problem(409);
    send(&api, &push, &objects).await.ok();
    commit(&api, &push).await.ok();
    assert_eq!(nars(), 1);
}

async fn a_server_that_verifies_nothing_reads_what_comes_to_it_all_the_same(backend: Backend) {
    let api = Api::new(backend, &[]);
    let nar = nar_of(b"hello");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    send(&api, &push, &[object("nar", A, &packed(b"no NAR"))])
        .await
        .problem(422);
    send(&api, &push, &[object("nar", A, &packed(&nar))]).await.ok();
    // No listing is sent: the server has made it.
    commit(&api, &push).await.ok();
    let listing = api.server.get(&format!("{}.ls", &A[..32])).unwrap();
    let listing: Value = serde_json::from_slice(&listing).unwrap();
    assert_eq!(listing["root"]["size"], 5, "{listing}");
}

async fn the_same_where_the_service_checks_md5_alone(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED, "--s3-checksum=md5"]);
    let nar = nar_of(b"hello");
    let push = api.open(A).await;
    api.claim(&push, json!([claim(A, &nar)])).await.ok();
    send(&api, &push, &[object("nar", A, &packed(&nar))]).await.ok();
    commit(&api, &push).await.ok();
    assert!(narinfo(&api, A).is_some());
}

/// Some built paths with logs, and one above them all.
fn many(site: &Site, count: usize) -> String {
    let parts: String = (0..count)
        .map(|number| format!("${{build \"p{number}\" \"echo logged {number}; echo {number} > $out\"}} "))
        .collect();
    site.store
        .build(&format!("build \"top\" \"echo {parts} > $out\""))
        .remove(0)
}

async fn the_real_client_sends_small_objects_in_few_requests(backend: Backend) {
    const PATHS: usize = 24;
    let options = ServerOptions {
        arguments: vec!["--listings=large".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    let path = many(&site, PATHS);
    let begun = site.s3.requests().len();
    let _ = site.push(&path).ok();
    let asked = site.api.requests();
    let of = |words: &str| asked.iter().filter(|line| line.contains(words)).count();
    assert!((1..=PATHS / 2).contains(&of("/objects")), "{asked:?}");
    assert_eq!(of("/uploads"), 0, "{asked:?}");
    if backend == Backend::Services {
        let requests = site.s3.requests()[begun..].to_vec();
        let puts: BTreeSet<&String> = requests.iter().filter(|line| line.starts_with("PUT ")).collect();
        let of = |words: &str| puts.iter().filter(|line| line.contains(words)).count();
        assert_eq!(
            (of("/nar/"), of("/log/"), of(".narinfo")),
            (PATHS + 1, PATHS + 1, PATHS + 1)
        );
        // Nothing is asked for, copied or deleted for each of them.
        let others = requests.iter().filter(|line| !line.starts_with("PUT ")).count();
        assert!(others < PATHS, "{requests:#?}");
        assert!(
            requests.len() < 4 * (PATHS + 1),
            "{}: {requests:#?}",
            requests.len()
        );
    }
    site.whole(&path);
    let again: Value = site.push(&path).json();
    assert_eq!((&again["uploaded"], &again["bytes_sent"]), (&json!(0), &json!(0)));
}

async fn lost_answers_and_refusals_only_delay_the_push(backend: Backend) {
    let site = Site::new(backend).await;
    let path = many(&site, 3);
    for fault in [
        Fault::LoseAnswer,
        Fault::Status(503),
        Fault::Status(429),
        Fault::CutBody,
    ] {
        site.api.fail("PUT", "/objects", fault, 1);
    }
    if backend == Backend::Services {
        for words in ["/nar/", "/log/"] {
            for fault in [Fault::LoseAnswer, Fault::Status(500)] {
                site.s3.fail("PUT", words, fault, 1);
            }
        }
    }
    let _ = site.push(&path).ok();
    assert_eq!((site.api.pending(), site.s3.pending()), (0, 0));
    site.whole(&path);
    let report = check_whole_bucket(&site.server, &site.store.dir());
    assert!(report.flaws.is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_between_storing_and_answering_leaves_nothing_that_readers_see() {
    for fault in [Fault::HoldAndLose, Fault::HoldAnswerAndLose] {
        let mut site = Site::new(Backend::Services).await;
        let path = many(&site, 2);
        // The object store has it, or not, and the server dies before it hears of that.
        site.s3.fail("PUT", "/nar/", fault, 1);
        let child = site.spawn(&path);
        site.s3.happened().await;
        site.server.kill();
        site.server.resume();
        assert_eq!(site.consistent(&path), 0);
        site.s3.release();
        let _ = finish(child).ok();
        site.whole(&path);
        let report = check_whole_bucket(&site.server, &site.store.dir());
        assert!(report.flaws.is_empty(), "{report}");
    }
}
