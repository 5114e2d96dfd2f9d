//! From one version of the schema to the next, and not back.

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Backend, Server, ServerOptions, Store, database, garage_bucket, program, run};

/// Runs SQL in the database of a server that is stopped.
fn sql(backend: Backend, db: &str, text: &str) -> String {
    let mut command = match backend {
        Backend::Embedded => {
            let mut command = Command::new("sqlite3");
            // A text that begins with a comment would be taken for an option.
            command.args(["-bail", db, &format!("\n{text}")]);
            command
        }
        Backend::Services => {
            let folder = std::env::var("NIKS3_TEST_PG_BIN").unwrap();
            let mut command = Command::new(Path::new(&folder).join("psql"));
            command.args(["-v", "ON_ERROR_STOP=1", "-Atc", text, db]);
            command
        }
    };
    run(&mut command).ok().trim().to_owned()
}

/// A database of its own: the URL that a server is given, and what [`sql`] takes.
fn new_database(backend: Backend, folder: &Path) -> (String, String) {
    match backend {
        Backend::Embedded => {
            let path = folder.join("niks3.db").display().to_string();
            (format!("sqlite://{path}"), path)
        }
        Backend::Services => {
            let url = database();
            (url.clone(), url)
        }
    }
}

fn an_older_server_on_a_newer_schema_says_so_and_stops(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let (url, db) = new_database(backend, folder.path());
    let store = Store::default();
    let mut server = Server::with(
        backend,
        ServerOptions {
            store_dir: Some(store.dir()),
            db: Some(url.clone()),
            ..ServerOptions::default()
        },
    );
    server.terminate();
    let newest = sql(backend, &db, "SELECT max(version) FROM _sqlx_migrations");
    let columns = "version, description, installed_on, success, checksum, execution_time";
    sql(
        backend,
        &db,
        &format!(
            "INSERT INTO _sqlx_migrations ({columns}) SELECT 9999, 'of the future', installed_on, success, checksum, 0 \
             FROM _sqlx_migrations WHERE version = {newest}"
        ),
    );
    let tables = "SELECT count(*) FROM _sqlx_migrations";
    let before = sql(backend, &db, tables);
    let output = run(Command::new("timeout")
        .arg("60")
        .arg(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--db", &url, "--data-dir"])
        .arg(folder.path().join("data"))
        .env_clear());
    assert_eq!(output.code, 1, "{output:?}");
    let line = output.stderr.lines().last().unwrap();
    assert!(
        line.contains("of a newer niks3-server") && line.contains("9999") && line.contains("backup"),
        "{line}"
    );
    assert!(output.stdout.is_empty());
    assert_eq!(sql(backend, &db, tables), before);
    // When what is newer is gone, so is the refusal: nothing else was changed.
    sql(backend, &db, "DELETE FROM _sqlx_migrations WHERE version = 9999");
    server.resume();
    assert!(server.get("ready").is_some());
}

#[test]
fn an_older_server_on_a_newer_schema_says_so_and_stops_with_sqlite() {
    an_older_server_on_a_newer_schema_says_so_and_stops(Backend::Embedded);
}

#[test]
fn an_older_server_on_a_newer_schema_says_so_and_stops_with_postgresql() {
    an_older_server_on_a_newer_schema_says_so_and_stops(Backend::Services);
}

fn a_schema_from_before_the_first_release_is_refused(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let (url, db) = new_database(backend, folder.path());
    let store = Store::default();
    let mut server = Server::with(
        backend,
        ServerOptions {
            store_dir: Some(store.dir()),
            db: Some(url.clone()),
            ..ServerOptions::default()
        },
    );
    server.terminate();
    // They had this first migration with other text, and more of them.
    let other = match backend {
        Backend::Embedded => "x'00'",
        Backend::Services => r"'\x00'",
    };
    sql(
        backend,
        &db,
        &format!(
            "UPDATE _sqlx_migrations SET checksum = {other};
             INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
             SELECT 2, 'runs', installed_on, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1"
        ),
    );
    let output = run(Command::new("timeout")
        .arg("60")
        .arg(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--db", &url, "--data-dir"])
        .arg(folder.path().join("data"))
        .env_clear());
    assert_eq!(output.code, 1, "{output:?}");
    let line = output.stderr.lines().last().unwrap();
    assert!(
        line.contains("before the first release") && line.contains("fecee6b"),
        "{line}"
    );
}

#[test]
fn a_schema_from_before_the_first_release_is_refused_with_sqlite() {
    a_schema_from_before_the_first_release_is_refused(Backend::Embedded);
}

#[test]
fn a_schema_from_before_the_first_release_is_refused_with_postgresql() {
    a_schema_from_before_the_first_release_is_refused(Backend::Services);
}

/// The migrations of a database, in their order: version and file.
fn migrations(backend: Backend) -> Vec<(u32, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(match backend {
            Backend::Embedded => "sqlite",
            Backend::Services => "postgres",
        });
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.split('_').next().unwrap().parse().unwrap(), path.clone())
        })
        .collect();
    found.sort();
    found
}

