//! Commits as work that takes long: one at a time for each push, in slices, and taken up by others where it
//! was left.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::store_path::StoreDir;
use niks3_test_support::{
    Backend, Fault, FaultProxy, Server, ServerOptions, comes_about, database, garage_bucket, on_both, run,
};
use niks3_tests::api::{A, Answer, Api, B, UNVERIFIED, nar_of};
use serde_json::{Value, json};

on_both!(
    a_commit_cut_off_between_two_slices_is_completed,
    what_a_commit_cut_off_between_two_slices_has_decided_serves_others,
    a_collection_takes_what_a_commit_cut_off_between_two_slices_has_decided,
    what_is_lost_between_two_slices_is_brought_by_the_same_push,
    references_are_bounded_for_a_path_a_push_and_an_identity,
    claims_of_many_names_are_made_in_slices_and_count_once,
);

/// Paths of the chain, each of which refers to the one before.
const LENGTH: usize = 15;
/// References of each: so many that the commit decides ten paths in a slice.
const REFERENCES: usize = 10_000;
/// Paths of the first slice.
const SLICE: usize = 10;
/// Of every path.
static NAR: LazyLock<Vec<u8>> = LazyLock::new(|| nar_of(b"one NAR for all"));

fn path(number: usize) -> String {
    format!("{number:032}-path")
}

fn external(number: usize) -> String {
    format!("{:032}-external", 1_000_000 + number)
}

fn info(number: usize) -> Value {
    let before = number.checked_sub(1).map(path);
    let references = before.into_iter().chain((0..).map(external)).take(REFERENCES);
    json!({
        "path": path(number), "nar_hash": NarHash::of(&NAR).to_string(), "nar_size": NAR.len(),
        "references": references.collect::<Vec<_>>(),
    })
}

async fn commit(api: &Api, push: &str) -> Answer {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await
}

/// Claims the first paths of the chain, and uploads those that are needed.
async fn prepare(api: &Api, push: &str, count: usize) -> Value {
    let externals: Vec<String> = (0..REFERENCES).map(external).collect();
    let mut needed = Vec::new();
    for number in 0..count {
        let claims =
            json!({ "paths": [info(number)], "external": if number == 0 { &externals[..] } else { &[] } });
        let answer = api.post(&format!("/pushes/{push}/paths"), &claims).await.ok();
        needed.extend(answer["needed"].as_array().unwrap().clone());
    }
    for path in &needed {
        let path = path.as_str().unwrap();
        api.upload(push, "nar", path, &zstd::encode_all(NAR.as_slice(), 3).unwrap())
            .await;
        api.upload(push, "listing", path, b"{}").await;
    }
    json!(needed)
}

fn numbers(api: &Api, statement: &str) -> Vec<usize> {
    let rows = api.server.sql(statement);
    rows.iter().map(|row| row.parse().unwrap()).collect()
}

/// From now on no commit decides more than its first slice.
fn cut(api: &Api) {
    let trigger = if api.server.db().starts_with("sqlite:") {
        format!(
            "CREATE TRIGGER cut BEFORE UPDATE OF paths_added ON pushes WHEN NEW.paths_added > {SLICE} \
             BEGIN SELECT RAISE(ABORT, 'cut off'); END"
        )
    } else {
        format!(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.paths_added > {SLICE} \
             THEN RAISE EXCEPTION 'cut off'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER cut BEFORE UPDATE ON pushes FOR EACH ROW EXECUTE FUNCTION cut()"
        )
    };
    let _ = api.server.sql(&trigger);
}

fn mend(api: &Api) {
    let on = if api.server.db().starts_with("sqlite:") {
        ""
    } else {
        " ON pushes"
    };
    let _ = api.server.sql(&format!("DROP TRIGGER cut{on}"));
}

/// A server, and a push of the whole chain whose commit ended between its two slices; the server is killed.
async fn cut_off(backend: Backend) -> (Api, String) {
    let mut api = Api::new(backend, &[]);
    let push = api.open(&path(LENGTH - 1)).await;
    prepare(&api, &push, LENGTH).await;
    cut(&api);
    commit(&api, &push).await.problem(500);
    api.server.kill();
    mend(&api);
    let state = "SELECT state, paths_added FROM pushes";
    assert_eq!(api.server.sql(state), [format!("1|{SLICE}")]);
    let decided = numbers(&api, "SELECT count(*) FROM paths WHERE state = 1");
    assert_eq!(decided, [SLICE]);
    assert_eq!(published(&api).len(), 0);
    (api, push)
}

fn expire(api: &Api) {
    let _ = api
        .server
        .sql("UPDATE pushes SET lease_until = lease_until - 3600 WHERE state = 1");
}

