//! File systems below the embedded store that cannot hold every key are refused at the start; one that takes upper and
//! lower case for the same works.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it leaves out"
)]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use niks3_test_support::{APP, Backend, Server, ServerOptions, Site, run, with_own_mounts};
use niks3_tests::api::{A, Api};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// NTFS by FUSE, in a process [`with_own_mounts`]; `None` where that cannot be, which is said.
struct Ntfs {
    folder: TempDir,
}

impl Ntfs {
    fn mount(driver: &str, option: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (image, mounted) = (folder.path().join("image"), folder.path().join("mounted"));
        fs::create_dir(&mounted).unwrap();
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let made = run(Command::new("mkntfs")
            .args(["--force", "--quick", "--quiet"])
            .arg(&image));
        assert_eq!(made.code, 0, "{made:?}");
        let output = run(Command::new(driver).args(["-o", option]).args([&image, &mounted]));
        if output.code != 0
            && (!Path::new("/dev/fuse").exists() || run(Command::new("id").arg("-u")).stdout.trim() != "0")
        {
            println!("skipped, since FUSE needs root here: {output:?}");
            return None;
        }
        assert_eq!(output.code, 0, "{output:?}");
        Some(Self { folder })
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("mounted")
    }
}

impl Drop for Ntfs {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn on(folder: &Path) -> ServerOptions {
    ServerOptions {
        data_dir: Some(folder.to_owned()),
        ..ServerOptions::default()
    }
}

#[test]
fn a_file_system_without_colons_in_names_is_refused() {
    if !with_own_mounts("file_systems::a_file_system_without_colons_in_names_is_refused") {
        return;
    }
    let Some(disk) = Ntfs::mount("ntfs-3g", "windows_names") else {
        return;
    };
    let why = Server::attempt(Backend::Embedded, on(&disk.path()))
        .unwrap_err()
        .fails(1);
    assert!(
        why.contains("--data-dir: the file system of") && why.contains("no name with ':'"),
        "{why}"
    );
    let left: Vec<_> = fs::read_dir(disk.path().join("bucket")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_system_without_upper_and_lower_case_works_and_is_warned_of() {
    if !with_own_mounts("file_systems::a_file_system_without_upper_and_lower_case_works_and_is_warned_of") {
        return;
    }
    let Some(disk) = Ntfs::mount("lowntfs-3g", "ignore_case") else {
        return;
    };
    let site = Site::with(Backend::Embedded, on(&disk.path())).await;
    let log = site.server.log();
    assert!(log.contains("takes upper and lower case for the same"), "{log}");
    let path = site.store.build(APP).remove(0);
    let _ = site.push(&path).ok();
    site.whole(&path);
    for (name, code) in [("case", 0), ("Case", 1), ("CASE", 1)] {
        let mut create = site.server.niks3();
        site.store.prepare(create.args(["pins", "create", name, &path]));
        assert_eq!(run(&mut create).code, code, "{name}");
    }
    let read = site.server.get("pins/case").unwrap();
    assert_eq!(String::from_utf8(read).unwrap(), format!("{path}\n"));
    let _ = run(site.server.niks3().arg("fsck")).ok();
}

#[test]
fn folders_on_two_file_systems_are_refused() {
    if !with_own_mounts("file_systems::folders_on_two_file_systems_are_refused") {
        return;
    }
    for name in ["bucket", "tmp", "uploads"] {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().join(name);
        fs::create_dir(&mounted).unwrap();
        let output = run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&mounted));
        assert_eq!(output.code, 0, "{output:?}");
        let why = Server::attempt(Backend::Embedded, on(folder.path()))
            .unwrap_err()
            .fails(1);
        assert!(
            why.contains("both have to be on one file system") && why.contains("bucket"),
            "{why}"
        );
        let _ = run(Command::new("umount").arg("-l").arg(&mounted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_system_of_a_cache_that_is_there_is_tried_again_without_a_trace() {
    let mut api = Api::with(Backend::Embedded, ServerOptions::default());
    api.push(A, b"a").await.ok();
    let pin = json!({ "path": A }).to_string();
    api.send(
        Method::PUT,
        "/api/v1/pins/case",
        &api.token,
        "application/json",
        pin,
    )
    .await
    .ok();
    let keys = || api.server.bucket().keys();
    let before = keys();
    // What a process leaves that is killed while it tries.
    fs::create_dir(api.server.directory().join("bucket/.niks3-probe")).unwrap();
    fs::write(api.server.directory().join("bucket/.niks3-probe/case"), "").unwrap();
    api.server.kill();
    api.server.resume();
    assert_eq!(api.server.bucket().keys(), before);
}
