//! Which keys sign what a rule pushes.

use std::process::Command;

use niks3_test_support::{Backend, Store, on_both, run};
use niks3_tests::api::{A, B};
use serde_json::json;

use crate::world::World;

on_both!(what_a_rule_pushes_is_signed_by_its_keys_and_by_others_when_their_pusher_says_the_same);

fn key(folder: &std::path::Path, name: &str) -> String {
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
    // Another's path of other contents stays as it is, and gets no key of whoever finds it there.
    of(&mut world, "main");
    world.api.push(A, b"something else").await.ok();
    assert_eq!(signers(&world, A), ["pr-1"]);
    world.api.push(A, b"the same").await.ok();
    assert_eq!(signers(&world, A), ["main-1", "pr-1"]);
    of(&mut world, "pr");
    world.api.push(A, b"the same").await.ok();
    assert_eq!(signers(&world, A), ["main-1", "pr-1"]);
    world.api.push(B, b"another").await.ok();
    of(&mut world, "all");
    world.api.push(B, b"another").await.ok();
    assert_eq!(signers(&world, B), ["main-1", "pr-1"]);
}
