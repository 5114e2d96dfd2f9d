//! Checks of bucket and database, on both backends: what is wrong is found, what can be mended is mended, and
//! what is right is left alone.

use std::collections::BTreeMap;

use niks3_test_support::{
    APP, Backend, Fault, Output, Server, ServerOptions, Site, finish, garage_bucket, on_both, run, spawn,
};
use niks3_tests::api::Api;
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    what_is_whole_has_no_findings,
    a_narinfo_that_is_lost_or_changed_is_written_again,
    a_listing_is_made_again_from_its_nar,
    a_path_whose_nar_is_lost_or_changed_leaves_the_cache_until_it_is_pushed_again,
    without_contents_only_sizes_are_compared,
    logs_and_pins_are_made_to_agree,
    what_the_database_does_not_know_goes_or_is_taken_in,
    a_cache_that_has_lost_its_database_is_taken_in_whole,
    what_others_keep_in_the_bucket_is_left_alone,
    what_a_push_leaves_out_on_purpose_is_not_missing,
    bad_requests_get_clear_answers,
);

fn fsck(server: &Server, arguments: &[&str]) -> Output {
    run(server.niks3().arg("fsck").args(arguments))
}

/// How many findings of each kind and end a check has, and whether it exited with 0.
fn found(server: &Server, arguments: &[&str]) -> (BTreeMap<String, usize>, bool) {
    let output = fsck(server, &[arguments, &["--json"]].concat());
    let done: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(done["fsck"]["state"], "done", "{done}");
    let mut found = BTreeMap::new();
    for finding in done["findings"].as_array().unwrap() {
        assert!(!finding["detail"].as_str().unwrap().is_empty());
        let kind = finding["kind"].as_str().unwrap();
        let state = finding["state"].as_str().unwrap();
        *found.entry(format!("{kind} {state}")).or_default() += 1;
    }
    (found, output.code == 0)
}

#[track_caller]
fn finds(server: &Server, arguments: &[&str], expected: &[(&str, usize)], content: bool) {
    let expected: BTreeMap<String, usize> = expected
        .iter()
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect();
    assert_eq!(found(server, arguments), (expected, content));
}

/// A closure of two paths, pushed and pinned.
async fn pushed(backend: Backend) -> (Site, String) {
    let site = Site::new(backend).await;
    let app = site.store.build(APP).remove(0);
    let mut command = site.command(&app);
    let _ = run(command.args(["--pin", "app"])).ok();
    (site, app)
}

fn hash(path: &str) -> &str {
    &path.rsplit('/').next().unwrap()[..32]
}

fn text(server: &Server, key: &str) -> String {
    String::from_utf8(server.get(key).unwrap()).unwrap()
}

fn nar(server: &Server, path: &str) -> String {
    let narinfo = text(server, &format!("{}.narinfo", hash(path)));
    let url = narinfo.lines().find_map(|line| line.strip_prefix("URL: "));
    url.unwrap().to_owned()
}

async fn what_is_whole_has_no_findings(backend: Backend) {
    let (site, app) = pushed(backend).await;
    finds(&site.server, &[], &[], true);
    finds(&site.server, &["--repair"], &[], true);
    let said = fsck(&site.server, &[]);
    assert!(
        said.stderr.contains("checked 2 paths, 2 NARs") && said.stderr.contains("bucket and database agree"),
        "{said:?}"
    );
    assert_eq!(said.ok(), "");
    site.whole(&app);
}

