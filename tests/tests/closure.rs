//! A closure as machines have them, pushed once and read back by every Nix: through the server, and
//! from the bucket alone.

use std::path::Path;
use std::process::Command;

use niks3_test_support::{Backend, Server, Store, check_bucket, on_both, run};

on_both!(a_real_closure_comes_back_equal_by_every_nix_from_the_server_and_from_the_bucket_alone,);

/// What machines have in their stores: programs, many small files, links of all kinds, odd names, empty
/// folders, deep ones, files that go up in parts, files that are the same in two paths.
const CLOSURE: &str = r#"
    let
      many = build "many" ''
        mkdir -p $out/many $out/empty $out/a/b/c/d/e/f
        cd $out/many
        for number in $(seq 2000); do echo $number > file-$number; done
        ln -s file-1 link; ln -s ../empty folder; ln -s /nowhere dangling; ln file-2 hard
        : > nothing; echo > ' with  spaces '; echo > 'ünï ☃'; echo > .hidden; echo > '~nix~case~hack~1'; echo > -dash
        echo > $out/a/b/c/d/e/f/deep
      '';
      programs = build "programs" ''
        mkdir -p $out/bin
        cp /bin/sh /usr/bin/env $out/bin
        printf '#!/bin/sh
echo ${many}
' > $out/bin/say; chmod +x $out/bin/say
      '';
      large = build "large" ''
        mkdir $out
        head -c 40000000 /dev/urandom > $out/random; head -c 60000000 /dev/zero > $out/zeros
        cp ${programs}/bin/env $out; echo ${many} ${programs} $out > $out/references
      '';
      one = build "one-file" "echo alone > $out";
      link = build "one-link" "ln -s ${large}/zeros $out";
    in build "all" "mkdir $out; echo ${large} ${one} ${link} > $out/all""#;

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
    let path = store.build(CLOSURE).remove(0);
    let paths = store.closure(&path);
    assert_eq!(paths.len(), 6, "{paths:?}");
    let mut server = Server::start(backend, &store.dir());
    let mut push = server.niks3();
    store.prepare(push.args(["push", "--json", &path]));
    let summary: serde_json::Value = run(&mut push).json();
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
