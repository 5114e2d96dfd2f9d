//! Drop-in for the original niks3: what scripts, units and clients of it say is accepted and means the same.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use niks3_test_support::{Backend, Output, Running, Server, ServerOptions, Store, eventually, program, run};
use serde_json::{Value, json};

struct Site {
    store: Store,
    server: Server,
}

impl Site {
    fn new() -> Self {
        let store = Store::default();
        let server = Server::start(Backend::Embedded, &store.dir());
        Self { store, server }
    }

    fn build(&self, name: &str) -> String {
        self.store
            .build(&format!("build \"{name}\" \"echo {name} > $out\""))
            .remove(0)
    }

    fn niks3(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.niks3();
        self.store.prepare(command.args(arguments));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.niks3(arguments))
    }

    fn is_cached(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap();
        self.server.get(&format!("{}.narinfo", &name[..32])).is_some()
    }

    /// The original's second program, as packages install it.
    fn niks3_hook(&self, arguments: &[&str]) -> Command {
        let link = self.store.path("niks3-hook");
        if !link.exists() {
            symlink(program("niks3"), &link).unwrap();
        }
        let mut command = Command::new(link);
        command
            .env("NIKS3_SERVER_URL", self.server.url())
            .env("NIKS3_AUTH_TOKEN_FILE", self.server.token_path());
        self.store.prepare(command.args(arguments));
        command
    }
}

/// A push whose standard input stays open.
struct Stream {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Stream {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.niks3(&[&["push", "--stdin"], arguments].concat());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
        }
    }

    fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// The next acknowledgement, which comes while the input is open.
    fn hear(&self) -> Value {
        let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Exit code and standard error, once no more is to come.
    fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let mut text = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        errors.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code().unwrap(), text)
    }
}

#[test]
fn lines_in_braces_are_pushed_and_acknowledged_while_the_pipe_stays_open() {
    let site = Site::new();
    let (first, second, third) = (site.build("first"), site.build("second"), site.build("third"));
    let missing = first.replace("-first", "-missing");
    let mut stream = Stream::start(&site, &["--no-skip-upstream"]);
    stream.say(&json!({ "id": "a", "paths": [first] }).to_string());
    let told = stream.hear();
    assert_eq!(
        (&told["id"], &told["path"], &told["status"]),
        (&json!("a"), &json!(first), &json!("ok")),
        "{told}"
    );
    let key = site.server.public_key().split(':').next().unwrap();
    let signature = told["signatures"][0].as_str().unwrap();
    assert!(signature.starts_with(&format!("{key}:")), "{told}");
    let narinfo = site
        .server
        .get(&format!("{}.narinfo", &first.rsplit('/').next().unwrap()[..32]));
    assert!(
        String::from_utf8(narinfo.unwrap())
            .unwrap()
            .contains(&format!("Sig: {signature}"))
    );

    stream.say("{\"id\": 7, \"paths\": 3}");
    let told = stream.hear();
    assert_eq!(
        (&told["status"], &told["path"]),
        (&json!("error"), &Value::Null),
        "{told}"
    );

    // One transaction: all of it or nothing.
    stream.say(&json!({ "id": 8, "paths": [second, missing] }).to_string());
    for path in [&second, &missing] {
        let told = stream.hear();
        assert_eq!((&told["id"], &told["path"]), (&json!(8), &json!(path)), "{told}");
        assert_eq!(told["status"], "error");
        assert!(told["message"].as_str().unwrap().contains("-missing"), "{told}");
    }
    assert!(!site.is_cached(&second));

    stream.say(&json!({ "id": 9, "path": third }).to_string());
    assert_eq!(stream.hear()["status"], "ok");
    assert!(site.is_cached(&third));
    let (code, said) = stream.end();
    assert_eq!(code, 1);
    assert!(said.contains("3 of 5 paths could not be pushed"), "{said}");
}

#[test]
fn plain_lines_are_pushed_as_they_come_if_a_batch_has_a_size() {
    let site = Site::new();
    let paths = ["a", "b", "c"].map(|name| site.build(name));
    let mut stream = Stream::start(&site, &["--batch-size", "2", "--parallel-pushes", "2"]);
    stream.say(&paths[0]);
    assert_eq!(stream.hear()["path"], paths[0].as_str());
    // What cannot be pushed holds up no other.
    stream.say(&format!("{}\n/nowhere\n{}", paths[1], paths[2]));
    let mut told: Vec<_> = (0..3).map(|_| stream.hear()).collect();
    told.sort_by_key(|told| told["path"].to_string());
    let status = |path: &str| told.iter().find(|told| told["path"] == path).unwrap()["status"].clone();
    assert_eq!(status("/nowhere"), "error");
    assert_eq!((status(&paths[1]), status(&paths[2])), (json!("ok"), json!("ok")));
    assert_eq!(stream.end().0, 1);
    assert!(paths.iter().all(|path| site.is_cached(path)));
}

