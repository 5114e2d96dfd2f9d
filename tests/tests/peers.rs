//! What the server stands on, and who talks to it: silent, slow, away, stuck, many.
//! It says so in time, and goes on when they come back.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use niks3_test_support::{APP, Backend, Fault, Site, Store, eventually, finish, on_both, spawn};

on_both!(
    pushes_that_share_paths_do_not_hinder_each_other,
    thousands_of_paths_that_hang_together_are_one_push,
    connections_that_are_stuck_do_not_keep_the_server_from_stopping,
    what_was_lost_before_the_commit_is_sent_again_by_the_same_push,
    one_of_two_pushes_of_the_same_dies_and_the_other_completes,
);

/// A diamond of paths over paths, so that order matters.
fn lattice(store: &Store, name: &str, rows: usize) -> String {
    let mut text =
        "let p0a = build \"0a\" \"echo 0 > $out\"; p0b = build \"0b\" \"echo 0b > $out\"; ".to_owned();
    for row in 1..rows {
        let below = row - 1;
        for side in ["a", "b"] {
            text += &format!(
                "p{row}{side} = build \"{row}{side}\" \"echo {name} ${{p{below}a}} ${{p{below}b}} > $out\"; "
            );
        }
    }
    let top = rows - 1;
    store
        .build(&format!(
            "{text} in build \"top\" \"echo ${{p{top}a}} ${{p{top}b}} > $out\""
        ))
        .remove(0)
}

async fn pushes_that_share_paths_do_not_hinder_each_other(backend: Backend) {
    let site = Site::new(backend).await;
    let base = (0..40)
        .map(|number| format!("p{number} = build \"p{number}\" \"echo {number} > $out\"; "))
        .collect::<String>();
    let tops: Vec<String> = (0..12)
        .map(|top| {
            // Each refers to most of them, and they name them in another order.
            let names = (0..30).map(|step| format!("${{p{}}}", (top * 7 + step * 11) % 40));
            let script = format!("echo top {top} {} > $out", names.collect::<Vec<_>>().join(" "));
            format!("(build \"top{top}\" \"{script}\")")
        })
        .collect();
    let tops = site.store.build(&format!("let {base} in [ {} ]", tops.join(" ")));
    let children: Vec<Child> = tops.iter().map(|top| site.spawn(top)).collect();
    for child in children {
        let _ = finish(child).json();
    }
    for top in &tops {
        assert_eq!(site.consistent(top), site.store.closure(top).len());
    }
    site.whole(&tops[0]);
}

async fn thousands_of_paths_that_hang_together_are_one_push(backend: Backend) {
    let site = Site::new(backend).await;
    // More than one batch of paths, each referring to some before it, the last to all rows.
    let expression = "let f = n: p: builtins.toFile \"f${toString n}\" \"${toString n} ${p}\"; \
        chain = n: if n == 0 then f 0 \"\" else f n (chain (n - 1)); \
        wide = builtins.genList (n: builtins.toFile \"w${toString n}\" \"${toString n}\") 2500; in \
        builtins.toFile \"top\" \"${chain 300} ${builtins.concatStringsSep \" \" wide}\"";
    let top = site.store.nix(
        "nix-instantiate",
        &["--eval", "--read-write-mode", "--strict", "-E", expression],
    );
    let top = top.trim().trim_matches('"').to_owned();
    let count = site.store.closure(&top).len();
    assert_eq!(count, 2802);
    let first = site.push(&top).json();
    assert_eq!(first["uploaded"], count);
    let again = site.push(&top).json();
    assert_eq!((&again["uploaded"], &again["bytes_sent"]), (&0.into(), &0.into()));
    site.store
        .substitutes(&site.server.url(), site.server.public_key(), &top);
}

async fn connections_that_are_stuck_do_not_keep_the_server_from_stopping(backend: Backend) {
    let mut site = Site::new(backend).await;
    let address = site.server.url().replace("http://", "");
    let token = site.server.token();
    let half = format!(
        "POST /api/v1/pushes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\n\r\n{{\"store"
    );
    let wrong = half.replace(&token, "wrong");
    let mut stuck: Vec<TcpStream> = Vec::new();
    for text in [
        "",
        "POST /api",
        "POST /api/v1/pushes HTTP/1.1\r\nhost: x\r\nauthori",
        &half,
        &wrong,
        "PUT /niks3/nar/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nhalf",
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stuck.push(stream);
    }
    // The last one is answered, and kept open: all before it have been accepted.
    let mut answer = [0; 12];
    stuck.last_mut().unwrap().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let (time, code) = site.server.terminate();
    assert!(time < Duration::from_secs(10), "the contract says 10 s: {time:?}");
    assert_eq!(code, Some(0));
    site.server.resume();
    let path = site.store.build(APP).remove(0);
    let _ = site.push(&path).json();
    site.whole(&path);
}

