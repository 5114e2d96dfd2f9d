//! Caches whose paths are left out: as Nix asks them, and as much as they can be trusted.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use niks3_test_support::{Backend, Output, Running, Server, Store, Upstream, eventually, free_port, run};
use niks3_tests::tls_files::Files;

const CLOSURE: &str = "let words = build \"words\" \"echo hello > $out\"; more = build \"more\" \"echo more > $out\"; in \
    build \"app\" \"echo ${words} ${more} > $out\"";

/// A store, a server to push to, and a closure of three paths: `app`, `more` and `words`.
fn site() -> (Store, Server, [String; 3]) {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let mut closure = store.closure(&app);
    closure.sort_by_key(|path| (*path != app, path[path.len() - 5..].to_owned()));
    (store, server, closure.try_into().unwrap())
}

fn command(server: &Server, store: &Store, arguments: &[&str]) -> Command {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--json"]).args(arguments));
    command
}

fn push(server: &Server, store: &Store, arguments: &[&str]) -> Output {
    run(&mut command(server, store, arguments))
}

/// What of a push is uploaded, and what is left to others.
#[track_caller]
fn counts(output: Output) -> (u64, u64) {
    let summary = output.json();
    let count = |name: &str| summary[name].as_u64().unwrap();
    (count("uploaded"), count("skipped_upstream"))
}

/// Something that gives every request the answer that `answer` makes of its path, or none; its address, and all that was
/// asked.
fn answering(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
            let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
            kept.lock().unwrap().push(head);
            let mut stream = reader.into_inner();
            match answer(&path) {
                Some(answer) => {
                    let _ = write!(stream, "HTTP/1.1 {answer}");
                }
                None => unanswered.push(stream),
            }
        }
    });
    (address, heads)
}

fn head(status_and_headers: &str) -> Option<String> {
    Some(format!(
        "{status_and_headers}connection: close\r\ncontent-length: 0\r\n\r\n"
    ))
}

fn body(text: &str) -> Option<String> {
    Some(format!(
        "200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    ))
}

#[test]
fn a_cache_that_redirects_is_followed_without_the_token() {
    let (store, server, [app, _, words]) = site();
    let upstream = Upstream::start(&store, "upstream", &[&words]);
    let to = upstream.url();
    let (address, heads) = answering(move |path| head(&format!("302 Found\r\nlocation: {to}{path}\r\n")));
    let redirecting = format!("http://{address}#{}", upstream.key());
    let output = push(&server, &store, &[&app, "--skip-upstream", &redirecting]);
    assert_eq!(counts(output), (2, 1));
    let heads = heads.lock().unwrap();
    let asked = upstream.requests().into_iter().map(|head| head.join("\n"));
    let heads: Vec<String> = heads.iter().cloned().chain(asked).collect();
    // One for each path, and one before.
    assert_eq!(heads.len(), 8);
    let token = server.token();
    for head in heads {
        assert!(
            !head.to_lowercase().contains("authorization") && !head.contains(&token),
            "{head}"
        );
    }
}

#[test]
fn what_any_of_several_caches_has_is_left_to_it() {
    let (store, server, [app, more, words]) = site();
    let one = Upstream::start(&store, "one", &[&words]);
    let other = Upstream::start(&store, "other", &[&more, &words]);
    let arguments = [
        app.as_str(),
        "--skip-upstream",
        &one.argument(),
        "--skip-upstream",
        &other.argument(),
    ];
    let summary = push(&server, &store, &arguments).json();
    let left_to = |cache: &Upstream| serde_json::json!({ "cache": cache.url(), "paths": 1 });
    assert_eq!(
        summary["left_to"],
        serde_json::json!([left_to(&one), left_to(&other)])
    );
    assert_eq!(summary["uploaded"], 1);
    // The variable says the same, and no option is needed.
    let (store, server, [app, more, words]) = site();
    let caches = [
        Upstream::start(&store, "one", &[&words]),
        Upstream::start(&store, "other", &[&more]),
    ];
    let mut command = server.niks3();
    store.prepare(command.args(["push", &app]));
    command.env(
        "NIKS3_SKIP_UPSTREAM",
        caches.each_ref().map(Upstream::argument).join(" "),
    );
    let output = run(&mut command);
    for cache in caches {
        let said = format!("1 path left to {}", cache.url().replace("http://", ""));
        assert!(output.stderr.contains(&said), "{output:?}");
    }
}

#[test]
fn a_root_that_a_cache_has_is_left_to_it_unless_it_is_pinned() {
    let (store, server, [app, _, words]) = site();
    let upstream = Upstream::start(&store, "upstream", &[&app]);
    let skip = upstream.argument();
    let all_left = push(&server, &store, &[&words, "--skip-upstream", &skip]);
    assert_eq!(counts(all_left), (0, 1));
    let both = push(&server, &store, &[&app, &words, "--skip-upstream", &skip]);
    assert_eq!(counts(both), (0, 3));
    let pinned = push(
        &server,
        &store,
        &[&app, "--pin", "release", "--skip-upstream", &skip],
    );
    assert_eq!(counts(pinned), (1, 2));
}

#[test]
fn only_the_same_contents_under_a_known_signature_are_left_to_a_cache() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let random = "build \"random\" \"head -c 100 /dev/urandom > $out\"";
    let path = store.build(random).remove(0);
    let upstream = Upstream::start(&store, "upstream", &[&path]);
    let other = Upstream::start(&store, "other", &[&path]);
    let with_other_key = format!("{}#{}", upstream.url(), other.key());
    assert_eq!(
        counts(push(
            &server,
            &store,
            &[&path, "--skip-upstream", &with_other_key]
        )),
        (1, 0)
    );
    let with_both_keys = format!("{},{}", upstream.argument(), other.key());
    assert_eq!(
        counts(push(
            &server,
            &store,
            &[&path, "--skip-upstream", &with_both_keys]
        )),
        (0, 1)
    );
    // What is remembered of one key is nothing about another.
    assert_eq!(
        counts(push(
            &server,
            &store,
            &[&path, "--skip-upstream", &with_other_key]
        )),
        (0, 0)
    );
    // The same path, built again with other contents; nothing is wrong with the signature.
    store.nix("nix-store", &["--delete", &path]);
    assert_eq!(store.build(random), [path.as_str()]);
    let summary = push(&server, &store, &[&path, "--skip-upstream", &with_both_keys]).json();
    assert_eq!(summary["skipped_upstream"], 0, "{summary}");
}

#[test]
fn what_a_cache_has_is_remembered_and_what_it_lacks_is_asked_for_again() {
    let (store, server, [app, _, words]) = site();
    let upstream = Upstream::start(&store, "upstream", &[&words]);
    let skip = upstream.argument();
    let push = || counts(push(&server, &store, &[&app, "--skip-upstream", &skip]));
    assert_eq!((push(), upstream.narinfos_asked()), ((2, 1), 3));
    assert_eq!((push(), upstream.narinfos_asked()), ((0, 1), 5));
    let folder = store.path("home/cache/niks3/upstreams");
    let files = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files(), 1);
    // Whoever may write there could say anything.
    let _ = run(Command::new("chmod").arg("g+w").arg(&folder)).ok();
    assert_eq!((push(), upstream.narinfos_asked()), ((0, 1), 8));
    let _ = run(Command::new("chmod").arg("g-w").arg(&folder)).ok();
    assert_eq!((push(), upstream.narinfos_asked()), ((0, 1), 10));
}

