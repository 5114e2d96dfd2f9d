//! What goes wrong on the way: whatever it is, no reader sees half a closure, and
//! the same push, carried on or run again, completes it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use niks3_test_support::{
    APP, Backend, Fault, Output, Server, ServerOptions, Site, Store, check_bucket, database, eventually,
    finish, garage_bucket, on_both, run, with_own_mounts,
};

on_both!(
    every_answer_can_be_lost_once,
    services_that_ask_for_patience_get_it,
    a_long_pause_is_announced_with_its_reason,
    a_bit_flipped_in_transit_is_sent_again,
    a_body_cut_short_is_sent_again,
    an_upload_that_falls_silent_is_sent_again,
    a_file_changed_on_disk_stops_the_push_and_nothing_is_seen,
    a_killed_client_run_again_sends_only_what_had_not_arrived,
    the_answers_about_a_lease_and_about_the_end_can_be_lost,
    a_server_told_to_stop_does_so_in_time_and_the_push_goes_on,
    the_same_closure_pushed_by_many_at_once_is_whole,
);

/// Content-addressed, so that it has a realisation.
const LARGE: &str = "ca \"large\" ''mkdir $out; head -c 40000000 /dev/urandom > $out/noise; echo ${build \"small\" \"echo x > $out\"} > $out/ref''";

fn bytes_sent(output: Output) -> u64 {
    let summary = output.json();
    summary["bytes_sent"].as_u64().unwrap()
}

/// What the server is asked in a push that takes no longer than its lease: the method, and a part of the
/// path of none of the others.
const API: [(&str, &str); 8] = [
    ("POST", "/api/v1/pushes"),
    ("POST", "/paths"),
    ("POST", "/uploads"),
    ("POST", "/multipart-uploads"),
    ("POST", "/parts"),
    ("POST", "/complete"),
    ("PUT", "/realisations"),
    ("POST", "/commit"),
];
/// What the object store is asked by a client: small NARs, parts of large ones, listings.
const UPLOADS: [&str; 3] = ["/nar/ !x-id=CopyObject", "partNumber=2", "/staging/ !partNumber"];

async fn every_answer_can_be_lost_once(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    for (method, part) in API {
        site.api.fail(method, part, Fault::LoseAnswer, 1);
    }
    for part in UPLOADS {
        site.s3.fail("PUT", part, Fault::LoseAnswer, 1);
    }
    let _ = site.push(&path).ok();
    assert_eq!(
        (site.api.pending(), site.s3.pending()),
        (0, 0),
        "every fault happened"
    );
    site.whole(&path);
}

async fn the_answers_about_a_lease_and_about_the_end_can_be_lost(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--push-lease".into(), "6s".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    site.s3.fail("PUT", "/nar/", Fault::Hold, 1);
    site.api.fail("PUT", "/lease", Fault::LoseAnswer, 1);
    site.api.fail("DELETE", "/api/v1/pushes/", Fault::LoseAnswer, 1);
    let child = site.spawn(&path);
    let asked = |what: &str| {
        let requests = site.api.requests();
        let asked: Vec<String> = requests
            .into_iter()
            .filter(|request| request.contains(what))
            .collect();
        asked
    };
    eventually("the lease is renewed all the same", || asked("/lease").len() >= 2);
    let _ = run(Command::new("kill").args(["-INT", &child.id().to_string()])).ok();
    let output = finish(child);
    assert_eq!(output.code, 130, "{output:?}");
    assert_eq!(
        (site.api.pending(), site.s3.pending()),
        (0, 0),
        "every fault happened"
    );
    let given_up = asked("DELETE ");
    assert_eq!(given_up.len(), 2, "{given_up:?}");
    let push = given_up[0].strip_prefix("DELETE ").unwrap();
    let state = run(Command::new("curl")
        .args([
            "-fsS",
            "-H",
            &format!("Authorization: Bearer {}", site.server.token()),
        ])
        .arg(format!("{}{push}", site.server.url())));
    let state: serde_json::Value = state.json();
    assert_eq!(state["state"], "aborted");
    site.s3.release();
    let _ = site.push(&path).ok();
    site.whole(&path);
}