/// Numbers of the paths that readers see, none of which dangles.
fn published(api: &Api) -> BTreeSet<usize> {
    let bucket = api.server.bucket();
    let names = bucket.keys();
    let seen: BTreeSet<usize> = names
        .iter()
        .filter_map(|key| key.strip_suffix(".narinfo")?.parse().ok())
        .collect();
    for number in &seen {
        let text = api.server.get(&format!("{number:032}.narinfo")).unwrap();
        let narinfo = NarInfo::parse(&StoreDir::default(), std::str::from_utf8(&text).unwrap()).unwrap();
        assert!(names.contains(&narinfo.url.to_string()), "{number}");
        let before = number.checked_sub(1);
        assert!(before.is_none_or(|before| seen.contains(&before)), "{number}");
        assert_eq!(narinfo.references.len(), REFERENCES);
    }
    seen
}

fn closures(api: &Api) -> usize {
    numbers(api, "SELECT count(*) FROM closures")[0]
}

/// Nothing is left of pushes that are over, and a check finds nothing.
fn settled(api: &Api) {
    let claims = "SELECT count(*) FROM push_paths c JOIN pushes q ON q.id = c.push_id WHERE q.state >= 2";
    assert_eq!(numbers(api, claims), [0]);
    let _ = run(api.server.niks3().arg("fsck")).ok();
}

async fn a_commit_cut_off_between_two_slices_is_completed(backend: Backend) {
    let (mut api, push) = cut_off(backend).await;
    // As if the server had died in the middle of its second slice.
    let _ = api
        .server
        .sql("UPDATE pushes SET commit_owner = 'dead', commit_problem = '', commit_until = lease_until");
    api.server.resume();
    if backend == Backend::Services {
        // Another server may be at it.
        let status = "SELECT commit_owner FROM pushes";
        let (answer, ()) = tokio::join!(commit(&api, &push), async {
            comes_about("waiting for another attempt", || {
                api.server.log().contains("waiting for the commit in progress")
            })
            .await;
            assert_eq!(api.server.sql(status), ["dead"]);
            let _ = api.server.sql("UPDATE pushes SET commit_until = 1");
        });
        assert_eq!(answer.ok()["paths_added"], LENGTH);
    }
    let done = commit(&api, &push).await.ok();
    assert_eq!(
        (&done["paths_added"], &done["paths_present"]),
        (&json!(LENGTH), &json!(0))
    );
    assert_eq!(published(&api), (0..LENGTH).collect());
    assert_eq!(closures(&api), 1);
    settled(&api);
}

async fn what_a_commit_cut_off_between_two_slices_has_decided_serves_others(backend: Backend) {
    let (mut api, _) = cut_off(backend).await;
    expire(&api);
    api.server.resume();
    let relied_on = 7;
    let push = api.open(&path(relied_on - 1)).await;
    assert_eq!(prepare(&api, &push, relied_on).await, json!([]));
    let done = commit(&api, &push).await.ok();
    assert_eq!(done["paths_present"], relied_on);
    let seen = published(&api);
    assert!(
        seen.len() <= SLICE && seen.is_superset(&(0..relied_on).collect()),
        "{seen:?}"
    );
    assert_eq!(closures(&api), 1);
    // The rest is for a collection, which has ended the push.
    let _ = run(api.server.niks3().args(["gc", "--older-than=30d", "--force"])).ok();
    assert_eq!(published(&api), (0..relied_on).collect());
    settled(&api);
}

async fn a_collection_takes_what_a_commit_cut_off_between_two_slices_has_decided(backend: Backend) {
    let (mut api, push) = cut_off(backend).await;
    api.server.resume();
    if backend == Backend::Embedded {
        // The start has completed it.
        assert_eq!(closures(&api), 1);
        return;
    }
    // While its lease lives nothing of it goes.
    let collect = || run(api.server.niks3().args(["gc", "--older-than=30d", "--force"])).ok();
    let _ = collect();
    assert_eq!(
        numbers(&api, "SELECT count(*) FROM paths WHERE state = 1"),
        [SLICE]
    );
    expire(&api);
    let _ = collect();
    assert_eq!(numbers(&api, "SELECT count(*) FROM paths WHERE state <> 0"), [0]);
    assert_eq!(published(&api).len(), 0);
    settled(&api);
    let gone = commit(&api, &push).await.problem(404);
    assert_eq!(gone["type"], "urn:niks3:problem:push-gone");
}

