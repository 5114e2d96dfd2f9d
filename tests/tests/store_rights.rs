//! What the object store does not let the server do: what the start says, and what a push and a collection say later.

use std::time::{Duration, Instant};

use niks3_test_support::{
    APP, Backend, Output, S3Bucket, S3Service, Server, ServerOptions, Store, check_bucket, run,
};

/// All that a server needs.
const ALL: [&str; 7] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:DeleteObject",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:AbortMultipartUpload",
];
/// Without one of these there is no cache.
const REQUIRED: &[&str] = ALL.split_at(4).0;

fn without(permission: &str) -> Vec<&'static str> {
    let mut actions = ALL.to_vec();
    actions.retain(|action| *action != permission);
    actions
}

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

fn push(server: &Server, store: &Store, name: &str) -> (String, Output) {
    let path = store
        .build(&format!(
            "build \"{name}\" \"mkdir $out; head -c 90000 /dev/urandom > $out/noise\""
        ))
        .remove(0);
    let mut command = server.niks3();
    store.prepare(command.args(["push", &path]));
    (path, run(&mut command))
}

#[test]
fn the_start_names_a_missing_permission_without_which_there_is_no_cache() {
    let store = Store::default();
    for permission in REQUIRED {
        let bucket = S3Service::Versitygw.bucket();
        let output = attempt(bucket.allowing(&without(permission)), &store).expect_err(permission);
        assert_eq!(output.code, 1, "{permission}");
        let said = output
            .stderr
            .lines()
            .find(|line| line.starts_with("niks3-server: "));
        let said = said.unwrap_or_else(|| panic!("{permission}: {output:?}"));
        assert!(said.contains(permission), "{said}");
        for others in REQUIRED.iter().filter(|other| *other != permission) {
            assert!(!said.contains(others), "{permission}: {said}");
        }
        // What to copy.
        for needed in [
            r#""s3:GetObject", "s3:PutObject", "s3:DeleteObject""#,
            &format!("arn:aws:s3:::{}/*", bucket.name),
            "garage bucket allow --read --write",
        ] {
            assert!(output.stderr.contains(needed), "{permission}: {needed}");
        }
    }
}

#[test]
fn other_missing_permissions_are_one_warning_and_small_paths_work() {
    let store = Store::default();
    let bucket = S3Service::Versitygw.bucket();
    let server = attempt(bucket.allowing(REQUIRED), &store).unwrap_or_else(|output| panic!("{output:?}"));
    let log = server.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    let [warning] = warnings[..] else {
        panic!("{warnings:#?}");
    };
    for permission in &ALL[4..] {
        assert!(warning.contains(permission), "{warning}");
    }
    let (path, pushed) = push(&server, &store, "works");
    let _ = pushed.ok();
    for command in [&["gc", "--older-than=0s", "--force"][..], &["fsck"]] {
        let _ = run(server.niks3().args(command)).ok();
    }
    assert!(
        server
            .get(&format!(
                "{}.narinfo",
                &path[path.rfind('/').unwrap() + 1..][..32]
            ))
            .is_none()
    );
}

#[test]
fn what_the_start_has_found_is_kept_for_the_same_service_and_keys() {
    let store = Store::default();
    let bucket = S3Service::Versitygw.bucket();
    let user = bucket.allowing(&ALL);
    let mut server = attempt(user.clone(), &store).unwrap_or_else(|output| panic!("{output:?}"));
    assert_eq!(
        server_rows(&server),
        [format!("{}|VERSITYGW|sha256", bucket.name)]
    );
    assert!(server.bucket().keys().iter().all(|key| !key.contains("probe")));
    // A start that knows tries nothing; one with other keys does.
    bucket.allow(&user, &without("s3:DeleteObject"));
    server.kill();
    server.resume();
    server.kill();
    let other = bucket;
    server.reconfigure(|command| {
        for (old, new) in [
            (user.access_key, other.access_key),
            (user.secret_key, other.secret_key),
        ] {
            for word in command.iter_mut().filter(|word| *word == old) {
                new.clone_into(word);
            }
        }
    });
    let identity = server.sql("SELECT identity FROM store_probes");
    server.resume();
    assert_ne!(server.sql("SELECT identity FROM store_probes"), identity);
    assert_eq!(server_rows(&server).len(), 1);
}

fn server_rows(server: &Server) -> Vec<String> {
    server.sql("SELECT bucket, service, checksum FROM store_probes")
}

#[test]
fn a_permission_that_is_withdrawn_later_is_named_and_hangs_no_push() {
    let store = Store::default();
    let bucket = S3Service::Versitygw.bucket();
    let user = bucket.allowing(&ALL);
    let server = attempt(user.clone(), &store).unwrap_or_else(|output| panic!("{output:?}"));
    let _ = push(&server, &store, "first").1.ok();
    for (permission, said) in [
        ("s3:GetObject", "the object store does not allow GetObject on "),
        ("s3:PutObject", "AccessDenied"),
    ] {
        bucket.allow(&user, &without(permission));
        let begun = Instant::now();
        let (path, pushed) = push(&server, &store, &permission[3..]);
        assert!(begun.elapsed() < Duration::from_secs(30), "{permission}");
        assert_eq!(pushed.code, 1, "{permission}: {pushed:?}");
        assert!(pushed.stderr.contains(said), "{permission}: {}", pushed.stderr);
        // Allowed again, the same push is completed.
        bucket.allow(&user, &ALL);
        let mut command = server.niks3();
        store.prepare(command.args(["push", &path]));
        let _ = run(&mut command).ok();
    }
    // What cannot be deleted ends no push, and a collection says so.
    bucket.allow(&user, &without("s3:DeleteObject"));
    let begun = Instant::now();
    let (_, pushed) = push(&server, &store, "undeleted");
    let _ = pushed.ok();
    assert!(begun.elapsed() < Duration::from_secs(30));
    let gc = ["gc", "--older-than=0s", "--force", "--json"];
    let collected = run(server.niks3().args(gc)).json();
    let failed = &collected["gc"]["counts"]["objects_failed_to_delete"];
    assert!(failed.as_u64() > Some(0), "{collected}");
    let named = "DeleteObjects on *.narinfo: AccessDenied";
    assert!(server.log().contains(named), "the log does not say {named}");
    bucket.allow(&user, &ALL);
    let collected = run(server.niks3().args(gc)).json();
    let failed = &collected["gc"]["counts"]["objects_failed_to_delete"];
    assert_eq!(failed.as_u64(), Some(0), "{collected}");
    assert!(check_bucket(&server, &store.dir(), &[], &[]).is_empty());
}

#[test]
fn a_bucket_policy_that_lets_a_server_delete_suffices() {
    let store = Store::default();
    let server = attempt(S3Service::Versitygw.bucket().allowing(&ALL), &store)
        .unwrap_or_else(|output| panic!("{output:?}"));
    let path = store.build(APP).remove(0);
    let mut command = server.niks3();
    store.prepare(command.args(["push", &path]));
    let _ = run(&mut command).ok();
    store.substitutes(&server.url(), server.public_key(), &path);
    let gc = ["gc", "--older-than=0s", "--force", "--json"];
    let collected = run(server.niks3().args(gc)).json();
    let counts = &collected["gc"]["counts"];
    assert_eq!(counts["objects_failed_to_delete"], 0, "{collected}");
    let left = server.bucket().keys();
    let of_paths = |key: &&String| key.ends_with(".narinfo") || key.contains('/');
    assert!(!left.iter().any(|key| of_paths(&key)), "{left:?}");
}
