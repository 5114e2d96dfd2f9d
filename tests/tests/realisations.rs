//! Realisations through the API: what a push says of outputs is published under the keys that Nix asks for, signed.

use niks3_nix::realisation::{BuildTraceEntry, BuildTraceKey, Realisation};
use niks3_nix::signature::PublicKey;
use niks3_test_support::{Backend, on_both, run};
use niks3_tests::api::{A, Answer, Api, B};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    realisations_are_published_signed_in_both_forms,
    what_is_no_realisation_of_a_claimed_path_is_refused,
    a_question_mark_in_the_name_of_a_derivation_is_no_query,
    another_path_of_a_derivation_is_named_when_the_first_one_is_collected,
);

const DRV: &str = "22222222222222222222222222222222-a.drv";

fn id(output: &str) -> String {
    format!("sha256:{}!{output}", "ab".repeat(32))
}

fn body(path: &str) -> Value {
    json!({ "dependentRealisations": {}, "id": id("out"), "outPath": path, "signatures": [] })
}

async fn put(api: &Api, push: &str, realisations: Value) -> Answer {
    let body = json!({ "realisations": realisations }).to_string();
    let path = format!("/api/v1/pushes/{push}/realisations");
    api.send(Method::PUT, &path, &api.token, "application/json", body)
        .await
}

/// An open push that has uploaded a path.
async fn open(api: &Api) -> String {
    let nar = b"a NAR";
    let push = api.open(A).await;
    let hash = niks3_nix::hash::NarHash::of(nar).to_string();
    let info =
        json!({ "path": A, "nar_hash": hash, "nar_size": nar.len(), "references": [], "deriver": DRV });
    api.claim(&push, json!([info])).await.ok();
    api.upload(&push, "nar", A, &zstd::encode_all(&nar[..], 3).unwrap())
        .await;
    api.upload(&push, "listing", A, b"{}").await;
    push
}

async fn realisations_are_published_signed_in_both_forms(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = open(&api).await;
    let both =
        json!({ "output": "out", "path": A, "drv": DRV, "id": id("out"), "body": body(A).to_string() });
    let new = json!({ "output": "dev", "path": A, "drv": DRV });
    put(&api, &push, json!([both, new])).await.ok();
    let keys = [
        format!("realisations/{}.doi", id("out")),
        format!("build-trace-v2/{DRV}/out.doi"),
        format!("build-trace-v2/{DRV}/dev.doi"),
    ];
    for key in &keys {
        assert!(api.server.get(key).is_none(), "{key} is there before the commit");
    }
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();

    let public: PublicKey = api.server.public_key().parse().unwrap();
    let [old, new @ ..] = &keys;
    let realisation = Realisation::parse(&api.server.get(old).unwrap()).unwrap();
    assert_eq!(
        (realisation.id().to_string(), realisation.out_path().as_str()),
        (id("out"), A)
    );
    let message = format!(
        r#"{{"dependentRealisations":{{}},"id":"{}","outPath":"{A}"}}"#,
        id("out")
    );
    let signed = |signature| public.verify(message.as_bytes(), signature);
    assert!(realisation.signatures().iter().any(signed));
    for (key, output) in new.iter().zip(["out", "dev"]) {
        let text = api.server.get(key).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["outPath"], A);
        assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
        assert_eq!(json["signatures"][0]["keyName"], public.name());
        let entry = BuildTraceEntry::parse(&text).unwrap();
        let message =
            format!(r#"{{"key":{{"drvPath":"{DRV}","outputName":"{output}"}},"value":{{"outPath":"{A}"}}}}"#);
        let key: BuildTraceKey = format!("{DRV}^{output}").parse().unwrap();
        assert_eq!(key.fingerprint(entry.out_path()), message);
        let signed = |signature| public.verify(message.as_bytes(), signature);
        assert_eq!(
            entry
                .signatures()
                .iter()
                .filter(|signature| signed(signature))
                .count(),
            1
        );
    }
}