async fn a_narinfo_that_is_lost_or_changed_is_written_again(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    let key = format!("{}.narinfo", hash(&app));
    let right = text(&site.server, &key);
    let without = |field: &str| -> String {
        let kept = right.lines().filter(|line| !line.starts_with(field));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let (_, base64) = right
        .lines()
        .find_map(|line| line.strip_prefix("Sig: "))
        .and_then(|signature| signature.split_once(':'))
        .unwrap();
    let damages = [
        ("missing-narinfo", None),
        ("wrong-narinfo", Some("nonsense".to_owned())),
        ("wrong-narinfo", Some(String::new())),
        ("wrong-narinfo", Some("x".repeat(5 << 20))),
        ("wrong-narinfo", Some(without("References: "))),
        ("wrong-narinfo", Some(without("Deriver: "))),
        ("wrong-narinfo", Some(right.replace("NarSize: ", "NarSize: 1"))),
        ("wrong-narinfo", Some(right.replace("FileSize: ", "FileSize: 1"))),
        ("missing-signature", Some(without("Sig: "))),
        (
            "bad-signature",
            Some(right.replace(base64, &format!("{}==", "A".repeat(86)))),
        ),
    ];
    for (kind, damage) in damages {
        match &damage {
            None => bucket.delete(&key),
            Some(text) => bucket.put(&key, text.as_bytes()),
        }
        finds(&site.server, &[], &[(&format!("{kind} open"), 1)], false);
        finds(
            &site.server,
            &["--repair"],
            &[(&format!("{kind} mended"), 1)],
            true,
        );
        assert_eq!(text(&site.server, &key), right);
        finds(&site.server, &[], &[], true);
    }
    site.whole(&app);
}

async fn a_listing_is_made_again_from_its_nar(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let key = format!("{}.ls", hash(&app));
    let right = text(&site.server, &key);
    site.server.bucket().delete(&key);
    finds(&site.server, &[], &[("missing-listing open", 1)], false);
    finds(
        &site.server,
        &["--repair"],
        &[("missing-listing mended", 1)],
        true,
    );
    assert_eq!(text(&site.server, &key), right);
    site.whole(&app);
}

async fn a_path_whose_nar_is_lost_or_changed_leaves_the_cache_until_it_is_pushed_again(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    let words = site
        .store
        .closure(&app)
        .into_iter()
        .find(|path| *path != app)
        .unwrap();
    let key = nar(&site.server, &words);
    let right = site.server.get(&key).unwrap();
    let mut flipped = right.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damages = [
        ("missing-nar", None),
        ("wrong-hash", Some(flipped)),
        ("wrong-hash", Some(right[..right.len() - 1].to_vec())),
        ("wrong-hash", Some(zstd_of(&vec![0; 1 << 24]))),
    ];
    for (kind, damage) in damages {
        match &damage {
            None => bucket.delete(&key),
            Some(bytes) => bucket.put(&key, bytes),
        }
        finds(&site.server, &[], &[(&format!("{kind} open"), 1)], false);
        finds(
            &site.server,
            &["--repair"],
            &[(&format!("{kind} mended"), 1)],
            true,
        );
        // Nothing points to it any more, but for the path that needs it.
        assert!(site.server.get(&format!("{}.narinfo", hash(&words))).is_none());
        assert!(site.server.get(&key).is_none());
        finds(&site.server, &[], &[("missing-reference open", 1)], false);
        finds(
            &site.server,
            &["--repair"],
            &[("missing-reference failed", 1)],
            false,
        );
        let _ = site.push(&app).ok();
        site.whole(&app);
        finds(&site.server, &[], &[], true);
    }
    // The same for the root, which a closure and a pin name.
    bucket.delete(&nar(&site.server, &app));
    finds(
        &site.server,
        &["--repair"],
        &[
            ("missing-nar mended", 1),
            ("lost-root failed", 1),
            ("dangling-pin failed", 1),
        ],
        false,
    );
    finds(
        &site.server,
        &[],
        &[("lost-root open", 1), ("dangling-pin open", 1)],
        false,
    );
    let _ = site.push(&app).ok();
    site.whole(&app);
    finds(&site.server, &[], &[], true);
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

async fn without_contents_only_sizes_are_compared(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    let key = nar(&site.server, &app);
    let mut bytes = site.server.get(&key).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    bucket.put(&key, &bytes);
    finds(&site.server, &["--no-contents"], &[], true);
    finds(&site.server, &[], &[("wrong-hash open", 1)], false);
    bytes.pop();
    bucket.put(&key, &bytes);
    // Of another size, it is read after all.
    finds(&site.server, &["--no-contents"], &[("wrong-hash open", 1)], false);
}

async fn logs_and_pins_are_made_to_agree(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    let drv = site.store.nix("nix-store", &["--query", "--deriver", &app]);
    let log = format!("log/{}", drv.trim().rsplit('/').next().unwrap());
    assert!(site.server.get(&log).is_some());
    bucket.delete(&log);
    bucket.delete("pins/app");
    bucket.put("pins/other", b"/nix/store/nothing\n");
    // A pin that the database does not have is the only record of what was to be kept.
    let expected = |end: &str| -> Vec<(String, usize)> {
        let lost = if end == "open" { "open" } else { "failed" };
        [("wrong-log", end), ("wrong-pin", end), ("unknown-pin", lost)]
            .iter()
            .map(|(kind, end)| (format!("{kind} {end}"), 1))
            .collect()
    };
    for (arguments, end, content) in [(&[][..], "open", false), (&["--repair"][..], "mended", false)] {
        let expected = expected(end);
        let expected: Vec<(&str, usize)> = expected
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
            .collect();
        finds(&site.server, arguments, &expected, content);
    }
    assert_eq!(text(&site.server, "pins/app"), format!("{app}\n"));
    assert_eq!(text(&site.server, "pins/other"), "/nix/store/nothing\n");
    bucket.delete("pins/other");
    bucket.put("pins/app", b"/nix/store/nothing\n");
    finds(&site.server, &["--repair"], &[("wrong-pin mended", 1)], true);
    assert_eq!(text(&site.server, "pins/app"), format!("{app}\n"));
    finds(&site.server, &[], &[], true);
    // The log comes back with the next push that has it.
    let _ = site.push(&app).ok();
    site.whole(&app);
}

async fn what_the_database_does_not_know_goes_or_is_taken_in(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    let name = "0".repeat(52);
    let nar = format!("nar/{name}.nar.zst");
    let listing = format!("{}.ls", "1".repeat(32));
    let log = format!("log/{}-x.drv", "2".repeat(32));
    let staged = "staging/gone/0";
    let realisation = format!("realisations/sha256:{}!out.doi", "0".repeat(64));
    for key in [&nar, &listing, &log, staged, &realisation] {
        bucket.put(key, b"{}");
    }
    let unknown = |end: &str| -> Vec<(String, usize)> {
        ["nar", "listing", "log", "realisation"]
            .iter()
            .map(|kind| match *kind {
                // Nobody knows what they are good for, so they stay.
                "listing" | "realisation" if end == "mended" => (format!("unknown-{kind} failed"), 1),
                kind => (format!("unknown-{kind} {end}"), 1),
            })
            .chain([("abandoned-upload open".to_owned(), 1)])
            .collect()
    };
    for (arguments, end, content) in [(&[][..], "open", false), (&["--repair"][..], "mended", false)] {
        let unknown = unknown(end);
        let unknown: Vec<(&str, usize)> = unknown
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
            .collect();
        finds(&site.server, arguments, &unknown, content);
    }
    assert!(site.server.get(&listing).is_some() && site.server.get(&realisation).is_some());
    bucket.delete(&listing);
    bucket.delete(&realisation);
    let _ = run(site.server.niks3().args(["gc", "--older-than=1h", "--force"])).ok();
    assert!(site.server.get(&nar).is_none() && site.server.get(&log).is_none());
    finds(&site.server, &[], &[], true);
    site.whole(&app);

    // A narinfo that this server has not signed is no reason to sign it.
    let (key, text) = (
        format!("{}.narinfo", hash(&app)),
        text(&site.server, &format!("{}.narinfo", hash(&app))),
    );
    let stray = "3".repeat(32);
    bucket.put(
        &format!("{stray}.narinfo"),
        text.replace(hash(&app), &stray).as_bytes(),
    );
    finds(
        &site.server,
        &["--repair"],
        &[("unknown-narinfo failed", 1)],
        false,
    );
    bucket.delete(&format!("{stray}.narinfo"));
    finds(&site.server, &[], &[], true);
    assert_eq!(self::text(&site.server, &key), text);
}

async fn a_cache_that_has_lost_its_database_is_taken_in_whole(backend: Backend) {
    let bucket = (backend == Backend::Services).then(garage_bucket);
    let folder = tempfile::tempdir().unwrap();
    let options = |store_dir, arguments| ServerOptions {
        data_dir: Some(folder.path().to_owned()),
        bucket: bucket.clone(),
        store_dir: Some(store_dir),
        arguments,
        ..ServerOptions::default()
    };
    let store = niks3_test_support::Store::default();
    let app = store.build(APP).remove(0);
    let mut server = Server::with(backend, options(store.dir(), Vec::new()));
    let mut push = server.niks3();
    store.prepare(push.args(["push", &app]));
    let _ = run(&mut push).ok();
    server.kill();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("niks3.db{end}")));
    }
    let adopt = format!("--adopt-bucket={}", server.bucket().owner());
    let server = Server::with(backend, options(store.dir(), vec![adopt]));
    let (before, content) = found(&server, &[]);
    assert!(!content);
    assert_eq!(before["unknown-narinfo open"], 2, "{before:?}");
    let (mended, content) = found(&server, &["--repair"]);
    assert!(
        content && mended.keys().all(|kind| kind.ends_with(" mended")),
        "{mended:?}"
    );
    finds(&server, &[], &[], true);
    // It is one closure, which a garbage collection keeps as long as any, and then takes.
    let closures = run(server.niks3().args(["closures", "list", "--json"])).ok();
    let closures: Value = serde_json::from_str(&closures).unwrap();
    assert_eq!(closures.as_array().unwrap().len(), 1, "{closures}");
    let _ = run(server.niks3().args(["gc", "--older-than=1h", "--force"])).ok();
    store.substitutes(&server.url(), server.public_key(), &app);
    let mut push = server.niks3();
    store.prepare(push.args(["push", "--json", &app]));
    let pushed: Value = run(&mut push).json();
    assert_eq!(pushed["uploaded"], 0, "{pushed}");
    let _ = run(server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
    finds(&server, &[], &[], true);
    assert!(server.get(&format!("{}.narinfo", hash(&app))).is_none());
}

