//! Ways in that are none: what a URL for one upload, the embedded object store and the
//! read proxy let nobody do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Fault, Site, on_both};
use reqwest::{Client, Method};
use serde_json::{Value, json};

on_both!(
    a_url_for_an_upload_does_nothing_else,
    the_read_proxy_serves_what_readers_need_and_nothing_else,
    what_is_being_uploaded_is_not_readable,
);

const A: &str = "00000000000000000000000000000000-a";

/// An open push that has claimed a path, and where its NAR goes.
async fn upload(site: &Site, nar: &[u8], file: &[u8]) -> (String, String, Value) {
    let client = Client::new();
    let base = format!("{}/api/v1/pushes", site.api.url());
    let post = async |url: &str, body: Value| -> Value {
        let answer = client
            .post(url)
            .bearer_auth(site.server.token())
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.json().await.unwrap()
    };
    let store_dir = site.store.dir().display().to_string();
    let created = post(&base, json!({ "store_dir": store_dir, "roots": [A] })).await;
    let push = format!("{base}/{}", created["id"].as_str().unwrap());
    let info = json!({
        "path": A, "nar_hash": NarHash::of(nar).to_string(), "nar_size": nar.len(), "references": [],
    });
    post(&format!("{push}/paths"), json!({ "paths": [info] })).await;
    let wanted = json!({
        "kind": "nar", "path": A, "sha256": FileHash::of(file).to_string(), "size": file.len(),
    });
    let answer = post(&format!("{push}/uploads"), json!({ "uploads": [wanted] })).await;
    let target = &answer["uploads"][0];
    (
        push,
        target["url"].as_str().unwrap().to_owned(),
        target["headers"].clone(),
    )
}

async fn a_url_for_an_upload_does_nothing_else(backend: Backend) {
    let site = Site::new(backend).await;
    let file = zstd::encode_all(&b"contents"[..], 3).unwrap();
    let (_, url, headers) = upload(&site, b"contents", &file).await;
    let key = format!("nar/{}.nar.zst", FileHash::of(&file).base32());
    let client = Client::new();
    let bucket = url
        .split("/nar/")
        .next()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let send = async |method: Method, url: &str, more: &[(&str, &str)], body: &[u8]| {
        let mut request = client.request(method, url).body(body.to_vec());
        for (name, value) in headers.as_object().unwrap() {
            if !more.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let mut complaints = Vec::new();
    for method in [Method::DELETE, Method::GET, Method::POST, Method::HEAD] {
        let status = send(method.clone(), &url, &[], &file).await;
        if !(400..500).contains(&status) {
            complaints.push(format!("{method}: {status}"));
        }
    }
    // Other queries: a copy of rights, a part, a list, a longer life.
    for (what, other) in [
        ("acl", format!("{url}&acl")),
        ("tagging", format!("{url}&tagging")),
        ("uploads", format!("{url}&uploads")),
        ("a part", format!("{url}&uploadId=x&partNumber=1")),
        ("a longer life", url.replace("X-Amz-Expires=", "X-Amz-Expires=9")),
        (
            "no signature",
            url.split("&X-Amz-Signature").next().unwrap().to_owned(),
        ),
        ("nothing signed", url.split('?').next().unwrap().to_owned()),
    ] {
        let status = send(Method::PUT, &other, &[], &file).await;
        if !(400..500).contains(&status) {
            complaints.push(format!("{what}: {status}"));
        }
    }
    // Headers that were not signed: none may turn the upload into something else.
    let source = format!("/{bucket}/nix-cache-info");
    for (name, value) in [
        ("x-amz-copy-source", source.as_str()),
        ("x-amz-acl", "public-read-write"),
        (
            "x-amz-website-redirect-location",
            "https://elsewhere.example.com/",
        ),
        ("x-amz-storage-class", "GLACIER"),
        ("content-type", "text/html"),
        ("cache-control", "max-age=1"),
    ] {
        let status = send(Method::PUT, &url, &[(name, value)], &file).await;
        if !(400..500).contains(&status) {
            complaints.push(format!("{name}: {status}"));
        }
    }
    assert!(site.server.get(&key).is_none());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(site.server.get(&format!("{}.narinfo", &A[..32])).is_none());
    // And it still does what it is for.
    assert_eq!(send(Method::PUT, &url, &[], &file).await, 200);
    assert_eq!(site.server.get(&key), Some(file));
}

/// Sends a request line as it is, which no HTTP library would; the status.
fn raw(site: &Site, method: &str, path: &str) -> (u16, String) {
    let address = site.server.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), answer)
}