async fn what_is_no_realisation_of_a_claimed_path_is_refused(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = open(&api).await;
    for wrong in [
        json!({ "output": "out", "path": B, "drv": DRV }),
        json!({ "output": "out", "path": A, "drv": A }),
        json!({ "output": "a/b", "path": A, "drv": DRV }),
        json!({ "output": "out", "path": A }),
        json!({ "output": "out", "path": A, "id": id("out") }),
        json!({ "output": "out", "path": A, "id": id("dev"), "body": body(A).to_string() }),
        json!({ "output": "out", "path": A, "id": id("out"), "body": body(B).to_string() }),
        json!({ "output": "out", "path": A, "id": id("out"), "body": "{" }),
        json!({ "output": "out", "path": A, "id": id("out"), "body": " ".repeat(70_000) }),
    ] {
        put(&api, &push, json!([wrong])).await.problem(422);
    }
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    assert!(api.server.get(&format!("build-trace-v2/{DRV}/out.doi")).is_none());
}

async fn a_question_mark_in_the_name_of_a_derivation_is_no_query(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = open(&api).await;
    let drv = "22222222222222222222222222222222-q?x=1.drv";
    put(&api, &push, json!([{ "output": "out", "path": A, "drv": drv }]))
        .await
        .ok();
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    // Nix asks for it as it is, other readers escape it.
    for key in [drv.to_owned(), drv.replace('?', "%3f")] {
        let text = api.server.get(&format!("build-trace-v2/{key}/out.doi"));
        let entry = BuildTraceEntry::parse(&text.unwrap()).unwrap();
        assert_eq!(entry.out_path().as_str(), A, "{key}");
    }
    assert!(api.server.get(&format!("{}.narinfo?x=1", &A[..32])).is_some());
    assert!(api.server.get(&format!("build-trace-v2/{drv}/dev.doi")).is_none());
}

/// Pushes a path with what it is an output of.
async fn pushed(api: &Api, path: &str, pin: Option<&str>) {
    let nar = path.as_bytes();
    let opened = json!({ "store_dir": "/nix/store", "roots": [path], "pin": pin });
    let push = api.post("/pushes", &opened).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let hash = niks3_nix::hash::NarHash::of(nar).to_string();
    let info =
        json!({ "path": path, "nar_hash": hash, "nar_size": nar.len(), "references": [], "deriver": DRV });
    if api.claim(&push, json!([info])).await.ok()["needed"] == json!([path]) {
        api.upload(&push, "nar", path, &zstd::encode_all(nar, 3).unwrap())
            .await;
        api.upload(&push, "listing", path, b"{}").await;
    }
    let realisation =
        json!({ "output": "out", "path": path, "drv": DRV, "id": id("out"), "body": body(path).to_string() });
    put(api, &push, json!([realisation])).await.ok();
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
}

async fn another_path_of_a_derivation_is_named_when_the_first_one_is_collected(backend: Backend) {
    const C: &str = "33333333333333333333333333333333-c";
    let api = Api::new(backend, &[]);
    let keys = [
        format!("realisations/{}.doi", id("out")),
        format!("build-trace-v2/{DRV}/out.doi"),
    ];
    let named = || {
        let paths = keys.each_ref().map(|key| {
            let text = api.server.get(key)?;
            let json: Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(json["signatures"].as_array().unwrap().len(), 1, "{json}");
            Some(json["outPath"].as_str().unwrap().to_owned())
        });
        assert_eq!(paths[0], paths[1]);
        paths[0].clone()
    };
    let collect = || {
        let collected = run(api.server.niks3().args(["gc", "--older-than=0s", "--force"]));
        let _ = collected.ok();
    };
    // A nondeterministic derivation, built three times.
    pushed(&api, A, None).await;
    pushed(&api, B, None).await;
    pushed(&api, C, Some("kept")).await;
    assert_eq!(named().as_deref(), Some(A));
    collect();
    assert_eq!(named().as_deref(), Some(C));
    let agree = |expected: i32| {
        let checked = run(api.server.niks3().args(["fsck", "--no-contents"]));
        assert_eq!(checked.code, expected, "{checked:?}");
    };
    agree(0);
    // Pushed again, the other one waits for its turn anew; the one in force stays.
    pushed(&api, B, Some("other")).await;
    assert_eq!(named().as_deref(), Some(C));
    let _ = run(api.server.niks3().args(["pins", "delete", "kept"])).ok();
    collect();
    assert_eq!(named().as_deref(), Some(B));
    agree(0);
    let _ = run(api.server.niks3().args(["pins", "delete", "other"])).ok();
    collect();
    assert_eq!(named(), None);
    assert_eq!(
        api.server.sql("SELECT count(*) FROM realisation_candidates"),
        ["0"]
    );
    agree(0);
}
