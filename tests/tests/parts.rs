//! Uploads in parts, which several pushes may share: whoever asks for what when, one
//! object comes of them, and everybody who sent it has it.

use std::path::Path;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{
    Backend, Fault, Server, ServerOptions, Site, database, finish, garage_bucket, on_both, run,
};
use niks3_tests::api::{A, Answer, Api, HASH, UNVERIFIED, nar_of};

use serde_json::{Value, json};

on_both!(
    a_false_hash_of_a_large_object_is_found_out,
    an_upload_completed_by_many_at_once_becomes_one_object_for_all,
    a_false_hash_beside_true_ones_spoils_nothing,
    parts_of_an_upload_that_another_completed_have_arrived,
    what_fits_into_one_large_part_is_one_part,
    equal_contents_that_two_uploads_bring_become_one_object,
    what_nobody_has_read_is_not_taken_for_the_same,
);

const PART: usize = 8 << 20;
/// The server reads what arrives.
const VERIFIED: &str = "--verify-uploads=all";

fn noise() -> Vec<u8> {
    (0..9_u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Bytes of which zstd makes more than one part.
fn incompressible() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take((9 << 20) / 8).flatten().collect()
}

/// An open push that has to upload a large path.
async fn open(api: &Api) -> String {
    let push = api.open(A).await;
    let large = json!([{ "path": A, "nar_hash": HASH, "nar_size": 20 << 20, "references": [] }]);
    api.claim(&push, large).await.ok();
    push
}

/// Begins an upload in parts for a push, or goes on with one; where its verbs are.
async fn begin(api: &Api, push: &str, fresh: bool) -> String {
    let begin = json!({ "path": A, "part_size": PART, "compressor": "test", "fresh": fresh });
    let path = format!("/pushes/{push}/multipart-uploads");
    format!("{path}/{}", api.post(&path, &begin).await.ok()["id"])
}

fn parts(bytes: &[u8]) -> Vec<Value> {
    (1..)
        .zip(bytes.chunks(PART))
        .map(|(number, part)| {
            json!({ "number": number, "size": part.len(), "sha256": FileHash::of(part).to_string() })
        })
        .collect()
}

async fn send(api: &Api, upload: &str, bytes: &[u8]) {
    let asked = json!({ "parts": parts(bytes) });
    let targets = api.post(&format!("{upload}/parts"), &asked).await.ok();
    for (target, part) in targets["parts"]
        .as_array()
        .unwrap()
        .iter()
        .zip(bytes.chunks(PART))
    {
        let url = target["url"].as_str().unwrap();
        assert_eq!(api.put(url, &target["headers"], part).await, 200);
    }
}

async fn complete(api: &Api, upload: &str, bytes: &[u8], hash: &str) -> Answer {
    let whole = json!({ "file_hash": hash, "file_size": bytes.len(), "parts": parts(bytes) });
    api.post(&format!("{upload}/complete"), &whole).await
}

/// The keys of all NARs in the bucket.
fn nars(api: &Api) -> Vec<String> {
    let mut keys = api.server.bucket().keys();
    keys.retain(|key| key.starts_with("nar/"));
    keys
}

/// The key of the only NAR in the bucket, which has those bytes and is named after the claimed NAR hash.
#[track_caller]
fn only(api: &Api, bytes: &[u8]) -> String {
    let keys = nars(api);
    assert_eq!(keys.len(), 1, "{keys:?}");
    let key = keys.into_iter().next().unwrap();
    assert!(key.starts_with(&format!("nar/{}-", &HASH[7..])), "{key}");
    assert!(api.server.get(&key).unwrap() == bytes);
    key
}

/// Two pushes of different paths, or of identities that share no upload, bring the same bytes: one object stays, and
/// what lost is gone at once.
async fn equal_contents_that_two_uploads_bring_become_one_object(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let nar = nar_of(&incompressible());
    let bytes = zstd::encode_all(&nar[..], 3).unwrap();
    let (nar_hash, text) = (NarHash::of(&nar).to_string(), FileHash::of(&bytes).to_string());
    let mut uploads = Vec::new();
    for compressor in ["one", "two", "three"] {
        let push = api.open(A).await;
        let large = json!([{ "path": A, "nar_hash": nar_hash, "nar_size": nar.len(), "references": [] }]);
        api.claim(&push, large).await.ok();
        let begin = json!({ "path": A, "part_size": PART, "compressor": compressor, "fresh": false });
        let path = format!("/pushes/{push}/multipart-uploads");
        let upload = format!("{path}/{}", api.post(&path, &begin).await.ok()["id"]);
        send(&api, &upload, &bytes).await;
        uploads.push((push, upload));
    }
    let asked = uploads[..2]
        .iter()
        .map(|(_, upload)| complete(&api, upload, &bytes, &text));
    for answer in futures::future::join_all(asked).await {
        answer.ok();
    }
    let kept = nars(&api);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(bytes.len() > PART, "in parts: {}", bytes.len());
    // Nothing is made of parts that come later.
    complete(&api, &uploads[2].1, &bytes, &text).await.ok();
    assert_eq!(nars(&api), kept);
    assert_eq!(api.server.bucket().uploads(), [""; 0]);
    for (push, _) in &uploads {
        api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    }
    let narinfo = api.server.get(&format!("{}.narinfo", &A[..32])).unwrap();
    assert!(String::from_utf8(narinfo).unwrap().contains(&kept[0]));
    let found = run(api.server.niks3().args(["fsck", "--json"])).json();
    assert_eq!(found["findings"], json!([]), "{found}");
}

/// Whoever is not read is not believed: what others said of their bytes is nobody's NAR but theirs.
async fn what_nobody_has_read_is_not_taken_for_the_same(backend: Backend) {
    let api = Api::new(backend, &[]);
    let bytes = noise();
    let text = FileHash::of(&bytes).to_string();
    for compressor in ["one", "two"] {
        let push = open(&api).await;
        let begin = json!({ "path": A, "part_size": PART, "compressor": compressor, "fresh": false });
        let path = format!("/pushes/{push}/multipart-uploads");
        let upload = format!("{path}/{}", api.post(&path, &begin).await.ok()["id"]);
        send(&api, &upload, &bytes).await;
        complete(&api, &upload, &bytes, &text).await.ok();
    }
    assert_eq!(nars(&api).len(), 2);
}

async fn a_false_hash_of_a_large_object_is_found_out(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let push = open(&api).await;
    let bytes = noise();
    let upload = begin(&api, &push, false).await;
    send(&api, &upload, &bytes).await;
    let problem = complete(&api, &upload, &bytes, HASH).await.problem(422);
    assert_eq!(problem["field"], "file_hash");
    assert_eq!(nars(&api), [""; 0]);
    let hash = FileHash::of(&bytes);
    complete(&api, &upload, &bytes, &hash.to_string())
        .await
        .problem(409);
    let upload = begin(&api, &push, false).await;
    send(&api, &upload, &bytes).await;
    complete(&api, &upload, &bytes, &hash.to_string()).await.ok();
    only(&api, &bytes);
}

/// Callers of two servers on one database and bucket, or of one where there cannot be two.
fn callers(backend: Backend, folder: &Path) -> Vec<Api> {
    if backend == Backend::Embedded {
        return vec![Api::new(backend, &[])];
    }
    let (db, bucket, token) = (database(), garage_bucket(), folder.join("token"));
    let text = "0123456789abcdef0123456789abcdef01234567";
    std::fs::write(&token, text).unwrap();
    let start = || {
        let server = Server::with(
            backend,
            ServerOptions {
                db: Some(db.clone()),
                bucket: Some(bucket.clone()),
                arguments: vec![
                    "--api-token-path".into(),
                    token.display().to_string(),
                    UNVERIFIED.into(),
                ],
                ..ServerOptions::default()
            },
        );
        Api {
            server,
            client: reqwest::Client::new(),
            token: text.to_owned(),
        }
    };
    vec![start(), start()]
}

async fn an_upload_completed_by_many_at_once_becomes_one_object_for_all(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let callers = callers(backend, folder.path());
    let bytes = noise();
    let hash = FileHash::of(&bytes);
    let mut pushes = Vec::new();
    for number in 0..8 {
        let api = &callers[number % callers.len()];
        let push = open(api).await;
        let upload = begin(api, &push, false).await;
        if number == 0 {
            send(api, &upload, &bytes).await;
        }
        pushes.push((api, push, upload));
    }
    let text = hash.to_string();
    let asked = pushes
        .iter()
        // Each of them twice: an answer may be lost.
        .flat_map(|push| [push, push])
        .map(|(api, _, upload)| complete(api, upload, &bytes, &text));
    for answer in futures::future::join_all(asked).await {
        answer.ok();
    }
    let name = only(&callers[0], &bytes);
    for (api, push, _) in &pushes {
        api.upload(push, "listing", A, b"{}").await;
        api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    }
    let narinfo = callers[0].server.get(&format!("{}.narinfo", &A[..32])).unwrap();
    assert!(String::from_utf8(narinfo).unwrap().contains(&name));
}

async fn a_false_hash_beside_true_ones_spoils_nothing(backend: Backend) {
    let api = Api::new(backend, &[VERIFIED]);
    let bytes = noise();
    let text = FileHash::of(&bytes).to_string();
    let push = open(&api).await;
    let upload = begin(&api, &push, false).await;
    send(&api, &upload, &bytes).await;
    let hashes = [HASH, &text, HASH, &text];
    let asked = hashes.map(|hash| complete(&api, &upload, &bytes, hash));
    let mut made = 0;
    for answer in futures::future::join_all(asked).await {
        // The first decides: the others hear that it is done, or given up.
        let status = answer.status.as_u16();
        assert!(matches!(status, 200 | 409 | 422), "{status}: {}", answer.body);
        made = made.max(usize::from(status == 200));
    }
    let upload = begin(&api, &push, true).await;
    send(&api, &upload, &bytes).await;
    complete(&api, &upload, &bytes, &text).await.ok();
    // What the first upload has become, if anything, stays beside it: no NAR, which nobody shares.
    let keys = nars(&api);
    assert_eq!(keys.len(), made + 1, "{keys:?}");
    for key in keys {
        assert!(api.server.get(&key).unwrap() == bytes, "{key}");
    }
}

async fn parts_of_an_upload_that_another_completed_have_arrived(backend: Backend) {
    let api = Api::new(backend, &[]);
    let bytes = noise();
    let text = FileHash::of(&bytes).to_string();
    let (one, other) = (open(&api).await, open(&api).await);
    let upload = begin(&api, &one, false).await;
    let same = begin(&api, &other, false).await;
    send(&api, &upload, &bytes).await;
    complete(&api, &upload, &bytes, &text).await.ok();
    let asked = json!({ "parts": parts(&bytes) });
    let targets = api.post(&format!("{same}/parts"), &asked).await.ok();
    for target in targets["parts"].as_array().unwrap() {
        assert!(target["url"].is_null(), "{target}");
    }
    complete(&api, &same, &bytes, &text).await.ok();
    // Other bytes are another upload.
    let asked = json!({ "parts": parts(&bytes[1..]) });
    api.post(&format!("{same}/parts"), &asked).await.problem(409);
    complete(&api, &same, &bytes[1..], HASH).await.problem(409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_that_died_was_making_of_the_parts_another_request_takes_up() {
    for (method, step) in [
        ("POST", "uploadId="),
        ("GET", "uploadId="),
        ("GET", "/nar/ !uploadId="),
    ] {
        let mut site = Site::new(Backend::Services).await;
        let path = site
            .store
            .build("build \"large\" \"mkdir $out; head -c 20000000 /dev/urandom > $out/noise\"")
            .remove(0);
        site.s3.fail(method, step, Fault::Hold, 1);
        let child = site.spawn(&path);
        site.s3.happened().await;
        site.server.kill();
        site.s3.release();
        site.server.resume();
        let _ = finish(child).ok();
        site.whole(&path);
    }
}

/// A NAR of so many bytes that its parts must be large may compress to less than one of them.
async fn what_fits_into_one_large_part_is_one_part(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = open(&api).await;
    let bytes = noise();
    let begin = json!({ "path": A, "part_size": 2 * PART, "compressor": "test", "fresh": false });
    let path = format!("/pushes/{push}/multipart-uploads");
    let upload = format!("{path}/{}", api.post(&path, &begin).await.ok()["id"]);
    let hash = FileHash::of(&bytes);
    let part = json!([{ "number": 1, "size": bytes.len(), "sha256": hash.to_string() }]);
    let targets = api
        .post(&format!("{upload}/parts"), &json!({ "parts": part }))
        .await
        .ok();
    let target = &targets["parts"][0];
    let url = target["url"].as_str().unwrap();
    assert_eq!(api.put(url, &target["headers"], &bytes).await, 200);
    let whole = json!({ "file_hash": hash.to_string(), "file_size": bytes.len(), "parts": part });
    api.post(&format!("{upload}/complete"), &whole).await.ok();
    only(&api, &bytes);
}
