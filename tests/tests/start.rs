//! Starting the server: what is wrong or missing is named in one line, secrets are in
//! none, and what comes up late is waited for.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use niks3_test_support::{Backend, Output, Postgres, Server, Store, garage_bucket, program, run};

/// What a test needs to say, without a word of the environment's.
fn server(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program("niks3-server"));
    run(command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied()))
}

/// What is wrong with how the server ended, which should be with one line that names
/// the option, and nothing on standard output.
fn complaint(output: &Output, code: i32, option: &str) -> Option<String> {
    let mut lines = output.stderr.lines();
    let line = lines.next_back().unwrap_or_default();
    let fits = output.code == code
        && output.stdout.is_empty()
        && line.starts_with("niks3-server: ")
        && line.contains(option)
        && !output.stderr.contains("panicked")
        && (code != 2 || lines.next().is_none());
    (!fits).then(|| format!("{option}: {output:?}"))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_wrong_or_missing_option_ends_the_start_with_one_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let file = write(folder.path(), "file", "x");
    let under_file = format!("{file}/data");
    let (short, empty) = (
        write(folder.path(), "short", &"x".repeat(35)),
        write(folder.path(), "empty", " \n"),
    );
    let public = write(
        folder.path(),
        "public",
        "cache-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
    let spaced = write(
        folder.path(),
        "spaced",
        &format!("{} {}", "x".repeat(20), "y".repeat(20)),
    );
    let binary = folder.path().join("binary").display().to_string();
    std::fs::write(&binary, [0xff; 50]).unwrap();
    let huge = write(folder.path(), "huge", &"x".repeat(100_000));
    let store = Store::default();
    let secret = store.nix("nix", &["key", "generate-secret", "--key-name", "cache-1"]);
    let key = write(folder.path(), "key", &secret);
    let missing = folder.path().join("missing").display().to_string();
    let folder_name = folder.path().display().to_string();
    let keys = ["--s3-access-key", "a", "--s3-secret-key", "b"];
    let bucket = |more: &[&'static str]| [&["--s3-bucket", "bucket"], more].concat();
    let table: Vec<(&str, Vec<&str>)> = vec![
        ("--data-dir", vec!["--data-dir", &under_file]),
        ("--data-dir", vec!["--data-dir", ""]),
        ("--data-dir", vec!["--data-dir"]),
        ("--db", vec!["--db", "mysql://localhost/x"]),
        ("--db", vec!["--db", ""]),
        ("--db", vec!["--db", "sqlite:///nowhere/at/all/niks3.db"]),
        ("--http-addr", vec!["--http-addr", "localhost"]),
        ("--http-addr", vec!["--http-addr", "nowhere.invalid:80"]),
        ("--wait-for", vec!["--wait-for", "soon"]),
        ("--db", vec!["--db", "postgres:/x"]),
        ("--http-addr", vec!["--http-addr", "127.0.0.1:99999"]),
        ("--store-dir", vec!["--store-dir", "nix/store"]),
        ("--store-dir", vec!["--store-dir", "/nix/../store"]),
        ("--store-dir", vec!["--store-dir", ""]),
        ("--priority", vec!["--priority", "0"]),
        ("--priority", vec!["--priority", "high"]),
        ("--cache-url", vec!["--cache-url", "cache.example.com"]),
        ("--cache-url", vec!["--cache-url", "s3://bucket"]),
        ("--server-url", vec!["--server-url", "localhost:5751"]),
        ("--server-url", vec!["--server-url", "ftp://host"]),
        ("--enable-read-proxy", vec!["--enable-read-proxy=perhaps"]),
        ("--api-token-path", vec!["--api-token-path", &missing]),
        ("--api-token-path", vec!["--api-token-path", &folder_name]),
        ("--api-token-path", vec!["--api-token-path", &empty]),
        ("--api-token-path", vec!["--api-token-path", &short]),
        ("--api-token-path", vec!["--api-token-path", &spaced]),
        ("--api-token-path", vec!["--api-token-path", &binary]),
        ("--api-token-path", vec!["--api-token-path", &huge]),
        ("--sign-key-path", vec!["--sign-key-path", &missing]),
        ("--sign-key-path", vec!["--sign-key-path", &empty]),
        ("--sign-key-path", vec!["--sign-key-path", &file]),
        ("--sign-key-path", vec!["--sign-key-path", &public]),
        (
            "--sign-key-path",
            vec!["--sign-key-path", &key, "--sign-key-path", &key],
        ),
        ("--s3-bucket", vec!["--s3-bucket", "a/b"]),
        ("--s3-bucket", vec!["--s3-bucket", ""]),
        ("--s3-bucket", vec!["--s3-endpoint", "localhost:9000"]),
        ("--s3-access-key", bucket(&[])),
        ("--s3-secret-key", bucket(&["--s3-access-key", "a"])),
        ("--s3-access-key", bucket(&["--s3-secret-key", "b"])),
        ("--s3-use-iam", bucket(&["--s3-use-iam", "--s3-access-key", "a"])),
        ("--s3-use-iam", bucket(&["--s3-use-iam=sometimes"])),
        (
            "--s3-access-key",
            bucket(&[
                "--s3-access-key",
                "a",
                "--s3-access-key-path",
                "/x",
                "--s3-secret-key",
                "b",
            ]),
        ),
        (
            "--s3-secret-key-path",
            bucket(&["--s3-access-key", "a", "--s3-secret-key-path", "/nowhere"]),
        ),
        (
            "--s3-endpoint",
            [&bucket(&keys)[..], &["--s3-endpoint", "ftp://host"]].concat(),
        ),
        (
            "--s3-endpoint",
            [&bucket(&keys)[..], &["--s3-endpoint", ""]].concat(),
        ),
        (
            "--s3-endpoint",
            [&bucket(&keys)[..], &["--s3-endpoint", "host:port"]].concat(),
        ),
        (
            "--s3-public-url",
            [&bucket(&keys)[..], &["--s3-public-url", "host"]].concat(),
        ),
        (
            "--s3-bucket-lookup",
            [&bucket(&keys)[..], &["--s3-bucket-lookup", "x"]].concat(),
        ),
        (
            "--s3-concurrency",
            [&bucket(&keys)[..], &["--s3-concurrency", "0"]].concat(),
        ),
        (
            "--s3-concurrency",
            [&bucket(&keys)[..], &["--s3-concurrency=-1"]].concat(),
        ),
        (
            "--s3-rate-limit",
            [&bucket(&keys)[..], &["--s3-rate-limit=-1"]].concat(),
        ),
        (
            "--s3-use-ssl",
            [&bucket(&keys)[..], &["--s3-use-ssl=maybe"]].concat(),
        ),
        (
            "--s3-checksum",
            [&bucket(&keys)[..], &["--s3-checksum", "crc32"]].concat(),
        ),
        ("--push-lease", vec!["--push-lease", "0s"]),
        ("--push-lease", vec!["--push-lease", "soon"]),
        ("--push-lease", vec!["--push-lease", "2d"]),
        ("--log-format", vec!["--log-format", "xml"]),
        ("--log", vec!["--log", "niks3_server=loud"]),
        ("--frobnicate", vec!["--frobnicate"]),
        ("extra", vec!["extra"]),
    ];
    let mut complaints = Vec::new();
    for (option, arguments) in table {
        let output = if arguments.contains(&"--data-dir") {
            server(&arguments, &[])
        } else {
            server(&[&["--data-dir", &data], &arguments[..]].concat(), &[])
        };
        complaints.extend(complaint(&output, 2, option));
        assert!(
            !output.stderr.contains(secret.trim()) && !output.stderr.contains(&"x".repeat(20)),
            "a secret is shown: {output:?}"
        );
    }
    // Without a data directory, everything is needed.
    let token = write(folder.path(), "token", &"t".repeat(36));
    for (option, arguments) in [
        ("--data-dir", vec![]),
        ("--db", vec![]),
        ("--api-token-path", vec!["--db", "sqlite::memory:"]),
        (
            "--sign-key-path",
            vec!["--db", "sqlite::memory:", "--api-token-path", &token],
        ),
        (
            "--s3-bucket",
            vec![
                "--db",
                "sqlite::memory:",
                "--api-token-path",
                &token,
                "--sign-key-path",
                &key,
            ],
        ),
    ] {
        complaints.extend(complaint(&server(&arguments, &[]), 2, option));
    }
    // The environment is another way to say the same.
    for (option, variable, value) in [
        ("--priority", "NIKS3_PRIORITY", "x"),
        ("--db", "DATABASE_URL", "mysql://x"),
        ("--api-token-path", "NIKS3_API_TOKEN_PATH", missing.as_str()),
        ("--s3-bucket", "NIKS3_S3_BUCKET", "a/b"),
        ("--http-addr", "NIKS3_HTTP_ADDR", "x"),
        ("--push-lease", "NIKS3_PUSH_LEASE", "x"),
    ] {
        complaints.extend(complaint(
            &server(&["--data-dir", &data], &[(variable, value)]),
            2,
            option,
        ));
    }
    // An empty one says nothing.
    let empty = [
        "NIKS3_HTTP_ADDR",
        "NIKS3_WAIT_FOR",
        "NIKS3_S3_BUCKET",
        "NIKS3_DB",
        "NIKS3_CACHE_URL",
    ];
    let output = server(
        &["--data-dir", &data, "--priority", "0"],
        &empty.map(|name| (name, "")),
    );
    complaints.extend(complaint(&output, 2, "--priority"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_the_options_name_and_does_not_work_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let base = ["--data-dir", &data, "--http-addr", "127.0.0.1:0"];
    let mut complaints = Vec::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = server(&["--data-dir", &data, "--http-addr", &address], &[]);
    complaints.extend(complaint(&output, 1, "--http-addr"));
    let text = write(folder.path(), "text.db", &"no database".repeat(1000));
    let output = server(&[&base[..], &["--db", &format!("sqlite://{text}")]].concat(), &[]);
    complaints.extend(complaint(&output, 1, "--db"));
    let bucket = garage_bucket();
    for (name, region, access, secret, said) in [
        (
            "not-there",
            bucket.region,
            bucket.access_key,
            bucket.secret_key,
            "--s3-bucket",
        ),
        (
            &bucket.name,
            "mars",
            bucket.access_key,
            bucket.secret_key,
            "--s3-region",
        ),
        (
            &bucket.name,
            bucket.region,
            "GK00000000000000000000dead",
            bucket.secret_key,
            "--s3-access-key",
        ),
        (
            &bucket.name,
            bucket.region,
            bucket.access_key,
            "hunter2hunter2hunter2",
            "--s3-secret-key",
        ),
    ] {
        let service = [
            ["--s3-endpoint", &bucket.endpoint],
            ["--s3-region", region],
            ["--s3-bucket", name],
            ["--s3-access-key", access],
            ["--s3-secret-key", secret],
        ];
        let output = server(&[&base[..], &service.concat()].concat(), &[]);
        complaints.extend(complaint(&output, 1, said));
        assert!(!output.stderr.contains(secret), "{output:?}");
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Every secret of a server, by name.
fn secrets(server: &Server) -> Vec<(String, String)> {
    let files = ["api-token", "signing-key", "s3-secret-key"];
    let read = |name: &&str| {
        let text = std::fs::read_to_string(server.directory().join(name)).ok()?;
        // The name of a signing key is no secret.
        let secret = text.trim().rsplit(':').next()?.to_owned();
        Some((name.to_string(), secret))
    };
    files.iter().filter_map(read).collect()
}

fn no_secret_is_ever_logged(backend: Backend) {
    let store = Store::default();
    let bucket = garage_bucket();
    // The log level of the harness is an argument, so that the environment cannot raise it.
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = Command::new(program("niks3-server"));
    command
        .args(["--http-addr", "127.0.0.1:0", "--log", "trace", "--data-dir"])
        .arg(&data);
    command.args(["--store-dir", store.dir().to_str().unwrap()]);
    if backend == Backend::Services {
        let db = niks3_test_support::database()
            .replace("postgres://postgres@", "postgres://postgres:hunter2pass@");
        command.args([
            "--db",
            &db,
            "--s3-endpoint",
            &bucket.endpoint,
            "--s3-bucket",
            &bucket.name,
        ]);
        command.args(["--s3-region", bucket.region, "--s3-access-key", bucket.access_key]);
        command.args(["--s3-secret-key", bucket.secret_key]);
    }
    let log = folder.path().join("log");
    let mut child = command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
    let first = first.expect("a line").unwrap();
    let url = first
        .strip_prefix("server: ")
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let token = std::fs::read_to_string(data.join("api-token")).unwrap();
    let path = store
        .build("build \"large\" \"head -c 20000000 /dev/urandom > $out\"")
        .remove(0);
    let push = |token: &Path| {
        let mut command = Command::new(program("niks3"));
        store.prepare(command.args(["push", "-vv", &path]));
        command
            .env("NIKS3_LOG", "trace")
            .env("NIKS3_SERVER_URL", url)
            .env("NIKS3_AUTH_TOKEN_FILE", token);
        run(&mut command)
    };
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "a-wrong-token-that-is-a-secret-elsewhere").unwrap();
    let refused = push(&wrong);
    assert_eq!(refused.code, 1, "{refused:?}");
    let pushed = push(&data.join("api-token"));
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    let _ = run(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.lines().count() > 100, "everything is logged");
    let mut secrets = vec![
        ("token".to_owned(), token.trim().to_owned()),
        (
            "refused token".into(),
            "a-wrong-token-that-is-a-secret-elsewhere".into(),
        ),
        ("password".into(), "hunter2pass".into()),
    ];
    if backend == Backend::Services {
        secrets.push(("secret key".into(), bucket.secret_key.into()));
    }
    for name in ["signing-key", "s3-secret-key"] {
        if let Ok(text) = std::fs::read_to_string(data.join(name)) {
            secrets.push((name.into(), text.trim().rsplit(':').next().unwrap().to_owned()));
        }
    }
    for (name, secret) in &secrets {
        for (place, text) in [
            ("the server", &log),
            ("the client", &pushed.stderr),
            ("the refused client", &refused.stderr),
        ] {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                panic!("{place} logs the {name}: {line}");
            }
        }
    }
}

#[test]
fn no_secret_is_ever_logged_with_the_embedded_store() {
    no_secret_is_ever_logged(Backend::Embedded);
}

#[test]
fn no_secret_is_ever_logged_with_services() {
    no_secret_is_ever_logged(Backend::Services);
}

#[test]
fn what_the_first_start_made_is_private_and_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let store = Store::default();
    let mut server = Server::start(Backend::Embedded, &store.dir());
    for file in ["api-token", "signing-key", "s3-secret-key", "s3-access-key"] {
        let mode = std::fs::metadata(server.directory().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(server.token().len() >= 36);
    let before = (server.public_key().to_owned(), secrets(&server));
    server.terminate();
    server.resume();
    assert_eq!((server.public_key().to_owned(), secrets(&server)), before);
}

#[test]
fn a_database_that_comes_up_later_is_waited_for() {
    let mut postgres = Postgres::start();
    postgres.stop();
    let folder = tempfile::tempdir().unwrap();
    let db = postgres.url().replace("postgres@", "postgres:hunter2pass@");
    let mut child = Command::new(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--db", &db, "--data-dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = log.next().expect("a line").unwrap();
    assert!(
        said.contains("cannot reach the database at ")
            && said.contains("trying again for 30s (--wait-for)")
            && !said.contains("hunter2pass"),
        "{said}"
    );
    postgres.resume();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
    assert!(first.is_some_and(|line| line.unwrap().starts_with("server: ")));
    let _ = run(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_object_store_that_says_nothing_is_given_up_and_named() {
    // Connections are taken, since the kernel takes them, and nobody reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let output = run(Command::new("timeout")
        .arg("90")
        .arg(program("niks3-server"))
        .args(["--http-addr", "127.0.0.1:0", "--s3-endpoint", &endpoint])
        .args(["--s3-bucket", "bucket", "--s3-access-key", "key"])
        .args(["--s3-secret-key", "secret", "--data-dir"])
        .arg(folder.path()));
    assert_eq!(output.code, 1, "{output:?}");
    let last = output.stderr.lines().last().unwrap_or_default();
    assert!(
        last.contains("--s3-endpoint") && last.contains("no answer"),
        "{last}"
    );
}

#[test]
fn what_does_not_answer_is_named_at_once_in_one_line_with_its_address() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let base = [
        "--data-dir",
        &data,
        "--http-addr",
        "127.0.0.1:0",
        "--wait-for",
        "6s",
    ];
    let db = format!("postgres://niks3:hunter2pass@{closed}/niks3");
    let endpoint = format!("http://{closed}");
    // HTTP answers where TLS is spoken.
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = format!("https://{}", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            let mut stream = stream.unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let s3 = |endpoint| {
        let keys = ["--s3-access-key", "key", "--s3-secret-key", "hunter2pass"];
        [&["--s3-bucket", "bucket", "--s3-endpoint", endpoint], &keys[..]].concat()
    };
    for (arguments, option, address, cause) in [
        (vec!["--db", &db], "--db", closed.as_str(), "Connection refused"),
        (s3(&endpoint), "--s3-endpoint", &closed, "Connection refused"),
        (
            s3(&tls),
            "--s3-endpoint",
            tls.trim_start_matches("https://"),
            "the answer is not TLS",
        ),
    ] {
        let output = server(&[&base[..], &arguments].concat(), &[]);
        assert_eq!(output.code, 1, "{output:?}");
        let waits: Vec<&str> = output
            .stderr
            .lines()
            .filter(|line| line.contains("(--wait-for)"))
            .collect();
        let [first] = waits[..] else { panic!("{output:?}") };
        let last = output.stderr.lines().last().unwrap();
        for line in [first, last] {
            assert!(line.contains(address) && line.contains(cause), "{line}");
            assert!(
                !line.contains("hunter2pass") && !line.contains("DispatchFailure"),
                "{line}"
            );
        }
        assert!(
            first.contains("(--wait-for)") && last.contains(option),
            "{first}\n{last}"
        );
    }
}

#[test]
fn a_folder_that_another_server_uses_is_named_with_its_option() {
    let other = Server::start(Backend::Embedded, Path::new("/nix/store"));
    let folder = other.directory().display().to_string();
    let output = server(&["--data-dir", &folder, "--http-addr", "127.0.0.1:0"], &[]);
    assert!(
        complaint(&output, 1, "--data-dir: another server uses ").is_none(),
        "{output:?}"
    );
}

#[test]
fn a_good_start_says_what_is_served_where_and_no_address_that_means_all() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut child = Command::new(program("niks3-server"))
        .args(["--http-addr", ":0", "--data-dir"])
        .arg(folder.path().join("data"))
        .env("NIKS3_SERVER_URL", "https://of.the.client.example")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
    let first = first.expect("a line").unwrap();
    assert!(first.starts_with("server: http://127.0.0.1:"), "{first}");
    let _ = run(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("serving http://127.0.0.1:"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for part in [
        "listens_on=0.0.0.0:",
        "keys=",
        "niks3.db",
        "object_store=\"files in ",
        "/nix/store",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(log.contains("NIKS3_PUBLIC_URL"), "{log}");
}
