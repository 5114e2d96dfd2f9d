//! A collection that would go by a clock that cannot be believed is held, on both backends, and deletes
//! nothing.

use niks3_nix::hash::NarHash;
use niks3_test_support::{Backend, Clock, Output, ServerOptions, database, on_both, run};
use niks3_tests::api::{A, Api, B};
use serde_json::json;

on_both!(
    a_clock_that_is_set_while_the_server_runs_holds_a_collection,
    a_clock_behind_the_last_collection_holds_a_collection,
    what_a_server_leased_whose_clock_was_ahead_is_over_when_it_is_gone,
);

const DAY: i64 = 24 * 3600;
const NARINFO: &str = "00000000000000000000000000000000.narinfo";

fn server(backend: Backend, clock: &Clock, options: ServerOptions) -> Api {
    let environment = clock.environment();
    Api::with(
        backend,
        ServerOptions {
            environment,
            ..options
        },
    )
}

fn gc(api: &Api, arguments: &[&str]) -> Output {
    run(api
        .server
        .niks3()
        .args(["gc", "--older-than=720h", "--force"])
        .args(arguments))
}

/// The collection is held, for that reason, and the cache is as it was.
#[track_caller]
fn held(api: &Api, reason: &str) {
    for arguments in [&[][..], &["--dry-run"]] {
        let said = gc(api, arguments).fails(1);
        assert!(said.contains("nothing was deleted"), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(said.contains("--accept-clock"), "{said}");
    }
    assert!(api.server.get(NARINFO).is_some());
    assert_eq!(api.server.sql("SELECT count(*) FROM closures"), ["1"]);
}

async fn a_clock_that_is_set_while_the_server_runs_holds_a_collection(backend: Backend) {
    let clock = Clock::default();
    let api = server(backend, &clock, ServerOptions::default());
    api.push(A, b"a").await.ok();
    // A small step is what NTP does.
    clock.step(60);
    let _ = gc(&api, &[]).ok();
    for (offset, way) in [(60 * DAY, "forward by 60 days"), (-630, "back by 10 minutes")] {
        clock.step(offset);
        held(
            &api,
            &format!("the clock of the server was set {way} while it ran"),
        );
        if backend == Backend::Services {
            held(&api, "that of PostgreSQL");
        }
    }
    clock.step(60 * DAY);
    if backend == Backend::Services {
        // S3 refuses whoever is that far ahead.
        held(&api, "60 days ahead of that of the object store");
        clock.step(0);
        let _ = gc(&api, &[]).ok();
        assert!(api.server.get(NARINFO).is_some());
        return;
    }
    // Whoever says that it is right has it so from then on.
    let _ = gc(&api, &["--accept-clock"]).ok();
    assert_eq!(api.server.get(NARINFO), None);
    let _ = gc(&api, &[]).ok();
}

/// It died while its clock was a day ahead, and so nobody ends its task and its commit.
async fn what_a_server_leased_whose_clock_was_ahead_is_over_when_it_is_gone(backend: Backend) {
    let api = server(backend, &Clock::default(), ServerOptions::default());
    let _ = gc(&api, &[]).ok();
    let _ = api.server.sql(&format!(
        "UPDATE tasks SET state = 0, finished_at = 0, lease_until = lease_until + {DAY}"
    ));
    let _ = gc(&api, &[]).ok();
    assert_eq!(
        api.server
            .sql("SELECT count(*), count(DISTINCT state) FROM tasks"),
        ["2|2"]
    );
    let push = api.open(B).await;
    let hash = NarHash::of(b"b").to_string();
    let info = json!({ "path": B, "nar_hash": hash, "nar_size": 1, "references": [] });
    api.claim(&push, json!([info])).await.ok();
    let file = zstd::encode_all(&b"b"[..], 3).unwrap();
    api.upload(&push, "nar", B, &file).await;
    api.upload(&push, "listing", B, b"{}").await;
    let _ = api.server.sql(&format!(
        "UPDATE pushes SET commit_owner = 'dead', commit_until = lease_until + {DAY} WHERE state = 0"
    ));
    let done = api.post(&format!("/pushes/{push}/commit"), &json!({})).await;
    assert_eq!(done.ok()["paths_added"], 1);
}

async fn a_clock_behind_the_last_collection_holds_a_collection(backend: Backend) {
    // Ahead, then right.
    let clock = Clock::default();
    clock.step(400);
    let mut api = server(backend, &clock, ServerOptions::default());
    api.push(A, b"a").await.ok();
    let _ = gc(&api, &["--accept-clock"]).ok();
    clock.step(0);
    api.server.kill();
    api.server.resume();
    held(&api, "behind the start of the last garbage collection");
    // The API has it, too; it is no option of the collection by which others are told apart.
    let body = json!({ "older_than_seconds": 30 * DAY });
    let problem = api.post("/gc", &body).await.problem(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("accept_clock"),
        "{problem}"
    );
    let body = json!({ "older_than_seconds": 30 * DAY, "accept_clock": true });
    api.post("/gc", &body).await.ok();
    assert!(api.server.get(NARINFO).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_differs_from_that_of_postgresql_holds_a_collection() {
    let clock = Clock::default();
    clock.step(630);
    let options = ServerOptions {
        db: Some(database()),
        ..ServerOptions::default()
    };
    let api = server(Backend::Embedded, &clock, options);
    api.push(A, b"a").await.ok();
    held(
        &api,
        "the clock of the server is 10 minutes ahead of that of PostgreSQL",
    );
    let _ = gc(&api, &["--accept-clock"]).ok();
    assert!(api.server.get(NARINFO).is_some());
}
