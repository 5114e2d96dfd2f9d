//! Which keys sign what a rule pushes.

use std::process::Command;

use niks3_nix::hash::NarHash;
use niks3_test_support::{Backend, Store, on_both, run};
use niks3_tests::api::{A, B, HASH};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;

on_both!(
    what_a_rule_pushes_is_signed_by_its_keys_and_by_others_when_their_pusher_says_the_same,
    a_token_of_a_lesser_rule_cannot_go_on_with_a_push_of_the_same_identity,
);

pub fn key(folder: &std::path::Path, name: &str) -> String {
    let made = run(Command::new("nix").args([
        "--extra-experimental-features",
        "nix-command",
        "key",
        "generate-secret",
        "--key-name",
        name,
    ]));
    let path = folder.join(name);
    std::fs::write(&path, made.ok()).unwrap();
    path.display().to_string()
}

async fn what_a_rule_pushes_is_signed_by_its_keys_and_by_others_when_their_pusher_says_the_same(
    backend: Backend,
) {
    let keys = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    for name in ["main-1", "pr-1"] {
        arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
    }
    let rules = json!([
        { "bound_subject": "pr", "signing_keys": ["pr-1"] },
        { "bound_subject": "main", "signing_keys": ["main-1"] },
        { "bound_subject": "all" },
    ]);
    let mut world = World::new(backend, None::<&Store>, &rules, &arguments);
    let signers = |world: &World, path: &str| {
        let text = world.api.server.get(&format!("{}.narinfo", &path[..32])).unwrap();
        let text = String::from_utf8(text).unwrap();
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("Sig: ")?.split(':').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let of = |world: &mut World, who: &str| world.api.token = world.token(&json!({ "sub": who }));
    of(&mut world, "pr");
    world.api.push(A, b"the same").await.ok();
    assert_eq!(signers(&world, A), ["pr-1"]);
    of(&mut world, "main");
    world.api.push(A, b"the same").await.ok();
    assert_eq!(signers(&world, A), ["main-1", "pr-1"]);
    of(&mut world, "pr");
    // Another's path of other contents stays as it is, and gets no key of whoever finds it there.
    world.api.push(A, b"something else").await.ok();
    assert_eq!(signers(&world, A), ["main-1", "pr-1"]);
    world.api.push(A, b"the same").await.ok();
    assert_eq!(signers(&world, A), ["main-1", "pr-1"]);
    world.api.push(B, b"another").await.ok();
    of(&mut world, "all");
    world.api.push(B, b"another").await.ok();
    assert_eq!(signers(&world, B), ["main-1", "pr-1"]);
}

/// Every operation on a push that changes something, with a body that the server understands.
fn operations(push: &str) -> Vec<(Method, String, Value)> {
    let info = json!({ "path": A, "nar_hash": HASH, "nar_size": 120, "references": [] });
    let upload = json!({ "kind": "nar", "path": A, "sha256": HASH, "size": 100 });
    let part = json!({ "number": 1, "size": 100, "sha256": HASH });
    let multipart = json!({ "path": A, "part_size": 8 << 20, "compressor": "test" });
    let drv = "22222222222222222222222222222222-a.drv";
    let realisation = json!({ "output": "out", "path": A, "drv": drv });
    let whole = json!({ "file_hash": HASH, "file_size": 100, "parts": [part] });
    [
        (Method::POST, "/paths", json!({ "paths": [info] })),
        (Method::POST, "/uploads", json!({ "uploads": [upload] })),
        (Method::PUT, "/objects", json!({ "objects": [] })),
        (Method::POST, "/multipart-uploads", multipart),
        (
            Method::POST,
            "/multipart-uploads/1/parts",
            json!({ "parts": [part] }),
        ),
        (Method::POST, "/multipart-uploads/1/complete", whole),
        (
            Method::PUT,
            "/realisations",
            json!({ "realisations": [realisation] }),
        ),
        (Method::PUT, "/lease", json!({})),
        (Method::GET, "", json!({})),
        (Method::POST, "/commit", json!({})),
        (Method::DELETE, "", json!({})),
    ]
    .map(|(method, verb, body)| (method, format!("/api/v1/pushes/{push}{verb}"), body))
    .into()
}

async fn a_token_of_a_lesser_rule_cannot_go_on_with_a_push_of_the_same_identity(backend: Backend) {
    let keys = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    for name in ["main-1", "pr-1"] {
        arguments.extend(["--sign-key-path".to_owned(), key(keys.path(), name)]);
    }
    let rules = json!([
        { "bound_claims": { "ref": "main" }, "signing_keys": ["main-1"], "pins": ["release"] },
        { "bound_claims": { "ref": "pull" }, "signing_keys": ["pr-1"], "pins": ["release"] },
        { "bound_claims": { "ref": "branch" }, "signing_keys": ["main-1"], "pins": ["branch-*"] },
    ]);
    let mut world = World::new(backend, None::<&Store>, &rules, &arguments);
    let of = |world: &mut World, what: &str| world.api.token = world.token(&json!({ "ref": what }));
    of(&mut world, "main");
    let nar = b"the NAR of a";
    let body = json!({ "store_dir": "/nix/store", "roots": [A], "pin": "release" });
    let opened = world.api.post("/pushes", &body).await.ok();
    let push = opened["id"].as_str().unwrap().to_owned();
    for (what, why) in [
        ("pull", "to be signed by main-1"),
        ("branch", "may not set the pin release"),
    ] {
        of(&mut world, what);
        for (method, path, body) in operations(&push) {
            let api = &world.api;
            let answer = api.send(method, &path, &api.token, "application/json", body.to_string());
            let problem = answer.await.problem(403);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(why), "{path}: {detail}");
        }
    }
    // Whoever is someone else learns nothing of it.
    world.api.token = world.token(&json!({ "ref": "pull", "sub": "somebody else" }));
    for (method, path, body) in operations(&push) {
        let api = &world.api;
        let answer = api.send(method, &path, &api.token, "application/json", body.to_string());
        answer.await.problem(404);
    }
    of(&mut world, "main");
    let info = json!({ "path": A, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": [] });
    world.api.claim(&push, json!([info])).await.ok();
    let packed = zstd::encode_all(&nar[..], 3).unwrap();
    world.api.upload(&push, "nar", A, &packed).await;
    world.api.upload(&push, "listing", A, b"{}").await;
    world
        .api
        .post(&format!("/pushes/{push}/commit"), &json!({}))
        .await
        .ok();
}
