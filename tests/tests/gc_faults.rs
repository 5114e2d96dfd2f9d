//! Garbage collection when the object store, the server or the network goes wrong, and when pushes go on: nothing
//! that is needed is lost, and what was left undone is done later.

use std::process::Child;
use std::time::Duration;

use niks3_test_support::{
    APP, Backend, Fault, Output, Server, ServerOptions, Site, database, finish, garage_bucket, run, spawn,
};
use serde_json::Value;

const ALL: [&str; 4] = ["gc", "--older-than=0s", "--force", "--json"];

fn collect(server: &Server) -> Child {
    spawn(server.niks3().args(ALL))
}

fn counts(output: Output) -> Value {
    let done = output.json();
    done["gc"]["counts"].clone()
}

fn number(counts: &Value, name: &str) -> u64 {
    counts[name].as_u64().unwrap()
}

fn narinfo(path: &str) -> String {
    format!("{}.narinfo", &path.rsplit('/').next().unwrap()[..32])
}

/// A closure of two paths, committed; with Garage, so that each request to delete can go wrong.
async fn pushed() -> (Site, String) {
    let site = Site::new(Backend::Services).await;
    let app = site.store.build(APP).remove(0);
    let _ = site.push(&app).ok();
    (site, app)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn narinfos_go_before_what_they_refer_to_and_before_nars() {
    let (site, app) = pushed().await;
    let before = site.s3.requests().len();
    assert_eq!(
        number(
            &counts(finish(collect(&site.server))),
            "objects_deleted_after_grace_period"
        ),
        8
    );
    let words = site
        .store
        .closure(&app)
        .into_iter()
        .find(|path| *path != app)
        .unwrap();
    let requests = site.s3.requests().split_off(before);
    let place = |part: &str| {
        requests
            .iter()
            .position(|request| request.starts_with("DELETE") && request.contains(part))
    };
    let (first, second) = (place(&narinfo(&app)), place(&narinfo(&words)));
    assert!(first.is_some() && first < second, "{requests:?}");
    // The NARs go in one request.
    let nars = requests.iter().position(|request| request.starts_with("POST"));
    assert!(second < nars, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_needs_what_is_being_deleted_waits_and_is_whole() {
    let (site, app) = pushed().await;
    for held in [narinfo(&app), narinfo(&app).replace(".narinfo", ".ls")] {
        site.s3.fail("DELETE", &held, Fault::Hold, 1);
        let collection = collect(&site.server);
        site.s3.happened().await;
        let push = site.spawn(&app);
        // Its commit has begun, and cannot end before the deletion has.
        site.api.seen("/commit").await;
        site.s3.release();
        let _ = finish(push).ok();
        let _ = finish(collection).ok();
        site.whole(&app);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delete_that_lands_late_deletes_nothing_that_was_written_again() {
    let (mut site, app) = pushed().await;
    site.s3.fail("DELETE", &narinfo(&app), Fault::Silence, 1);
    let mut collection = collect(&site.server);
    site.s3.happened().await;
    site.server.kill();
    collection.kill().unwrap();
    let _ = collection.wait();
    let late = site.s3.requests().into_iter().rev();
    let late = late
        .filter(|request| request.contains(&narinfo(&app)))
        .find(|request| request.starts_with("DELETE"));
    let late = late.unwrap()["DELETE ".len()..].to_owned();
    site.server.resume();
    let pushed = site.push(&app);
    // It takes a minute, of which the client is told what it waits for.
    assert!(pushed.stderr.contains("the commit waits up to "), "{pushed:?}");
    let _ = pushed.ok();
    site.whole(&app);
    // The request of the dead server arrives now.
    let answer = reqwest::Client::new()
        .delete(format!("{}{late}", site.s3.url()))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    site.whole(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_bucket_refuses_to_delete_stays_whole_and_goes_later() {
    let (site, app) = pushed().await;
    site.s3.fail("DELETE", "", Fault::Status(403), usize::MAX / 4);
    site.s3.fail("POST", "delete", Fault::Status(403), usize::MAX / 4);
    let output = finish(collect(&site.server));
    assert!(output.stderr.contains("could not be deleted"), "{output:?}");
    let refused = counts(output);
    assert_eq!(
        number(&refused, "objects_deleted_after_grace_period"),
        0,
        "{refused}"
    );
    assert_eq!(
        number(&refused, "objects_failed_to_delete"),
        number(&refused, "objects_marked_for_deletion"),
        "{refused}"
    );
    site.s3.heal();
    site.whole(&app);
    let done = counts(finish(collect(&site.server)));
    assert_eq!(number(&done, "objects_deleted_after_grace_period"), 8, "{done}");
    assert_eq!(number(&done, "objects_failed_to_delete"), 0, "{done}");
    assert_eq!(site.consistent(&app), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deletes_without_an_answer_are_asked_again_and_pushes_outlast_them() {
    let (site, app) = pushed().await;
    site.s3.fail("DELETE", "", Fault::Status(503), usize::MAX / 4);
    site.s3.fail("POST", "delete", Fault::Status(500), usize::MAX / 4);
    let open = counts(finish(collect(&site.server)));
    assert_eq!(number(&open, "objects_deleted_after_grace_period"), 0, "{open}");
    assert!(number(&open, "objects_failed_to_delete") > 0, "{open}");
    site.s3.heal();
    let _ = site.push(&app).ok();
    site.whole(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let (site, app) = pushed().await;
    for part in [".narinfo", ".ls"] {
        site.s3.fail("DELETE", part, Fault::LoseAnswer, 1);
    }
    site.s3.fail("POST", "delete", Fault::LoseAnswer, 1);
    let done = counts(finish(collect(&site.server)));
    assert_eq!(number(&done, "objects_deleted_after_grace_period"), 8, "{done}");
    assert_eq!(site.s3.pending(), 0);
    assert_eq!(site.consistent(&app), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_collections_are_one_and_another_is_refused() {
    let (site, app) = pushed().await;
    site.s3.fail("DELETE", &narinfo(&app), Fault::Hold, 1);
    let first = collect(&site.server);
    site.s3.happened().await;
    let joined = collect(&site.server);
    let refused = run(site.server.niks3().args(["gc", "--older-than=1h"]));
    assert!(
        refused.stderr.contains("another garbage collection is under way"),
        "{refused:?}"
    );
    let _ = refused.fails(1);
    site.s3.release();
    let id = |output: Output| {
        let done: Value = output.json();
        done["gc"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id(finish(first)), id(finish(joined)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_in_a_collection_loses_nothing_and_its_client_goes_on() {
    let (mut site, app) = pushed().await;
    let kept = site.store.build("build \"kept\" \"echo kept > $out\"").remove(0);
    let _ = run(site.command(&kept).args(["--pin", "kept"])).ok();
    site.s3.fail("DELETE", &narinfo(&app), Fault::Silence, 1);
    let collection = collect(&site.server);
    site.s3.happened().await;
    site.server.kill();
    site.server.resume();
    let _ = finish(collection).ok();
    site.whole(&kept);
    // Whatever the request of the dead server may still do, what is there holds together.
    site.consistent(&app);
    let _ = site.push(&app).ok();
    site.whole(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_told_to_stop_in_a_collection_does_so_and_the_next_one_goes_on() {
    let (mut site, app) = pushed().await;
    site.s3.fail("DELETE", &narinfo(&app), Fault::Silence, 1);
    let collection = collect(&site.server);
    site.s3.happened().await;
    let (took, code) = site.server.terminate();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code, Some(0));
    site.server.resume();
    let _ = finish(collection).ok();
    let _ = site.push(&app).ok();
    site.whole(&app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_server_collects_while_another_takes_pushes() {
    let bucket = garage_bucket();
    let (db, store) = (database(), niks3_test_support::Store::default());
    let secrets = tempfile::tempdir().unwrap();
    let start = |data: &std::path::Path| {
        Server::with(
            Backend::Services,
            ServerOptions {
                store_dir: Some(store.dir()),
                db: Some(db.clone()),
                bucket: Some(bucket.clone()),
                data_dir: Some(data.to_owned()),
                ..ServerOptions::default()
            },
        )
    };
    // Both have the token and the signing key that the first has made.
    let (one, two) = (secrets.path().join("one"), secrets.path().join("two"));
    for folder in [&one, &two] {
        std::fs::create_dir(folder).unwrap();
    }
    let pushes = start(&one);
    for name in ["api-token", "signing-key"] {
        std::fs::copy(one.join(name), two.join(name)).unwrap();
    }
    let collects = start(&two);
    let over = std::sync::atomic::AtomicBool::new(false);
    let mut kept = Vec::new();
    std::thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            let mut rounds = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = run(collects.niks3().args(ALL)).ok();
                rounds += 1;
            }
            rounds
        });
        for round in 0..12 {
            // Half of what a round needs is what the round before has let go.
            let expression = format!(
                "let old = build \"shared-{}\" \"echo {} > $out\"; new = build \"shared-{round}\" \"echo {round} > $out\"; in \
                 build \"root-{round}\" \"echo ${{old}} ${{new}} > $out\"",
                round / 2,
                round / 2
            );
            let root = store.build(&expression).remove(0);
            let mut push = pushes.niks3();
            store.prepare(push.args(["push", &root]));
            if round % 2 == 0 {
                push.args(["--pin", &format!("round-{round}")]);
                kept.push(root.clone());
            }
            let _ = run(&mut push).ok();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(collecting.join().unwrap() > 0);
    });
    for root in &kept {
        store.substitutes(&pushes.url(), pushes.public_key(), root);
    }
    let found = niks3_test_support::check_bucket(&pushes, &store.dir(), &kept, &[]);
    assert!(found.len() > kept.len());
}
