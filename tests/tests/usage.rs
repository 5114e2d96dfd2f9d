//! Wrong use of the command line, and servers that are none: one sentence that says
//! what to do, the right exit code, and nothing left behind.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use niks3_test_support::{Backend, Output, Server, Store, finish, program, run};

/// What is wrong with how the program ended, which should be with a code and one line
/// that has some words in it.
fn complaint(output: &Output, code: i32, words: &[&str]) -> Option<String> {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let [line] = lines[..] else {
        return Some(format!("{words:?}: not one line: {output:?}"));
    };
    let fits = output.code == code
        && output.stdout.is_empty()
        && line.starts_with("niks3: ")
        && words.iter().all(|word| line.contains(word));
    (!fits).then(|| format!("{words:?} {code}: {output:?}"))
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// `niks3` that knows the store and nothing of a server.
fn niks3(store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("niks3"));
    store.prepare(command.args(arguments));
    for name in [
        "NIKS3_SERVER_URL",
        "NIKS3_AUTH_TOKEN_FILE",
        "NIKS3_AUTH_TOKEN_SCRIPT",
    ] {
        command.env_remove(name);
    }
    command
}

/// The server has nothing but what it wrote itself.
fn empty(server: &Server) {
    let bucket = std::fs::read_dir(server.directory().join("bucket")).unwrap();
    let mut entries: Vec<_> = bucket.map(|entry| entry.unwrap()).collect();
    // Folders that Nix looks for, with nothing in them.
    entries.retain(|entry| !entry.path().is_dir() || entry.path().read_dir().unwrap().next().is_some());
    let mut names: Vec<_> = entries.iter().map(std::fs::DirEntry::file_name).collect();
    names.sort();
    assert_eq!(names, ["niks3-owner.json", "nix-cache-info"]);
}

const PATH: &str = "build \"path\" \"mkdir $out; echo hello > $out/hello\"";

#[test]
fn arguments_that_make_no_sense_are_wrong_usage() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    let other = store.build("build \"other\" \"echo > $out\"").remove(0);
    let mut complaints = Vec::new();
    let long = "x".repeat(257);
    let table: [(&[&str], &str); 26] = [
        (&["push"], "--stdin"),
        (&["push", "-"], "--stdin"),
        (&["push", ".#hello"], "nix build --print-out-paths '.#hello' |"),
        (&["push", "github:NixOS/nixpkgs"], "nix build"),
        (&["push", &path, "--frobnicate"], "--frobnicate"),
        (
            &["push", &path, "--compression-level", "0"],
            "--compression-level",
        ),
        (
            &["push", &path, "--compression-level", "20"],
            "--compression-level",
        ),
        (
            &["push", &path, "--compression-level", "fast"],
            "--compression-level",
        ),
        (
            &["push", &path, "--max-concurrent-uploads", "1025"],
            "--max-concurrent-uploads",
        ),
        (&["push", &path, "--max-concurrent-uploads", "-1"], "-1"),
        (
            &["push", &path, "--max-concurrent-uploads", "99999999999"],
            "--max-concurrent-uploads",
        ),
        (&["push", &path, "--pin", "a/b"], "--pin"),
        (&["push", &path, "--pin", "\u{e4}"], "--pin"),
        (&["push", &path, "--pin", &long], "--pin"),
        (&["push", &path, "--pin"], "--pin"),
        (&["push", &path, &other, "--pin", "two"], "--pin"),
        (
            &["push", &path, "--skip-upstream", "cache.nixos.org"],
            "--skip-upstream",
        ),
        (
            &["push", &path, "--skip-upstream", "s3://bucket"],
            "--skip-upstream",
        ),
        (
            &["push", &path, "--skip-upstream", "https://example.org"],
            "the public key of this cache is missing",
        ),
        (&["push", &path, "--server-url", "localhost"], "--server-url"),
        (&["push", &path, "--server-url", "localhost:5751"], "--server-url"),
        (&["push", &path, "--server-url", "file:///tmp"], "--server-url"),
        (&["push", &path, "--server-url", "http://"], "--server-url"),
        (&["push", &path, "-q", "-v"], "--quiet"),
        (&["pull", &path], "pull"),
        (&["push", &path, "--client-cert", "/nowhere"], "--client-key"),
    ];
    for (arguments, word) in table {
        let mut command = niks3(&store, arguments);
        if !arguments.contains(&"--server-url") {
            command.env("NIKS3_SERVER_URL", server.url());
        }
        command.env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
        complaints.extend(complaint(&run(&mut command), 2, &[word]));
    }
    let mut nowhere = niks3(&store, &["push", &path]);
    complaints.extend(complaint(
        &run(&mut nowhere),
        2,
        &["--server-url", "NIKS3_SERVER_URL"],
    ));
    let mut nowhere = niks3(&store, &["push", &path]);
    nowhere.env("NIKS3_SERVER_URL", "nonsense");
    complaints.extend(complaint(&run(&mut nowhere), 2, &["--server-url"]));
    // Somebody has forgotten an option.
    let mut piped = niks3(&store, &["push"]);
    piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = finish(piped.spawn().unwrap());
    complaints.extend(complaint(
        &output,
        2,
        &["--stdin to read them from standard input"],
    ));
    none(&complaints);
    empty(&server);
    let help = run(&mut niks3(&store, &["push", "--help"])).ok();
    assert!(help.contains("--verify-s3-integrity"));
}

