//! One owner per bucket, taking over, and databases that went back in time.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use niks3_test_support::{
    APP, Backend, Output, Postgres, S3Bucket, S3Service, Server, ServerOptions, Store, check_bucket,
    database, garage_bucket, on_both, run,
};
use serde_json::Value;
use tempfile::TempDir;

on_both!(
    a_second_database_is_refused_in_every_order_and_writes_nothing,
    a_database_with_another_bucket_is_refused,
    a_bucket_is_taken_over_from_the_owner_that_is_named_and_only_once,
    a_bucket_with_paths_and_no_owner_is_taken_over_only_on_request,
    a_lost_bucket_is_replaced_only_on_request_and_filled_again_by_pushes,
    a_restored_backup_is_noticed_and_repaired_without_a_restart,
    a_lost_collection_is_noticed_and_pushes_bring_what_it_deleted,
    the_owner_object_is_no_part_of_the_cache,
);

/// A place for servers of one bucket, each with its own database.
struct Place {
    backend: Backend,
    store: Store,
    folder: TempDir,
    bucket: Option<S3Bucket>,
    /// Servers that were started.
    started: AtomicU32,
}

impl Place {
    fn new(backend: Backend) -> Self {
        Self {
            backend,
            store: Store::default(),
            folder: tempfile::tempdir().unwrap(),
            bucket: (backend == Backend::Services).then(garage_bucket),
            started: AtomicU32::new(0),
        }
    }

    /// A place on a bucket of another service than Garage.
    fn on(service: S3Service) -> Self {
        Self {
            bucket: Some(service.bucket()),
            ..Self::new(Backend::Services)
        }
    }

    /// URL of an empty database.
    fn database(&self) -> String {
        match self.backend {
            Backend::Services => database(),
            Backend::Embedded => {
                let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
                let (_, path) = file.keep().unwrap();
                format!("sqlite://{}", path.display())
            }
        }
    }

    /// Starts a server on the bucket. All have the token and the signing key that the first has made.
    fn start(&self, db: &str, arguments: &[&str]) -> Result<Server, Output> {
        let number = match self.backend {
            // The bucket is in there.
            Backend::Embedded => 0,
            Backend::Services => self.started.fetch_add(1, Ordering::Relaxed),
        };
        let data = self.folder.path().join(format!("data{number}"));
        std::fs::create_dir_all(&data).unwrap();
        if number > 0 {
            for name in ["api-token", "signing-key"] {
                std::fs::copy(self.folder.path().join("data0").join(name), data.join(name)).unwrap();
            }
        }
        Server::attempt(
            self.backend,
            ServerOptions {
                store_dir: Some(self.store.dir()),
                data_dir: Some(data),
                db: Some(db.to_owned()),
                bucket: self.bucket.clone(),
                arguments: arguments.iter().map(ToString::to_string).collect(),
                ..ServerOptions::default()
            },
        )
    }

    /// The last line of a server that does not start on the bucket.
    #[track_caller]
    fn refused(&self, db: &str, arguments: &[&str]) -> String {
        match self.start(db, arguments) {
            Ok(server) => panic!("it has started at {}", server.url()),
            Err(output) => {
                assert_eq!(output.code, 2, "{output:?}");
                output.stderr.lines().last().unwrap().to_owned()
            }
        }
    }

    #[track_caller]
    fn push(&self, server: &Server, path: &str) -> Value {
        let mut push = server.niks3();
        self.store.prepare(push.args(["push", "--json", path]));
        run(&mut push).json()
    }

    /// The closure of a path is in the cache, whole.
    fn whole(&self, server: &Server, path: &str) {
        let closure = self.store.closure(path);
        let found = check_bucket(server, &self.store.dir(), &closure, &[]);
        assert_eq!(found.len(), closure.len());
        self.store.substitutes(&server.url(), server.public_key(), path);
    }

    /// A copy of the database of a server that is stopped.
    fn copy(&self, db: &str) -> String {
        match self.backend {
            Backend::Embedded => {
                let copy = self.database();
                let file = |url: &str| url.strip_prefix("sqlite://").unwrap().to_owned();
                let backup = format!(".backup '{}'", file(&copy));
                let _ = run(Command::new("sqlite3").args(["-bail", &file(db), &backup])).ok();
                copy
            }
            Backend::Services => {
                let copy = database();
                let name = |url: &str| {
                    url.split(['/', '?'])
                        .rev()
                        .find(|part| part.starts_with("test_"))
                        .unwrap()
                        .to_owned()
                };
                let folder = std::env::var("NIKS3_TEST_PG_BIN").unwrap();
                let script = "\"$bin/pg_dump\" -Fc \"$old\" | \"$bin/pg_restore\" --no-owner -d \"$new\"";
                assert_ne!(name(db), name(&copy));
                let _ = run(Command::new("bash")
                    .args(["-euo", "pipefail", "-c", script])
                    .env("bin", folder)
                    .env("old", db)
                    .env("new", &copy))
                .ok();
                copy
            }
        }
    }
}