async fn what_others_keep_in_the_bucket_is_left_alone(backend: Backend) {
    let (site, app) = pushed(backend).await;
    let bucket = site.server.bucket();
    bucket.put("robots.txt", b"User-agent: *");
    bucket.put("nar/other.nar.xz", b"x");
    bucket.put("debuginfo/x", b"x");
    finds(&site.server, &[], &[("foreign-object open", 3)], true);
    finds(&site.server, &["--repair"], &[("foreign-object failed", 3)], true);
    bucket.delete("robots.txt");
    finds(&site.server, &[], &[("foreign-object open", 2)], true);
    site.whole(&app);
}

async fn what_a_push_leaves_out_on_purpose_is_not_missing(backend: Backend) {
    let site = Site::new(backend).await;
    let app = site.store.build(APP).remove(0);
    let mut command = site.command(&app);
    let _ = run(command.arg("--no-closure")).ok();
    finds(&site.server, &[], &[], true);
}

async fn bad_requests_get_clear_answers(backend: Backend) {
    let api = Api::new(backend, &[]);
    for id in ["nothing", "..%2f", &"x".repeat(65), "%00"] {
        for end in ["", "/findings"] {
            let path = format!("/api/v1/fsck/{id}{end}");
            let _ = api
                .send(Method::GET, &path, &api.token, "", "")
                .await
                .problem(404);
        }
    }
    let _ = api
        .send(Method::GET, "/api/v1/fsck?limit=0", &api.token, "", "")
        .await
        .problem(422);
    let _ = api
        .send(Method::GET, "/api/v1/fsck?after=nothing", &api.token, "", "")
        .await
        .problem(404);
    let _ = api
        .send(Method::GET, "/api/v1/fsck", "", "", "")
        .await
        .problem(401);
    assert_eq!(api.post("/fsck", &json!({ "repair": 1 })).await.status, 400);
    let run = api.post("/fsck", &json!({})).await.ok();
    assert_eq!((&run["repair"], &run["contents"]), (&json!(false), &json!(true)));
}

