//! What clients and administrators do all day.

use std::process::Command;
use std::time::{Duration, Instant};

use niks3_test_support::{Bucket, S3Bucket, Server, Store, check_bucket, finish, run, spawn};
use niks3_tests::on_service::{on, push};

use super::works;
use crate::cell::Outcome;
use crate::service::Service;

/// Bytes of a path that comes in parts.
const LARGE: u64 = 100 << 20;

/// A path of bytes that do not compress.
pub(super) fn noise(store: &Store, name: &str, bytes: u64) -> String {
    let script = format!("build \"{name}\" \"mkdir $out; head -c {bytes} /dev/urandom > $out/noise\"");
    store.build(&script).remove(0)
}

/// A push of a path, not yet begun.
pub(super) fn pushing(server: &Server, store: &Store, path: &str) -> Command {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--json", path]));
    command
}

/// Nix reads it, and so does the independent checker.
pub(super) fn is_there(server: &Server, store: &Store, path: &str) {
    let found = check_bucket(server, &store.dir(), &[path.to_owned()], &[]);
    assert!(!found.is_empty(), "{path} is not in the cache");
    store.substitutes(&server.url(), server.public_key(), path);
}

pub(super) fn small(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    let path = store
        .build("build \"small\" \"echo said by the builder; echo small > $out\"")
        .remove(0);
    push(&server, &store, &path);
    is_there(&server, &store, &path);
    let log = store.nix("nix", &["log", "--store", &server.url(), &path]);
    assert!(log.contains("said by the builder"), "the build log is {log:?}");
    works()
}

pub(super) fn large(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    let path = noise(&store, "large", LARGE);
    let children: Vec<_> = (0..2)
        .map(|_| spawn(&mut pushing(&server, &store, &path)))
        .collect();
    for child in children {
        let _ = finish(child).ok();
    }
    is_there(&server, &store, &path);
    let nars = server
        .bucket()
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("nar/"))
        .count();
    assert_eq!(nars, 1, "objects for one NAR");
    works()
}

pub(super) fn resume(service: &Service) -> Outcome {
    let store = Store::default();
    let bucket = service.bucket();
    let server = on(bucket, &store);
    let path = noise(&store, "resumed", LARGE);
    let mut child = spawn(&mut pushing(&server, &store, &path));
    let announced = "SELECT COUNT(*) FROM multipart_parts";
    let begun = Instant::now();
    while server
        .sql(announced)
        .first()
        .is_none_or(|count| count.parse::<u32>().unwrap_or(0) < 4)
    {
        assert!(begun.elapsed() < Duration::from_secs(120), "no parts are sent");
        assert!(
            child.try_wait().unwrap().is_none(),
            "the push was done before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    let _ = child.wait();
    let again = run(&mut pushing(&server, &store, &path)).json();
    is_there(&server, &store, &path);
    let sent = again["bytes_sent"].as_u64().unwrap_or_default();
    assert!(sent < LARGE, "all was sent again");
    Outcome::Works(format!("{} of {} MiB sent again", sent >> 20, LARGE >> 20))
}

pub(super) fn pin(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    for text in ["one", "two"] {
        let path = store
            .build(&format!("build \"{text}\" \"echo {text} > $out\""))
            .remove(0);
        push(&server, &store, &path);
        assert_eq!(server.bucket().text("pins/app").trim(), path);
    }
    let _ = run(server.niks3().args(["pins", "delete", "app"])).ok();
    assert!(
        !server.bucket().keys().contains(&"pins/app".to_owned()),
        "the pin is still there"
    );
    works()
}

pub(super) fn realisations(service: &Service) -> Outcome {
    let store = Store::default();
    let server = on(service.bucket(), &store);
    let expression = "ca \"floating\" \"echo floating > $out\"";
    let path = store.build(expression).remove(0);
    push(&server, &store, &path);
    let keys = server.bucket().keys();
    assert!(
        keys.iter()
            .any(|key| key.starts_with("realisations/") || key.starts_with("build-trace-v2/")),
        "no realisation in {keys:?}"
    );
    is_there(&server, &store, &path);
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    works()
}

pub(super) fn fsck(service: &Service) -> Outcome {
    let store = Store::default();
    let bucket = service.bucket();
    let server = on(bucket.clone(), &store);
    let path = noise(&store, "lost", 90_000);
    push(&server, &store, &path);
    let behind = Bucket::Service(Box::new(bucket));
    let nar = behind
        .keys()
        .into_iter()
        .find(|key| key.starts_with("nar/"))
        .unwrap();
    behind.delete(&nar);
    let found = run(server.niks3().args(["fsck"]));
    assert!(
        found.code == 1 && found.stdout.contains("missing-nar"),
        "{found:?}"
    );
    let _ = run(server.niks3().args(["fsck", "--repair"]));
    push(&server, &store, &path);
    is_there(&server, &store, &path);
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    works()
}

pub(super) fn region(service: &Service) -> Outcome {
    let store = Store::default();
    let bucket = S3Bucket {
        region: "",
        ..service.bucket()
    };
    let server = on(bucket, &store);
    let path = noise(&store, "somewhere", 1000);
    push(&server, &store, &path);
    is_there(&server, &store, &path);
    works()
}
