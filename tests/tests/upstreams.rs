//! Caches whose paths are left out: as Nix asks them, and as much as they can be trusted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use niks3_test_support::{Backend, Output, Server, Store, run};

const CLOSURE: &str = "let words = build \"words\" \"echo hello > $out\"; more = build \"more\" \"echo more > $out\"; in \
    build \"app\" \"echo ${words} ${more} > $out\"";

/// A store, a server to push to, and a closure of three paths; the first is the root.
fn site() -> (Store, Server, Vec<String>) {
    let store = Store::default();
    let server = Server::start(Backend::Embedded, &store.dir());
    let app = store.build(CLOSURE).remove(0);
    let mut closure = store.closure(&app);
    closure.sort_by_key(|path| (*path != app, path[path.len() - 5..].to_owned()));
    (store, server, closure)
}

fn push(server: &Server, store: &Store, arguments: &[&str]) -> Output {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--json"]).args(arguments));
    run(&mut command)
}

/// Something that gives every request the answer that `answer` makes of its path; its address, and all that was asked.
fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
            let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
            kept.lock().unwrap().push(head);
            let _ = write!(
                reader.into_inner(),
                "HTTP/1.1 {}connection: close\r\ncontent-length: 0\r\n\r\n",
                answer(&path)
            );
        }
    });
    (address, heads)
}

#[test]
fn a_cache_that_redirects_is_followed_without_the_token() {
    let (store, server, closure) = site();
    let upstream = Server::start(Backend::Embedded, &store.dir());
    let _ = push(&upstream, &store, &[&closure[1]]).ok();
    let to = upstream.url();
    let (address, heads) = answering(move |path| format!("302 Found\r\nlocation: {to}{path}\r\n"));
    let url = format!("http://{address}");
    let summary = push(&server, &store, &[&closure[0], "--skip-upstream", &url]).json();
    assert_eq!(summary["skipped_upstream"], 1, "{summary}");
    assert_eq!(summary["uploaded"], 2);
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 3);
    assert!(
        heads
            .iter()
            .all(|head| !head.to_lowercase().contains("authorization")),
        "{heads:?}"
    );
}

#[test]
fn what_any_of_several_caches_has_is_left_out() {
    let (store, server, closure) = site();
    let upstreams = [1, 2].map(|number: usize| {
        let upstream = Server::start(Backend::Embedded, &store.dir());
        let _ = push(&upstream, &store, &[&closure[number]]).ok();
        upstream
    });
    let (one, other) = (upstreams[0].url(), upstreams[1].url());
    let arguments = [
        closure[0].as_str(),
        "--skip-upstream",
        &one,
        "--skip-upstream",
        &other,
    ];
    let summary = push(&server, &store, &arguments).json();
    assert_eq!(summary["skipped_upstream"], 2, "{summary}");
    assert_eq!(summary["uploaded"], 1);
}

#[test]
fn a_cache_that_does_not_answer_as_one_leaves_nothing_out_and_its_password_is_not_shown() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (refusing, _) = answering(|_| "401 No\r\n".to_owned());
    let (page, _) = answering(|_| "200 OK\r\ncontent-type: text/html; charset=utf-8\r\n".to_owned());
    let (circle, _) = answering(|path| format!("302 Found\r\nlocation: {path}\r\n"));
    for (address, words) in [
        (closed, "refused"),
        (refusing, "HTTP 401"),
        (page, "a web page"),
        (circle, "redirect"),
    ] {
        let (store, server, closure) = site();
        let upstream = Server::start(Backend::Embedded, &store.dir());
        let _ = push(&upstream, &store, &[&closure[1]]).ok();
        let broken = format!("http://user:secret@{address}/cache");
        let good = upstream.url();
        let arguments = [
            closure[0].as_str(),
            "--skip-upstream",
            &broken,
            "--skip-upstream",
            &good,
        ];
        let output = push(&server, &store, &arguments);
        let warning = format!("niks3: warning: http://{address}/cache/ does not answer");
        let said: Vec<&str> = output
            .stderr
            .lines()
            .filter(|line| line.starts_with(&warning))
            .collect();
        assert_eq!(said.len(), 1, "{output:?}");
        assert!(said[0].contains(words), "{words}: {output:?}");
        assert!(!output.stderr.contains("secret"), "{output:?}");
        let summary = output.json();
        // The other one is believed all the same.
        assert_eq!(summary["skipped_upstream"], 1, "{summary}");
        assert_eq!(summary["uploaded"], 2);
    }
}
