//! Build logs, on both backends: which are kept, and that the database describes those that are there.

use niks3_nix::hash::NarHash;
use niks3_test_support::{Backend, eventually, on_both, run};
use niks3_tests::api::{A, Api, B, nar_of};
use serde_json::{Value, json};

on_both!(
    the_logs_of_all_derivers_of_a_path_stay_as_long_as_the_path,
    pushes_that_bring_logs_of_one_derivation_at_once_leave_a_row_that_describes_the_log,
    many_logs_of_one_push_are_all_there_and_nothing_of_them_stays_staged,
);

const DERIVERS: [&str; 3] = [
    "22222222222222222222222222222222-one.drv",
    "33333333333333333333333333333333-two.drv",
    "44444444444444444444444444444444-three.drv",
];

/// A push of a path with a deriver, ready to be committed: with a log, unless that is empty.
async fn staged(api: &Api, path: &str, deriver: &str, log: &[u8]) -> String {
    let push = api.open(path).await;
    let nar = nar_of(path.as_bytes());
    let hash = NarHash::of(&nar).to_string();
    let info = json!({
        "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [], "deriver": deriver,
    });
    if api.claim(&push, json!([info])).await.ok()["needed"] == json!([path]) {
        api.upload(&push, "nar", path, &zstd::encode_all(nar.as_slice(), 3).unwrap())
            .await;
        api.upload(&push, "listing", path, b"{}").await;
    }
    if !log.is_empty() {
        api.upload(&push, "log", deriver, log).await;
    }
    push
}

async fn commit(api: &Api, push: &str) -> Value {
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok()
}

fn gc(api: &Api, arguments: &[&str]) -> Value {
    run(api
        .server
        .niks3()
        .args(["gc", "--force", "--json"])
        .args(arguments))
    .json()
}

fn log(api: &Api, deriver: &str) -> Option<Vec<u8>> {
    api.server.get(&format!("log/{deriver}"))
}

async fn the_logs_of_all_derivers_of_a_path_stay_as_long_as_the_path(backend: Backend) {
    let api = Api::new(backend, &[]);
    let [one, two, three] = DERIVERS;
    for (path, deriver, text) in [
        (A, one, &b"first"[..]),
        (A, two, b"second"),
        // Its log comes later, with another output of that derivation.
        (A, three, b""),
        (B, three, b"third"),
    ] {
        let push = staged(&api, path, deriver, text).await;
        commit(&api, &push).await;
    }
    let pin = json!({ "path": A });
    let answer = api
        .send(
            reqwest::Method::PUT,
            "/api/v1/pins/it",
            &api.token,
            "application/json",
            pin.to_string(),
        )
        .await;
    answer.ok();
    // B goes, and nothing else.
    let done = gc(&api, &["--older-than=0s"]);
    assert_eq!(done["gc"]["counts"]["old_closures_deleted"], 1, "{done}");
    assert_eq!(
        done["gc"]["counts"]["objects_deleted_after_grace_period"], 3,
        "{done}"
    );
    for (deriver, text) in [(one, &b"first"[..]), (two, b"second"), (three, b"third")] {
        assert_eq!(log(&api, deriver).as_deref(), Some(text), "{deriver}");
    }
    // The log of a deriver that only a push that is open names stays, too.
    let _ = run(api.server.niks3().args(["pins", "delete", "it"])).ok();
    let push = staged(&api, A, two, b"").await;
    gc(&api, &["--older-than=0s"]);
    assert_eq!(log(&api, two).as_deref(), Some(&b"second"[..]));
    commit(&api, &push).await;
    gc(&api, &["--older-than=0s"]);
    for deriver in DERIVERS {
        assert_eq!(log(&api, deriver), None, "{deriver}");
    }
    assert_eq!(api.server.sql("SELECT count(*) FROM path_derivers"), ["0"]);
}

async fn pushes_that_bring_logs_of_one_derivation_at_once_leave_a_row_that_describes_the_log(
    backend: Backend,
) {
    let api = Api::new(backend, &[]);
    for round in 0..6 {
        let deriver = format!("{}{round}-raced.drv", "5".repeat(31));
        let path = |number: usize| format!("{}{round}{number}-raced", "6".repeat(30));
        let mut pushes = Vec::new();
        for number in 0..3 {
            let text = "x".repeat(number + 1);
            pushes.push(staged(&api, &path(number), &deriver, text.as_bytes()).await);
        }
        let commits = pushes.iter().map(|push| commit(&api, push));
        futures::future::join_all(commits).await;
        let known = api
            .server
            .sql(&format!("SELECT size FROM logs WHERE drv = '{deriver}'"));
        let found = log(&api, &deriver).unwrap();
        assert_eq!(known, [found.len().to_string()]);
    }
    // The logs that lost are left to a garbage collection; nothing is wrong.
    gc(&api, &["--older-than=720h", "--failed-uploads-older-than=0s"]);
    let found = run(api.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
}

async fn many_logs_of_one_push_are_all_there_and_nothing_of_them_stays_staged(backend: Backend) {
    const LOGS: usize = 40;
    let api = Api::new(backend, &[]);
    let derivers: Vec<String> = (0..LOGS).map(|number| format!("{number:032}-many.drv")).collect();
    let push = staged(&api, A, &derivers[0], b"log 0").await;
    for (number, deriver) in derivers.iter().enumerate().skip(1) {
        let path = format!("{number:032}-many");
        let nar = nar_of(path.as_bytes());
        let info = json!({
            "path": path, "nar_hash": NarHash::of(&nar).to_string(), "nar_size": nar.len(),
            "references": [], "deriver": deriver,
        });
        api.claim(&push, json!([info])).await.ok();
        api.upload(&push, "nar", &path, &zstd::encode_all(nar.as_slice(), 3).unwrap())
            .await;
        api.upload(&push, "listing", &path, b"{}").await;
        api.upload(&push, "log", deriver, format!("log {number}").as_bytes())
            .await;
    }
    commit(&api, &push).await;
    for (number, deriver) in derivers.iter().enumerate() {
        assert_eq!(log(&api, deriver), Some(format!("log {number}").into_bytes()));
    }
    // It is deleted beside all requests.
    eventually("nothing is staged", || {
        let keys = api.server.bucket().keys();
        !keys.iter().any(|key| key.starts_with("staging/"))
    });
}
