//! Told to stop, at any time: the contract gives ten seconds.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use niks3_test_support::{Backend, eventually, program, run};
use niks3_tests::api::Api;

const CONTRACT: Duration = Duration::from_secs(10);

/// Begins to start a server in a folder.
fn start(arguments: &[&str], folder: &std::path::Path) -> Child {
    Command::new(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--data-dir"])
        .arg(folder)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn stops(mut child: Child) {
    let asked = Instant::now();
    let _ = run(Command::new("kill").args(["-TERM", &child.id().to_string()])).ok();
    let code = child.wait().unwrap().code();
    assert!(asked.elapsed() < CONTRACT, "{:?}", asked.elapsed());
    assert_eq!(code, Some(0));
}

#[test]
fn a_server_that_waits_for_its_database_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("postgres://postgres@localhost/x?host={}", folder.path().display());
    let mut child = start(&["--db", &db], folder.path());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = log.next().expect("a line").unwrap();
    assert!(said.contains("database does not answer yet"), "{said}");
    stops(child);
}

#[test]
fn a_server_that_waits_for_its_object_store_stops_when_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = [
        "--s3-bucket",
        "bucket",
        "--s3-access-key",
        "key",
        "--s3-secret-key",
        "secret",
    ];
    let child = start(
        &[&store[..], &["--s3-endpoint", &endpoint]].concat(),
        folder.path(),
    );
    let _asked = silent.accept().unwrap();
    stops(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_whose_files_do_not_answer_stops_when_told() {
    let mut api = Api::new(Backend::Embedded, &[]);
    let key = format!("nar/{}.nar.zst", "0".repeat(52));
    let file = api.server.directory().join("bucket").join(&key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    // Opening it waits for a writer, without end, as files of a broken disk may.
    let _ = run(Command::new("mkfifo").arg(&file)).ok();
    let read = api.client.get(format!("{}/{key}", api.server.url())).send();
    let reading = tokio::spawn(read);
    let metrics = || String::from_utf8(api.server.get("metrics").unwrap()).unwrap();
    // The read, and the one that asks.
    eventually("the read is under way", || {
        metrics()
            .lines()
            .any(|line| line == "niks3_http_requests_in_flight 2")
    });
    let (time, code) = api.server.terminate();
    assert!(time < CONTRACT, "{time:?}");
    assert_eq!(code, Some(0));
    assert!(reading.await.unwrap().is_err(), "nobody could answer it");
}