#[test]
fn a_path_that_is_none_is_named() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    let name = path.rsplit('/').next().unwrap();
    symlink("/nowhere/at/all", store.path("dangling")).unwrap();
    symlink("loop", store.path("loop")).unwrap();
    symlink("/etc/hostname", store.path("outside")).unwrap();
    std::fs::create_dir(store.path("folder")).unwrap();
    let unknown = store.dir().join("00000000000000000000000000000000-unknown");
    std::fs::write(&unknown, "x").unwrap();
    let no_name = store.dir().join("readme");
    std::fs::write(&no_name, "x").unwrap();
    let in_store = |name: &str| store.dir().join(name).display().to_string();
    let beside = |name: &str| store.path(name).display().to_string();
    let mut complaints = Vec::new();
    for wrong in [
        "/nowhere/at/all".to_owned(),
        String::new(),
        "/etc/hostname".into(),
        "/".into(),
        "https://example.com".into(),
        beside("dangling"),
        beside("loop"),
        beside("outside"),
        beside("folder"),
        store.dir().display().to_string(),
        format!("{}/../etc/nix.conf", store.dir().display()),
        format!("{path}/../../etc/nix.conf"),
        format!("{path}/typo"),
        format!("{path}/hello/typo"),
        in_store(&name[1..]),
        in_store("11111111111111111111111111111111-missing"),
        unknown.display().to_string(),
        no_name.display().to_string(),
        in_store(&format!("{}-{}", &name[..32], "x".repeat(250))),
        // Of a store that is not this one.
        format!("/nix/store/{name}"),
    ] {
        let mut command = niks3(&store, &["push", &path, &wrong]);
        command
            .env("NIKS3_SERVER_URL", server.url())
            .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
        // A second look with Nix is needed for some, which is why the good path is there too.
        complaints.extend(complaint(&run(&mut command), 1, &[&wrong]));
    }
    none(&complaints);
    empty(&server);
}