#[test]
fn a_cache_that_does_not_answer_as_one_gets_nothing_and_one_warning_without_its_password() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (store, server, [app, _, words]) = site();
    let good = Upstream::start(&store, "good", &[&words]);
    let info = format!("StoreDir: {}\n", store.dir().display());
    let narinfos = |answer: &'static str| {
        let info = info.clone();
        answering(move |path| match path.ends_with(".narinfo") {
            true if answer.is_empty() => None,
            true => Some(answer.to_owned()),
            false => body(&info),
        })
        .0
    };
    let long = "200 OK\r\nconnection: close\r\n\r\n".to_owned() + &"Sig: x\n".repeat(200_000);
    let broken = [
        (closed, "refused"),
        (answering(|_| head("401 No\r\n")).0, "HTTP 401"),
        (answering(|_| head("404 No\r\n")).0, "no nix-cache-info"),
        (
            answering(|_| head("200 OK\r\ncontent-type: text/html; charset=utf-8\r\n")).0,
            "a web page",
        ),
        (
            answering(|path| head(&format!("302 Found\r\nlocation: {path}\r\n"))).0,
            "redirect",
        ),
        (answering(|_| body("StoreDir: /other/store\n")).0, "/other/store"),
        (answering(|_| None).0, "no answer within 2 s"),
        (narinfos(""), "no answer within 2 s"),
        (
            narinfos("500 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
            "HTTP 500",
        ),
        (
            narinfos("200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello"),
            "narinfo line 1",
        ),
        (narinfos(String::leak(long)), "too long"),
    ];
    for (address, words) in broken {
        let broken = format!("http://user:secret@{address}/cache#{}", good.key());
        let arguments = [
            app.as_str(),
            "--skip-upstream",
            &broken,
            "--skip-upstream",
            &good.argument(),
        ];
        let begun = Instant::now();
        let output = push(&server, &store, &arguments);
        let warning = format!("niks3: warning: cannot find out what http://{address}/cache has: ");
        let said: Vec<&str> = output
            .stderr
            .lines()
            .filter(|line| line.contains("warning"))
            .collect();
        assert_eq!(said.len(), 1, "{output:?}");
        assert!(
            said[0].starts_with(&warning) && said[0].contains(words),
            "{words}: {output:?}"
        );
        assert!(!output.stderr.contains("secret"), "{output:?}");
        // The other one is believed all the same.
        assert_eq!(output.json()["skipped_upstream"], 1);
        assert!(begun.elapsed() < Duration::from_secs(20), "{words}");
    }
}

