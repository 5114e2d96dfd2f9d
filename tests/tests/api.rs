//! The API taken at its word: every wrong request has its answer, and leaves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use niks3_test_support::{Backend, on_both};
use niks3_tests::api::{A, Api, B, HASH, info};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

on_both!(
    a_wrong_request_gets_a_problem_and_leaves_nothing,
    a_commit_without_uploads_names_what_is_missing,
    a_closure_that_is_not_closed_or_not_a_closure_is_refused,
    the_first_writer_of_a_path_wins,
    committing_again_answers_the_same,
    a_push_whose_lease_ran_out_is_over,
    a_url_writes_only_what_it_was_made_for,
    a_push_given_up_lets_go_and_cannot_go_on,
    a_url_cannot_be_made_to_copy_another_object,
    a_false_size_hinders_nobody,
    what_is_announced_during_a_commit_does_not_slip_through,
);

async fn a_wrong_request_gets_a_problem_and_leaves_nothing(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    let create = |store_dir: &str, roots: Value| json!({ "store_dir": store_dir, "roots": roots });
    let long = format!("00000000000000000000000000000000-{}", "x".repeat(212));
    let many: Vec<String> = (0..10_001).map(|number| format!("{number:032}-x")).collect();
    for (body, status) in [
        (create("/nix/store", json!([])), 422),
        (create("/nix/store", json!([long])), 422),
        (create("/nix/store", json!(many)), 422),
        (create("/nix/store", json!(["../etc/passwd"])), 422),
        (
            create("/nix/store", json!(["00000000000000000000000000000000-a\0b"])),
            422,
        ),
        (
            create("/nix/store", json!(["00000000000000000000000000000000-../x"])),
            422,
        ),
        (create("/nix/store", json!([format!("/nix/store/{A}")])), 422),
        (
            create("/nix/store", json!(["e0000000000000000000000000000000-a"])),
            422,
        ),
        (create("/gnu/store", json!([A])), 422),
        (create("nix/store", json!([A])), 422),
        (create("/nix/../store", json!([A])), 422),
        (create("/nix/store", json!("A")), 400),
        (create("/nix/store", json!([5])), 422),
        (json!({ "roots": [A] }), 400),
        (json!([]), 400),
        (json!(null), 400),
        (
            json!({ "store_dir": "/nix/store", "roots": [A], "pin": "a/b" }),
            422,
        ),
        (
            json!({ "store_dir": "/nix/store", "roots": [A], "pin": ".." }),
            422,
        ),
        (json!({ "store_dir": "/nix/store", "roots": [A], "pin": "" }), 422),
        (
            json!({ "store_dir": "/nix/store", "roots": [A], "pin": "x".repeat(257) }),
            400,
        ),
        (
            json!({ "store_dir": "/nix/store", "roots": [A, B], "pin": "two" }),
            422,
        ),
        (
            json!({ "store_dir": "/nix/store", "roots": [A], "verify_integrity": "yes" }),
            400,
        ),
    ] {
        site.post("/pushes", &body).await.problem(status);
    }

    let with = |change: &dyn Fn(&mut Value)| {
        let mut info = info(A, &[]);
        change(&mut info);
        json!([info])
    };
    let refs: Vec<String> = (0..20_001).map(|number| format!("{number:032}-x")).collect();
    for (paths, status) in [
        (with(&|info| info["nar_hash"] = json!("sha256:abc")), 422),
        (with(&|info| info["nar_hash"] = json!("sha512:abc")), 422),
        (
            with(&|info| info["nar_hash"] = json!(format!("md5:{}", "0".repeat(32)))),
            422,
        ),
        (with(&|info| info["nar_hash"] = json!("")), 422),
        (with(&|info| info["nar_hash"] = json!(7)), 422),
        (with(&|info| info["nar_size"] = json!(0)), 422),
        (with(&|info| info["nar_size"] = json!(-1)), 400),
        (with(&|info| info["nar_size"] = json!(1.5)), 400),
        (with(&|info| info["nar_size"] = json!(u64::MAX)), 422),
        (
            with(&|info| info["nar_size"] = serde_json::from_str("99999999999999999999999").unwrap()),
            400,
        ),
        (with(&|info| info["path"] = json!("x")), 422),
        (with(&|info| info["references"] = json!(["/nix/store"])), 422),
        (with(&|info| info["references"] = json!(refs)), 422),
        (with(&|info| info["references"] = json!(null)), 400),
        (with(&|info| info["signatures"] = json!(["no signature"])), 422),
        (with(&|info| info["signatures"] = json!(["key\n:AAAA"])), 422),
        (with(&|info| info["deriver"] = json!(B)), 422),
        (with(&|info| info["deriver"] = json!("../x.drv")), 422),
        (with(&|info| info["ca"] = json!("fixed:sha256")), 422),
        (json!([info(A, &[]), info(A, &[])]), 422),
        (json!([info(A, &["00000000000000000000000000000000-other"])]), 422),
        (json!({}), 400),
        (Value::Array(vec![info(A, &[]); 2001]), 422),
    ] {
        site.claim(&push, paths).await.problem(status);
    }

    site.claim(&push, json!([info(A, &[])])).await.ok();
    let upload = |kind: &str, path: &str, sha256: &str, size: Value| json!({ "uploads": [{ "kind": kind, "path": path, "sha256": sha256, "size": size }] });
    let drv = "00000000000000000000000000000000-a.drv";
    for (body, status) in [
        (upload("nar", B, HASH, json!(5)), 422),
        (upload("nar", A, "sha256:x", json!(5)), 422),
        (upload("nar", A, HASH, json!((8 << 20) + 1)), 422),
        (upload("nar", A, HASH, json!(u64::MAX)), 422),
        (upload("nar", A, HASH, json!(-5)), 400),
        (upload("narinfo", A, HASH, json!(5)), 400),
        (upload("listing", B, HASH, json!(5)), 422),
        (upload("listing", A, HASH, json!((256 << 20) + 1)), 422),
        (upload("log", A, HASH, json!(5)), 422),
        (upload("log", "../x.drv", HASH, json!(5)), 422),
        (upload("log", drv, HASH, json!((1 << 30) + 1)), 422),
        (json!({ "uploads": 5 }), 400),
    ] {
        site.post(&format!("/pushes/{push}/uploads"), &body)
            .await
            .problem(status);
    }
    let multipart = |path: &str, size: u64, compressor: &str| json!({ "path": path, "part_size": size, "compressor": compressor });
    for (body, status) in [
        (multipart(B, 8 << 20, "x"), 422),
        (multipart(A, 1, "x"), 422),
        (multipart(A, u64::MAX, "x"), 422),
        (multipart(A, 8 << 20, ""), 422),
        (multipart(A, 8 << 20, "a b"), 422),
    ] {
        site.post(&format!("/pushes/{push}/multipart-uploads"), &body)
            .await
            .problem(status);
    }
    for id in ["0", "-1", "999999"] {
        let path = format!("/pushes/{push}/multipart-uploads/{id}/parts");
        site.post(&path, &json!({ "parts": [] })).await.problem(404);
    }
    let path = format!("/pushes/{push}/multipart-uploads/x/parts");
    site.post(&path, &json!({ "parts": [] })).await.problem(400);
    let realisation =
        json!({ "realisations": [{ "output": "out", "path": A, "id": "sha256:x!out", "body": "{" }] });
    let path = format!("/api/v1/pushes/{push}/realisations");
    site.send(
        Method::PUT,
        &path,
        &site.token,
        "application/json",
        realisation.to_string(),
    )
    .await
    .problem(422);

    for unknown in [
        "x",
        "00000000000000000000000000000000",
        &"x".repeat(5000),
        "%00",
        "..%2f",
    ] {
        site.claim(unknown, json!([])).await.problem(404);
        site.post(&format!("/pushes/{unknown}/commit"), &json!({}))
            .await
            .problem(404);
    }

    let api = "/api/v1/pushes";
    let good = create("/nix/store", json!([A])).to_string();
    site.send(Method::POST, api, &site.token, "application/json", "{")
        .await
        .problem(400);
    site.send(Method::POST, api, &site.token, "application/json", "")
        .await
        .problem(400);
    site.send(
        Method::POST,
        api,
        &site.token,
        "application/json",
        vec![0xff, 0xfe],
    )
    .await
    .problem(400);
    site.send(Method::POST, api, &site.token, "text/plain", good.clone())
        .await
        .problem(415);
    site.send(
        Method::POST,
        api,
        &site.token,
        "application/json",
        "[".repeat(100_000),
    )
    .await
    .problem(400);
    site.send(
        Method::POST,
        api,
        &site.token,
        "application/json",
        vec![b' '; (32 << 20) + 1],
    )
    .await
    .problem(413);
    site.send(Method::PATCH, api, &site.token, "", "")
        .await
        .problem(405);
    site.send(Method::GET, "/api/v1/nothing", &site.token, "", "")
        .await
        .problem(404);
    site.send(Method::GET, "/api/v2/pushes", &site.token, "", "")
        .await
        .problem(404);
    let wrong = format!("{}x", site.token);
    for token in ["", "x", &wrong, &site.token[1..]] {
        let answer = site
            .send(Method::POST, api, token, "application/json", good.clone())
            .await;
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        answer.problem(401);
    }
    for (version, status) in [("0", 400), ("2", 400), ("x", 400), ("99999999999999999999", 400)] {
        let request = site
            .client
            .post(format!("{}{api}", site.server.url()))
            .bearer_auth(&site.token);
        let request = request
            .header("niks3-protocol-version", version)
            .header("content-type", "application/json");
        let answer = request.body(good.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{version}");
        assert!(answer.text().await.unwrap().contains("rotocol"), "{version}");
    }
    // The push, and the one path that was claimed rightly.
    site.empty(&[("pushes", 1), ("push_roots", 1), ("push_paths", 1), ("paths", 1)]);
}

async fn a_commit_without_uploads_names_what_is_missing(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    site.claim(&push, json!([info(A, &[B]), info(B, &[])])).await.ok();
    let commit = format!("/pushes/{push}/commit");
    let missing = |problem: &Value| {
        let names = problem["missing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let problem = site.post(&commit, &json!({})).await.problem(409);
    let all = [
        format!("listing {A}"),
        format!("listing {B}"),
        format!("nar {A}"),
        format!("nar {B}"),
    ];
    assert_eq!(missing(&problem), all);
    // A URL that was given out and not used is no upload either.
    let upload = json!({ "kind": "nar", "path": A, "sha256": HASH, "size": 5 });
    site.post(
        &format!("/pushes/{push}/uploads"),
        &json!({ "uploads": [upload] }),
    )
    .await
    .ok();
    let problem = site.post(&commit, &json!({})).await.problem(409);
    assert_eq!(missing(&problem), all);
    // The push, what it claims, and the NAR that was announced.
    site.empty(&[
        ("pushes", 1),
        ("push_roots", 1),
        ("push_paths", 2),
        ("paths", 2),
        ("objects", 1),
    ]);
}

async fn a_closure_that_is_not_closed_or_not_a_closure_is_refused(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    let commit = format!("/pushes/{push}/commit");
    site.post(&commit, &json!({})).await.problem(422);
    site.claim(&push, json!([info(A, &[B])])).await.ok();
    let problem = site.post(&commit, &json!({})).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains(B), "{problem}");
    site.claim(&push, json!([info(B, &[A])])).await.ok();
    let problem = site.post(&commit, &json!({})).await.problem(422);
    assert!(
        problem["detail"].as_str().unwrap().contains("itself"),
        "{problem}"
    );
    // The push, which may still claim what lacks.
    site.empty(&[("pushes", 1), ("push_roots", 1), ("push_paths", 2), ("paths", 2)]);
}

async fn the_first_writer_of_a_path_wins(backend: Backend) {
    let site = Api::new(backend, &[]);
    site.push(A, b"the first").await.ok();
    let narinfo = site.server.get(&format!("{}.narinfo", &A[..32])).unwrap();
    // Later.
    let push = site.open(A).await;
    let other = json!([{ "path": A, "nar_hash": HASH, "nar_size": 120, "references": [] }]);
    let claimed = site.claim(&push, other).await.ok();
    assert_eq!(claimed["needed"], json!([]));
    assert_eq!(claimed["conflicts"][0]["path"], A);
    assert_eq!(
        claimed["conflicts"][0]["nar_hash"],
        niks3_nix::hash::NarHash::of(b"the first").to_string()
    );
    site.post(&format!("/pushes/{push}/commit"), &json!({}))
        .await
        .ok();
    assert_eq!(
        site.server.get(&format!("{}.narinfo", &A[..32])).unwrap(),
        narinfo
    );
    // At the same time: both are told to upload, and the first to commit has it.
    let mut pushes = Vec::new();
    for nar in [&b"one"[..], b"two"] {
        let push = site.open(B).await;
        let hash = niks3_nix::hash::NarHash::of(nar).to_string();
        let info = json!([{ "path": B, "nar_hash": hash, "nar_size": nar.len(), "references": [] }]);
        assert_eq!(site.claim(&push, info).await.ok()["needed"], json!([B]));
        pushes.push((push, nar));
    }
    for (push, nar) in &pushes {
        site.upload(push, "nar", B, &zstd::encode_all(*nar, 3).unwrap())
            .await;
        site.upload(push, "listing", B, nar).await;
    }
    site.post(&format!("/pushes/{}/commit", pushes[1].0), &json!({}))
        .await
        .ok();
    site.post(&format!("/pushes/{}/commit", pushes[0].0), &json!({}))
        .await
        .ok();
    let narinfo = String::from_utf8(site.server.get(&format!("{}.narinfo", &B[..32])).unwrap()).unwrap();
    assert!(
        narinfo.contains(&niks3_nix::hash::NarHash::of(b"two").to_string()),
        "{narinfo}"
    );
    assert_eq!(site.server.get(&format!("{}.ls", &B[..32])).unwrap(), b"two");
}

async fn committing_again_answers_the_same(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    let nar = b"contents";
    let hash = niks3_nix::hash::NarHash::of(nar).to_string();
    site.claim(
        &push,
        json!([{ "path": A, "nar_hash": hash, "nar_size": 8, "references": [A] }]),
    )
    .await
    .ok();
    site.upload(&push, "nar", A, &zstd::encode_all(&nar[..], 3).unwrap())
        .await;
    site.upload(&push, "listing", A, b"{}").await;
    let commit = format!("/pushes/{push}/commit");
    let empty = json!({});
    let (one, two) = tokio::join!(site.post(&commit, &empty), site.post(&commit, &empty));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["closures"], two["closures"]);
    assert_eq!(one["paths_added"], 1);
    assert_eq!(site.post(&commit, &empty).await.ok()["paths_added"], 1);
    site.claim(&push, json!([info(B, &[])])).await.problem(409);
    let path = format!("/api/v1/pushes/{push}");
    site.send(Method::DELETE, &path, &site.token, "", "")
        .await
        .problem(409);
    assert_eq!(
        site.send(Method::GET, &path, &site.token, "", "").await.ok()["state"],
        "committed"
    );
    // What is there needs no upload by anybody.
    assert!(site.push(A, nar).await.ok()["paths_added"] == 0);
}

async fn a_push_whose_lease_ran_out_is_over(backend: Backend) {
    let site = Api::new(backend, &["--push-lease", "1s"]);
    let push = site.open(A).await;
    let path = format!("/api/v1/pushes/{push}");
    loop {
        let state = site.send(Method::GET, &path, &site.token, "", "").await.ok()["state"].clone();
        if state == "expired" {
            break;
        }
        assert_eq!(state, "open");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    site.claim(&push, json!([info(A, &[])])).await.problem(404);
    site.post(&format!("/pushes/{push}/commit"), &json!({}))
        .await
        .problem(404);
    site.send(Method::PUT, &format!("{path}/lease"), &site.token, "", "")
        .await
        .problem(404);
    // The push until the next garbage collection, and the name of its root.
    site.empty(&[("pushes", 1), ("push_roots", 1), ("paths", 1)]);
}

async fn a_url_writes_only_what_it_was_made_for(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    site.claim(&push, json!([info(A, &[])])).await.ok();
    let bytes = b"compressed";
    let sha256 = niks3_nix::hash::FileHash::of(bytes);
    let upload = json!({ "kind": "nar", "path": A, "sha256": sha256.to_string(), "size": bytes.len() });
    let answer = site
        .post(
            &format!("/pushes/{push}/uploads"),
            &json!({ "uploads": [upload] }),
        )
        .await
        .ok();
    let (url, headers) = (
        answer["uploads"][0]["url"].as_str().unwrap(),
        &answer["uploads"][0]["headers"],
    );
    let key = format!("nar/{}.nar.zst", sha256.base32());
    assert!(url.contains(&key), "{url}");
    let narinfo = format!("{}.narinfo", &A[..32]);
    for (url, bytes) in [
        (url.to_owned(), &b"compresseD"[..]),
        (url.to_owned(), b"compressed and more"),
        (url.to_owned(), b"comp"),
        (url.replace(&key, &narinfo), b"compressed"),
        (url.replace(&key, "nix-cache-info"), b"compressed"),
        (url.replace(&key, "pins/release"), b"compressed"),
        (url.replace(&key, "../api-token"), b"compressed"),
    ] {
        let status = site.put(&url, headers, bytes).await;
        assert!((400..500).contains(&status), "{status} {url}");
    }
    // Even with a checksum that fits the other bytes: it is not the one that was signed.
    let mut forged = headers.clone();
    let name = headers
        .as_object()
        .unwrap()
        .keys()
        .find(|name| name.contains("sha256"))
        .unwrap()
        .clone();
    forged[name] = json!(STANDARD.encode(Sha256::digest(b"forged-bytes")));
    let status = site.put(url, &forged, b"forged-bytes").await;
    assert!((400..500).contains(&status), "{status}");
    assert!(site.server.get(&narinfo).is_none());
    assert!(site.server.get(&key).is_none());
}

async fn a_push_given_up_lets_go_and_cannot_go_on(backend: Backend) {
    let site = Api::new(backend, &[]);
    let push = site.open(A).await;
    site.claim(&push, json!([info(A, &[])])).await.ok();
    let path = format!("/api/v1/pushes/{push}");
    for _ in 0..2 {
        assert_eq!(
            site.send(Method::DELETE, &path, &site.token, "", "").await.status,
            204
        );
    }
    site.claim(&push, json!([info(A, &[])])).await.problem(404);
    site.post(&format!("/pushes/{push}/commit"), &json!({}))
        .await
        .problem(404);
    // That it was given up, and the name of what was its root; it keeps nothing any more.
    site.empty(&[("pushes", 1), ("paths", 1)]);
}

async fn a_url_cannot_be_made_to_copy_another_object(backend: Backend) {
    let site = Api::new(backend, &[]);
    site.push(A, b"the first").await.ok();
    let push = site.open(B).await;
    site.claim(&push, json!([info(B, &[])])).await.ok();
    let bytes = b"compressed";
    let sha256 = niks3_nix::hash::FileHash::of(bytes);
    let upload = json!({ "kind": "nar", "path": B, "sha256": sha256.to_string(), "size": bytes.len() });
    let answer = site
        .post(
            &format!("/pushes/{push}/uploads"),
            &json!({ "uploads": [upload] }),
        )
        .await
        .ok();
    let target = &answer["uploads"][0];
    let bucket = target["url"]
        .as_str()
        .unwrap()
        .split('/')
        .nth(3)
        .unwrap()
        .to_owned();
    for header in ["x-amz-copy-source", "X-Amz-Copy-Source"] {
        let mut headers = target["headers"].clone();
        headers[header] = json!(format!("/{bucket}/nix-cache-info"));
        let status = site.put(target["url"].as_str().unwrap(), &headers, bytes).await;
        assert!((400..500).contains(&status), "{status}");
    }
    assert!(
        site.server
            .get(&format!("nar/{}.nar.zst", sha256.base32()))
            .is_none()
    );
}

async fn a_false_size_hinders_nobody(backend: Backend) {
    let site = Api::new(backend, &[]);
    let nar = b"wanted by somebody else";
    let compressed = zstd::encode_all(&nar[..], 3).unwrap();
    let push = site.open(B).await;
    site.claim(&push, json!([info(B, &[])])).await.ok();
    let sha256 = niks3_nix::hash::FileHash::of(&compressed).to_string();
    let upload = json!({ "kind": "nar", "path": B, "sha256": sha256, "size": 5 });
    site.post(
        &format!("/pushes/{push}/uploads"),
        &json!({ "uploads": [upload] }),
    )
    .await
    .ok();
    site.push(A, nar).await.ok();
    let narinfo = String::from_utf8(site.server.get(&format!("{}.narinfo", &A[..32])).unwrap()).unwrap();
    assert!(
        narinfo.contains(&format!("FileSize: {}\n", compressed.len())),
        "{narinfo}"
    );
}

async fn what_is_announced_during_a_commit_does_not_slip_through(backend: Backend) {
    let site = Api::new(backend, &[]);
    for round in 0..10 {
        let path = format!("{round:032}-x");
        let push = site.open(&path).await;
        site.claim(&push, json!([info(&path, &[])])).await.ok();
        site.upload(&push, "nar", &path, format!("there {round}").as_bytes())
            .await;
        site.upload(&push, "listing", &path, b"{}").await;
        // A NAR that is never sent takes the place of the one that was.
        let sha256 = niks3_nix::hash::FileHash::of(format!("never sent {round}").as_bytes()).to_string();
        let upload = json!({ "uploads": [{ "kind": "nar", "path": path, "sha256": sha256, "size": 12 }] });
        let (announce, commit) = (
            format!("/pushes/{push}/uploads"),
            format!("/pushes/{push}/commit"),
        );
        let empty = json!({});
        tokio::join!(site.post(&commit, &empty), site.post(&announce, &upload));
        if let Some(narinfo) = site.server.get(&format!("{}.narinfo", &path[..32])) {
            let narinfo = String::from_utf8(narinfo).unwrap();
            let url = narinfo
                .lines()
                .find_map(|line| line.strip_prefix("URL: "))
                .unwrap();
            assert!(
                site.server.get(url).is_some(),
                "a narinfo without its NAR: {narinfo}"
            );
        }
    }
}