#[test]
fn standard_input_that_is_no_list_of_paths_is_refused_and_an_empty_one_is_nothing_to_do() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    let push = |input: &[u8]| {
        let mut command = niks3(&store, &["push", "--stdin", "--json"]);
        command
            .env("NIKS3_SERVER_URL", server.url())
            .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    };
    let mut complaints = Vec::new();
    for (input, word) in [
        (format!("{path}\n/nowhere\n").into_bytes(), "/nowhere"),
        (format!("{path}\0{path}").into_bytes(), "is not a store path"),
        (vec![0xff, 0xfe, b'\n'], "standard input"),
    ] {
        complaints.extend(complaint(&push(&input), 1, &[word]));
    }
    none(&complaints);
    // A line of JSON is acknowledged, whatever it is.
    let acknowledged = push(b"{\"path\": 1}\n");
    assert_eq!(acknowledged.code, 1, "{acknowledged:?}");
    let answer: serde_json::Value = serde_json::from_str(&acknowledged.stdout).unwrap();
    assert_eq!(answer["status"], "error", "{acknowledged:?}");
    assert!(
        answer["message"].as_str().unwrap().contains("paths"),
        "{acknowledged:?}"
    );
    empty(&server);
    for input in ["", "\n\n", "  \n"] {
        let summary: serde_json::Value = push(input.as_bytes()).json();
        assert_eq!(summary["paths"], 0);
    }
    // Without a line end, with one of Windows, and the same twice.
    for input in [
        path.clone(),
        format!("{path}\r\n"),
        format!("{path}\n{path}/hello\n"),
    ] {
        let summary: serde_json::Value = push(input.as_bytes()).json();
        assert_eq!(summary["closures"], serde_json::json!([path]));
    }
}

#[test]
fn a_token_that_is_missing_or_wrong_is_explained_and_never_shown() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    let file = |name: &str, text: &[u8]| {
        std::fs::write(store.path(name), text).unwrap();
        store.path(name).display().to_string()
    };
    let (empty_file, blank) = (file("empty", b""), file("blank", b" \n\n"));
    let wrong = file("wrong", b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n");
    let lines = file("lines", b"zzzzzzzzzzzzzzzzzzzz\nzzzzzzzzzzzzzzzzzzzz\n");
    let binary = file("binary", &[0xff, 0, 1, 2]);
    let missing = store.path("missing").display().to_string();
    let folder = store.path("etc").display().to_string();
    let mut complaints = Vec::new();
    let table: [(&[&str], &[&str]); 12] = [
        (&["--auth-token-path", &missing], &[&missing]),
        (&["--auth-token-path", &empty_file], &[&empty_file, "empty"]),
        (&["--auth-token-path", &blank], &[&blank, "empty"]),
        (&["--auth-token-path", &folder], &[&folder]),
        (&["--auth-token-path", &binary], &[&binary]),
        (&["--auth-token-path", &lines], &[&lines, "line"]),
        (&["--auth-token-path", &wrong], &["token", "401"]),
        (&["--auth-token-script", "/nowhere/at/all"], &["/nowhere/at/all"]),
        (&["--auth-token-script", "false"], &["false", "failed"]),
        (&["--auth-token-script", "true"], &["true", "empty"]),
        (&["--auth-token-script", "echo {zzzzzzzzzz"], &["echo"]),
        (&["--auth-token-script", "sh -c 'echo"], &["quotes"]),
    ];
    for (arguments, words) in table {
        let mut command = niks3(&store, &[&["push", &path], arguments].concat());
        let output = run(command.env("NIKS3_SERVER_URL", server.url()));
        complaints.extend(complaint(&output, 1, words));
        assert!(!output.stderr.contains("zzzzz"), "{output:?}");
    }
    let mut without = niks3(&store, &["push", &path]);
    without
        .env("NIKS3_SERVER_URL", server.url())
        .env_remove("ACTIONS_ID_TOKEN_REQUEST_URL");
    complaints.extend(complaint(&run(&mut without), 1, &["token", "--auth-token-path"]));
    without
        .env("NIKS3_AUTH_TOKEN", "zzzzzzzzzz")
        .env_remove("ACTIONS_ID_TOKEN_REQUEST_URL");
    complaints.extend(complaint(
        &run(&mut without),
        1,
        &["NIKS3_AUTH_TOKEN is not read", "NIKS3_AUTH_TOKEN_FILE"],
    ));
    let mut page = niks3(
        &store,
        &[
            "push",
            &path,
            "--server-url",
            &format!("{}/dashboard", server.url()),
        ],
    );
    page.env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
    complaints.extend(complaint(&run(&mut page), 1, &["give it without /dashboard"]));
    none(&complaints);
    empty(&server);
    // The order in which they are looked for.
    let config = store.path("home/config/niks3");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("auth-token"), server.token()).unwrap();
    let _ = run(niks3(&store, &["push", &path]).env("NIKS3_SERVER_URL", server.url())).ok();
    let script = format!("cat {}", server.token_path().display());
    let mut first = niks3(&store, &["push", &path, "--auth-token-script", &script]);
    first
        .args(["--auth-token-path", &wrong])
        .env("NIKS3_AUTH_TOKEN_FILE", &wrong)
        .env("NIKS3_SERVER_URL", server.url());
    let _ = run(&mut first).ok();
    let mut second = niks3(&store, &["push", &path, "--auth-token-path"]);
    second
        .arg(server.token_path())
        .env("NIKS3_AUTH_TOKEN_FILE", &wrong)
        .env("NIKS3_SERVER_URL", server.url());
    let _ = run(&mut second).ok();
}