async fn services_that_ask_for_patience_get_it(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    for status in [429, 500, 502, 503] {
        for (method, part) in API {
            site.api.fail(method, part, Fault::Status(status), 1);
        }
        for part in UPLOADS {
            site.s3.fail("PUT", part, Fault::Status(status), 1);
        }
        // With Garage these are the server's own requests.
        site.s3.fail(
            "PUT",
            ".narinfo",
            Fault::Status(status),
            usize::from(backend == Backend::Services),
        );
        site.s3.fail(
            "HEAD",
            "/nar/",
            Fault::Status(status),
            usize::from(backend == Backend::Services),
        );
    }
    site.api
        .fail("POST", "/commit", Fault::Delay(Duration::from_millis(300)), 1);
    let _ = site.push(&path).ok();
    assert_eq!(
        (site.api.pending(), site.s3.pending()),
        (0, 0),
        "every fault happened"
    );
    site.whole(&path);
}

async fn a_long_pause_is_announced_with_its_reason(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    site.api.fail("POST", "/paths", Fault::Patience(6), 1);
    site.s3.fail("PUT", "/nar/", Fault::Patience(6), 1);
    let output = site.push(&path);
    let said: Vec<&str> = output
        .stderr
        .lines()
        .filter(|line| line.contains("503") && line.contains("trying again in 6."))
        .collect();
    assert_eq!(said.len(), 2, "{output:?}");
    assert!(said[0].contains("naming paths"), "{said:?}");
    let _ = output.ok();
    site.whole(&path);
}

async fn a_bit_flipped_in_transit_is_sent_again(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    for part in UPLOADS {
        site.s3.fail("PUT", part, Fault::FlipBit, 1);
    }
    let _ = site.push(&path).ok();
    assert_eq!(site.s3.pending(), 0, "every fault happened");
    site.whole(&path);
}

async fn a_body_cut_short_is_sent_again(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    for part in UPLOADS {
        site.s3.fail("PUT", part, Fault::CutBody, 1);
    }
    let _ = site.push(&path).ok();
    assert_eq!(site.s3.pending(), 0, "every fault happened");
    site.whole(&path);
}

async fn an_upload_that_falls_silent_is_sent_again(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    site.s3.fail("PUT", "/nar/", Fault::Silence, 1);
    let _ = site.push(&path).ok();
    site.whole(&path);
}

async fn a_file_changed_on_disk_stops_the_push_and_nothing_is_seen(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    let words = site
        .store
        .closure(&path)
        .into_iter()
        .find(|path| path.ends_with("words"))
        .unwrap();
    let file = Path::new(&words).join("words");
    let _ = run(Command::new("chmod").arg("u+w").arg(&file)).ok();
    std::fs::write(&file, "jello\n").unwrap();
    let said = site.push(&path).fails(1);
    assert!(said.contains(&words), "{said}");
    assert_eq!(site.consistent(&path), 0);
    std::fs::write(&file, "hello\n").unwrap();
    let _ = site.push(&path).ok();
    site.whole(&path);
}

