//! Bodies of requests: how much of whose is read, and for how long.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use niks3_test_support::{Backend, Server, ServerOptions, Store, eventually, run};
use niks3_tests::api::{A, Answer, Api};
use reqwest::{Method, StatusCode, header::HeaderMap};

/// Sends the head of a request, which ends where its body would begin.
fn begin(api: &Api, head: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(api.server.url().trim_start_matches("http://")).unwrap();
    // A server that waits for the body says nothing; this is no measure of how fast it is.
    stream.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
    let head = head.replace('\n', "\r\n");
    write!(stream, "{head}host: x\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn status(stream: &mut BufReader<TcpStream>) -> u16 {
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).expect("a status").parse().unwrap()
}

/// Reads a whole answer.
fn answer(stream: &mut BufReader<TcpStream>) -> Answer {
    let status = StatusCode::from_u16(status(stream)).unwrap();
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Answer {
        status,
        content_type: headers["content-type"].to_str().unwrap().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}

#[tokio::test]
async fn the_embedded_store_reads_no_body_that_nobody_has_signed() {
    let api = Api::new(Backend::Embedded, &[]);
    let large = "content-length: 5000000000\n";
    for (head, expected) in [
        (
            "POST /niks3 HTTP/1.1\ncontent-type: multipart/form-data; boundary=x\n",
            403,
        ),
        (
            "POST /niks3/ HTTP/1.1\ncontent-type: multipart/form-data; boundary=x\n",
            403,
        ),
        ("POST /niks3?delete HTTP/1.1\n", 403),
        ("POST /niks3/nar/x?uploadId=x HTTP/1.1\n", 403),
        ("PUT /niks3/nar/x HTTP/1.1\n", 403),
        ("PUT /niks3/nar/x?X-Amz-SignedHeaders=host HTTP/1.1\n", 403),
        (
            "POST /niks3 HTTP/1.1\nauthorization: x\ncontent-type: multipart/form-data; boundary=x\n",
            415,
        ),
        (
            "POST /niks3?X-Amz-Signature=x HTTP/1.1\ncontent-type: Multipart/Form-Data; boundary=x\n",
            415,
        ),
    ] {
        let mut stream = begin(&api, &format!("{head}{large}"));
        answer(&mut stream).problem(expected);
    }
    // Without a length, and with some of the body.
    let mut stream = begin(
        &api,
        "POST /niks3 HTTP/1.1\ncontent-type: multipart/form-data; boundary=x\ntransfer-encoding: chunked\n",
    );
    answer(&mut stream).problem(403);
    assert!(!api.server.log().contains("ERROR"));
}

#[tokio::test]
async fn a_refused_signature_is_no_error_in_the_log() {
    let options = ServerOptions {
        log: Some("info"),
        arguments: vec![niks3_tests::api::UNVERIFIED.into()],
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(Backend::Embedded, options));
    for query in [
        "X-Amz-Signature=x",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20260101T000000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
    ] {
        let path = format!("/niks3/nar/x?{query}");
        let refused = api.send(Method::GET, &path, "", "", "").await;
        assert!(refused.status.is_client_error(), "{}", refused.status);
    }
    let refused = api.send(Method::GET, "/niks3/nar/x", "wrong", "", "").await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    // What came before it in the log is there when this is.
    let _ = api.push(A, b"contents").await.ok();
    eventually("the log of the push", || api.server.log().contains("commit_push"));
    let log = api.server.log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn a_large_body_is_read_only_from_whom_the_server_knows() {
    let api = Api::new(Backend::Embedded, &[]);
    let token = format!("authorization: Bearer {}\n", api.token);
    let operation = "POST /api/v1/pushes HTTP/1.1\ncontent-type: application/json\nexpect: 100-continue\n";
    for length in ["content-length: 1000000\n", "transfer-encoding: chunked\n"] {
        let mut unknown = begin(&api, &format!("{operation}{length}"));
        answer(&mut unknown).problem(401);
        let wrong = format!("{operation}{length}authorization: Bearer wrong\n");
        answer(&mut begin(&api, &wrong)).problem(401);
        let mut known = begin(&api, &format!("{operation}{length}{token}"));
        assert_eq!(status(&mut known), 100, "it may go on");
    }
    // What takes no body gets none, whoever asks.
    for head in [
        "GET /health HTTP/1.1\n",
        "GET /ready HTTP/1.1\n",
        "GET /nix-cache-info HTTP/1.1\n",
        "PUT /nix-cache-info HTTP/1.1\n",
        "GET /api/v1/pins HTTP/1.1\n",
        "DELETE /api/v1/pushes HTTP/1.1\n",
        "POST /api/v1/nothing HTTP/1.1\n",
        "GET /dashboard HTTP/1.1\n",
    ] {
        let mut stream = begin(
            &api,
            &format!("{head}{token}expect: 100-continue\ncontent-length: 100000\n"),
        );
        answer(&mut stream).problem(413);
    }
    // The sender need not have asked: it gets to read why, and the rest goes nowhere.
    let sent = api
        .send(
            Method::POST,
            "/api/v1/pushes",
            "wrong",
            "application/json",
            vec![b' '; 4 << 20],
        )
        .await;
    sent.problem(401);
    let _ = api
        .send(Method::GET, "/health", "", "", vec![b' '; 1 << 20])
        .await
        .problem(413);
}

#[tokio::test]
async fn a_body_without_a_length_has_the_same_limit() {
    let api = Api::new(Backend::Embedded, &[]);
    let chunks = |number: usize| {
        let chunk = || Ok::<_, std::io::Error>(vec![b' '; 1 << 20]);
        reqwest::Body::wrap_stream(futures::stream::iter((0..number).map(move |_| chunk())))
    };
    for (path, method, number, expected) in [
        ("/api/v1/pushes", Method::POST, 33, 413),
        ("/api/v1/pushes", Method::POST, 31, 400),
        ("/health", Method::POST, 1, 413),
    ] {
        let answer = api
            .send(method, path, &api.token, "application/json", chunks(number))
            .await;
        answer.problem(expected);
    }
}

/// The head of a request that has a body as large as there may be, and waits to be told to send it.
fn large(token: &str) -> String {
    format!(
        "POST /api/v1/pushes HTTP/1.1\ncontent-type: application/json\nauthorization: Bearer {token}\n\
         expect: 100-continue\ncontent-length: {}\n",
        32 << 20
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_large_bodies_together_have_a_limit_and_small_ones_go_on() {
    let api = Api::new(Backend::Embedded, &[]);
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut stream = begin(&api, &large(&api.push_token(name).await));
        assert_eq!(status(&mut stream), 100, "it is being read");
        held.push(stream);
    }
    let mut refused = begin(&api, &large(&api.token));
    let _ = api.open(A).await;
    let refused = answer(&mut refused);
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(503);
    drop(held);
    assert_eq!(
        status(&mut begin(&api, &large(&api.token))),
        100,
        "there is room again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_bodies_of_one_token_leave_others_their_room() {
    let store = Store::default();
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(Backend::Embedded, options));
    // Its claim is more than what anybody may send.
    let path = store
        .build(
            "let leaf = number: build \"leaf-${toString number}\" \"echo ${toString number} > $out\"; in \
             build \"root\" \"echo ${toString (map leaf (builtins.genList (number: number) 40))} > $out\"",
        )
        .remove(0);
    let slow = api.push_token("slow").await;
    let mut first = begin(&api, &large(&slow));
    assert_eq!(status(&mut first), 100, "the first is being read");
    let waiting: Vec<_> = (0..4).map(|_| begin(&api, &large(&slow))).collect();
    let mut command = api.server.niks3();
    store.prepare(command.args(["push", &path]));
    let _ = run(&mut command).ok();
    for mut stream in waiting {
        let refused = answer(&mut stream);
        assert!(refused.headers.contains_key("retry-after"));
        let problem = refused.problem(429);
        assert!(
            problem["detail"].as_str().unwrap().contains("token:slow"),
            "{problem}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_body_that_stops_on_the_way_is_given_up() {
    let api = Api::new(Backend::Embedded, &[]);
    let mut stream = begin(
        &api,
        &format!(
            "POST /api/v1/pushes HTTP/1.1\ncontent-type: application/json\nauthorization: Bearer {}\ncontent-length: 100\n",
            api.token
        ),
    );
    stream.get_mut().write_all(b"{\"store_dir\":").unwrap();
    let problem = answer(&mut stream).problem(400);
    assert_eq!(problem["detail"], "the request body took too long");
}

#[tokio::test]
async fn a_head_may_have_so_many_bytes_and_no_more() {
    let api = Api::new(Backend::Embedded, &[]);
    let with = |bytes: usize| format!("GET /health HTTP/1.1\nx-long: {}\n", "x".repeat(bytes));
    assert_eq!(status(&mut begin(&api, &with(60_000))), 200);
    assert_eq!(status(&mut begin(&api, &with(70_000))), 431);
    assert_eq!(api.server.get("health").unwrap(), b"ok\n");
}