async fn the_read_proxy_serves_what_readers_need_and_nothing_else(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site
        .store
        .build("build \"path\" \"echo logged; mkdir $out; echo hello > $out/hello\"")
        .remove(0);
    let _ = site.push(&path).ok();
    let hash = &path.rsplit('/').next().unwrap()[..32];
    let (status, narinfo) = raw(&site, "GET", &format!("/{hash}.narinfo"));
    assert_eq!(status, 200);
    assert!(narinfo.to_lowercase().contains("text/x-nix-narinfo"), "{narinfo}");
    let token = site.server.token();
    let secret = std::fs::read_to_string(site.server.directory().join("signing-key")).unwrap();
    let mut complaints = Vec::new();
    for path in [
        "/api-token",
        "/signing-key",
        "/niks3.db",
        "/../api-token",
        "/%2e%2e/api-token",
        "/..%2fapi-token",
        "/nar/../../api-token",
        "/nar/..%2f..%2fapi-token",
        "/nar/%2e%2e/%2e%2e/api-token",
        "/log/../../api-token",
        "/log/..%2f..%2fapi-token",
        "/log/%00",
        "/pins/../../api-token",
        "/pins/..%2f..%2fapi-token",
        "/realisations/..%2f..%2fapi-token",
        "//etc/passwd",
        "/staging/",
        "/staging",
        "/nar/",
        "/nar",
        "/log/",
        "/bucket/nix-cache-info",
        "/niks3",
        "/niks3/",
        "/niks3/?list-type=2",
        "/niks3/nix-cache-info",
        "/niks3/../api-token",
        "/niks3/..%2fapi-token",
        "/niks3/nar/..%2f..%2f..%2fapi-token",
        "/?list-type=2",
        "/?uploads",
        "/%",
        "/%zz",
        "/\u{e4}",
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
            let (status, answer) = raw(&site, method, path);
            if !(400..500).contains(&status)
                && status != 501
                && path != "/?list-type=2"
                && path != "/?uploads"
            {
                complaints.push(format!("{method} {path}: {status}"));
            }
            if answer.contains(&token) || answer.contains(secret.trim()) || answer.contains("<Contents>") {
                complaints.push(format!("{method} {path} gives away what it must not"));
            }
        }
    }
    for method in ["PUT", "DELETE", "POST", "PATCH"] {
        for key in [
            format!("/{hash}.narinfo"),
            "/nix-cache-info".into(),
            "/pins/x".into(),
        ] {
            let (status, _) = raw(&site, method, &key);
            if !(400..500).contains(&status) {
                complaints.push(format!("{method} {key}: {status}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    site.whole(&path);
}

async fn what_is_being_uploaded_is_not_readable(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site
        .store
        .build("build \"path\" \"echo logged; echo hello > $out\"")
        .remove(0);
    site.api.fail("POST", "/commit", Fault::Hold, 1);
    let child = site.spawn(&path);
    site.api.happened().await;
    let uploaded: Vec<String> = site
        .s3
        .requests()
        .iter()
        .filter(|request| request.starts_with("PUT ") && request.contains("/staging/"))
        .map(|request| {
            let key = request.split("/staging/").nth(1).unwrap();
            format!("/staging/{}", key.split('?').next().unwrap())
        })
        .collect();
    assert!(!uploaded.is_empty());
    let hash = &path.rsplit('/').next().unwrap()[..32];
    for path in uploaded
        .iter()
        .chain(&[format!("/{hash}.ls"), format!("/{hash}.narinfo")])
    {
        assert_eq!(raw(&site, "GET", path).0, 404, "{path}");
    }
    site.api.release();
    let _ = niks3_test_support::finish(child).ok();
    site.whole(&path);
}