/// The same push brings what its commit found lost after it had decided some of its paths.
async fn what_is_lost_between_two_slices_is_brought_by_the_same_push(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(&path(LENGTH - 1)).await;
    prepare(&api, &push, LENGTH).await;
    // The NAR of the second slice is another one, which is not in the bucket when that is decided.
    let other = zstd::encode_all(NAR.as_slice(), 19).unwrap();
    let other = [&other[..], &zstd::encode_all(&b""[..], 3).unwrap()].concat();
    for number in SLICE..LENGTH {
        api.upload(&push, "nar", &path(number), &other).await;
    }
    let lost = format!("nar/{}.nar.zst", FileHash::of(&other).base32());
    let when = if api.server.db().starts_with("sqlite:") {
        format!(
            "CREATE TRIGGER lose AFTER UPDATE OF paths_added ON pushes WHEN NEW.paths_added = {SLICE} \
             BEGIN UPDATE objects SET state = 0 WHERE key = '{lost}'; END"
        )
    } else {
        format!(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.paths_added = {SLICE} THEN \
             UPDATE objects SET state = 0 WHERE key = '{lost}'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER lose AFTER UPDATE ON pushes FOR EACH ROW EXECUTE FUNCTION lose()"
        )
    };
    let _ = api.server.sql(&when);
    let problem = commit(&api, &push).await.problem(409);
    let missing: BTreeSet<&str> = problem["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let expected: Vec<String> = (SLICE..LENGTH)
        .flat_map(|number| {
            [
                format!("nar {}", path(number)),
                format!("listing {}", path(number)),
            ]
        })
        .collect();
    assert_eq!(missing, expected.iter().map(String::as_str).collect());
    assert_eq!(published(&api).len(), 0);
    let on = if api.server.db().starts_with("sqlite:") {
        ""
    } else {
        " ON pushes"
    };
    let _ = api.server.sql(&format!("DROP TRIGGER lose{on}"));
    for number in SLICE..LENGTH {
        api.upload(&push, "nar", &path(number), &other).await;
        api.upload(&push, "listing", &path(number), b"{}").await;
    }
    let done = commit(&api, &push).await.ok();
    assert_eq!(done["paths_added"], LENGTH);
    assert_eq!(published(&api), (0..LENGTH).collect());
    settled(&api);
}

async fn references_are_bounded_for_a_path_a_push_and_an_identity(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(A).await;
    let hash = NarHash::of(&NAR).to_string();
    let path = |path: &str, references: usize| {
        let references: Vec<String> = (0..references).map(external).collect();
        json!([{ "path": path, "nar_hash": hash, "nar_size": NAR.len(), "references": references }])
    };
    let problem = api.claim(&push, path(A, REFERENCES + 1)).await.problem(422);
    assert_eq!(problem["field"], "paths.references");
    api.claim(&push, path(A, 3)).await.ok();
    let _ = api
        .server
        .sql("UPDATE pushes SET claimed_references = 16000000 - 1");
    let problem = api.claim(&push, path(B, 2)).await.problem(413);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("16000001 references"),
        "{problem}"
    );
    api.claim(&push, path(B, 1)).await.ok();
    let other = api.open(B).await;
    let _ = api
        .server
        .sql("UPDATE pushes SET claimed_references = 16000000 - 1");
    api.claim(&other, path(A, 1)).await.ok();
    let _ = api.open(B).await;
    let _ = api.server.sql("UPDATE pushes SET claimed_references = 11000000");
    let answer = api.claim(&other, path(B, 1)).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(429);
    // What was refused has left nothing.
    assert_eq!(
        numbers(&api, "SELECT claimed_references FROM pushes ORDER BY id"),
        [11_000_000; 3]
    );
}

async fn claims_of_many_names_are_made_in_slices_and_count_once(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(&path(5)).await;
    let infos: Vec<Value> = (0..6).map(info).collect();
    for _ in 0..2 {
        let answer = api.claim(&push, json!(infos)).await.ok();
        assert_eq!(answer["needed"].as_array().unwrap().len(), 6);
        let counted = "SELECT claimed_references FROM pushes";
        assert_eq!(numbers(&api, counted), [6 * REFERENCES]);
    }
    // Two names with one hash part in different slices of a claim leave nothing of it.
    let mut wrong = infos.clone();
    wrong[5]["references"] = json!([format!("{}-other", &path(0)[..32])]);
    let other = api.open(&path(5)).await;
    api.claim(&other, json!(wrong)).await.problem(422);
    let claims = format!(
        "SELECT count(*) FROM push_paths c JOIN pushes q ON q.id = c.push_id WHERE q.token = '{other}'"
    );
    assert_eq!(numbers(&api, &claims), [0]);
    let names = numbers(&api, "SELECT count(*) FROM paths");
    assert_eq!(names, [6 + REFERENCES]);
}

