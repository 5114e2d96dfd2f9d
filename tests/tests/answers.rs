//! Answers as HTTP has them: what a read with conditions or ranges gets, and what is said
//! of requests that lead nowhere.

use niks3_test_support::{Backend, on_both};
use niks3_tests::api::{A, Answer, Api, HASH};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    a_reader_who_has_the_object_is_told_which_one_it_has,
    a_range_gets_its_bytes_or_the_size_of_the_object,
    a_path_that_is_no_text_is_none,
    a_method_that_a_path_does_not_know_gets_those_it_knows,
    a_body_of_another_shape_has_its_field_named,
    a_parameter_that_cannot_be_read_is_named_with_what_it_may_be,
);

/// A server with one path, and where its narinfo is.
async fn narinfo(backend: Backend) -> (Api, String) {
    let api = Api::new(backend, &[]);
    api.push(A, b"contents").await.ok();
    let url = format!("{}/{}.narinfo", api.server.url(), &A[..32]);
    (api, url)
}

async fn get(api: &Api, url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = api.client.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn a_reader_who_has_the_object_is_told_which_one_it_has(backend: Backend) {
    let (api, url) = narinfo(backend).await;
    let whole = get(&api, &url, &[]).await;
    let header = |answer: &Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    let (etag, modified) = (header(&whole, "etag"), header(&whole, "last-modified"));
    assert!(
        etag.starts_with('"') && !modified.contains("1970"),
        "{etag} {modified}"
    );
    for (name, value) in [
        ("if-none-match", etag.as_str()),
        ("if-none-match", "*"),
        ("if-none-match", &format!("\"another\", {etag}")),
        ("if-none-match", &format!("W/{etag}")),
        ("if-modified-since", &modified),
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let asked = api.client.request(method.clone(), &url).header(name, value);
            let answer = Answer::of(asked.send().await.unwrap()).await;
            assert_eq!(answer.status, 304, "{method} {name}: {value}");
            assert_eq!(header(&answer, "etag"), etag, "{name}: {value}");
            assert_eq!(header(&answer, "last-modified"), modified, "{name}: {value}");
            assert_eq!(answer.body, "");
        }
    }
    for (name, value) in [
        ("if-none-match", "\"another\""),
        ("if-none-match", "no tag at all"),
        ("if-none-match", "\"<&>\""),
        ("if-none-match", ""),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("if-modified-since", "yesterday"),
    ] {
        let answer = get(&api, &url, &[(name, value)]).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &whole.body),
            "{name}: {value}"
        );
    }
}

async fn a_range_gets_its_bytes_or_the_size_of_the_object(backend: Backend) {
    let (api, url) = narinfo(backend).await;
    let whole = get(&api, &url, &[]).await.body;
    let size = whole.len();
    for (range, part) in [
        ("bytes=0-9".to_owned(), &whole[..10]),
        ("bytes=10-".into(), &whole[10..]),
        ("bytes=-5".into(), &whole[size - 5..]),
        (format!("bytes=5-{}", u64::MAX), &whole[5..]),
        ("bytes=5-99999999999999999999999999".into(), &whole[5..]),
        (format!("bytes=-{}", u64::MAX), &whole[..]),
    ] {
        let answer = get(&api, &url, &[("range", &range)]).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (206, part), "{range}");
        let found = answer.headers["content-range"].to_str().unwrap();
        assert!(found.ends_with(&format!("/{size}")), "{range}: {found}");
    }
    for range in [
        format!("bytes={size}-"),
        format!("bytes={size}-{}", size + 5),
        format!("bytes={}-", i64::MAX),
        format!("bytes={}-", u64::MAX),
        "bytes=99999999999999999999999999-".into(),
        "bytes=99999999999999999999999999-99999999999999999999999999".into(),
        "bytes=-0".into(),
    ] {
        let answer = get(&api, &url, &[("range", &range)]).await;
        let found = answer.headers.get("content-range").cloned();
        assert_eq!(found.unwrap(), &format!("bytes */{size}"), "{range}");
        answer.problem(416);
    }
    for range in [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "lines=0-9",
        "bytes=0-1,5-6",
        "\u{e4}",
    ] {
        let answer = get(&api, &url, &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &whole), "{range}");
    }
    let nothing = url.replace(&A[..32], "11111111111111111111111111111111");
    for range in ["bytes=0-9", "bytes=99999999999999999999999999-"] {
        get(&api, &nothing, &[("range", range)]).await.problem(404);
    }
}

async fn a_path_that_is_no_text_is_none(backend: Backend) {
    let api = Api::new(backend, &[]);
    for path in [
        "/%ff",
        "/nar/%ff",
        "/api/v1/pushes/%ff",
        "/docs/%ff",
        "/niks3/%ff",
        "/%c3%28.narinfo",
    ] {
        for method in [Method::GET, Method::PUT, Method::POST] {
            api.send(method, path, &api.token, "", "").await.problem(404);
        }
    }
}

