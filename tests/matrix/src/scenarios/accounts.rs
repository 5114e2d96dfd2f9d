//! What the service lets the server do, and how much.

use std::time::{Duration, Instant};

use niks3_test_support::{Backend, S3Bucket, Server, ServerOptions, Store, finish, run, spawn};
use niks3_tests::on_service::{on, push};
use niks3_tests::on_versions::attempt;

use super::paths::{is_there, noise, pushing};
use super::works;
use crate::cell::Outcome;
use crate::service::Service;

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
/// Of these, how many nothing works without: the first ones.
const REQUIRED: usize = 4;

fn without(permission: &str) -> Vec<&'static str> {
    let mut actions = ALL.to_vec();
    actions.retain(|action| *action != permission);
    actions
}

/// The start is refused, by a line that names this permission.
fn is_refused(user: S3Bucket, permission: &str) {
    let Err(output) = attempt(user, &Store::default()) else {
        panic!("the server starts without {permission}");
    };
    let said = output
        .stderr
        .lines()
        .find(|line| line.starts_with("niks3-server: "));
    let said = said.unwrap_or_else(|| panic!("without {permission} the start says nothing"));
    assert!(
        output.code == 1 && said.contains(permission),
        "without {permission} it says: {said}"
    );
}

pub(super) fn rights(service: &Service) -> Outcome {
    let bucket = service.bucket();
    if let Some(reader) = service.reader(&bucket) {
        is_refused(reader, "s3:PutObject");
        return Outcome::Works("a key that may only read".into());
    }
    let Some(user) = service.user_allowed(&bucket, &ALL) else {
        return Outcome::DoesNotApply("one key for everything".into());
    };
    for permission in &ALL[..REQUIRED] {
        service.allow(&user, &without(permission));
        is_refused(user.clone(), permission);
    }
    // Without the others small paths work.
    service.allow(&user, &ALL[..REQUIRED]);
    let store = Store::default();
    let server = on(user, &store);
    let log = server.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.len() <= 1, "warnings: {warnings:?}");
    let path = noise(&store, "small", 90_000);
    push(&server, &store, &path);
    is_there(&server, &store, &path);
    for command in [&["gc", "--older-than=0s", "--force"][..], &["fsck"]] {
        let _ = run(server.niks3().args(command)).ok();
    }
    let named = ALL[REQUIRED..]
        .iter()
        .filter(|right| warnings.iter().any(|line| line.contains(**right)));
    let named: Vec<&str> = named.map(|right| right.trim_start_matches("s3:")).collect();
    Outcome::Works(match named.as_slice() {
        [] => "the three of multipart uploads come with the others".into(),
        names => format!("{} warned of", names.join(", ")),
    })
}

pub(super) fn withdrawn(service: &Service) -> Outcome {
    let bucket = service.bucket();
    let Some(user) = service.user_allowed(&bucket, &ALL) else {
        return Outcome::DoesNotApply("no rights of single operations".into());
    };
    let store = Store::default();
    let server = on(user.clone(), &store);
    for permission in ["s3:GetObject", "s3:PutObject"] {
        service.allow(&user, &without(permission));
        let begun = Instant::now();
        let path = noise(&store, &permission[3..], 90_000);
        let pushed = run(&mut pushing(&server, &store, &path));
        let seconds = begun.elapsed().as_secs();
        assert!(seconds < 60, "without {permission} a push takes {seconds} s");
        assert_eq!(pushed.code, 1, "without {permission}: {pushed:?}");
        let said = pushed.stderr.contains("AccessDenied") || pushed.stderr.contains("does not allow");
        assert!(said, "without {permission} a push says: {}", pushed.stderr);
        service.allow(&user, &ALL);
        push(&server, &store, &path);
        is_there(&server, &store, &path);
    }
    // What cannot be deleted is counted, and goes when it can.
    service.allow(&user, &without("s3:DeleteObject"));
    let gc = ["gc", "--older-than=0s", "--force", "--json"];
    let failed = |server: &Server| {
        let collected = run(server.niks3().args(gc)).json();
        collected["gc"]["counts"]["objects_failed_to_delete"].as_u64()
    };
    let _ = run(server.niks3().args(["pins", "delete", "app"]));
    assert!(
        failed(&server) > Some(0),
        "a collection says nothing of what it could not delete"
    );
    service.allow(&user, &ALL);
    assert_eq!(failed(&server), Some(0), "objects that cannot be deleted");
    works()
}

pub(super) fn rotation(service: &Service) -> Outcome {
    let bucket = service.bucket();
    let Some(old) = service.new_key(&bucket, 1) else {
        return Outcome::DoesNotApply("one key for everything".into());
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |user: &S3Bucket| {
        std::fs::write(folder.path().join("access-key"), user.access_key).unwrap();
        std::fs::write(folder.path().join("secret-key"), user.secret_key).unwrap();
    };
    write(&old);
    let store = Store::default();
    let server = Server::with(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket.clone()),
            s3_key_files: Some(folder.path().to_owned()),
            ..ServerOptions::default()
        },
    );
    let path = noise(&store, "rotated", 150 << 20);
    let child = spawn(&mut pushing(&server, &store, &path));
    std::thread::sleep(Duration::from_secs(1));
    let new = service.new_key(&bucket, 2).unwrap();
    write(&new);
    service.delete_key(&bucket, &old);
    server.hang_up();
    let _ = finish(child).ok();
    is_there(&server, &store, &path);
    let gc = ["gc", "--older-than=0s", "--force", "--json"];
    let collected = run(server.niks3().args(gc)).json();
    let failed = &collected["gc"]["counts"]["objects_failed_to_delete"];
    assert_eq!(failed.as_u64(), Some(0), "objects that cannot be deleted");
    works()
}

pub(super) fn quota(service: &Service) -> Outcome {
    let bucket = service.bucket();
    let store = Store::default();
    let server = on(bucket.clone(), &store);
    let [first, second] =
        [("first", 4 << 20), ("second", 60 << 20)].map(|(name, size)| noise(&store, name, size));
    if !service.set_quota(&bucket, Some(20 << 20)) {
        return Outcome::DoesNotApply("no quotas".into());
    }
    push(&server, &store, &first);
    let begun = Instant::now();
    let mut said = String::new();
    // Some count what they hold only now and then.
    let reached = (0..20).any(|number| {
        let path = noise(&store, &format!("more-{number}"), 30 << 20);
        let pushed = run(&mut pushing(&server, &store, &path));
        said = pushed.stderr.lines().last().unwrap_or_default().to_owned();
        std::thread::sleep(Duration::from_secs(1));
        pushed.code != 0
    });
    assert!(reached, "pushes of 600 MiB fit into 20 MiB");
    let seconds = begun.elapsed().as_secs();
    // What is there is read all the same.
    store.substitutes(&server.url(), server.public_key(), &first);
    assert!(service.set_quota(&bucket, None));
    std::thread::sleep(Duration::from_secs(2));
    push(&server, &store, &second);
    is_there(&server, &store, &second);
    let said: String = said.chars().filter(|c| *c != '|').take(160).collect();
    Outcome::Works(format!("after {seconds} s: “{said}”"))
}
