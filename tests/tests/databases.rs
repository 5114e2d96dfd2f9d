//! Databases as users have them: behind connection poolers, in other encodings, as standbys, without connections or without
//! space. What cannot work is refused at the start, and what does not work now is said.

use std::time::{Duration, Instant};

use niks3_test_support::{
    APP, Backend, Fault, Output, Pooler, Postgres, Server, ServerOptions, Site, database, database_with,
    eventually, finish, garage_bucket, run,
};
use niks3_tests::api::{A, Api, B, info};
use reqwest::Method;
use serde_json::{Value, json};

/// How long a start may take that nothing can help: less than the 30 s for which a server waits for its database.
const AT_ONCE: Duration = Duration::from_secs(25);

fn with_db(db: impl Into<String>) -> ServerOptions {
    ServerOptions {
        db: Some(db.into()),
        ..ServerOptions::default()
    }
}

/// Why a server does not start with a database, which it says at once.
#[track_caller]
fn refused(db: impl Into<String>, code: i32) -> String {
    let begun = Instant::now();
    let output: Output = Server::attempt(Backend::Embedded, with_db(db)).unwrap_err();
    assert!(begun.elapsed() < AT_ONCE, "{output:?}");
    output.fails(code)
}

fn tables(postgres: &Postgres) -> String {
    postgres.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
}

#[test]
fn a_pooler_that_shares_sessions_is_refused_and_nothing_is_written() {
    let postgres = Postgres::start();
    for settings in [
        "pool_mode = transaction",
        "pool_mode = statement",
        // Whoever comes next gets the next session.
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 2",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 3",
    ] {
        let settings = format!("{settings}\nignore_startup_parameters = extra_float_digits");
        let pooler = Pooler::pgbouncer(&postgres, &settings);
        let why = refused(pooler.url(), 2);
        assert!(
            why.contains("shares sessions") && why.contains("pool_mode = session"),
            "{why}"
        );
    }
    let pooler = Pooler::pgpool(&postgres, "raw");
    let why = refused(pooler.url(), 2);
    assert!(
        why.contains("has left one open") && why.contains("streaming_replication"),
        "{why}"
    );
    assert_eq!(tables(&postgres), "0\n");
}

#[test]
fn a_pooler_that_refuses_a_startup_parameter_is_named_with_its_setting() {
    let postgres = Postgres::start();
    let pooler = Pooler::pgbouncer(&postgres, "pool_mode = session");
    let why = refused(pooler.url(), 2);
    assert!(
        why.contains("ignore_startup_parameters = extra_float_digits"),
        "{why}"
    );
}