async fn what_was_lost_before_the_commit_is_sent_again_by_the_same_push(backend: Backend) {
    for lost in ["/nar/", "/staging/"] {
        let site = Site::new(backend).await;
        site.api.without_small_objects();
        let path = site.store.build(APP).remove(0);
        site.api.fail("POST", "/commit", Fault::Hold, 1);
        let child = spawn(&mut site.command(&path));
        site.api.happened().await;
        let keys: BTreeSet<String> = site
            .s3
            .requests()
            .iter()
            .filter(|request| request.starts_with("PUT ") && request.contains(lost))
            .filter(|request| !request.contains("/probe/"))
            .filter_map(|request| {
                let path = &request[request.find(lost)? + 1..];
                path.split('?').next().map(str::to_owned)
            })
            .collect();
        assert!(keys.len() >= 2, "one of each path: {keys:?}");
        for key in keys {
            site.server.bucket().delete(&key);
        }
        site.api.release();
        let _ = finish(child).json();
        let commits = site.api.requests();
        let commits = commits
            .iter()
            .filter(|request| request.ends_with("/commit"))
            .count();
        assert_eq!(commits, 2, "{lost}: the first said what was missing");
        site.whole(&path);
    }
}

async fn one_of_two_pushes_of_the_same_dies_and_the_other_completes(backend: Backend) {
    for step in ["/paths", "/uploads", "/nar/", "/staging/", "/commit"] {
        let site = Site::new(backend).await;
        site.api.without_small_objects();
        let path = site.store.build(APP).remove(0);
        let proxy = if matches!(step, "/nar/" | "/staging/") {
            &site.s3
        } else {
            &site.api
        };
        proxy.fail("", step, Fault::Silence, 1);
        let mut dying = spawn(&mut site.command(&path));
        proxy.happened().await;
        let other = site.spawn(&path);
        dying.kill().unwrap();
        dying.wait().unwrap();
        let _ = finish(other).json();
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_store_that_does_not_answer_is_noticed_and_its_return_too() {
    for fault in [
        Fault::Silence,
        Fault::Status(500),
        Fault::Status(503),
        Fault::LoseAnswer,
    ] {
        let site = Site::new(Backend::Services).await;
        site.api.without_small_objects();
        let path = site.store.build(APP).remove(0);
        site.s3.fail("", "", fault.clone(), usize::MAX / 2);
        assert_eq!(site.server.status("/ready"), "503", "{fault:?}");
        assert_eq!(site.server.status("/health"), "200", "{fault:?}");
        let proxied = site.server.status("/00000000000000000000000000000000.narinfo");
        assert!(
            matches!(proxied.as_str(), "502" | "503" | "504"),
            "{fault:?}: {proxied}"
        );
        let before = site.s3.pending();
        let child = spawn(&mut site.command(&path));
        eventually("the push comes upon it", || site.s3.pending() < before);
        site.s3.heal();
        let _ = finish(child).json();
        site.whole(&path);
        assert_eq!(site.server.status("/ready"), "200", "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_store_that_goes_away_during_a_commit_leaves_no_dangling_narinfo() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::LoseAnswer,
        Fault::CutBody,
    ] {
        for (method, part) in [("PUT", ".narinfo"), ("PUT", ".ls"), ("GET", "prefix=staging")] {
            let site = Site::new(Backend::Services).await;
            site.api.without_small_objects();
            let path = lattice(&site.store, "away", 4);
            // Clients do not come this way: only what the server does fails.
            let mut command = site.command(&path);
            site.s3.fail(method, part, fault.clone(), 9);
            let child = spawn(&mut command);
            let output = finish(child);
            let happened = 9 - site.s3.pending();
            assert!(happened > 0, "{fault:?} {part}: it did not go away");
            site.s3.heal();
            site.consistent(&path);
            if output.code != 0 {
                // Given up for good reason; said in one line, and the same push completes it.
                let last = output.stderr.lines().last().unwrap_or_default();
                assert!(last.starts_with("niks3: "), "{fault:?} {part}: {output:?}");
                let _ = site.push(&path).json();
            }
            site.whole(&path);
        }
    }
}
