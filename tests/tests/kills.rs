//! Clients and servers killed at every step, before what was asked for has begun and
//! when it has been done and nobody knows: the same push, carried on or run again,
//! completes it, and no reader sees half of it meanwhile.

use niks3_test_support::{
    Backend, Fault, FaultProxy, Site, check_whole_bucket, comes_about, finish, on_both,
};
use niks3_tests::requests::OF_SERVER;

on_both!(
    a_client_killed_at_any_step_and_run_again_completes_the_push,
    a_server_killed_at_any_step_and_started_again_completes_the_push,
);

/// Content-addressed, so that it has a realisation; with a log, and in parts.
const LARGE: &str = "ca \"large\" ''mkdir $out; head -c 20000000 /dev/urandom > $out/noise; \
    echo ${build \"small\" \"echo logged; echo x > $out\"} > $out/ref''";

/// Whom a request goes to.
#[derive(Debug, Clone, Copy)]
enum To {
    Server,
    ObjectStore,
}

/// What takes small objects; unless that is what goes wrong, they go to upload URLs as with an older server.
const SMALL_OBJECTS: &str = "/objects";

/// Every request of a client in a push: to whom, the method, and words that its path has and no other's.
const STEPS: [(To, &str, &str); 12] = [
    (To::Server, "POST", "/api/v1/pushes"),
    (To::Server, "POST", "/paths"),
    (To::Server, "POST", "/uploads"),
    (To::Server, "PUT", SMALL_OBJECTS),
    (To::Server, "POST", "/multipart-uploads"),
    (To::Server, "POST", "/parts"),
    (To::Server, "POST", "/complete"),
    (To::Server, "PUT", "/realisations"),
    (To::Server, "POST", "/commit"),
    (To::ObjectStore, "PUT", "/nar/ !x-id=CopyObject"),
    (To::ObjectStore, "PUT", "partNumber=2"),
    (To::ObjectStore, "PUT", "/staging/ !partNumber"),
];

fn proxy(site: &Site, to: To) -> FaultProxy {
    match to {
        To::Server => site.api.clone(),
        To::ObjectStore => site.s3.clone(),
    }
}

/// Nothing in the whole bucket is wrong, whatever has been cut off.
fn sound(site: &Site) {
    let report = check_whole_bucket(&site.server, &site.store.dir());
    assert!(report.flaws.is_empty(), "{report}");
}

async fn a_client_killed_at_any_step_and_run_again_completes_the_push(backend: Backend) {
    for (to, method, words) in STEPS {
        for fault in [Fault::HoldAndLose, Fault::HoldAnswerAndLose] {
            let site = Site::new(backend).await;
            let path = site.store.build(LARGE).remove(0);
            if words != SMALL_OBJECTS {
                site.api.without_small_objects();
            }
            let proxy = proxy(&site, to);
            proxy.fail(method, words, fault, 1);
            let mut child = site.spawn(&path);
            proxy.happened().await;
            child.kill().unwrap();
            child.wait().unwrap();
            site.consistent(&path);
            sound(&site);
            let _ = site.push(&path).ok();
            site.whole(&path);
            sound(&site);
        }
    }
}

async fn a_server_killed_at_any_step_and_started_again_completes_the_push(backend: Backend) {
    for (to, method, words) in STEPS {
        for fault in [Fault::HoldAndLose, Fault::HoldAnswerAndLose] {
            let mut site = Site::new(backend).await;
            let path = site.store.build(LARGE).remove(0);
            if words != SMALL_OBJECTS {
                site.api.without_small_objects();
            }
            let proxy = proxy(&site, to);
            proxy.fail(method, words, fault, 1);
            let child = site.spawn(&path);
            proxy.happened().await;
            site.server.kill();
            site.server.resume();
            site.consistent(&path);
            sound(&site);
            proxy.release();
            let _ = finish(child).ok();
            site.whole(&path);
            sound(&site);
        }
    }
}

async fn killed_at_its_own_requests(fault: Fault) {
    let mut site = Site::new(Backend::Services).await;
    site.api.without_small_objects();
    let requests = OF_SERVER.into_iter().chain([("PUT", "/realisations/")]);
    for (number, (method, words)) in requests.enumerate() {
        let expression = LARGE.replace("echo x", &format!("echo {number}"));
        let path = site.store.build(&expression).remove(0);
        site.s3.fail(method, words, fault.clone(), 1);
        let child = site.spawn(&path);
        site.s3.happened().await;
        site.server.kill();
        site.server.resume();
        site.consistent(&path);
        sound(&site);
        site.s3.release();
        let _ = finish(child).ok();
        site.whole(&path);
        sound(&site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_before_any_request_of_its_own_and_started_again_completes_the_push() {
    killed_at_its_own_requests(Fault::HoldAndLose).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_after_any_request_of_its_own_and_started_again_completes_the_push() {
    killed_at_its_own_requests(Fault::HoldAnswerAndLose).await;
}

/// The client has been told that its uploads are still read; whom it asks next does not know of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_waits_for_verification_completes_its_push_after_the_server_was_killed() {
    let mut site = Site::new(Backend::Services).await;
    site.api.without_small_objects();
    // Small: what comes in parts is read before the commit.
    let path = site
        .store
        .build("build \"small\" \"echo small > $out\"")
        .remove(0);
    site.s3.fail("GET", "/nar/", Fault::Hold, 100);
    let child = site.spawn(&path);
    comes_about("the client is told that the push is verified", || {
        let answers = site.api.answers();
        answers
            .iter()
            .any(|(request, status)| request.contains("/commit") && *status == 202)
    })
    .await;
    site.server.kill();
    site.server.resume();
    site.consistent(&path);
    site.s3.heal();
    site.s3.release();
    let _ = finish(child).ok();
    site.whole(&path);
    sound(&site);
}
