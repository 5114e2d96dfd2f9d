//! Writing transactions, which wait for each other.

use niks3_test_support::{Backend, Postgres, Server, ServerOptions, eventually};
use niks3_tests::api::{A, Answer, Api};
use reqwest::{Client, Method};
use serde_json::json;

/// Takes the gate of all writing transactions, and keeps it.
const HOLD: &str = "SELECT pg_advisory_xact_lock(7956008359247740929); SELECT pg_sleep(600)";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_transactions_wait_for_a_slow_one_reads_are_answered() {
    let postgres = Postgres::start();
    let options = ServerOptions {
        db: Some(postgres.url()),
        arguments: vec![niks3_tests::api::UNVERIFIED.into()],
        ..ServerOptions::default()
    };
    let mut api = Api::of(Server::with(Backend::Embedded, options));
    let push = api.open(A).await;
    // Of a named token the database knows.
    let made = json!({ "name": "reader", "scopes": ["read", "push"] });
    let made = api.post("/tokens", &made).await.ok();
    made["token"].as_str().unwrap().clone_into(&mut api.token);
    let _holder = postgres.session(HOLD);
    let locks = |granted: bool| {
        let count =
            format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = {granted}");
        postgres.ask(&count).trim().parse::<u32>().unwrap()
    };
    eventually("the gate is held", || locks(true) == 1);
    let url = format!("{}/api/v1/pushes", api.server.url());
    let writers: Vec<_> = (0..40)
        .map(|_| {
            let body = json!({ "store_dir": "/nix/store", "roots": [A] });
            let request = Client::new().post(&url).bearer_auth(&api.token).json(&body);
            tokio::spawn(async move { Answer::of(request.send().await.unwrap()).await })
        })
        .collect();
    eventually("transactions wait", || locks(false) >= 2);
    for _ in 0..10 {
        assert_eq!(api.server.get("ready").unwrap(), b"ready\n");
        for path in ["/api/v1/closures", "/api/v1/pins", "/api/v1/whoami"] {
            let _ = api.send(Method::GET, path, &api.token, "", "").await.ok();
        }
        let renewed = api
            .send(
                Method::PUT,
                &format!("/api/v1/pushes/{push}/lease"),
                &api.server.token(),
                "",
                "",
            )
            .await;
        assert!(renewed.status.is_success(), "{}", renewed.body);
    }
    assert!(
        writers.iter().all(|writer| !writer.is_finished()),
        "they still wait: reads did not"
    );
    let _ = postgres
        .ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    for writer in writers {
        let _ = writer.await.unwrap().ok();
    }
}
