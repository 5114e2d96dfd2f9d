//! Buckets that keep what is deleted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use niks3_test_support::{
    Backend, Bucket, Output, S3Bucket, S3Service, Server, ServerOptions, Store, check_bucket, run,
};

fn attempt(bucket: S3Bucket, store: &Store) -> Result<Server, Output> {
    Server::attempt(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket),
            ..ServerOptions::default()
        },
    )
}

fn push(server: &Server, store: &Store, path: &str) {
    let mut command = server.niks3();
    store.prepare(command.args(["push", path]));
    let _ = run(&mut command).ok();
}

fn collect(server: &Server) {
    let gc = [
        "gc",
        "--older-than=0s",
        "--failed-uploads-older-than=0s",
        "--force",
    ];
    let _ = run(server.niks3().args(gc)).ok();
}

fn a_versioned_bucket_is_seen_and_old_versions_are_deleted_when_asked_for(bucket: S3Bucket) {
    const RULE: &str = "NoncurrentVersionExpiration";
    bucket.enable_versions();
    let store = Store::default();
    let behind = Bucket::Service(Box::new(bucket.clone()));
    for text in ["one", "two"] {
        behind.put("other/file", text.as_bytes());
    }
    let mut server = attempt(bucket.clone(), &store).unwrap_or_else(|output| panic!("{output:?}"));
    let log = server.log();
    let warned = log
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains(RULE));
    assert_eq!(warned.count(), 1, "{log}");
    let [first, second] = ["first", "second"].map(|name| {
        store
            .build(&format!("build \"{name}\" \"echo {name} > $out\""))
            .remove(0)
    });
    push(&server, &store, &first);
    collect(&server);
    let nars = |kept: &[(String, bool)]| kept.iter().filter(|(key, _)| key.starts_with("nar/")).count();
    let (kept, markers) = bucket.versions();
    assert_eq!(nars(&kept), 1, "{kept:?}");
    assert!(markers.iter().any(|key| key.starts_with("nar/")), "{markers:?}");
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.stdout.contains("versioned-bucket"), "{checked:?}");
    assert!(checked.stdout.contains(RULE), "{checked:?}");

    server.kill();
    server.reconfigure(|command| command.push("--s3-delete-versions".into()));
    server.resume();
    push(&server, &store, &second);
    collect(&server);
    let (kept, markers) = bucket.versions();
    // The server may have written its own object again since.
    let old: Vec<&str> = (kept.iter().filter(|(_, newest)| !newest))
        .map(|(key, _)| key.as_str())
        .filter(|key| *key != "niks3-owner.json")
        .collect();
    assert_eq!(old, ["other/file"], "what is not ours stays: {kept:?}");
    assert_eq!((nars(&kept), markers), (0, Vec::new()), "{kept:?}");

    // What was deleted for good comes again, and what is there stays.
    push(&server, &store, &first);
    let gc = ["gc", "--older-than=720h", "--force"];
    let _ = run(server.niks3().args(gc)).ok();
    let found = check_bucket(&server, &store.dir(), std::slice::from_ref(&first), &[]);
    assert_eq!(found.len(), 1);
    store.substitutes(&server.url(), server.public_key(), &first);
    assert_eq!(behind.text("other/file"), "two");
    let checked = run(server.niks3().args(["fsck"]));
    assert!(!checked.stdout.contains("versioned-bucket"), "{checked:?}");
}

fn a_default_retention_is_refused(bucket: &S3Bucket) {
    let store = Store::default();
    let locked = bucket.with_object_lock();
    locked.retain_by_default();
    let output = attempt(locked, &store).expect_err("a retention");
    assert_eq!(output.code, 1, "{output:?}");
    let line = output.stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("niks3-server: --s3-bucket: "), "{line}");
    assert!(line.contains("default retention (1 day, GOVERNANCE)"), "{line}");
}

macro_rules! on_services {
    ($($name:ident: $service:ident),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn a_versioned_bucket_is_seen_and_old_versions_are_deleted_when_asked_for() {
                super::a_versioned_bucket_is_seen_and_old_versions_are_deleted_when_asked_for(
                    S3Service::$service.bucket(),
                );
            }

            #[test]
            fn a_default_retention_is_refused() {
                super::a_default_retention_is_refused(&S3Service::$service.bucket());
            }
        })+
    };
}

on_services! {
    minio: Minio,
    versitygw: Versitygw,
}
