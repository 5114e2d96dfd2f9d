//! Programs that may open few files raise their limit as far as they can, and work with what they get.

use std::process::Command;

use niks3_test_support::{Backend, ServerOptions, Site, on_both, program, run};
use serde_json::Value;

on_both!(a_push_of_many_paths_ends_where_few_files_may_be_open);

/// A path that refers to many small ones.
const MANY: &str = "let texts = map (n: builtins.toFile \"text-${toString n}\" (toString n)) (builtins.genList (n: n) 600); \
     in derivation { name = \"many\"; system = builtins.currentSystem; builder = \"/bin/sh\"; inherit texts; \
     args = [ \"-c\" \"for text in $texts; do echo $text; done > $out\" ]; }";

async fn a_push_of_many_paths_ends_where_few_files_may_be_open(backend: Backend) {
    let options = ServerOptions {
        open_files: Some((256, 256)),
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    let path = site.store.build(MANY).remove(0);
    // The client has no more either; both ends at once.
    let mut push = Command::new("prlimit");
    push.args(["--nofile=256:256", "timeout", "120"])
        .arg(program("niks3"))
        .args(["push", "--json", &path])
        .env("NIKS3_SERVER_URL", site.server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", site.server.token_path());
    site.store.prepare(&mut push);
    let summary: Value = run(&mut push).json();
    assert_eq!(summary["uploaded"], 601, "{summary}");
    let found = run(site.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
    let log = site.server.log();
    assert!(!log.to_lowercase().contains("too many open files"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_soft_limit_is_raised_to_the_hard_one() {
    let options = ServerOptions {
        open_files: Some((256, 4000)),
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Embedded, options).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", site.server.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3..5], ["4000", "4000"], "{line}");
}

#[test]
fn a_limit_that_is_too_small_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new("prlimit");
    server
        .args(["--nofile=64:64", "timeout", "20"])
        .arg(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path());
    let said = run(&mut server).fails(1);
    assert!(said.contains("hard limit of open files is 64"), "{said}");
    assert!(said.contains("needs 128"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_may_open_too_few_files_says_so() {
    let site = Site::new(Backend::Embedded).await;
    let path = site.store.build("build \"few\" \"echo few > $out\"").remove(0);
    let mut push = Command::new("prlimit");
    push.args(["--nofile=32:32", "timeout", "20"])
        .arg(program("niks3"))
        .args(["push", &path])
        .env("NIKS3_SERVER_URL", site.server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", site.server.token_path());
    site.store.prepare(&mut push);
    let said = run(&mut push).fails(1);
    assert!(said.contains("hard limit of open files is 32"), "{said}");
}
