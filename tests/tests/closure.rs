//! A closure as machines have them, pushed once and read back by every Nix: through the server, and
//! from the bucket alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::process::Command;

use niks3_test_support::{Backend, Server, Store, check_bucket, on_both, run};

on_both!(a_real_closure_comes_back_equal_by_every_nix_from_the_server_and_from_the_bucket_alone,);

/// Folders of the system's own, most of which every Debian has: programs, many small files, links.
const FOLDERS: [&str; 6] = [
    "/usr/lib/locale",
    "/usr/lib/git-core",
    "/usr/lib/python3",
    "/usr/share/perl",
    "/usr/share/perl5",
    "/usr/share/zoneinfo",
];
/// Bytes of a folder that is left out.
const TOO_MUCH: u64 = 150 << 20;

/// A path for each folder, each referring to the one before, and one that refers to all.
fn closure(store: &Store) -> String {
    let mut text = String::new();
    let mut all = String::new();
    let mut before = String::new();
    for (number, folder) in FOLDERS.iter().enumerate() {
        if !Path::new(folder).is_dir() {
            continue;
        }
        let size = run(Command::new("du").args(["-s", "--block-size=1", folder])).ok();
        if size.split_whitespace().next().unwrap().parse::<u64>().unwrap() > TOO_MUCH {
            continue;
        }
        // What only root may read is left out, so that the closure is the same for everybody.
        text += &format!(
            "p{number} = build \"folder-{number}\" \"mkdir $out; echo {before} > $out/before; \
             cp -r {folder} $out/files 2> /dev/null || true\"; "
        );
        before = format!("${{p{number}}}");
        all += &format!(" {before}");
    }
    let expression = format!("let {text} in build \"all\" \"echo {all} > $out\"");
    store.build(&expression).remove(0)
}

/// Copies a closure out of a cache into an empty store, by a version of Nix, and compares every path.
fn comes_back(store: &Store, programs: &str, cache: &str, key: &str, path: &str) {
    let root = tempfile::tempdir().unwrap();
    let mut command = Command::new(Path::new(programs).join("nix"));
    store.prepare(&mut command);
    command
        .args(["copy", "--from", cache, "--to"])
        .arg(root.path())
        .args([
            "--option",
            "require-sigs",
            "true",
            "--option",
            "trusted-public-keys",
            key,
            path,
        ]);
    let _ = run(&mut command).ok();
    for path in store.closure(path) {
        let copied = root
            .path()
            .join("nix/store")
            .join(Path::new(&path).file_name().unwrap());
        let same = run(Command::new("diff")
            .args(["-r", "--no-dereference", &path])
            .arg(copied));
        assert_eq!(
            (same.code, same.stdout.as_str()),
            (0, ""),
            "{path} by {programs} from {cache}"
        );
    }
    // Store paths are read-only, which keeps their folders from being removed.
    let _ = run(Command::new("chmod").args(["-R", "u+w"]).arg(root.path()));
}

async fn a_real_closure_comes_back_equal_by_every_nix_from_the_server_and_from_the_bucket_alone(
    backend: Backend,
) {
    let versions = std::env::var("NIKS3_TEST_NIX_ALL")
        .expect("NIKS3_TEST_NIX_ALL: eval \"$(scripts/setup --print-env)\"");
    let store = Store::default();
    let path = closure(&store);
    let paths = store.closure(&path);
    assert!(paths.len() > 4, "{paths:?}");
    let mut server = Server::start(backend, &store.dir());
    let mut push = server.niks3();
    store.prepare(push.args(["push", "--json", &path]));
    let summary: serde_json::Value = serde_json::from_str(&run(&mut push).ok()).unwrap();
    assert_eq!(summary["uploaded"], paths.len());
    assert_eq!(
        check_bucket(&server, &store.dir(), &paths, &[]).len(),
        paths.len()
    );
    let (url, bucket) = (server.url(), server.bucket_url().to_owned());
    let key = server.public_key().to_owned();
    for programs in versions.split(':') {
        comes_back(&store, programs, &url, &key, &path);
    }
    server.terminate();
    for programs in versions.split(':') {
        comes_back(&store, programs, &bucket, &key, &path);
    }
}
