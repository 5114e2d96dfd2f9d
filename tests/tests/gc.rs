//! Garbage collection, on both backends: what is needed stays, what is not goes.

use niks3_test_support::{Backend, Output, Server, Site, Store, on_both, run};
use serde_json::Value;

on_both!(
    an_old_closure_goes_and_what_a_pin_shares_with_it_stays,
    what_was_freed_is_pushed_again,
    nothing_is_deleted_before_its_grace_period_is_over,
    a_dry_run_says_what_would_go_and_changes_nothing,
    logs_and_listings_stay_as_long_as_their_paths,
);

const SHARED: &str = "let words = build \"words\" \"echo hello > $out\"; in \
    { old = build \"old\" \"echo old ${words} > $out\"; kept = build \"kept\" \"echo kept ${words} > $out\"; inherit words; }";

/// Three paths: one that is let go, one that is kept, and what both refer to.
fn built(store: &Store) -> [String; 3] {
    let build = |name: &str| store.build(&format!("({SHARED}).{name}")).remove(0);
    [build("old"), build("kept"), build("words")]
}

fn gc(server: &Server, arguments: &[&str]) -> Output {
    run(server.niks3().arg("gc").args(arguments))
}

/// Lets go of everything that is not pinned.
fn collected(server: &Server, arguments: &[&str]) -> Value {
    gc(server, &[&["--older-than=0s", "--json"], arguments].concat()).json()
}

fn narinfo(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap();
    format!("{}.narinfo", &name[..32])
}

fn nar(server: &Server, path: &str) -> String {
    let text = String::from_utf8(server.get(&narinfo(path)).unwrap()).unwrap();
    let url = text.lines().find_map(|line| line.strip_prefix("URL: "));
    url.unwrap().to_owned()
}

async fn an_old_closure_goes_and_what_a_pin_shares_with_it_stays(backend: Backend) {
    let site = Site::new(backend).await;
    let [old, kept, words] = built(&site.store);
    let _ = site.push(&old).ok();
    let old_nar = nar(&site.server, &old);
    let mut pinned = site.command(&kept);
    let _ = run(pinned.args(["--pin", "release"])).ok();
    let done = collected(&site.server, &["--force"]);
    let counts = &done["gc"]["counts"];
    assert_eq!(counts["old_closures_deleted"], 1, "{done}");
    // A narinfo, a listing, a NAR and a log.
    assert_eq!(counts["objects_marked_for_deletion"], 4, "{done}");
    assert_eq!(counts["objects_deleted_after_grace_period"], 4, "{done}");
    assert_eq!(counts["objects_failed_to_delete"], 0, "{done}");
    assert_eq!(site.server.get(&narinfo(&old)), None);
    assert_eq!(site.server.get(&narinfo(&old).replace(".narinfo", ".ls")), None);
    assert_eq!(site.server.get(&old_nar), None);
    site.whole(&kept);
    site.whole(&words);
    assert_eq!(
        collected(&site.server, &["--force"])["gc"]["counts"]["objects_deleted_after_grace_period"],
        0
    );
    let said = gc(&site.server, &["--older-than=720h"]);
    assert!(
        said.stderr.contains(
            "INFO Garbage collection completed successfully failed-uploads-deleted=0 old-closures-deleted=0 \
             objects-marked-for-deletion=0 objects-deleted-after-grace-period=0 objects-failed-to-delete=0"
        ),
        "{said:?}"
    );
    site.whole(&kept);
}

async fn what_was_freed_is_pushed_again(backend: Backend) {
    let site = Site::new(backend).await;
    let [old, ..] = built(&site.store);
    for _ in 0..3 {
        let _ = site.push(&old).ok();
        site.whole(&old);
        let done = collected(&site.server, &["--force"]);
        assert_eq!(
            done["gc"]["counts"]["objects_deleted_after_grace_period"], 8,
            "{done}"
        );
        assert_eq!(site.consistent(&old), 0);
    }
}