async fn a_method_that_a_path_does_not_know_gets_those_it_knows(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(A).await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/pushes".to_owned(), "POST"),
        (Method::PUT, format!("/api/v1/pushes/{push}"), "DELETE, GET, HEAD"),
        (Method::GET, format!("/api/v1/pushes/{push}/lease"), "PUT"),
        (Method::POST, "/api/v1/cache-config".into(), "GET, HEAD"),
        (Method::POST, "/ready".into(), "GET, HEAD"),
        (Method::DELETE, "/openapi.json".into(), "GET, HEAD"),
        (Method::PUT, "/nix-cache-info".into(), "GET, HEAD"),
        (Method::DELETE, format!("/{}.narinfo", &A[..32]), "GET, HEAD"),
        (Method::PATCH, "/".into(), "GET, HEAD"),
        (
            Method::PUT,
            format!("/nar/{}.nar.xz", "0".repeat(52)),
            "GET, HEAD",
        ),
        (Method::POST, "/no/object/has/this/name".into(), "GET, HEAD"),
        (Method::DELETE, "/niks3-owner.json".into(), "GET, HEAD"),
    ] {
        let answer = api.send(method.clone(), &path, &api.token, "", "").await;
        let said = answer
            .headers
            .get("allow")
            .map(|value| value.to_str().unwrap().to_owned());
        let mut said: Vec<String> = said.unwrap_or_default().split(", ").map(str::to_owned).collect();
        said.sort_unstable();
        assert_eq!(said.join(", "), allow, "{method} {path}");
        answer.problem(405);
    }
}

async fn a_body_of_another_shape_has_its_field_named(backend: Backend) {
    let api = Api::new(backend, &[]);
    let push = api.open(A).await;
    let path = |field: &str, value: Value| {
        let mut info = json!({ "path": A, "nar_hash": HASH, "nar_size": 5, "references": [] });
        info[field] = value;
        json!({ "paths": [info] })
    };
    let claims = format!("/pushes/{push}/paths");
    let uploads = format!("/pushes/{push}/uploads");
    for (url, body, field) in [
        ("/pushes", json!({ "roots": [A] }), "store_dir"),
        ("/pushes", json!({ "store_dir": "/nix/store" }), "roots"),
        (
            "/pushes",
            json!({ "store_dir": "/nix/store", "roots": {} }),
            "roots",
        ),
        (
            "/pushes",
            json!({ "store_dir": "/nix/store", "roots": [[]] }),
            "roots",
        ),
        (
            "/pushes",
            json!({ "store_dir": "/".repeat(2000), "roots": [A] }),
            "store_dir",
        ),
        (&claims, path("nar_size", json!(-1)), "paths.nar_size"),
        (&claims, path("nar_size", json!(1.5)), "paths.nar_size"),
        (&claims, path("nar_hash", json!(null)), "paths.nar_hash"),
        (&claims, path("references", json!("x")), "paths.references"),
        (
            &uploads,
            json!({ "uploads": [{ "kind": "narinfo", "path": A, "sha256": HASH, "size": 5 }] }),
            "uploads.kind",
        ),
    ] {
        let problem = api.post(url, &body).await.problem(400);
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().starts_with(field),
            "{problem}"
        );
    }
}

/// The answer to a request is a problem that names a parameter, in words of the API.
fn names(answer: Answer, name: &str, operation: &str) {
    let problem = answer.problem(400);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with(&format!("the parameter {name} ")) && problem["field"] == name,
        "{operation}: {problem}"
    );
    for word in ["parse", "uint", "digit", "Type", "input"] {
        assert!(!detail.contains(word), "{operation}: {problem}");
    }
}

async fn a_parameter_that_cannot_be_read_is_named_with_what_it_may_be(backend: Backend) {
    let api = Api::new(backend, &[]);
    let document = get(&api, &format!("{}/openapi.json", api.server.url()), &[])
        .await
        .json();
    let mut asked = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let method: Method = verb.to_uppercase().parse().unwrap();
            // Whatever the path names has the form of an id.
            let parts = path.split('/').map(|part| match part {
                "{multipart}" => "1",
                part if part.starts_with('{') => "hgdhb3icivifk1r7j2qp1q4g6c560k8p",
                part => part,
            });
            let filled = parts.collect::<Vec<_>>().join("/");
            let has_body = !operation["requestBody"].is_null();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let schema = &parameter["schema"];
                if schema["type"] == "string" {
                    continue;
                }
                let (name, operation) = (parameter["name"].as_str().unwrap(), format!("{verb} {path}"));
                for bad in ["", "x", "-1", "1.5", "99999999999999999999", "%00", "a%26b"] {
                    let (path, kind) = match parameter["in"].as_str() {
                        Some("query") => (format!("{filled}?{name}={bad}"), "application/json"),
                        // A body that is not right is named first.
                        Some("path") if !bad.is_empty() && bad != "-1" && !has_body => (
                            path.replace("{multipart}", bad).replace("{id}", "1"),
                            "application/json",
                        ),
                        _ => continue,
                    };
                    let answer = api.send(method.clone(), &path, &api.token, kind, "{}").await;
                    names(answer, name, &format!("{operation} {bad:?}"));
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 60, "{asked}");
    for (query, detail) in [
        ("limit=x", "must be a whole number from 0 to 4294967295"),
        ("limit=", "must be a whole number from 0 to 4294967295"),
    ] {
        let answer = api
            .send(Method::GET, &format!("/api/v1/pins?{query}"), &api.token, "", "")
            .await
            .problem(400);
        assert_eq!(answer["detail"], format!("the parameter limit {detail}"));
    }
}