async fn a_killed_client_run_again_sends_only_what_had_not_arrived(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    // Held back, so that it is killed when some parts have arrived and the last has not.
    site.s3.fail("PUT", "partNumber=5", Fault::Silence, 1);
    let mut child = site.spawn(&path);
    while site.s3.sent() < 24_000_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Whatever was on its way has arrived, or never will.
    let mut before = 0;
    while before != site.s3.sent() {
        before = site.s3.sent();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(site.consistent(&path), 0);
    site.s3.heal();
    let sent = bytes_sent(site.push(&path));
    assert!(
        sent + before < 40_000_000 + 200_000,
        "{before} bytes had arrived, and {sent} were sent again"
    );
    site.whole(&path);
}

/// A site whose bucket has all parts of a path, which nobody has made an object of.
async fn all_parts_sent(backend: Backend, arguments: &[&str]) -> (Site, String) {
    let options = ServerOptions {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    site.api.fail("POST", "/complete", Fault::Silence, 1);
    let mut child = site.spawn(&path);
    site.api.seen("/complete").await;
    child.kill().unwrap();
    child.wait().unwrap();
    site.api.heal();
    (site, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_that_the_embedded_store_lost_is_sent_again() {
    let (site, path) = all_parts_sent(Backend::Embedded, &[]).await;
    let uploads = site.server.directory().join("uploads");
    let upload = std::fs::read_dir(uploads).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(upload.path().join("2")).unwrap();
    let sent = bytes_sent(site.push(&path));
    assert!((8_000_000..9_000_000).contains(&sent), "one part of five: {sent}");
    site.whole(&path);
}

/// S3 loses no part alone: here one is another than what was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_that_is_too_short_in_the_service_is_sent_again() {
    // With SHA-256 a part would need its own.
    let (site, path) = all_parts_sent(Backend::Services, &["--s3-checksum", "md5"]).await;
    let requests = site.s3.requests();
    let part = requests
        .iter()
        .filter(|request| request.starts_with("PUT ") && request.contains("partNumber=2&"))
        .find_map(|request| {
            let (path, query) = request.split_once('?')?;
            let key = &path[path.find("nar/")?..];
            let upload = query.split('&').find(|pair| pair.starts_with("uploadId="))?;
            Some(format!("{key}?partNumber=2&{upload}"))
        });
    site.server.bucket().put(&part.unwrap(), b"cut short");
    let sent = bytes_sent(site.push(&path));
    assert!((8_000_000..9_000_000).contains(&sent), "one part of five: {sent}");
    site.whole(&path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_in_parts_that_the_service_has_given_up_begins_again() {
    let (site, path) = all_parts_sent(Backend::Services, &[]).await;
    let requests = site.s3.requests();
    let upload = requests.iter().find_map(|request| {
        let (path, query) = request.split_once('?')?;
        let key = &path[path.find("nar/")?..];
        let upload = query.split('&').find(|pair| pair.starts_with("uploadId="))?;
        Some(format!("{key}?{upload}"))
    });
    site.server.bucket().delete(&upload.unwrap());
    let sent = bytes_sent(site.push(&path));
    assert!(sent > 40_000_000, "all parts: {sent}");
    site.whole(&path);
}

async fn a_server_told_to_stop_does_so_in_time_and_the_push_goes_on(backend: Backend) {
    let mut site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    let child = site.spawn(&path);
    site.api.seen("/parts").await;
    let (time, code) = site.server.terminate();
    assert!(time < Duration::from_secs(10), "the contract says 10 s: {time:?}");
    assert_eq!(code, Some(0));
    site.server.resume();
    let _ = finish(child).ok();
    site.whole(&path);
}

async fn the_same_closure_pushed_by_many_at_once_is_whole(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(LARGE).remove(0);
    let children: Vec<Child> = (0..4).map(|_| site.spawn(&path)).collect();
    for child in children {
        let _ = finish(child).ok();
    }
    site.whole(&path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_on_one_database_and_bucket_serve_the_same_push() {
    let store = Store::default();
    let (db, bucket) = (database(), garage_bucket());
    let start = || {
        Server::with(
            Backend::Services,
            ServerOptions {
                store_dir: Some(store.dir()),
                db: Some(db.clone()),
                bucket: Some(bucket.clone()),
                arguments: vec![
                    "--api-token-path".into(),
                    store.path("token").display().to_string(),
                ],
                ..ServerOptions::default()
            },
        )
    };
    std::fs::write(store.path("token"), "0123456789abcdef0123456789abcdef01234567").unwrap();
    let servers = [start(), start()];
    let path = store.build(LARGE).remove(0);
    let children: Vec<Child> = (0..4)
        .map(|number| {
            let mut command = servers[number % 2].niks3();
            command.env("NIKS3_AUTH_TOKEN_FILE", store.path("token"));
            store.prepare(command.args(["push", "--json", &path]));
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let _ = finish(child).ok();
    }
    for server in &servers {
        store.substitutes(
            &server.url(),
            &format!("{} {}", servers[0].public_key(), servers[1].public_key()),
            &path,
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_stops_the_push_with_a_clear_word_and_leaves_nothing_half() {
    if !with_own_mounts("faults::a_full_disk_stops_the_push_with_a_clear_word_and_leaves_nothing_half") {
        return;
    }
    let store = Store::default();
    let site = tempfile::tempdir().unwrap();
    let mount = |option: &str| {
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", option, "tmpfs"])
            .arg(site.path()))
    };
    let _ = mount("size=12m").ok();
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        data_dir: Some(site.path().to_owned()),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    let path = store.build(LARGE).remove(0);
    let push = || {
        let mut command = server.niks3();
        store.prepare(command.args(["push", &path]));
        run(&mut command)
    };
    let said = push().fails(1);
    assert!(said.contains("space"), "{said}");
    assert_eq!(
        check_bucket(&server, &store.dir(), &store.closure(&path), &[]).len(),
        0
    );
    let temporary = std::fs::read_dir(site.path().join("tmp")).unwrap().count();
    assert_eq!(temporary, 0);
    let _ = mount("remount,size=200m").ok();
    let _ = push().ok();
    store.substitutes(&server.url(), server.public_key(), &path);
    drop(server);
    let _ = run(Command::new("umount").arg("-l").arg(site.path()));
}