/// Copies into the database $new, which has an older schema, what it has room for from $old.
const TO_OLDER_SQLITE: &str = r#"
    sqlite3 "$old" "SELECT sql || ';' FROM sqlite_master WHERE name = '_sqlx_migrations'" | sqlite3 -bail "$new"
    tables=$(sqlite3 "$new" "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for table in $tables; do
        columns=$(sqlite3 "$new" "SELECT group_concat(name) FROM pragma_table_info('$table')")
        only=$([ "$table" = _sqlx_migrations ] && echo "version <= $version" || echo 1)
        sqlite3 -bail "$new" "ATTACH '$old' AS old; DELETE FROM main.$table;
            INSERT INTO main.$table ($columns) SELECT $columns FROM old.$table WHERE $only"
    done
"#;

/// The same for PostgreSQL.
const TO_OLDER_POSTGRES: &str = r#"
    export PATH=$NIKS3_TEST_PG_BIN:$PATH PGOPTIONS='-c session_replication_role=replica'
    ask() { psql -v ON_ERROR_STOP=1 -qAtc "$2" "$1"; }
    pg_dump --schema-only --no-owner -t _sqlx_migrations "$old" | psql -v ON_ERROR_STOP=1 -q "$new" >/dev/null
    tables=$(ask "$new" "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    for table in $tables; do
        columns=$(ask "$new" "SELECT string_agg(column_name, ',' ORDER BY ordinal_position)
            FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '$table'")
        only=$([ "$table" = _sqlx_migrations ] && echo "version <= $version" || echo true)
        ask "$new" "DELETE FROM public.$table"
        ask "$old" "COPY (SELECT $columns FROM public.$table WHERE $only) TO STDOUT" |
            ask "$new" "COPY public.$table ($columns) FROM STDIN"
        case ,$columns, in *,id,*)
            sequence=$(ask "$new" "SELECT pg_get_serial_sequence('public.$table', 'id')")
            [ -z "$sequence" ] || ask "$new" "SELECT setval('$sequence', (SELECT coalesce(max(id), 0) + 1 FROM public.$table), false)"
        esac
    done
"#;

/// A database as the version left it whose newest migration this is, with the data of another.
fn as_it_was(backend: Backend, version: u32, old: &str, folder: &Path) -> String {
    let (url, new) = new_database(backend, folder);
    for (_, file) in migrations(backend)
        .iter()
        .filter(|(number, _)| *number <= version)
    {
        sql(backend, &new, &std::fs::read_to_string(file).unwrap());
    }
    let script = match backend {
        Backend::Embedded => TO_OLDER_SQLITE,
        Backend::Services => TO_OLDER_POSTGRES,
    };
    let _ = run(Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env("old", old)
        .env("new", &new)
        .env("version", version.to_string()))
    .ok();
    url
}

fn data_of_every_schema_is_taken_along(backend: Backend) {
    let store = Store::default();
    let first = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let bucket = (backend == Backend::Services).then(garage_bucket);
    let (url, db) = new_database(backend, first.path());
    let server = |url: String| {
        Server::with(
            backend,
            ServerOptions {
                store_dir: Some(store.dir()),
                data_dir: Some(data.path().to_owned()),
                db: Some(url),
                bucket: bucket.clone(),
                ..ServerOptions::default()
            },
        )
    };
    let push = |server: &Server, arguments: &[&str]| {
        let mut command = server.niks3();
        store.prepare(command.arg("push").args(arguments));
        run(&mut command).ok()
    };
    let mut newest = server(url);
    let path = store
        .build("build \"old\" \"echo of an older version > $out\"")
        .remove(0);
    push(&newest, &["--pin", "old", &path]);
    newest.terminate();
    let all = migrations(backend);
    assert!(!all.is_empty());
    for (version, _) in &all {
        let folder = tempfile::tempdir().unwrap();
        let mut upgraded = server(as_it_was(backend, *version, &db, folder.path()));
        let pins = run(upgraded.niks3().args(["pins", "list"])).ok();
        assert!(pins.contains(&path), "from {version}: {pins}");
        let closures = run(upgraded.niks3().args(["closures", "list"])).ok();
        assert!(closures.contains(&path), "from {version}: {closures}");
        store.substitutes(&upgraded.url(), upgraded.public_key(), &path);
        let more = store
            .build(&format!("build \"new-{version}\" \"echo {version} > $out\""))
            .remove(0);
        push(&upgraded, &[&more]);
        // The database from before does not know what is pushed here: that goes again. It is one that went back.
        let _ = run(upgraded.niks3().args(["fsck", "--repair"]));
        let _ = run(upgraded.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
        let _ = run(upgraded.niks3().arg("fsck")).ok();
        upgraded.terminate();
    }
}

#[test]
fn data_of_every_schema_is_taken_along_with_sqlite() {
    data_of_every_schema_is_taken_along(Backend::Embedded);
}

#[test]
fn data_of_every_schema_is_taken_along_with_postgresql() {
    data_of_every_schema_is_taken_along(Backend::Services);
}