/// The bucket stops to answer in the middle of a check.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_goes_on_where_it_was_cut_off_and_another_has_to_wait() {
    let (mut site, app) = pushed(Backend::Services).await;
    site.server.bucket().delete(&format!("{}.narinfo", hash(&app)));
    let key = nar(
        &site.server,
        site.store
            .closure(&app)
            .iter()
            .find(|path| **path != app)
            .unwrap(),
    );
    site.s3.fail("GET", &key, Fault::Hold, 1);
    let first = spawn(site.server.niks3().args(["fsck", "--json"]));
    site.s3.happened().await;
    // The same is joined, another one is refused.
    let joined = spawn(site.server.niks3().args(["fsck", "--json"]));
    let other = fsck(&site.server, &["--repair"]);
    assert!(
        other.code == 1 && other.stderr.contains("another check is under way"),
        "{other:?}"
    );
    site.server.kill();
    site.s3.heal();
    site.s3.release();
    site.server.resume();
    for child in [first, joined] {
        let output = finish(child);
        assert_eq!(output.code, 1, "{output:?}");
        let done: Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(done["fsck"]["counts"]["paths"], 2, "{done}");
        assert_eq!(done["findings"][0]["kind"], "missing-narinfo", "{done}");
        assert_eq!(done["findings"].as_array().unwrap().len(), 1, "{done}");
    }
    assert!(site.server.log().contains("resumed=true"));
}