/// Two servers on one database and bucket, each with a proxy before its bucket.
async fn pair(folder: &Path) -> [(Api, FaultProxy); 2] {
    let (db, bucket, token) = (database(), garage_bucket(), folder.join("token"));
    let text = "0123456789abcdef0123456789abcdef01234567";
    std::fs::write(&token, text).unwrap();
    let start = async || {
        let s3 = FaultProxy::before(&bucket.endpoint).await;
        let options = ServerOptions {
            db: Some(db.clone()),
            bucket: Some(bucket.clone()),
            s3_endpoint: Some(s3.url()),
            arguments: vec![
                UNVERIFIED.into(),
                "--api-token-path".into(),
                token.display().to_string(),
            ],
            ..ServerOptions::default()
        };
        let api = Api {
            server: Server::with(Backend::Services, options),
            client: reqwest::Client::new(),
            token: text.to_owned(),
        };
        (api, s3)
    };
    [start().await, start().await]
}

/// Opens a push of a path, which is there but for its listing.
async fn without_listing(api: &Api) -> String {
    let push = api.open(A).await;
    let hash = NarHash::of(&NAR).to_string();
    let info = json!({ "path": A, "nar_hash": hash, "nar_size": NAR.len(), "references": [] });
    api.claim(&push, json!([info])).await.ok();
    api.upload(&push, "nar", A, &zstd::encode_all(NAR.as_slice(), 3).unwrap())
        .await;
    push
}

fn writes(s3: &FaultProxy) -> usize {
    let narinfo = |request: &&String| request.starts_with("PUT ") && request.contains(".narinfo");
    s3.requests().iter().filter(narinfo).count()
}

/// So many requests have joined a commit in progress at this server.
async fn joined(api: &Api, count: usize) {
    comes_about("the second request has joined the first", || {
        let log = api.server.log();
        log.matches("waiting for the commit in progress").count() == count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_asked_for_at_two_servers_is_done_by_one_and_answered_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let [(one, s3_of_one), (two, s3_of_two)] = pair(folder.path()).await;
    let push = without_listing(&one).await;
    // Also when it fails.
    s3_of_one.fail("HEAD", "/nar/", Fault::Hold, 1);
    let (first, second, ()) = tokio::join!(
        commit(&one, &push),
        commit_once_begun(&two, &push, &s3_of_one),
        async {
            joined(&two, 1).await;
            s3_of_one.release();
        }
    );
    let (first, second) = (first.problem(409), second.problem(409));
    assert_eq!(first["missing"], json!([format!("listing {A}")]));
    assert_eq!(
        (&first["missing"], &first["detail"]),
        (&second["missing"], &second["detail"])
    );

    one.upload(&push, "listing", A, b"{}").await;
    s3_of_one.fail("PUT", ".narinfo", Fault::Hold, 1);
    let (first, second, ()) = tokio::join!(
        commit(&one, &push),
        commit_once_begun(&two, &push, &s3_of_one),
        async {
            joined(&two, 2).await;
            s3_of_one.release();
        }
    );
    // Each server has a signing key of its own here.
    let without_signatures = |answer: Answer| {
        let mut said = answer.ok();
        said.as_object_mut().unwrap().remove("signatures").unwrap();
        said
    };
    assert_eq!(without_signatures(first), without_signatures(second));
    assert_eq!((writes(&s3_of_one), writes(&s3_of_two)), (1, 0));
    let state = "SELECT state, paths_added FROM pushes";
    assert_eq!(one.server.sql(state), ["2|1"]);
}

/// Asks when the other server's commit is held at its object store.
async fn commit_once_begun(api: &Api, push: &str, held: &FaultProxy) -> Answer {
    held.happened().await;
    commit(api, push).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_whose_server_is_killed_is_completed_by_another_server_that_was_asked_too() {
    let folder = tempfile::tempdir().unwrap();
    let [(mut one, s3_of_one), (two, s3_of_two)] = pair(folder.path()).await;
    let push = without_listing(&one).await;
    one.upload(&push, "listing", A, b"{}").await;
    s3_of_one.fail("PUT", ".narinfo", Fault::HoldAndLose, 1);
    let url = format!("{}/api/v1/pushes/{push}/commit", one.server.url());
    let first = one
        .client
        .post(url)
        .bearer_auth(&one.token)
        .json(&json!({}))
        .send();
    let first = tokio::spawn(first);
    s3_of_one.happened().await;
    let killing = async {
        joined(&two, 1).await;
        one.server.kill();
    };
    let (second, ()) = tokio::join!(commit(&two, &push), killing);
    assert!(first.await.unwrap().is_err());
    assert_eq!(second.ok()["paths_added"], 1);
    assert_eq!(writes(&s3_of_two), 1);
    let mut fsck = two.server.niks3();
    let fsck = fsck.env("NIKS3_AUTH_TOKEN_FILE", folder.path().join("token"));
    let _ = run(fsck.arg("fsck")).ok();
}