async fn nothing_is_deleted_before_its_grace_period_is_over(backend: Backend) {
    let site = Site::new(backend).await;
    let [old, ..] = built(&site.store);
    let _ = site.push(&old).ok();
    let done = collected(&site.server, &["--failed-uploads-older-than=1h"]);
    assert_eq!(done["gc"]["counts"]["objects_marked_for_deletion"], 8, "{done}");
    assert_eq!(
        done["gc"]["counts"]["objects_deleted_after_grace_period"], 0,
        "{done}"
    );
    site.whole(&old);
    let done = collected(&site.server, &["--failed-uploads-older-than=1h"]);
    assert_eq!(done["gc"]["counts"]["objects_marked_for_deletion"], 0, "{done}");
    // Pushed again it is needed again: the mark is taken back, and set anew the next time.
    let _ = site.push(&old).ok();
    let kept = gc(
        &site.server,
        &["--older-than=1h", "--failed-uploads-older-than=0s"],
    );
    assert!(kept.stderr.contains("objects-marked-for-deletion=0"), "{kept:?}");
    site.whole(&old);
    let done = collected(&site.server, &["--failed-uploads-older-than=1h"]);
    assert_eq!(done["gc"]["counts"]["objects_marked_for_deletion"], 8, "{done}");
    let done = collected(&site.server, &["--failed-uploads-older-than=0s"]);
    assert_eq!(
        done["gc"]["counts"]["objects_deleted_after_grace_period"], 8,
        "{done}"
    );
    assert_eq!(site.consistent(&old), 0);
}

async fn a_dry_run_says_what_would_go_and_changes_nothing(backend: Backend) {
    let site = Site::new(backend).await;
    let [old, kept, _] = built(&site.store);
    let _ = site.push(&old).ok();
    let _ = site.push(&kept).ok();
    let told = gc(&site.server, &["--older-than=0s", "--force", "--dry-run"]);
    let told = (told.stderr.clone(), told.ok());
    assert!(
        told.0.contains("old-closures-deleted=2")
            && told
                .0
                .contains("objects-marked-for-deletion=12 objects-deleted-after-grace-period=12"),
        "{told:?}"
    );
    // The first has the shared path as well.
    let lines: Vec<&str> = told.1.lines().collect();
    assert_eq!(lines.len(), 2, "{told:?}");
    assert!(
        lines[0].starts_with(old.rsplit('/').next().unwrap()) && lines[0].contains(": 2 paths"),
        "{told:?}"
    );
    assert!(
        lines[1].starts_with(kept.rsplit('/').next().unwrap()) && lines[1].contains(": 1 path,"),
        "{told:?}"
    );
    site.whole(&old);
    site.whole(&kept);
    let done = collected(&site.server, &["--force"]);
    assert_eq!(
        done["gc"]["counts"]["objects_deleted_after_grace_period"], 12,
        "{done}"
    );
    assert_eq!(done["closures"].as_array().map(Vec::len), Some(2));
}

async fn logs_and_listings_stay_as_long_as_their_paths(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site
        .store
        .build("build \"logged\" \"echo said this; echo hello > $out\"")
        .remove(0);
    let _ = run(site.command(&path).args(["--pin", "it"])).ok();
    let deriver = site.store.nix("nix-store", &["--query", "--deriver", &path]);
    let log = format!("log/{}", deriver.trim().rsplit('/').next().unwrap());
    assert!(site.server.get(&log).is_some(), "{log}");
    collected(&site.server, &["--force"]);
    site.whole(&path);
    assert!(site.server.get(&log).is_some());
    let other = site
        .store
        .build("build \"other\" \"echo other > $out\"")
        .remove(0);
    let _ = run(site.command(&other).args(["--pin", "it"])).ok();
    let done = collected(&site.server, &["--force"]);
    assert_eq!(
        done["gc"]["counts"]["objects_deleted_after_grace_period"], 4,
        "{done}"
    );
    assert_eq!(site.server.get(&log), None);
}