fn app(store: &Store, number: usize) -> String {
    let expression = format!("build \"path{number}\" \"mkdir $out; echo {number} > $out/number\"");
    store.build(&expression).remove(0)
}

fn gc(server: &Server) -> Output {
    run(server.niks3().args(["gc", "--older-than=30d"]))
}

fn gc_all(server: &Server) -> Output {
    run(server.niks3().args(["gc", "--older-than=0s", "--force"]))
}

fn repair(server: &Server) {
    let _ = run(server.niks3().args(["fsck", "--repair"])).ok();
}

fn ready(server: &Server) -> String {
    String::from_utf8(server.get("ready").unwrap()).unwrap()
}

/// Collections are refused until a repair, and the server says so wherever it is asked.
#[track_caller]
fn waits_for_repair(server: &Server) {
    let said = gc(server).fails(1);
    assert!(said.contains("niks3 fsck --repair"), "{said}");
    let said = ready(server);
    assert!(
        said.starts_with("ready") && said.contains("niks3 fsck --repair"),
        "{said}"
    );
    assert!(server.log().contains("niks3 fsck --repair"));
    let token = server.token();
    let page = run(Command::new("curl").args([
        "-fsS",
        "-u",
        &format!("x:{token}"),
        &format!("{}/dashboard", server.url()),
    ]))
    .ok();
    assert!(page.contains("niks3 fsck --repair"), "{page}");
}

#[track_caller]
fn works(server: &Server) {
    let _ = gc(server).ok();
    assert_eq!(ready(server), "ready\n");
}

async fn a_second_database_is_refused_in_every_order_and_writes_nothing(backend: Backend) {
    refuses_a_second_database(|| Place::new(backend));
}

/// A server with another database does not start on the bucket of one that is running or stopped, has paths or none.
fn refuses_a_second_database(new_place: impl Fn() -> Place) {
    for pushes in [false, true] {
        let place = new_place();
        let (first, second) = (place.database(), place.database());
        let mut owner = place.start(&first, &[]).unwrap();
        let app = place.store.build(APP).remove(0);
        if pushes {
            place.push(&owner, &app);
        }
        let before = owner.bucket().keys();
        let info = owner.bucket().text("nix-cache-info");
        let id = owner.bucket().owner();
        for running in [true, false] {
            if !running {
                owner.terminate();
            } else if place.backend == Backend::Embedded {
                // The lock on its folder keeps any other server out.
                continue;
            }
            let said = place.refused(&second, &["--priority", "99"]);
            assert!(
                said.contains(&format!("--adopt-bucket={id}")) && said.contains("is empty"),
                "{said}"
            );
            assert_eq!(owner.bucket().keys(), before);
            assert_eq!(owner.bucket().text("nix-cache-info"), info);
            assert_eq!(owner.bucket().owner(), id);
        }
        owner.resume();
        if pushes {
            place.whole(&owner, &app);
        }
        place.push(&owner, &app);
        works(&owner);
    }
}

async fn a_database_with_another_bucket_is_refused(backend: Backend) {
    let (one, other) = (Place::new(backend), Place::new(backend));
    let db = one.database();
    let owner = one.start(&db, &[]).unwrap();
    let said = other.refused(&db, &[]);
    assert!(
        said.contains("another bucket") && said.contains("--adopt-bucket=none"),
        "{said}"
    );
    // Also one that has an owner.
    drop(other.start(&other.database(), &[]).unwrap());
    let said = other.refused(&db, &[]);
    assert!(said.contains("another database"), "{said}");
    one.push(&owner, &app(&one.store, 1));
    works(&owner);
}

