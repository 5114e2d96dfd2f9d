//! Told to stop, at any time: the contract gives ten seconds.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use niks3_test_support::{Backend, ServerOptions, eventually, program, run};
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
    assert!(said.contains("cannot reach the database at "), "{said}");
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

/// Opening a NAR takes a minute, as it may on a broken disk.
const SLOW_OPEN: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <string.h>
    #include <unistd.h>
    int open64(const char *path, int flags, int mode) {
        if (strstr(path, "/bucket/nar/0000") != NULL)
            sleep(60);
        return ((int (*)(const char *, int, int))dlsym(RTLD_NEXT, "open64"))(path, flags, mode);
    }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_whose_files_do_not_answer_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("slow.so");
    std::fs::write(folder.path().join("slow.c"), SLOW_OPEN).unwrap();
    let _ = run(Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(folder.path().join("slow.c")))
    .ok();
    let options = ServerOptions {
        environment: vec![("LD_PRELOAD".into(), library.display().to_string())],
        ..ServerOptions::default()
    };
    let mut api = Api::with(Backend::Embedded, options);
    let key = format!("nar/{}.nar.zst", "0".repeat(52));
    // A folder that lies elsewhere: only there, to open a file may take long.
    let nars = api.server.directory().join("bucket/nar");
    let _ = std::fs::remove_dir(&nars);
    std::os::unix::fs::symlink(folder.path(), &nars).unwrap();
    std::fs::write(folder.path().join(&key["nar/".len()..]), "contents").unwrap();
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