/// Push, reading, garbage collection and check.
async fn works(db: String) {
    let site = Site::with(Backend::Embedded, with_db(db)).await;
    let paths = ["one", "two"].map(|name| site.store.build(&APP.replace("hello", name)).remove(0));
    for path in &paths {
        let _ = site.push(path).ok();
        site.whole(path);
    }
    let mut pins = site.server.niks3();
    site.store
        .prepare(pins.args(["pins", "create", "kept", &paths[0]]));
    let _ = run(&mut pins).ok();
    let _ = run(site.server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
    site.whole(&paths[0]);
    assert!(site.consistent(&paths[1]) < site.store.closure(&paths[1]).len());
    assert_eq!(site.server.status("/ready"), "200");
    let _ = run(site.server.niks3().arg("fsck")).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_works_through_session_pooling() {
    let postgres = Postgres::start();
    let pooler = Pooler::pgbouncer(
        &postgres,
        "pool_mode = session\nignore_startup_parameters = extra_float_digits",
    );
    works(pooler.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_works_through_pgpool_in_streaming_replication_mode() {
    let postgres = Postgres::start();
    let pooler = Pooler::pgpool(&postgres, "streaming_replication");
    works(pooler.url()).await;
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP"] {
        let db = database_with(&format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"));
        let why = refused(db, 2);
        assert!(why.contains(encoding) && why.contains("ENCODING 'UTF8'"), "{why}");
    }
}

#[test]
fn a_certificate_that_is_not_there_ends_the_start() {
    for name in ["sslrootcert", "sslcert", "sslkey"] {
        let why = refused(
            format!("{}&sslmode=verify-full&{name}=/nowhere/root.pem", database()),
            2,
        );
        assert!(why.contains(name) && why.contains("/nowhere/root.pem"), "{why}");
    }
}

#[test]
fn a_file_that_is_no_database_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("niks3.db");
    let text = "these are the shopping lists of somebody else\n".repeat(200);
    std::fs::write(&file, &text).unwrap();
    let why = refused(format!("sqlite://{}", file.display()), 1);
    assert!(why.contains("file is not a database"), "{why}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

/// Starts a server, which waits for something: what its log says meanwhile, and what then makes it start.
fn starts_after(backend: Backend, mut options: ServerOptions, says: &str, then: impl FnOnce()) -> Server {
    let folder = tempfile::tempdir().unwrap().keep();
    options.data_dir = Some(folder.clone());
    let starting = std::thread::spawn(move || Server::with(backend, options));
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let said = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        log().contains(says) || starting.is_finished()
    });
    assert!(said && log().contains(says), "{}", log());
    then();
    starting.join().unwrap()
}

#[test]
fn a_start_without_a_connection_says_why_and_goes_on_when_there_is_one() {
    let postgres = Postgres::start();
    let _ = postgres
        .ask("CREATE ROLE limited LOGIN SUPERUSER CONNECTION LIMIT 0; ALTER ROLE limited NOSUPERUSER");
    let _ = postgres.ask("GRANT ALL ON SCHEMA public TO limited");
    let db = postgres.url().replace("postgres@", "limited@");
    let server = starts_after(
        Backend::Embedded,
        with_db(db),
        "too many connections for role",
        || {
            let _ = postgres.ask("ALTER ROLE limited CONNECTION LIMIT 11");
        },
    );
    assert_eq!(server.status("/ready"), "200");
    // The same for whoever asks a server that runs.
    let _ = postgres.ask("ALTER ROLE limited CONNECTION LIMIT 0");
    let _ = postgres.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'");
    assert_eq!(server.status("/ready"), "503");
    assert!(
        server.log().contains("too many connections for role"),
        "{}",
        server.log()
    );
    let _ = std::fs::remove_dir_all(server.directory());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_is_read_only_is_not_ready_and_its_sessions_are_replaced() {
    let postgres = Postgres::start();
    let api = Api::with(Backend::Embedded, with_db(postgres.url()));
    api.push(A, b"before").await.ok();
    let push = async || {
        api.post("/pushes", &json!({ "store_dir": "/nix/store", "roots": [B] }))
            .await
    };
    for ask_ready in [true, false] {
        // As after a failover: the sessions of before are gone, and the next ones are of a standby.
        let _ = postgres.ask("ALTER ROLE postgres SET default_transaction_read_only = on");
        let _ = postgres.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        );
        assert_eq!(api.server.status("/ready"), "503");
        let problem = push().await.problem(503);
        assert!(
            problem["detail"].as_str().unwrap().contains("read-only"),
            "{problem}"
        );
        // The standby becomes the primary, which the sessions that are open do not see.
        let _ =
            postgres.ask("BEGIN READ WRITE; ALTER ROLE postgres RESET default_transaction_read_only; COMMIT");
        if ask_ready {
            eventually("/ready answers 200", || api.server.status("/ready") == "200");
        }
        let mut answer = push().await;
        for _ in 0..3 {
            if answer.status == 503 && !ask_ready {
                // Half of the time in which sessions are replaced once.
                tokio::time::sleep(Duration::from_millis(500)).await;
                answer = push().await;
            }
        }
        answer.ok();
    }
}

/// The key of the lock that writing transactions take in turn.
const WRITE_GATE: i64 = 0x6e69_6b73_3300_0001;

/// Waits until somebody waits to write, and then forgets every push, as a database does that has lost transactions.
fn forget_pushes_before_the_next_write(postgres: &Postgres) -> niks3_test_support::Running {
    let session = postgres.session(&format!(
        "SELECT pg_advisory_xact_lock({WRITE_GATE}); \
         DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) LOOP \
         PERFORM pg_sleep(0.01); END LOOP; END $$; TRUNCATE pushes CASCADE"
    ));
    eventually("the session holds the lock", || {
        postgres.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "1\n"
    });
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_vanishes_is_gone_for_every_request() {
    let postgres = Postgres::start();
    let api = Api::with(Backend::Embedded, with_db(postgres.url()));
    let upload = json!({ "kind": "nar", "path": A, "size": 3,
        "sha256": niks3_nix::hash::FileHash::of(b"abc").to_string() });
    let requests: [(Method, &str, Value); 4] = [
        (Method::POST, "paths", json!({ "paths": [info(B, &[])] })),
        (Method::POST, "uploads", json!({ "uploads": [upload] })),
        (Method::POST, "commit", json!({})),
        (Method::DELETE, "", Value::Null),
    ];
    for (method, name, body) in requests {
        let push = api.open(A).await;
        api.claim(&push, json!([info(A, &[])])).await.ok();
        if name == "commit" {
            api.upload(&push, "nar", A, b"a NAR").await;
            api.upload(&push, "listing", A, b"{}").await;
        }
        let forgotten = forget_pushes_before_the_next_write(&postgres);
        let path = format!("/api/v1/pushes/{push}/{name}");
        let (kind, body) = match body {
            Value::Null => ("", String::new()),
            body => ("application/json", body.to_string()),
        };
        let answer = api.send(method, path.trim_end_matches('/'), &api.token, kind, body);
        let problem = answer.await.problem(404);
        assert_eq!(
            problem["type"], "urn:niks3:problem:push-gone",
            "{name}: {problem}"
        );
        drop(forgotten);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_vanishes_in_its_commit_begins_again() {
    let postgres = Postgres::start();
    let site = Site::with(Backend::Services, with_db(postgres.url())).await;
    let path = site.store.build(APP).remove(0);
    site.s3.fail("PUT", ".narinfo", Fault::Hold, 1);
    let child = site.spawn(&path);
    site.s3.happened().await;
    let _ = postgres.ask("TRUNCATE pushes CASCADE");
    site.s3.release();
    let _ = finish(child).ok();
    let answers = site.api.answers();
    assert!(answers.iter().any(|(_, status)| *status == 404), "{answers:?}");
    assert!(answers.iter().all(|(_, status)| *status < 500), "{answers:?}");
    site.whole(&path);
}

#[test]
fn a_standby_is_waited_for_until_it_is_promoted() {
    let primary = Postgres::start();
    let bucket = garage_bucket();
    let options = |postgres: &Postgres| ServerOptions {
        bucket: Some(bucket.clone()),
        ..with_db(postgres.url())
    };
    drop(Server::with(Backend::Services, options(&primary)));
    let standby = Postgres::standby_of(&primary);
    drop(primary);
    let server = starts_after(Backend::Services, options(&standby), "read-only", || {
        standby.promote()
    });
    assert_eq!(server.status("/ready"), "200");
    let _ = std::fs::remove_dir_all(server.directory());
}