/// Something that listens, and answers every connection with the same bytes.
fn answering(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(&answer);
        }
    });
    url
}

/// The same, in HTTP.
fn saying(status: &str, headers: &[&str], body: &str) -> String {
    answering(format!(
        "HTTP/1.1 {status}\r\n{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        headers.join("\r\n"),
        body.len()
    ))
}

#[test]
fn a_server_that_is_none_or_speaks_otherwise_is_told_apart() {
    let store = Store::default();
    let path = store.build(PATH).remove(0);
    std::fs::write(store.path("token"), "t".repeat(40)).unwrap();
    let (html, json) = ("content-type: text/html", "content-type: application/json");
    let problem = "content-type: application/problem+json";
    let (version_1, version_2) = ("niks3-protocol-version: 1", "niks3-protocol-version: 2");
    let too_old = "{\"type\":\"about:blank\",\"title\":\"t\",\"status\":400,\
        \"detail\":\"protocol 1 is too old: upgrade\",\"request_id\":\"r123\"}";
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let tls = saying("200 OK", &[html], "<html>Welcome</html>").replace("http://", "https://");
    let mut complaints = Vec::new();
    for (url, words) in [
        (
            saying("200 OK", &[html], "<html>Welcome</html>"),
            &["not answer like a niks3 server", "--server-url"][..],
        ),
        (
            saying("201 Created", &[html], "<html>Welcome</html>"),
            &["not answer like a niks3 server"],
        ),
        (
            saying("404 Not Found", &[html], ""),
            &["not answer like a niks3 server", "404"],
        ),
        (
            saying("403 Forbidden", &[html], "Access denied"),
            &["not answer like a niks3 server", "403"],
        ),
        (
            saying("302 Found", &["location: https://login.example.com/"], ""),
            &["https://login.example.com/"],
        ),
        (
            saying("201 Created", &[json], "{}"),
            &["not answer like a niks3 server"],
        ),
        (
            saying("201 Created", &[json, version_2], "{}"),
            &["version 2", "upgrade"],
        ),
        (
            saying("400 Bad Request", &[problem, version_2], too_old),
            &["protocol 1 is too old: upgrade"],
        ),
        (
            saying("201 Created", &[json, version_1], "{\"id\": 7}"),
            &["cannot understand", "version"],
        ),
        (answering(*b"220 mail.example.com ESMTP\r\n"), &[]),
        (closed, &["connection refused; is niks3-server running?"]),
        (tls, &["http:// instead of https://"]),
        ("http://nowhere.invalid".into(), &["unknown host"]),
    ] {
        let mut command = niks3(&store, &["push", &path]);
        command
            .env("NIKS3_SERVER_URL", &url)
            .env("NIKS3_AUTH_TOKEN_FILE", store.path("token"))
            .env_remove("CI");
        let begun = Instant::now();
        let output = run(&mut command);
        // Promised are 2 s; the rest is for a machine that is busy with other tests.
        if begun.elapsed() > Duration::from_secs(6) {
            complaints.push(format!("{url}: took {:?}", begun.elapsed()));
        }
        // While it is tried again, that may be said too.
        let last = Output {
            stderr: output.stderr.lines().last().unwrap_or_default().to_owned(),
            ..output
        };
        complaints.extend(complaint(&last, 1, words));
        if words.is_empty() {
            // Nothing but the address tells what is wrong.
            complaints.extend(complaint(&last, 1, &[&url]));
        }
    }
    none(&complaints);
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    let store = Store::default();
    let mut command = niks3(&store, &["whoami"]);
    for name in [
        "NIKS3_SERVER_URL",
        "NIKS3_RETRY_FOR",
        "NIKS3_CA_CERT",
        "NIKS3_CLIENT_CERT",
    ] {
        command.env(name, "");
    }
    none(&Vec::from_iter(complaint(&run(&mut command), 2, &["no server"])));
}