#[test]
#[allow(clippy::print_stderr, reason = "it says that it is skipped")]
fn nix_fast_build_pushes_what_it_builds() {
    let Some(checkout) = std::env::var_os("NIKS3_TEST_NIX_FAST_BUILD").filter(|path| !path.is_empty()) else {
        eprintln!("skipped: NIKS3_TEST_NIX_FAST_BUILD names no checkout of nix-fast-build");
        return;
    };
    let nix = std::env::var("NIKS3_TEST_NIX_234").expect("eval \"$(scripts/setup --print-env)\"");
    let store = Store::new(Some(nix.clone().into()));
    let server = Server::start(Backend::Embedded, &store.dir());
    let jobs = store.path("jobs.nix");
    std::fs::write(
        &jobs,
        "{ }: builtins.listToAttrs (map (number: { name = \"job${number}\"; value = derivation { name = \"job-${number}\"; \
         system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo ${number} > $out\" ]; }; }) \
         [ \"1\" \"2\" \"3\" \"4\" \"5\" ])",
    )
    .unwrap();
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/nix-fast-build/nix-eval-jobs");
    let mut command = Command::new("python3");
    store.prepare(
        command
            .args(["-c", "import nix_fast_build; nix_fast_build.main()"])
            .args(["--file", jobs.to_str().unwrap(), "--nix-eval-jobs", stand_in])
            .args(["--no-nom", "--niks3-server", &server.url()])
            .current_dir(store.path("home")),
    );
    let programs = program("niks3").parent().unwrap().display().to_string();
    let path = format!("{programs}:{nix}:{}", std::env::var("PATH").unwrap());
    command
        .env("PATH", path)
        .env("PYTHONPATH", checkout)
        .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
    let output = run(&mut command);
    assert_eq!(output.code, 0, "{output:?}");
    let listed = run(server.niks3().args(["closures", "list", "--json"])).json();
    let listed = listed.to_string();
    for number in 1..=5 {
        assert!(listed.contains(&format!("-job-{number}")), "{number}: {listed}");
    }
}

#[test]
fn arguments_are_taken_as_the_original_takes_them() {
    let site = Site::new();
    let path = site.build("path");
    let url = site.server.url();
    let token_path = site.server.token_path();
    let mut command = site.niks3(&[
        "push",
        &format!("-server-url={url}"),
        "-auth-token-path",
        token_path.to_str().unwrap(),
        "--verify-s3-integrity=true",
        "-max-concurrent-uploads",
        "0",
        "-pin",
        "release",
        &path,
    ]);
    command
        .env_remove("NIKS3_SERVER_URL")
        .env_remove("NIKS3_AUTH_TOKEN_FILE");
    let _ = run(&mut command).ok();
    assert!(site.is_cached(&path));

    let token = site.server.token();
    let mut command = site.niks3(&["pins", "list", "--auth-token", &token, "-names-only=true"]);
    let listed = run(command.env_remove("NIKS3_AUTH_TOKEN_FILE"));
    assert_eq!(listed.stdout, "release\n");
    assert!(
        listed.stderr.contains("--auth-token is obsolete") && !listed.stderr.contains(&token),
        "{listed:?}"
    );

    let listed = site.run(&["pins", "list", "--json"]).json();
    let pin = &listed[0];
    assert_eq!(
        (&pin["name"], &pin["store_path"]),
        (&json!("release"), &json!(path))
    );
    let updated = pin["updated_at"].as_str().unwrap();
    assert!(
        updated.len() == "2026-01-31T10:00:00Z".len() && updated.ends_with('Z'),
        "{updated}"
    );
    assert!(pin["updated_at_seconds"].as_i64() > Some(1_700_000_000), "{pin}");
    let table = site.run(&["pins", "list"]).ok();
    assert_eq!(table.lines().count(), 2);
    assert!(table.lines().nth(1).unwrap().starts_with("release"), "{table}");
    let _ = site.run(&["pins", "delete", "-debug", "release"]).ok();
    // The header is always there.
    assert_eq!(site.run(&["pins", "list"]).ok().lines().count(), 1);
}