#[test]
fn one_failure_among_the_answers_of_a_cache_leaves_nothing_to_it() {
    let (store, server, [app, more, words]) = site();
    let upstream = Upstream::start(&store, "upstream", &[&words, &more]);
    let folder = upstream.folder().to_owned();
    let hash = app.rsplit('/').next().unwrap()[..32].to_owned();
    let (address, _) = answering(move |path| {
        let file = std::fs::read_to_string(folder.join(path.trim_start_matches('/')));
        match file {
            _ if path.contains(&hash) => head("503 Busy\r\n"),
            Ok(text) => body(&text),
            Err(_) => head("404 No\r\n"),
        }
    });
    let skip = format!("http://{address}#{}", upstream.key());
    assert_eq!(
        counts(push(&server, &store, &[&app, "--skip-upstream", &skip])),
        (3, 0)
    );
}

#[test]
fn a_cache_is_asked_through_the_proxy_of_the_environment() {
    let (store, server, [app, _, words]) = site();
    let upstream = Upstream::start(&store, "upstream", &[&words]);
    let skip = format!("http://cache.example.com#{}", upstream.key());
    let mut command = command(&server, &store, &[&app, "--skip-upstream", &skip]);
    command
        .env("http_proxy", upstream.url())
        .env("no_proxy", "127.0.0.1");
    assert_eq!(counts(run(&mut command)), (2, 1));
    assert_eq!(upstream.narinfos_asked(), 3);
}

/// Serves a folder over TLS and HTTP/2 by Node, holds each narinfo back until 64 are asked for or some time has passed,
/// and says at `/seen` what it has seen.
const HTTP2_SERVER: &str = r#"
const [port, cert, key, folder] = process.argv.slice(1);
const fs = require("fs");
const seen = { connections: 0, narinfos: 0, most: 0, versions: [] };
let open = 0;
let waiting = [];
const answer = () => { const all = waiting; waiting = []; all.forEach(send => send()); };
const options = { cert: fs.readFileSync(cert), key: fs.readFileSync(key), allowHTTP1: true };
const server = require("http2").createSecureServer(options, (request, response) => {
  if (request.url === "/seen") return response.end(JSON.stringify(seen));
  if (!seen.versions.includes(request.httpVersion)) seen.versions.push(request.httpVersion);
  const send = () => {
    open -= 1;
    fs.readFile(folder + request.url, (error, data) => {
      response.statusCode = error ? 404 : 200;
      response.end(data);
    });
  };
  open += 1;
  if (!request.url.endsWith(".narinfo")) return send();
  seen.narinfos += 1;
  seen.most = Math.max(seen.most, open);
  waiting.push(send);
  if (waiting.length >= 64) answer(); else setTimeout(answer, 500);
});
server.on("secureConnection", () => { seen.connections += 1; });
server.listen(Number(port), "127.0.0.1");
"#;

#[test]
fn a_cache_is_asked_for_64_paths_at_a_time_over_one_connection_of_http2() {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let files: Vec<String> = (0..150)
        .map(|number| {
            let file = store.path(&format!("file-{number}"));
            std::fs::write(&file, number.to_string()).unwrap();
            file.display().to_string()
        })
        .collect();
    let add: Vec<&str> = ["--add"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    let added = store.nix("nix-store", &add);
    let paths: Vec<&str> = added.lines().collect();
    let upstream = Upstream::start(&store, "upstream", &paths[..140]);
    let tls = Files::new();
    let port = free_port();
    let mut node = Command::new("node");
    node.args(["-e", HTTP2_SERVER, &port.to_string()])
        .args([tls.path("server.pem"), tls.path("server.key")])
        .arg(upstream.folder());
    let _node = Running(node.spawn().unwrap());
    let seen = || {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--cacert"]).arg(tls.path("ca.pem"));
        run(curl.arg(format!("https://127.0.0.1:{port}/seen")))
    };
    eventually("the cache serves", || seen().code == 0);
    let before: serde_json::Value = seen().json();
    let skip = format!("https://127.0.0.1:{port}#{}", upstream.key());
    let mut command = command(
        &server,
        &store,
        &[&paths[..], &["--skip-upstream", &skip]].concat(),
    );
    // Nix trusts the authorities in this file, and so do we.
    command.env("NIX_SSL_CERT_FILE", tls.path("ca.pem"));
    assert_eq!(counts(run(&mut command)), (10, 140));
    let after = seen().json();
    let new = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    assert_eq!(after["versions"], serde_json::json!(["2.0"]));
    // The other connection is that of the question itself.
    assert_eq!(
        (new("narinfos"), new("connections"), new("most")),
        (150, 2, 64),
        "{after}"
    );
}