async fn a_bucket_is_taken_over_from_the_owner_that_is_named_and_only_once(backend: Backend) {
    let place = Place::new(backend);
    let (first, second) = (place.database(), place.database());
    let mut old = place.start(&first, &[]).unwrap();
    let path = app(&place.store, 1);
    place.push(&old, &path);
    let old_id = old.bucket().owner();
    if backend == Backend::Embedded {
        old.terminate();
    }
    let wrong = format!("--adopt-bucket={}", "0".repeat(32));
    let said = place.refused(&second, &[&wrong]);
    assert!(said.contains(&old_id), "{said}");
    let said = place.refused(&second, &["--adopt-bucket=none"]);
    assert!(said.contains(&old_id), "{said}");
    let said = place.refused(&second, &["--adopt-bucket=mine"]);
    assert!(said.contains("--adopt-bucket"), "{said}");

    let take = format!("--adopt-bucket={old_id}");
    let mut new = place.start(&second, &[&take]).unwrap();
    let new_id = new.bucket().owner();
    assert_ne!(new_id, old_id);
    waits_for_repair(&new);
    if backend == Backend::Services {
        // The old one notices before it collects, and then does not write any more, but reads on.
        let said = gc(&old).fails(1);
        assert!(
            said.contains("another database") && said.contains(&new_id),
            "{said}"
        );
        let mut push = old.niks3();
        place.store.prepare(push.args(["push", &app(&place.store, 2)]));
        let said = run(&mut push).fails(1);
        assert!(said.contains("another database"), "{said}");
        assert_eq!(old.status("/ready"), "503");
        assert_eq!(old.status("/health"), "200");
        assert_eq!(old.status("/nix-cache-info"), "200");
        assert!(old.log().contains("this server does not write any more"));
    }
    repair(&new);
    works(&new);
    place.whole(&new, &path);
    place.push(&new, &app(&place.store, 3));

    // The same option has no effect again: two units that name each other do not take turns.
    new.terminate();
    old.kill();
    let back = format!("--adopt-bucket={new_id}");
    let mut old = place.start(&first, &[&back]).unwrap();
    repair(&old);
    old.terminate();
    let said = place.refused(&second, &[&take]);
    assert!(said.contains("another database"), "{said}");
    let mut old = place.start(&first, &[&back]).unwrap();
    works(&old);
    old.terminate();
}

async fn a_bucket_with_paths_and_no_owner_is_taken_over_only_on_request(backend: Backend) {
    let place = Place::new(backend);
    let mut server = place.start(&place.database(), &[]).unwrap();
    let path = app(&place.store, 1);
    place.push(&server, &path);
    server.terminate();
    server.bucket().delete("niks3-owner.json");
    let db = place.database();
    let said = place.refused(&db, &[]);
    assert!(
        said.contains("--adopt-bucket=none") && said.contains("is empty"),
        "{said}"
    );
    let said = place.refused(&db, &[&format!("--adopt-bucket={}", "0".repeat(32))]);
    assert!(said.contains("--adopt-bucket=none"), "{said}");
    let other_store = ["--adopt-bucket=none", "--store-dir=/other/store"];
    let said = place.refused(&db, &other_store);
    assert!(said.contains("--store-dir"), "{said}");
    let server = place.start(&db, &["--adopt-bucket=none"]).unwrap();
    waits_for_repair(&server);
    repair(&server);
    works(&server);
    place.whole(&server, &path);
    drop(server);
    // It is nobody's no more.
    let said = place.refused(&place.database(), &["--adopt-bucket=none"]);
    assert!(said.contains("another database"), "{said}");
}

async fn a_lost_bucket_is_replaced_only_on_request_and_filled_again_by_pushes(backend: Backend) {
    let place = Place::new(backend);
    let db = place.database();
    let path = app(&place.store, 1);
    place.push(&place.start(&db, &[]).unwrap(), &path);
    let bucket = match backend {
        Backend::Services => Some(garage_bucket()),
        Backend::Embedded => {
            std::fs::remove_dir_all(place.folder.path().join("data0/bucket")).unwrap();
            None
        }
    };
    let empty = Place { bucket, ..place };
    let said = empty.refused(&db, &[]);
    assert!(said.contains("another bucket"), "{said}");
    let server = empty.start(&db, &["--adopt-bucket=none"]).unwrap();
    waits_for_repair(&server);
    assert_eq!(empty.push(&server, &path)["uploaded"], 1);
    empty.whole(&server, &path);
    let _ = run(server.niks3().args(["fsck", "--repair"]));
    works(&server);
}

async fn a_restored_backup_is_noticed_and_repaired_without_a_restart(backend: Backend) {
    let place = Place::new(backend);
    let db = place.database();
    let paths = [app(&place.store, 1), app(&place.store, 2)];
    let mut server = place.start(&db, &[]).unwrap();
    place.push(&server, &paths[0]);
    server.terminate();
    let backup = place.copy(&db);
    server.resume();
    place.push(&server, &paths[1]);
    // The generation is in the bucket after a minute, or before anything is deleted.
    let _ = gc(&server).ok();
    server.terminate();
    let server = place.start(&backup, &[]).unwrap();
    waits_for_repair(&server);
    // Nothing is lost that is pushed meanwhile.
    place.push(&server, &paths[1]);
    repair(&server);
    works(&server);
    for path in &paths {
        place.whole(&server, path);
    }
    if backend == Backend::Services {
        // The original has the same id: it is noticed the same way.
        let original = place.start(&db, &[]).unwrap();
        waits_for_repair(&original);
    }
}