#[test]
fn the_hook_of_the_original_is_served_under_its_name() {
    let site = Site::new();
    let folder = site.store.path("niks3-hook-state");
    let socket = site.store.path("upload.sock");
    let socket = socket.to_str().unwrap();
    let database = folder.join("upload-queue.db");
    let mut serve = site.niks3_hook(&[
        "serve",
        "--batch-size",
        "5",
        "--idle-exit-timeout",
        "0",
        "--socket",
        socket,
        "--db-path",
        database.to_str().unwrap(),
        "--verify-s3-integrity",
        "--max-concurrent-uploads",
        "3",
    ]);
    let serving = Running(serve.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the service listens", || UnixStream::connect(socket).is_ok());
    let (first, second) = (site.build("first"), site.build("second"));
    let mut send = site.niks3_hook(&["send", "-socket", socket]);
    let _ = run(send.env("OUT_PATHS", &first)).ok();
    eventually("what was sent is pushed", || site.is_cached(&first));

    // As the original's program speaks.
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{}", json!({ "paths": [second] })).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&answer).unwrap(),
        json!({ "status": "ok" })
    );
    eventually("what was sent is pushed", || site.is_cached(&second));
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{}", json!({ "paths": ["/etc/passwd"] })).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("\"status\":\"error\"") && answer.contains("/etc/passwd"),
        "{answer}"
    );
    drop(serving);

    // No build fails because nobody pushes.
    let mut send = site.niks3_hook(&["send", "--socket", "/nowhere/socket"]);
    let sent = run(send.env("OUT_PATHS", &first));
    assert!(
        sent.code == 0 && sent.stderr.contains("/nowhere/socket"),
        "{sent:?}"
    );
}

#[test]
fn a_client_of_the_original_is_told_which_client_to_install() {
    let site = Site::new();
    let ask = |method: &str, path: &str| {
        let url = format!("{}{path}", site.server.url());
        run(Command::new("curl").args([
            "-s",
            "-m",
            "60",
            "-X",
            method,
            "-d",
            "{}",
            "-w",
            "\n%{http_code}",
            &url,
        ]))
        .stdout
    };
    for (method, path) in [
        ("POST", "/api/pending_closures"),
        ("POST", "/api/pending_closures/12/complete"),
        ("DELETE", "/api/closures"),
        ("GET", "/api/pins"),
        ("POST", "/api/multipart/complete"),
    ] {
        let answer = ask(method, path);
        assert!(answer.ends_with("404"), "{path}: {answer}");
        assert!(
            answer.contains("install the client of this server, niks3 "),
            "{path}: {answer}"
        );
    }
    let config: Value = serde_json::from_slice(
        &site
            .server
            .get("api/cache-config?issuer=https://x.example")
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        config,
        json!({ "substituter_url": "", "public_keys": [site.server.public_key()] })
    );
    // What both have under one beginning is the server's own.
    assert_eq!(site.server.status("/api/v1/cache-config"), "200");
    let head = run(Command::new("curl").args(["-sI", &site.server.url()]));
    assert!(head.stdout.starts_with("HTTP/1.1 "), "{head:?}");
}

#[test]
fn the_server_reads_the_variables_of_the_original() {
    let store = Store::default();
    let keys = ["one", "two"].map(|name| {
        let file = store.path(name);
        let _ = store.nix(
            "nix-store",
            &[
                "--generate-binary-cache-key",
                &format!("{name}-1"),
                file.to_str().unwrap(),
                store.path("public").to_str().unwrap(),
            ],
        );
        file.display().to_string()
    });
    let token = "0123456789abcdef0123456789abcdef0123456789";
    let server = Server::with(
        Backend::Embedded,
        ServerOptions {
            store_dir: Some(store.dir()),
            environment: vec![
                ("NIKS3_API_TOKEN".to_owned(), token.to_owned()),
                ("NIKS3_SIGN_KEY_PATHS".to_owned(), keys.join(" ")),
                ("NIKS3_DEBUG".to_owned(), "true".to_owned()),
            ],
            arguments: [
                "-mtls-proxy-header",
                "X-SSL-Client-Verify",
                "--mtls-bound-subject",
                "CN=builder",
                "--max-nar-size",
                "1MiB",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..ServerOptions::default()
        },
    );
    let config: Value = serde_json::from_slice(&server.get("api/cache-config").unwrap()).unwrap();
    let names: Vec<_> = config["public_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap().split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["one-1", "two-1"]);
    assert!(!server.log().contains(token));

    let who = |headers: &[&str]| {
        let mut command = Command::new("curl");
        for header in headers {
            command.args(["-H", header]);
        }
        run(command.args(["-s", "-m", "60", &format!("{}/api/v1/whoami", server.url())])).stdout
    };
    let bearer = format!("Authorization: Bearer {token}");
    assert!(who(&[&bearer]).contains("admin"));
    // A proxy on this machine says who has shown a certificate.
    let subject = who(&["X-SSL-Client-Verify: SUCCESS", "X-SSL-Client-Dn: CN=builder"]);
    assert!(subject.contains("CN=builder"), "{subject}");

    let large = store
        .build("build \"large\" \"dd if=/dev/zero of=$out bs=1024 count=2048\"")
        .remove(0);
    let mut push = server.niks3();
    let file = store.path("token");
    std::fs::write(&file, token).unwrap();
    store.prepare(push.args(["push", &large]).env("NIKS3_AUTH_TOKEN_FILE", &file));
    let refused = run(&mut push).fails(1);
    assert!(
        refused.contains("-large") && refused.contains("--max-nar-size"),
        "{refused}"
    );
}
