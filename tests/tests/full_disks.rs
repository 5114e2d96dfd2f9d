//! No space left, wherever there is some to be used up: the push says so, no reader sees
//! half a closure, and the same push completes when there is space again.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

use niks3_test_support::{
    APP, Backend, Fault, Postgres, Server, ServerOptions, Site, Store, give_to_postgres, run, with_own_mounts,
};
use niks3_tests::api::{Api, info};
use serde_json::json;
use tempfile::TempDir;

/// A small file system, in a process [`with_own_mounts`].
struct Disk(TempDir);

impl Disk {
    const PAGE: u64 = 4096;

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"])
            .arg(folder.path()));
        assert_eq!(mounted.code, 0, "{mounted:?}");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves room for so many small files.
    fn fill(&self, files: u64) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        let mut size = 0;
        loop {
            match filler.write(&[0; Self::PAGE as usize]) {
                Ok(written) => size += written as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        filler.set_len(size - files * Self::PAGE).unwrap();
    }

    fn tidy(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

/// Waits until a program says something; then it is killed.
#[track_caller]
fn says(mut child: Child, words: &str) {
    let mut all = Vec::new();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.map(Result::unwrap).any(|line| {
        let said = line.contains(words);
        all.push(line);
        said
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said, "{all:#?}");
}

/// Many small paths, each of which refers to one before it.
fn chain(store: &Store) -> String {
    let expression = "let f = n: p: builtins.toFile \"f${toString n}\" \"${toString n} ${p}\"; \
        chain = n: if n == 0 then f 0 \"\" else f n (chain (n - 1)); in chain 200";
    let top = store.nix(
        "nix-instantiate",
        &["--eval", "--read-write-mode", "--strict", "-E", expression],
    );
    top.trim().trim_matches('"').to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_that_gets_full_while_narinfos_are_written_has_no_dangling_one() {
    if !with_own_mounts("full_disks::a_bucket_that_gets_full_while_narinfos_are_written_has_no_dangling_one")
    {
        return;
    }
    let (disk, database) = (Disk::new(), tempfile::tempdir().unwrap());
    let options = ServerOptions {
        data_dir: Some(disk.path().to_owned()),
        db: Some(format!(
            "sqlite://{}?mode=rwc",
            database.path().join("niks3.db").display()
        )),
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Embedded, options).await;
    let path = chain(&site.store);
    let count = site.store.closure(&path).len();
    site.api.fail("POST", "/commit", Fault::Hold, 1);
    let child = site.spawn(&path);
    site.api.happened().await;
    disk.fill(130);
    site.api.release();
    says(child, "the object store has no space left");
    let found = site.consistent(&path);
    assert!(found < count, "{found} of {count}");
    let temporary = std::fs::read_dir(disk.path().join("tmp")).unwrap().count();
    assert_eq!(temporary, 0);
    disk.tidy();
    let _ = site.push(&path).ok();
    assert_eq!(site.consistent(&path), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_gets_full_at_any_step_shows_nothing() {
    if !with_own_mounts("full_disks::a_database_that_gets_full_at_any_step_shows_nothing") {
        return;
    }
    let disk = Disk::new();
    let db = disk.path().join("niks3.db");
    let options = ServerOptions {
        db: Some(format!("sqlite://{}?mode=rwc", db.display())),
        ..ServerOptions::default()
    };
    let site = Site::with(Backend::Embedded, options).await;
    site.api.without_small_objects();
    for step in ["/api/v1/pushes", "/paths", "/uploads", "/commit"] {
        let path = site.store.build(&APP.replace("hello", step)).remove(0);
        site.api.fail("POST", step, Fault::Hold, 1);
        let child = site.spawn(&path);
        site.api.happened().await;
        // What the log of the database has room for already, it would use.
        let _ = site.server.sql("PRAGMA wal_checkpoint(TRUNCATE)");
        disk.fill(0);
        site.api.release();
        says(child, "the database has no space left");
        assert_eq!(site.consistent(&path), 0, "{step}");
        disk.tidy();
        let _ = site.push(&path).ok();
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_gets_full_stops_the_push_and_shows_nothing_half() {
    let site = Site::new(Backend::Services).await;
    site.api.without_small_objects();
    for (words, said) in [
        ("/nar/", "the object store answers HTTP 507"),
        (".narinfo", "the object store has no space left"),
    ] {
        let path = site.store.build(&APP.replace("hello", words)).remove(0);
        site.s3.fail("PUT", words, Fault::Status(507), usize::MAX);
        says(site.spawn(&path), said);
        assert_eq!(site.consistent(&path), 0, "{words}");
        site.s3.heal();
        let _ = site.push(&path).ok();
        site.whole(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_on_a_full_disk_is_not_ready_until_there_is_space() {
    if !with_own_mounts("full_disks::a_server_on_a_full_disk_is_not_ready_until_there_is_space") {
        return;
    }
    let (disk, elsewhere) = (Disk::new(), tempfile::tempdir().unwrap());
    let database = |folder: &Path| Some(format!("sqlite://{}", folder.join("niks3.db").display()));
    for options in [
        ServerOptions {
            data_dir: Some(disk.path().join("objects")),
            db: database(elsewhere.path()),
            ..ServerOptions::default()
        },
        ServerOptions {
            db: database(disk.path()),
            ..ServerOptions::default()
        },
    ] {
        if let Some(folder) = &options.data_dir {
            std::fs::create_dir(folder).unwrap();
        }
        let server = Server::with(Backend::Embedded, options);
        assert_eq!(server.status("/ready"), "200");
        disk.fill(1);
        assert_eq!(server.status("/ready"), "503");
        assert!(server.log().contains("no space left"), "{}", server.log());
        disk.tidy();
        assert_eq!(server.status("/ready"), "200");
    }
}

/// What PostgreSQL's own disk has room for is known only once something did not fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_whose_postgresql_has_no_space_is_not_ready_until_there_is_some() {
    if !with_own_mounts("full_disks::a_server_whose_postgresql_has_no_space_is_not_ready_until_there_is_some")
    {
        return;
    }
    // Its processes have to see the disk, so it starts later.
    let disk = Disk::new();
    let tablespace = disk.path().join("tablespace");
    std::fs::create_dir(&tablespace).unwrap();
    std::fs::set_permissions(disk.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&tablespace, std::fs::Permissions::from_mode(0o777)).unwrap();
    let postgres = Postgres::start();
    give_to_postgres(&tablespace);
    let _ = postgres.ask(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        tablespace.display()
    ));
    let _ = postgres.ask("CREATE DATABASE cache TABLESPACE small");
    let options = ServerOptions {
        db: Some(postgres.url().replace("/postgres?", "/cache?")),
        ..ServerOptions::default()
    };
    let api = Api::with(Backend::Embedded, options);
    disk.fill(0);
    let push = async || {
        let root = "0".repeat(32) + "-" + &"long".repeat(40);
        let claims: Vec<_> = (0..500)
            .map(|number| info(&format!("{number:032}-{}", "long".repeat(40)), &[]))
            .collect();
        let push = json!({ "store_dir": "/nix/store", "roots": [root] });
        let push = api.post("/pushes", &push).await;
        match push.status.is_success() {
            true => {
                let id = push.ok()["id"].as_str().unwrap().to_owned();
                api.claim(&id, json!(claims)).await
            }
            false => push,
        }
    };
    let problem = push().await.problem(503);
    assert!(
        problem["detail"].as_str().unwrap().contains("no space left"),
        "{problem}"
    );
    assert_eq!(api.server.status("/ready"), "503");
    disk.tidy();
    assert_eq!(api.server.status("/ready"), "200");
    push().await.ok();
}
