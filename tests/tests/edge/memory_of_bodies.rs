//! What a body of JSON costs the server in memory, whatever is in it.

use futures::future::join_all;
use niks3_test_support::Backend;
use niks3_tests::api::{A, Api, B, HASH};
use reqwest::{Method, StatusCode};

const MIB: u64 = 1 << 20;
/// The most that a body may have, and the most that it may cost.
const MOST: usize = 32 << 20;
const COST: u64 = 64 * MIB;

/// A number of bytes in `/proc/PID/status`.
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib = line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// A body of as many of these items as there is room for in so many bytes.
fn filled(most: usize, before: &str, item: &str, after: &str) -> String {
    let room = most - before.len() - after.len() - item.len();
    let items = item.len() + 1;
    format!("{before}{}{item}{after}", format!("{item},").repeat(room / items))
}

/// Bodies of all shapes of so many bytes, and what each is answered with if they are as many as there may be.
fn bodies(most: usize, push: &str) -> Vec<(String, String, u16)> {
    let mut bodies = Vec::new();
    let claims = format!("/api/v1/pushes/{push}/paths");
    let mut claim = |body: String, status| bodies.push((claims.clone(), body, status));
    // Of the shape that is asked for, and much too many of it.
    let info = format!(r#"{{"paths":[{{"path":"{A}","nar_hash":"{HASH}","nar_size":5,"references":["#);
    claim(filled(most, &info, &format!(r#""{B}""#), "]}]}"), 422);
    claim(filled(most, r#"{"paths":[],"external":["#, r#""""#, "]}"), 422);
    let info = format!(r#"{{"path":"{A}","nar_hash":"{HASH}","nar_size":5,"references":[]}}"#);
    claim(filled(most, r#"{"paths":["#, &info, "]}"), 422);
    // Of another.
    for (item, status) in [
        ("{}", 400),
        ("[]", 400),
        (r#""""#, 400),
        ("0", 400),
        (r#"{"":0}"#, 400),
    ] {
        claim(filled(most, r#"{"paths":["#, item, "]}"), status);
        claim(filled(most, "[", item, "]"), 400);
        // In a field that nobody asked for.
        claim(filled(most, r#"{"paths":[],"x":["#, item, "]}"), 200);
    }
    claim(filled(most, r#"{"paths":[],"#, r#""x":0"#, "}"), 200);
    let filling = most - 100;
    claim(format!(r#"{{"paths":[],"x":"{}"}}"#, "x".repeat(filling)), 400);
    claim(
        format!(r#"{{"paths":[],"external":["{}"]}}"#, "x".repeat(filling)),
        400,
    );
    claim(format!(r#"{{"paths":[],"{}":0}}"#, "x".repeat(filling)), 400);
    claim(format!(r#"{{"paths":[],"x":{}}}"#, "1".repeat(filling)), 400);
    claim(format!(r#"{{"paths":[],"x":{}"#, "[".repeat(filling)), 400);
    claim(" ".repeat(filling), 400);
    for (path, list) in [
        (format!("/api/v1/pushes/{push}/uploads"), "uploads"),
        (format!("/api/v1/pushes/{push}/objects"), "objects"),
        (
            format!("/api/v1/pushes/{push}/multipart-uploads/1/parts"),
            "parts",
        ),
        (
            format!("/api/v1/pushes/{push}/multipart-uploads/1/complete"),
            "parts",
        ),
        ("/api/v1/pushes".into(), "roots"),
        ("/api/v1/tokens".into(), "scopes"),
        ("/api/v1/pins".into(), "x"),
        ("/api/v1/gc".into(), "x"),
    ] {
        bodies.push((path, filled(most, &format!("{{\"{list}\":["), "{}", "]}"), 400));
    }
    let part = format!(r#"{{"number":1,"size":5,"sha256":"{HASH}"}}"#);
    let complete = format!(r#"{{"file_hash":"{HASH}","file_size":5,"parts":["#);
    bodies.push((
        format!("/api/v1/pushes/{push}/multipart-uploads/1/complete"),
        filled(most, &complete, &part, "]}"),
        422,
    ));
    bodies
}

async fn send(api: &Api, token: &str, path: &str, body: String) -> StatusCode {
    let method = match path {
        "/api/v1/pins" => Method::PUT,
        path if path.ends_with("/objects") => Method::PUT,
        _ => Method::POST,
    };
    let path = path.replace("/pins", "/pins/name");
    api.send(method, &path, token, "application/json", body)
        .await
        .status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_costs_more_than_twice_what_it_may_have() {
    // The push outlasts all bodies, on a slow machine, too.
    let api = Api::new(Backend::Embedded, &["--push-lease", "1h"]);
    let push = api.open(A).await;
    let process = api.server.id();
    // The code of the program, and what it keeps of any request, are no part of what a body costs.
    for (path, body, _) in bodies(2 << 20, &push) {
        let _ = send(&api, &api.token, &path, body).await;
    }
    let before = memory(process, "VmRSS");
    let mut peak = memory(process, "VmHWM");
    for (path, body, status) in bodies(MOST, &push) {
        let shown: String = body.chars().take(80).collect();
        assert_eq!(
            send(&api, &api.token, &path, body).await,
            status,
            "{path} {shown}"
        );
        let now = memory(process, "VmHWM");
        peak = now;
        assert!(
            peak < before + COST,
            "{path} {shown}: {} MiB",
            (peak - before) / MIB
        );
    }
    // As many as the server has room for.
    let mut tokens = Vec::new();
    for name in ["a", "b", "c", "d"] {
        tokens.push(api.push_token(name).await);
    }
    let claims = format!("/api/v1/pushes/{push}/paths");
    let objects = filled(MOST, r#"{"paths":[],"x":["#, "{}", "]}");
    let sent = tokens
        .iter()
        .map(|token| send(&api, token, &claims, objects.clone()));
    let _ = join_all(sent).await;
    let peak = memory(process, "VmHWM").max(peak);
    assert!(peak < before + 4 * COST, "{} MiB", (peak - before) / MIB);
    let _ = api.claim(&push, serde_json::json!([])).await.ok();
}