async fn a_lost_collection_is_noticed_and_pushes_bring_what_it_deleted(backend: Backend) {
    let place = Place::new(backend);
    let db = place.database();
    let path = app(&place.store, 1);
    let mut server = place.start(&db, &[]).unwrap();
    place.push(&server, &path);
    server.terminate();
    let backup = place.copy(&db);
    server.resume();
    let _ = gc_all(&server).ok();
    assert!(server.bucket().keys().iter().all(|key| !key.starts_with("nar/")));
    server.terminate();
    let server = place.start(&backup, &[]).unwrap();
    waits_for_repair(&server);
    assert_eq!(place.push(&server, &path)["uploaded"], 1);
    place.whole(&server, &path);
    repair(&server);
    works(&server);
    place.whole(&server, &path);
}

async fn the_owner_object_is_no_part_of_the_cache(backend: Backend) {
    let place = Place::new(backend);
    let server = place.start(&place.database(), &[]).unwrap();
    assert_eq!(server.status("/niks3-owner.json"), "404");
    let found: Value = run(server.niks3().args(["fsck", "--json"])).json();
    assert_eq!(found["findings"], serde_json::json!([]), "{found}");
    let _ = gc_all(&server).ok();
    assert_eq!(server.bucket().owner().len(), 32);
}

#[test]
fn a_database_that_loses_its_last_second_is_noticed_by_a_server_that_goes_on() {
    let mut postgres = Postgres::start();
    let place = Place::new(Backend::Services);
    let paths = [app(&place.store, 1), app(&place.store, 2)];
    let server = place.start(&postgres.url(), &[]).unwrap();
    place.push(&server, &paths[0]);
    postgres.save();
    place.push(&server, &paths[1]);
    let _ = run(server.niks3().args(["pins", "create", "second", &paths[1]])).ok();
    // No collection, and no minute in between: the bucket does not tell.
    postgres.restore();
    assert_eq!(place.push(&server, &paths[0])["uploaded"], 0);
    waits_for_repair(&server);
    place.push(&server, &paths[1]);
    repair(&server);
    works(&server);
    for path in &paths {
        place.whole(&server, path);
    }
}

#[test]
fn of_ten_servers_that_start_at_once_one_owns_the_bucket() {
    one_of_ten_owns(&Place::new(Backend::Services));
}

/// What has to hold on every S3 service, whether it enforces conditions or not.
macro_rules! on_services {
    ($($name:ident: $service:expr),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn a_second_database_is_refused_in_every_order_and_writes_nothing() {
                refuses_a_second_database(|| Place::on($service));
            }

            #[test]
            fn of_ten_servers_that_start_at_once_one_owns_the_bucket() {
                one_of_ten_owns(&Place::on($service));
            }
        })+
    };
}

on_services! {
    minio: S3Service::Minio,
    versitygw: S3Service::Versitygw,
}

fn one_of_ten_owns(place: &Place) {
    let databases: Vec<String> = (0..10).map(|_| database()).collect();
    let started: Vec<Result<Server, Output>> = std::thread::scope(|scope| {
        let threads: Vec<_> = databases
            .iter()
            .map(|db| {
                scope.spawn(move || {
                    Server::attempt(
                        Backend::Services,
                        ServerOptions {
                            store_dir: Some(place.store.dir()),
                            db: Some(db.clone()),
                            bucket: place.bucket.clone(),
                            ..ServerOptions::default()
                        },
                    )
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (owners, refused): (Vec<_>, Vec<_>) = started.into_iter().partition(Result::is_ok);
    assert_eq!(owners.len(), 1, "{refused:?}");
    let owner = owners.into_iter().next().unwrap().unwrap();
    assert_eq!(
        owner.sql("SELECT database_id FROM ownership"),
        [owner.bucket().owner()]
    );
    for output in refused.into_iter().map(Result::unwrap_err) {
        assert!(output.stderr.contains("another database"), "{output:?}");
    }
    place.push(&owner, &app(&place.store, 1));
    works(&owner);
}

#[test]
fn a_moved_data_folder_is_the_same_cache() {
    let store = Store::default();
    let folder = tempfile::tempdir().unwrap();
    let start = |data: &Path| {
        Server::with(
            Backend::Embedded,
            ServerOptions {
                store_dir: Some(store.dir()),
                data_dir: Some(data.to_owned()),
                ..ServerOptions::default()
            },
        )
    };
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    let mut server = start(&before);
    let path = app(&store, 1);
    let mut push = server.niks3();
    store.prepare(push.args(["push", &path]));
    let _ = run(&mut push).ok();
    server.terminate();
    std::fs::rename(&before, &after).unwrap();
    let server = start(&after);
    works(&server);
    store.substitutes(&server.url(), server.public_key(), &path);
}
