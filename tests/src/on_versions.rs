//! What holds on every S3 service that keeps what is deleted.

use niks3_test_support::{
    Backend, Bucket, Output, S3Bucket, Server, ServerOptions, Store, check_bucket, run,
};

/// What is said of them.
pub const RULE: &str = "NoncurrentVersionExpiration";
const FINDING: &str = "versioned-bucket";

/// Starts a server on a bucket.
///
/// # Errors
/// How it ended instead.
pub fn attempt(bucket: S3Bucket, store: &Store) -> Result<Server, Output> {
    Server::attempt(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket),
            ..ServerOptions::default()
        },
    )
}

fn restart(server: &mut Server, argument: &str) {
    server.kill();
    server.reconfigure(|command| command.push(argument.into()));
    server.resume();
}

fn push(server: &Server, store: &Store, path: &str) {
    let mut command = server.niks3();
    store.prepare(command.args(["push", path]));
    let _ = run(&mut command).ok();
}

fn collect(server: &Server, older_than: &str) {
    let age = format!("--older-than={older_than}");
    let gc = ["gc", &age, "--failed-uploads-older-than=0s", "--force"];
    let _ = run(server.niks3().args(gc)).ok();
}

fn build(store: &Store, name: &str) -> String {
    let script = format!("build \"{name}\" \"mkdir $out; head -c 90000 /dev/urandom > $out/noise\"");
    store.build(&script).remove(0)
}

/// Of versions and marks: those of NARs, narinfos, listings and what was staged.
fn of_paths(keys: impl IntoIterator<Item = String>) -> Vec<String> {
    let of_path = |key: &String| {
        ["nar/", "staging/"].iter().any(|folder| key.starts_with(folder))
            || [".narinfo", ".ls"].iter().any(|end| key.ends_with(end))
    };
    keys.into_iter().filter(of_path).collect()
}

/// What is deleted stays, unless the server is told to delete it.
pub fn a_versioned_bucket_is_seen_and_deleted_objects_go_for_good_when_asked_for(bucket: S3Bucket) {
    bucket.enable_versions();
    let store = Store::default();
    let behind = Bucket::Service(Box::new(bucket.clone()));
    for text in ["one", "two"] {
        behind.put("other/file", text.as_bytes());
    }
    behind.put("other/deleted", b"theirs");
    behind.delete("other/deleted");
    let mut server = attempt(bucket.clone(), &store).unwrap_or_else(|output| panic!("{output:?}"));
    let log = server.log();
    let warned = log
        .lines()
        .filter(|line| line.contains(" WARN ") && line.contains(RULE));
    assert_eq!(warned.count(), 1, "{log}");
    let [first, second] = ["first", "second"].map(|name| build(&store, name));
    push(&server, &store, &first);
    collect(&server, "0s");
    let (kept, marks) = bucket.versions();
    let nars = |keys: &[String]| keys.iter().filter(|key| key.starts_with("nar/")).count();
    let kept: Vec<String> = kept.into_iter().map(|(key, _)| key).collect();
    assert_eq!((nars(&kept), nars(&marks)), (1, 1), "{kept:?} {marks:?}");
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 1, "{checked:?}");
    for expected in [FINDING, RULE] {
        assert!(checked.stdout.contains(expected), "{checked:?}");
    }

    restart(&mut server, "--s3-delete-versions");
    push(&server, &store, &second);
    collect(&server, "0s");
    let (kept, marks) = bucket.versions();
    assert_eq!(
        of_paths(kept.iter().map(|(key, _)| key.clone())),
        [""; 0],
        "{kept:?}"
    );
    assert_eq!(marks, ["other/deleted"], "what is not ours stays");
    let others = kept.iter().filter(|(key, _)| key.starts_with("other/"));
    assert_eq!(others.count(), 3, "what is not ours stays: {kept:?}");

    // What was deleted for good comes again, and what is there stays.
    push(&server, &store, &first);
    collect(&server, "720h");
    let found = check_bucket(&server, &store.dir(), std::slice::from_ref(&first), &[]);
    assert_eq!(found.len(), 1);
    store.substitutes(&server.url(), server.public_key(), &first);
    assert_eq!(behind.text("other/file"), "two");
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{checked:?}");
}

/// Somebody else's mistake, which versions are kept against.
pub fn what_others_have_deleted_can_be_had_back(bucket: S3Bucket) {
    bucket.enable_versions();
    let store = Store::default();
    let behind = Bucket::Service(Box::new(bucket.clone()));
    let mut server = attempt(bucket.clone(), &store).unwrap_or_else(|output| panic!("{output:?}"));
    restart(&mut server, "--s3-delete-versions");
    let path = build(&store, "lost");
    push(&server, &store, &path);
    // Written once more: the one before is an old version of what is there.
    let nar = behind
        .keys()
        .into_iter()
        .find(|key| key.starts_with("nar/"))
        .unwrap();
    let narinfo = format!("{}.narinfo", &path[path.rfind('/').unwrap() + 1..][..32]);
    let lost = [nar, narinfo];
    for key in &lost {
        behind.delete(key);
    }
    collect(&server, "720h");
    for key in &lost {
        bucket.undelete(key);
    }
    let found = check_bucket(&server, &store.dir(), std::slice::from_ref(&path), &[]);
    assert_eq!(found.len(), 1);
    // When it is collected, it goes with all that was written over or deleted.
    collect(&server, "0s");
    let (kept, marks) = bucket.versions();
    let kept = kept.into_iter().map(|(key, _)| key);
    assert_eq!(of_paths(kept.chain(marks)), [""; 0]);
}

/// Pushes of the same contents, and collections, all the time.
pub fn nothing_that_a_push_brings_goes_with_old_versions(bucket: S3Bucket) {
    bucket.enable_versions();
    let store = Store::default();
    let mut server = attempt(bucket, &store).unwrap_or_else(|output| panic!("{output:?}"));
    restart(&mut server, "--s3-delete-versions");
    let path = build(&store, "again");
    std::thread::scope(|scope| {
        let pushes = scope.spawn(|| {
            for _ in 0..12 {
                push(&server, &store, &path);
            }
        });
        while !pushes.is_finished() {
            collect(&server, "0s");
        }
    });
    push(&server, &store, &path);
    collect(&server, "720h");
    let found = check_bucket(&server, &store.dir(), std::slice::from_ref(&path), &[]);
    assert_eq!(found.len(), 1);
    store.substitutes(&server.url(), server.public_key(), &path);
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{checked:?}");
}

/// Nothing could ever be freed there.
pub fn a_default_retention_is_refused(bucket: &S3Bucket) {
    let store = Store::default();
    let locked = bucket.with_object_lock();
    locked.retain_by_default();
    let output = attempt(locked, &store).expect_err("a retention");
    assert_eq!(output.code, 1, "{output:?}");
    let line = output.stderr.lines().last().unwrap_or_default();
    assert!(line.starts_with("niks3-server: --s3-bucket: "), "{line}");
    assert!(line.contains("default retention (1 day, GOVERNANCE)"), "{line}");
}
