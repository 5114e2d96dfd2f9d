use std::io::{Read as _, Write as _};

use super::*;
use crate::{ConnectOptions, build_http};

/// What a peer does with one request.
#[derive(Clone, Copy)]
enum Peer {
    /// Answers with a status and headers, each of which ends with CR and LF.
    Says(u16, &'static str),
    /// Takes it, and ends the connection.
    HangsUp,
    /// Takes it, and says nothing.
    IsSilent,
}
use Peer::{HangsUp, IsSilent, Says};

const OURS: &str = "niks3-protocol-version: 1\r\n";
const BUSY: &str = "niks3-protocol-version: 1\r\nretry-after: 1\r\n";

/// A peer that does one thing after the other, the last for ever; its address, and how many requests have come.
fn peer(does: &[Peer]) -> (url::Url, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    let (does, count) = (does.to_vec(), Arc::<std::sync::atomic::AtomicUsize>::default());
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let number = counted.fetch_add(1, Ordering::SeqCst);
            match does[number.min(does.len() - 1)] {
                Says(status, headers) => {
                    let body = match status {
                        204 => String::new(),
                        _ => serde_json::json!({
                            "type": "about:blank", "title": "t", "status": status, "detail": "d", "request_id": "r",
                        })
                        .to_string(),
                    };
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\
                         {headers}content-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                }
                HangsUp => {}
                IsSilent => silent.push(stream),
            }
        }
    });
    (url.parse().unwrap(), count)
}

/// Patient with everything but an address where nobody answers.
fn api(url: &url::Url) -> Api {
    let policy = RetryPolicy {
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        max_elapsed: Duration::from_secs(20),
        first_contact: Duration::from_millis(100),
        ..RetryPolicy::default()
    };
    let http = build_http(&ConnectOptions::default()).unwrap();
    let mut api = Api::new(url, http, Arc::new(TokenProvider::anonymous()), policy);
    api.timeout = Duration::from_millis(300);
    api
}

async fn delete(api: &Api) -> Result<(), Error> {
    api.delete("deleting", |client| async move { client.delete_pin("x").await })
        .await
}

#[tokio::test]
async fn a_server_that_asks_for_patience_at_once_gets_more_than_a_first_contact() {
    for busy in [Says(429, BUSY), Says(503, BUSY), Says(521, ""), Says(503, "")] {
        let (url, count) = peer(&[busy, busy, Says(204, OURS)]);
        delete(&api(&url)).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn an_address_where_nobody_has_ever_answered_is_given_up_soon() {
    let (url, _) = peer(&[HangsUp]);
    let error = delete(&api(&url)).await.unwrap_err();
    assert!(error.to_string().contains("cannot reach"), "{error}");
}

#[tokio::test]
async fn a_peer_that_has_answered_once_is_tried_for_longer() {
    let (url, count) = peer(&[
        Says(503, OURS),
        IsSilent,
        HangsUp,
        HangsUp,
        IsSilent,
        Says(204, OURS),
    ]);
    delete(&api(&url)).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_peer_that_takes_a_call_and_never_answers_is_noticed() {
    let (url, count) = peer(&[IsSilent]);
    let error = delete(&api(&url)).await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_the_server_is_long_at_work_for_is_asked_for_again_for_longer_than_failures_last() {
    let (url, count) = peer(&[Says(503, OURS), IsSilent, IsSilent, Says(204, OURS)]);
    let mut api = api(&url);
    api.policy.max_elapsed = Duration::from_millis(100);
    let call = |client: Client| async move { client.delete_pin("x").await };
    api.call_long(Duration::from_secs(20), "working", call)
        .await
        .unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 4);
    let (url, _) = peer(&[Says(503, OURS), IsSilent]);
    api.base = url.as_str().trim_end_matches('/').to_owned();
    api.call("working", call).await.unwrap_err();
}

#[tokio::test]
async fn what_is_gone_after_a_lost_answer_is_deleted_and_else_was_not_there() {
    const NONE: Peer = Says(404, OURS);
    for before in [HangsUp, IsSilent, Says(502, "")] {
        let (url, _) = peer(&[Says(429, OURS), before, NONE]);
        delete(&api(&url)).await.unwrap();
    }
    for before in [NONE, Says(429, OURS)] {
        let (url, _) = peer(&[before, NONE]);
        let error = delete(&api(&url)).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_from_the_server_and_no_password_is_shown() {
    for (answer, words) in [
        (Says(413, ""), "client_max_body_size"),
        (Says(501, ""), "does not answer like a niks3 server"),
        (
            Says(302, "location: http://user:secret@there.example/\r\n"),
            "redirects to http://there.example/",
        ),
        (Says(200, "niks3-protocol-version: 2\r\n"), "version 2"),
    ] {
        let (url, count) = peer(&[answer]);
        let error = delete(&api(&url)).await.unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains("secret"), "{error}");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
    let (url, _) = peer(&[Says(521, "retry-after: 3600\r\n")]);
    let error = delete(&api(&url)).await.unwrap_err().to_string();
    assert!(error.contains("proxy") && error.contains("521"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
