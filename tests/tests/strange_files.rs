//! What is in the folder of the embedded store and is no regular file is no object, and is never opened:
//! opening a FIFO would wait for a writer.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use niks3_test_support::{Backend, on_both, program, run};
use niks3_tests::api::{A, Api, B, nar_of};
use reqwest::Method;

on_both!(no_browser_takes_an_object_for_a_page);

fn fifo(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = run(Command::new("mkfifo").arg(path)).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_regular_file_is_no_object_and_holds_nobody_up() {
    let mut api = Api::new(Backend::Embedded, &[]);
    api.push(A, &nar_of(b"a")).await.ok();
    let bucket = api.server.directory().join("bucket");
    let hash = |digit: &str| digit.repeat(32);
    fifo(&bucket.join(format!("{}.narinfo", hash("5"))));
    fifo(&bucket.join(format!("{}.ls", hash("5"))));
    fifo(&bucket.join(format!("log/{}-x.drv", hash("5"))));
    fifo(&bucket.join(format!("nar/{}.nar.zst", "1".repeat(52))));
    fifo(&bucket.join("pins/strange"));
    fifo(
        &api.server
            .directory()
            .join(format!("uploads/{}/key", "a".repeat(32))),
    );
    fifo(&api.server.directory().join("tmp/strange"));
    symlink("/etc/passwd", bucket.join(format!("{}.narinfo", hash("6")))).unwrap();
    symlink("/dev/zero", bucket.join(format!("{}.ls", hash("6")))).unwrap();
    let socket = UnixListener::bind(bucket.join(format!("{}.narinfo", hash("7")))).unwrap();
    for key in [
        format!("{}.narinfo", hash("5")),
        format!("{}.ls", hash("5")),
        format!("log/{}-x.drv", hash("5")),
        format!("nar/{}.nar.zst", "1".repeat(52)),
        "pins/strange".into(),
        format!("{}.narinfo", hash("6")),
        format!("{}.ls", hash("6")),
        format!("{}.narinfo", hash("7")),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = api
                .client
                .request(method.clone(), format!("{}/{key}", api.server.url()))
                .timeout(Duration::from_secs(10));
            let status = request.send().await.unwrap().status();
            assert_eq!(status, 404, "{method} {key}");
        }
    }
    drop(socket);
    // Checks, collections and pushes go by them.
    for command in [&["fsck", "--repair"][..], &["gc", "--older-than=720h", "--force"]] {
        let mut limited = Command::new("timeout");
        limited
            .arg("60")
            .arg(program("niks3"))
            .args(command)
            .env("NIKS3_SERVER_URL", api.server.url())
            .env("NIKS3_AUTH_TOKEN_FILE", api.server.token_path());
        let _ = run(&mut limited).ok();
    }
    // Where an object belongs, it takes their place.
    let narinfo = bucket.join(format!("{}.narinfo", &B[..32]));
    fifo(&narinfo);
    api.push(B, &nar_of(b"b")).await.ok();
    assert!(narinfo.symlink_metadata().unwrap().is_file());
    api.server.kill();
    // So does a server at its start.
    api.server.resume();
    assert!(api.server.get(&format!("{}.narinfo", &B[..32])).is_some());
    api.server.kill();
    // A lock that is none is an error, not a wait.
    let lock = api.server.directory().join("lock");
    std::fs::remove_file(&lock).unwrap();
    fifo(&lock);
    let mut server = Command::new("timeout");
    server
        .arg("20")
        .arg(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--data-dir"])
        .arg(api.server.directory());
    let said = run(&mut server).fails(1);
    assert!(said.contains("lock is no regular file"), "{said}");
}

async fn no_browser_takes_an_object_for_a_page(backend: Backend) {
    let api = Api::new(backend, &[]);
    api.push(A, &nar_of(b"a")).await.ok();
    let hash = &A[..32];
    let narinfo = String::from_utf8(api.server.get(&format!("{hash}.narinfo")).unwrap()).unwrap();
    let nar = narinfo
        .lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .unwrap();
    for path in [
        format!("/{hash}.narinfo"),
        format!("/{hash}.ls"),
        format!("/{nar}"),
        "/nix-cache-info".to_owned(),
        "/".to_owned(),
        format!("/log/{hash}-none.drv"),
        "/nothing".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let answer = api.send(method.clone(), &path, "", "", "").await;
            assert_eq!(
                answer
                    .headers
                    .get("x-content-type-options")
                    .map(|value| value.to_str().unwrap()),
                Some("nosniff"),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
}
