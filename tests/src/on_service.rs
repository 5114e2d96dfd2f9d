//! What holds on every S3 service.

use std::process::Command;

use niks3_test_support::{
    APP, Backend, Bucket, Clock, S3Bucket, Server, ServerOptions, Store, check_bucket, run,
};

/// A server on a bucket.
#[must_use]
pub fn on(bucket: S3Bucket, store: &Store) -> Server {
    Server::with(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket),
            ..ServerOptions::default()
        },
    )
}

/// Pushes a path, and pins it as `app`.
pub fn push(server: &Server, store: &Store, path: &str) {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--pin", "app", path]));
    let _ = run(&mut command).ok();
}

/// Uploads in parts that others have begun.
pub fn uploads_of_others_end_no_collection_and_stay(bucket: S3Bucket) {
    let store = Store::default();
    let behind = Bucket::Service(Box::new(bucket.clone()));
    let server = on(bucket, &store);
    let path = store.build(APP).remove(0);
    push(&server, &store, &path);
    let of_another = format!("nar/{}-{}.nar.zst", "0".repeat(52), "0".repeat(32));
    // In the order of their keys.
    let others = [&*of_another, "other/backup.tar", "other/backup.tar"];
    for key in others {
        behind.begin_upload(key);
    }
    for command in [
        &[
            "gc",
            "--older-than=0s",
            "--failed-uploads-older-than=0s",
            "--force",
        ][..],
        &["fsck"],
        &["fsck", "--repair"],
    ] {
        let _ = run(server.niks3().args(command)).ok();
        let mut left = behind.uploads();
        left.sort();
        assert_eq!(left, others, "{command:?}");
    }
    // Anybody else's collection ends as well when there is something to delete.
    let other = store.build("build \"other\" \"echo other > $out\"").remove(0);
    let mut command = server.niks3();
    store.prepare(command.args(["push", &other]));
    let _ = run(&mut command).ok();
    let collected = run(server
        .niks3()
        .args(["gc", "--older-than=0s", "--force", "--json"]))
    .json();
    let counts = &collected["gc"]["counts"];
    assert_eq!(counts["old_closures_deleted"], 1, "{collected}");
    assert_eq!(counts["objects_failed_to_delete"], 0, "{collected}");
    let closure = store.closure(&path);
    assert_eq!(
        check_bucket(&server, &store.dir(), &closure, &[]).len(),
        closure.len()
    );
}

/// Requests are signed for seconds, so that a service with another time would refuse them all.
pub fn a_clock_that_differs_from_that_of_the_service_is_made_up_for(bucket: S3Bucket) {
    const DAY: i64 = 24 * 3600;
    let (store, clock) = (Store::default(), Clock::default());
    let mut server = Server::with(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket),
            environment: clock.environment(),
            ..ServerOptions::default()
        },
    );
    let works = |server: &Server, seconds: i64, starts: bool| {
        let name = format!("at-{}-{starts}", seconds.abs() + i64::from(seconds < 0));
        // Some in parts, which are signed one by one, and copied.
        let size = if starts { 9 } else { 9_000_000 };
        let path = store
            .build(&format!(
                "build \"{name}\" \"mkdir $out; head -c {size} /dev/urandom > $out/noise; echo {name} > $out/name\""
            ))
            .remove(0);
        push(server, &store, &path);
        store.substitutes(&server.url(), server.public_key(), &path);
        let gc = ["gc", "--accept-clock", "--older-than=0s", "--force", "--json"];
        let collected = run(server.niks3().args(gc)).json();
        let counts = &collected["gc"]["counts"];
        assert_eq!(counts["objects_failed_to_delete"], 0, "{seconds}: {collected}");
        let found = check_bucket(server, &store.dir(), std::slice::from_ref(&path), &[]);
        assert_eq!(found.len(), 1, "{seconds}");
    };
    for seconds in [-30, 300, -1200, 1200] {
        server.kill();
        clock.step(seconds);
        server.resume();
        works(&server, seconds, true);
    }
    // While it runs.
    for seconds in [-30, -2 * DAY, 2 * DAY, 0] {
        clock.step(seconds);
        works(&server, seconds, false);
    }
    let log = std::fs::read_to_string(server.directory().join("log")).expect("the log of the server");
    assert!(
        log.contains("the clock of the object store is 2days behind the clock of this machine"),
        "nobody is told of two days"
    );
}

/// RFC 9110, 13.2.2: an entity tag decides alone, and a range is for the object that the reader has begun with.
pub fn conditions_of_readers_hold(bucket: S3Bucket) {
    let store = Store::default();
    let server = on(bucket, &store);
    let path = store.build(APP).remove(0);
    push(&server, &store, &path);
    let url = format!("{}/pins/app", server.url());
    let whole = format!("{path}\n");
    let ask = |headers: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-w", "%{http_code} %header{etag}", &url]);
        for header in headers {
            curl.args(["-H", header]);
        }
        let output = run(&mut curl).ok();
        let (body, rest) = output.rsplit_once('\n').unwrap_or(("", &output));
        let (status, tag) = rest.split_once(' ').unwrap();
        (status.to_owned(), body.to_owned(), tag.to_owned())
    };
    let (status, body, tag) = ask(&[]);
    assert_eq!((status.as_str(), format!("{body}\n")), ("200", whole.clone()));
    let (past, future) = (
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Modified-Since: Fri, 31 Dec 2066 23:59:59 GMT",
    );
    let matching = format!("If-None-Match: {tag}");
    let (other, unreadable) = ("If-None-Match: \"another\"", "If-None-Match: another");
    for (headers, expected) in [
        (&[future][..], "304"),
        (&[past], "200"),
        (&[matching.as_str(), past], "304"),
        (&[other, future], "200"),
        (&[unreadable, future], "200"),
        // A list in two lines.
        (&[other, matching.as_str()], "304"),
    ] {
        let (status, body, _) = ask(headers);
        assert_eq!(status, expected, "{headers:?}");
        assert_eq!(body.is_empty(), expected == "304", "{headers:?}");
    }
    // Part of the object, or all of it if it is another one by now.
    assert_eq!(ask(&["Range: bytes=10-"]).0, "206");
    for tag in ["\"another\"", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let (status, body, _) = ask(&["Range: bytes=10-", &format!("If-Range: {tag}")]);
        assert_eq!(
            (status.as_str(), format!("{body}\n")),
            ("200", whole.clone()),
            "{tag}"
        );
    }
}