#[test]
fn a_proxy_is_for_the_hosts_that_are_not_excepted() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (excepted, code) in [("*", 0), ("127.0.0.1", 0), ("example.com", 1), ("", 1)] {
        let mut command = niks3(&store, &["whoami"]);
        command
            .env("NIKS3_SERVER_URL", server.url())
            .env("NIKS3_AUTH_TOKEN_FILE", server.token_path())
            .env_remove("CI")
            .env_remove("no_proxy")
            .env("HTTP_PROXY", &nobody)
            .env("http_proxy", &nobody)
            .env("NO_PROXY", excepted);
        let output = run(&mut command);
        assert_eq!(output.code, code, "{excepted}: {output:?}");
    }
}

#[test]
fn a_server_that_starts_a_moment_later_is_waited_for_in_ci() {
    let store = Store::default();
    let mut server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    server.kill();
    let mut command = niks3(&store, &["push", &path]);
    command
        .env("NIKS3_SERVER_URL", server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", server.token_path())
        .env("CI", "true")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("trying again") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    assert!(said.contains("connection refused"), "{said}");
    server.resume();
    let _ = finish(child).ok();
}

#[test]
fn a_cache_of_another_store_directory_takes_nothing() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, std::path::Path::new("/nix/store"));
    let path = store.build(PATH).remove(0);
    let mut command = niks3(&store, &["push", &path]);
    command
        .env("NIKS3_SERVER_URL", server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
    let dir = store.dir().display().to_string();
    none(&Vec::from_iter(complaint(
        &run(&mut command),
        1,
        &["/nix/store", &dir],
    )));
    empty(&server);
}

#[test]
fn an_argument_that_is_no_text_does_not_end_in_a_panic() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let mut command = niks3(&store, &["push"]);
    command
        .arg(std::ffi::OsStr::from_bytes(b"/tmp/\xff\xfe"))
        .env("NIKS3_SERVER_URL", server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
    let output = run(&mut command);
    assert!(matches!(output.code, 1 | 2), "{output:?}");
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

#[test]
fn a_token_file_that_may_not_be_read_is_named_with_the_reason() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let path = store.build(PATH).remove(0);
    let token = store.path("locked");
    std::fs::write(&token, server.token()).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o000)).unwrap();
    let program = program("niks3");
    let mut command = if run(Command::new("id").arg("-u")).ok().trim() == "0" {
        // Root may read everything, unless it goes without these.
        let without = "-dac_override,-dac_read_search";
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", without, "--inh-caps", without])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    store.prepare(command.args(["push", &path, "--auth-token-path"]).arg(&token));
    let output = run(command.env("NIKS3_SERVER_URL", server.url()));
    let words = [token.to_str().unwrap(), "ermission denied"];
    none(&Vec::from_iter(complaint(&output, 1, &words)));
    empty(&server);
}
