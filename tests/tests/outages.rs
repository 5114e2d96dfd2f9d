//! The database and the object store go away, hang, and refuse, at each step of a push:
//! the server says so in time, and the push completes when they are back.

use std::process::Command;
use std::time::Duration;

use niks3_test_support::{
    Backend, Fault, Postgres, ServerOptions, Site, Store, check_bucket, eventually, finish, run,
};
use niks3_tests::requests::OF_SERVER;

/// A path in parts that refers to a small one, both with their number in them.
fn build(store: &Store, number: usize) -> String {
    let expression = format!(
        "build \"large{number}\" ''mkdir $out; head -c 20000000 /dev/urandom > $out/noise; \
         echo ${{build \"small\" \"echo logged; echo {number} > $out\"}} > $out/ref''"
    );
    store.build(&expression).remove(0)
}

/// Every request of a client in a push; what the last ones are for goes to the object store.
const STEPS: [(&str, &str); 9] = [
    ("POST", "/api/v1/pushes"),
    ("POST", "/paths"),
    ("POST", "/uploads"),
    ("POST", "/multipart-uploads"),
    ("POST", "/parts"),
    ("POST", "/complete"),
    ("POST", "/commit"),
    ("PUT", "/nar/ !partNumber"),
    ("PUT", "partNumber=2"),
];

/// A site on a database of its own.
async fn site(postgres: &Postgres) -> Site {
    let options = ServerOptions {
        db: Some(postgres.url()),
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Services, options).await;
    // Small NARs go to upload URLs, as with an older client.
    site.api.without_small_objects();
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_goes_away_and_comes_back_only_delays_the_push() {
    let mut postgres = Postgres::start();
    let site = site(&postgres).await;
    for (number, (method, words)) in STEPS.into_iter().enumerate() {
        let path = build(&site.store, number);
        let proxy = if method == "PUT" { &site.s3 } else { &site.api };
        proxy.fail(method, words, Fault::Hold, 1);
        let child = site.spawn(&path);
        proxy.happened().await;
        postgres.stop();
        let refused = || {
            let answers = site.api.answers();
            answers.iter().filter(|(_, status)| *status == 503).count()
        };
        let before = refused();
        // The request comes when the database is gone.
        proxy.release();
        assert_eq!(site.server.status("/ready"), "503", "{method} {words}");
        assert_eq!(site.server.status("/health"), "200", "{method} {words}");
        eventually("the push comes upon it", || refused() > before);
        postgres.resume();
        let _ = finish(child).ok();
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_hangs_is_noticed_and_the_push_completes_when_it_goes_on() {
    let postgres = Postgres::start();
    let site = site(&postgres).await;
    for (number, (method, words)) in STEPS.into_iter().enumerate() {
        let path = build(&site.store, number);
        let proxy = if method == "PUT" { &site.s3 } else { &site.api };
        proxy.fail(method, words, Fault::Hold, 1);
        let child = site.spawn(&path);
        proxy.happened().await;
        postgres.signal("STOP");
        proxy.release();
        assert_eq!(site.server.status("/ready"), "503", "{method} {words}");
        assert_eq!(site.server.status("/health"), "200", "{method} {words}");
        postgres.signal("CONT");
        let _ = finish(child).ok();
        let found = check_bucket(&site.server, &site.store.dir(), &site.store.closure(&path), &[]);
        assert_eq!(found.len(), 2, "{method} {words}");
    }
}

/// Every kind of request to an object store in a push: of clients, then of the server.
fn requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_clients = [
        ("PUT", "/nar/ !partNumber"),
        ("PUT", "partNumber=2"),
        ("PUT", "/staging/"),
    ];
    of_clients.into_iter().chain(OF_SERVER).chain([("PUT", "/log/")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_store_that_refuses_or_is_slow_at_any_request_only_delays_the_push() {
    for fault in [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Delay(Duration::from_secs(1)),
    ] {
        let site = Site::new(Backend::Services).await;
        site.api.without_small_objects();
        let path = build(&site.store, 0);
        for (method, words) in requests() {
            site.s3.fail(method, words, fault.clone(), 1);
        }
        let _ = site.push(&path).ok();
        assert_eq!(site.s3.pending(), 0, "{fault:?}: every fault happened");
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_store_that_never_answers_any_one_request_only_delays_the_push() {
    let mut pushes = Vec::new();
    // All at once: most of the time they wait.
    for (method, words) in requests() {
        let site = Site::new(Backend::Services).await;
        site.api.without_small_objects();
        let path = build(&site.store, 0);
        site.s3.fail(method, words, Fault::Silence, 1);
        let child = site.spawn(&path);
        pushes.push((site, path, child, words));
    }
    for (site, path, child, words) in pushes {
        let _ = finish(child).ok();
        assert_eq!(site.s3.pending(), 0, "{words}: the fault happened");
        site.whole(&path);
    }
}

/// Whatever goes wrong behind the server is not the reader's fault: Nix takes 401 for "not there", and gives up at 500.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_is_told_that_the_store_does_not_work_whatever_it_answers() {
    let mut postgres = Postgres::start();
    let options = ServerOptions {
        db: Some(postgres.url()),
        arguments: vec!["--protect-reads".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Services, options).await;
    site.api.without_small_objects();
    let path = build(&site.store, 0);
    let _ = site.push(&path).ok();
    let wish = ["tokens", "create", "reader", "--scope", "read"];
    let token = run(site.server.niks3().args(wish)).ok().trim().to_owned();
    let hash = &path.rsplit('/').next().unwrap()[..32];
    let url = format!("{}/{hash}.narinfo", site.server.url());
    let status = |method: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "90",
            "-w",
            "%{http_code}",
            "-X",
            method,
            &url,
        ]);
        if method == "HEAD" {
            curl.arg("--head");
        }
        run(curl.args(["-H", &format!("Authorization: Bearer {token}")])).stdout
    };
    assert_eq!(status("GET"), "200");
    for answer in [400, 401, 403, 405, 407, 409, 412, 500, 501, 502, 503, 504] {
        site.s3.fail("GET", ".narinfo", Fault::Status(answer), usize::MAX);
        site.s3
            .fail("HEAD", ".narinfo", Fault::Status(answer), usize::MAX);
        assert_eq!((answer, status("GET")), (answer, "503".to_owned()));
        assert_eq!((answer, status("HEAD")), (answer, "503".to_owned()));
        site.s3.heal();
    }
    postgres.stop();
    assert_eq!(status("GET"), "503");
    postgres.resume();
    eventually("the reader is let in again", || status("GET") == "200");
}
