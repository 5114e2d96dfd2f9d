//! Pins, on both backends: what they keep stays, database and bucket agree.

use niks3_test_support::{
    Backend, Bucket, Fault, Output, Server, ServerOptions, Site, database, finish, garage_bucket, on_both,
    run, spawn,
};
use niks3_tests::api::{A, Answer, Api, B, info};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    a_pinned_closure_stays_until_the_pin_is_deleted,
    a_pin_is_read_out_of_the_bucket,
    a_pin_moves_and_the_bucket_with_it,
    what_was_never_pushed_cannot_be_pinned,
    a_path_is_named_in_every_way_that_push_takes,
    pins_are_listed_for_people_and_programs,
    names_that_are_none_are_refused,
    an_unknown_pin_cannot_be_deleted,
    a_pin_made_while_garbage_is_collected_keeps_all_or_is_refused,
    whoever_wins_a_race_for_a_name_bucket_and_database_agree,
    the_path_that_a_pin_names_in_the_bucket_stays_until_the_bucket_names_the_next_one,
    names_that_differ_in_case_alone_are_refused_unless_they_are_there,
);

fn pins(site: &Site, arguments: &[&str]) -> Output {
    let mut command = site.server.niks3();
    site.store.prepare(command.arg("pins").args(arguments));
    run(&mut command)
}

fn gc(server: &Server) {
    let _ = run(server.niks3().args(["gc", "--older-than=0s", "--force"])).ok();
}

fn pin(server: &Server, name: &str) -> Option<String> {
    server
        .get(&format!("pins/{name}"))
        .map(|text| String::from_utf8(text).unwrap())
}

fn built(site: &Site, name: &str) -> String {
    let expression = format!(
        "let words = build \"words\" \"echo words > $out\"; in build \"{name}\" \"echo {name} ${{words}} > $out\""
    );
    site.store.build(&expression).remove(0)
}

fn pushed(site: &Site, name: &str) -> String {
    let path = built(site, name);
    let _ = site.push(&path).ok();
    path
}

async fn a_pinned_closure_stays_until_the_pin_is_deleted(backend: Backend) {
    let site = Site::new(backend).await;
    let path = pushed(&site, "kept");
    let _ = pins(&site, &["create", "release", &path]).ok();
    gc(&site.server);
    site.whole(&path);
    let _ = pins(&site, &["delete", "release"]).ok();
    assert_eq!(pin(&site.server, "release"), None);
    gc(&site.server);
    assert_eq!(site.consistent(&path), 0);
}

async fn a_pin_is_read_out_of_the_bucket(backend: Backend) {
    let site = Site::new(backend).await;
    let path = pushed(&site, "read");
    let said = pins(&site, &["create", "a.b_c-1", &path]);
    assert!(
        said.stderr.contains("a.b_c-1") && said.stderr.contains(&path),
        "{said:?}"
    );
    let _ = said.ok();
    let text = pin(&site.server, "a.b_c-1").unwrap();
    assert_eq!(text, format!("{path}\n"));
    site.store
        .substitutes(&site.server.url(), site.server.public_key(), text.trim());
}

async fn a_pin_moves_and_the_bucket_with_it(backend: Backend) {
    let site = Site::new(backend).await;
    let (one, two) = (pushed(&site, "one"), pushed(&site, "two"));
    let _ = pins(&site, &["create", "it", &one]).ok();
    let _ = pins(&site, &["create", "it", &two]).ok();
    assert_eq!(pin(&site.server, "it"), Some(format!("{two}\n")));
    let mut again = site.command(&one);
    let _ = run(again.args(["--pin", "it"])).ok();
    assert_eq!(pin(&site.server, "it"), Some(format!("{one}\n")));
    gc(&site.server);
    site.whole(&one);
    assert_eq!(
        site.server
            .get(&format!("{}.narinfo", &two.rsplit('/').next().unwrap()[..32])),
        None
    );
}

async fn what_was_never_pushed_cannot_be_pinned(backend: Backend) {
    let site = Site::new(backend).await;
    let path = built(&site, "unpushed");
    let why = pins(&site, &["create", "it", &path]).fails(1);
    assert!(why.contains("push it first"), "{why}");
    // Known by name, since something refers to it, and still not there.
    let words = site
        .store
        .closure(&path)
        .into_iter()
        .find(|path| path.ends_with("-words"))
        .unwrap();
    let mut alone = site.command(&path);
    let _ = run(alone.arg("--no-closure")).ok();
    let why = pins(&site, &["create", "it", &words]).fails(1);
    assert!(why.contains("push it first"), "{why}");
    assert_eq!(pins(&site, &["list", "--names-only"]).ok(), "");
    assert_eq!(pin(&site.server, "it"), None);
}

async fn a_path_is_named_in_every_way_that_push_takes(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site
        .store
        .build("build \"folder\" \"mkdir -p $out/bin; echo it > $out/bin/it\"")
        .remove(0);
    let _ = site.push(&path).ok();
    let link = site.store.path("result");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let inner = format!("{path}/bin/it");
    for named in [path.as_str(), &inner, link.to_str().unwrap()] {
        let _ = pins(&site, &["create", "local", named]).ok();
        assert_eq!(pin(&site.server, "local"), Some(format!("{path}\n")), "{named}");
        let _ = pins(&site, &["delete", "local"]).ok();
    }
    // From a machine that does not have it.
    for named in [path.as_str(), &inner, path.rsplit('/').next().unwrap()] {
        let _ = run(site.server.niks3().args(["pins", "create", "far", named])).ok();
        assert_eq!(pin(&site.server, "far"), Some(format!("{path}\n")), "{named}");
    }
    for wrong in ["/etc/passwd", "./nothing", "/nix/store", ""] {
        let why = pins(&site, &["create", "it", wrong]).fails(1);
        assert!(!why.is_empty());
    }
    let elsewhere = format!("/other/store/{}", path.rsplit('/').next().unwrap());
    let why = run(site.server.niks3().args(["pins", "create", "it", &elsewhere])).fails(1);
    assert!(why.contains("is not in the store"), "{why}");
}

async fn pins_are_listed_for_people_and_programs(backend: Backend) {
    let site = Site::new(backend).await;
    let path = pushed(&site, "listed");
    assert_eq!(pins(&site, &["list", "--json"]).ok(), "[]\n");
    for name in ["c", "a", "b"] {
        let _ = pins(&site, &["create", name, &path]).ok();
    }
    assert_eq!(pins(&site, &["list", "--names-only"]).ok(), "a\nb\nc\n");
    let table = pins(&site, &["list"]).ok();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "PATH", "UPDATED"]);
    for (row, name) in rows[1..].iter().zip(["a", "b", "c"]) {
        assert_eq!(row[..2], [name, &path], "{table}");
    }
    assert_eq!(rows.len(), 4, "{table}");
    let listed: Value = pins(&site, &["list", "--json"]).json();
    assert_eq!(listed[1]["name"], "b");
    assert_eq!(listed[1]["path"], path);
    let names: Value = pins(&site, &["list", "--json", "--names-only"]).json();
    assert_eq!(names, json!(["a", "b", "c"]));
    // The same in pages of one.
    let mut after = String::new();
    let mut found = Vec::new();
    loop {
        let page = call(&site.server, Method::GET, &format!("/pins?limit=1{after}"), None)
            .await
            .ok();
        let entries = page["pins"].as_array().unwrap();
        found.extend(entries.iter().map(|pin| pin["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, ["a", "b", "c"]);
    for wrong in ["?limit=0", "?limit=1001", "?after=%00"] {
        call(&site.server, Method::GET, &format!("/pins{wrong}"), None)
            .await
            .problem(422);
    }
}

async fn call(server: &Server, method: Method, path: &str, body: Option<Value>) -> Answer {
    let mut request = reqwest::Client::new()
        .request(method, format!("{}/api/v1{path}", server.url()))
        .bearer_auth(server.token());
    if let Some(body) = body {
        request = request.json(&body);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn names_that_are_none_are_refused(backend: Backend) {
    let site = Site::new(backend).await;
    let path = pushed(&site, "named");
    let long = "x".repeat(257);
    for wrong in ["a/b", "", "..", ".", "a b", "ü", &long] {
        let why = pins(&site, &["create", wrong, &path]).fails(2);
        assert!(why.contains("256"), "{wrong}: {why}");
    }
    let base = path.rsplit('/').next().unwrap();
    for wrong in ["a%2Fb", "%2E%2E%2Fx", "a%20b", "%C3%BC", "%00", "%FF", &long] {
        for (method, body) in [
            (Method::PUT, Some(json!({ "path": base }))),
            (Method::GET, None),
            (Method::DELETE, None),
        ] {
            let answer = call(&site.server, method, &format!("/pins/{wrong}"), body).await;
            let status = answer.status.as_u16();
            assert!(
                matches!(status, 400 | 404 | 422),
                "{wrong}: {status} {}",
                answer.body
            );
            answer.problem(status);
        }
    }
    for wrong in ["", "x", "/", "..", "/nix/store/x", "\0"] {
        let body = json!({ "path": wrong });
        let problem = call(&site.server, Method::PUT, "/pins/it", Some(body))
            .await
            .problem(422);
        assert_eq!(problem["field"], "path", "{wrong:?}");
    }
    let longest = "x".repeat(256);
    let _ = pins(&site, &["create", &longest, &path]).ok();
    assert_eq!(
        pins(&site, &["list", "--names-only"]).ok(),
        format!("{longest}\n")
    );
    assert_eq!(pin(&site.server, &longest), Some(format!("{path}\n")));
}

async fn an_unknown_pin_cannot_be_deleted(backend: Backend) {
    let site = Site::new(backend).await;
    let why = pins(&site, &["delete", "nobody"]).fails(1);
    assert!(why.contains("there is no pin nobody"), "{why}");
    call(&site.server, Method::GET, "/pins/nobody", None)
        .await
        .problem(404);
}

async fn a_pin_made_while_garbage_is_collected_keeps_all_or_is_refused(backend: Backend) {
    let site = Site::new(backend).await;
    for round in 0..5 {
        let path = pushed(&site, &format!("raced-{round}"));
        let collecting = spawn(site.server.niks3().args(["gc", "--older-than=0s", "--force"]));
        let name = format!("round-{round}");
        let made = pins(&site, &["create", &name, &path]);
        let _ = finish(collecting).ok();
        if made.code == 0 {
            gc(&site.server);
            site.whole(&path);
        } else {
            assert!(made.stderr.contains("push it first"), "{made:?}");
            assert_eq!(pin(&site.server, &name), None);
        }
    }
}

async fn whoever_wins_a_race_for_a_name_bucket_and_database_agree(backend: Backend) {
    let (db, bucket) = match backend {
        Backend::Services => (Some(database()), Some(garage_bucket())),
        Backend::Embedded => (None, None),
    };
    let server = || {
        let (db, bucket) = (db.clone(), bucket.clone());
        Api::of(Server::with(
            backend,
            ServerOptions {
                db,
                bucket,
                arguments: vec![niks3_tests::api::UNVERIFIED.into()],
                ..ServerOptions::default()
            },
        ))
    };
    let one = server();
    let two = (backend == Backend::Services).then(server);
    one.push(A, b"one").await.ok();
    one.push(B, b"two").await.ok();
    for _ in 0..5 {
        let changes = (0..24).map(|number| {
            let server = two.as_ref().filter(|_| number % 2 == 0).unwrap_or(&one);
            let (method, body) = match ["", A, B][number % 3] {
                "" => (Method::DELETE, None),
                path => (Method::PUT, Some(json!({ "path": path }))),
            };
            async move {
                let status = call(&server.server, method, "/pins/it", body)
                    .await
                    .status
                    .as_u16();
                // Made and at once deleted by another is a conflict.
                assert!(matches!(status, 200 | 204 | 404 | 409), "{status}");
            }
        });
        futures::future::join_all(changes).await;
        let known = call(&one.server, Method::GET, "/pins/it", None).await;
        let text = pin(&one.server, "it");
        match known.status.as_u16() {
            200 => assert_eq!(
                text,
                Some(format!("{}\n", known.json()["path"].as_str().unwrap()))
            ),
            status => {
                assert_eq!(status, 404);
                assert_eq!(text, None);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_that_refuses_or_does_not_answer_is_asked_again() {
    let site = Site::new(Backend::Services).await;
    let path = pushed(&site, "refused");
    site.s3.fail("PUT", "pins/", Fault::Status(403), 1);
    let _ = pins(&site, &["create", "it", &path]).ok();
    assert_eq!(pin(&site.server, "it"), Some(format!("{path}\n")));
    site.s3.fail("DELETE", "pins/", Fault::Status(403), 1);
    let why = pins(&site, &["delete", "it"]);
    // The second attempt finds no pin, and deletes the object nevertheless.
    assert!(why.code == 0 || why.stderr.contains("there is no pin"), "{why:?}");
    assert_eq!(pin(&site.server, "it"), None);
    site.s3.fail("PUT", "pins/", Fault::LoseAnswer, 2);
    let _ = pins(&site, &["create", "it", &path]).ok();
    assert_eq!(pin(&site.server, "it"), Some(format!("{path}\n")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_garbage_collection_mends_what_a_bucket_refused() {
    let site = Site::new(Backend::Services).await;
    let path = pushed(&site, "mended");
    site.s3.fail("PUT", "pins/", Fault::Status(403), 1000);
    let body = json!({ "path": path });
    call(&site.server, Method::PUT, "/pins/it", Some(body))
        .await
        .problem(503);
    assert_eq!(pin(&site.server, "it"), None);
    site.s3.heal();
    gc(&site.server);
    assert_eq!(pin(&site.server, "it"), Some(format!("{path}\n")));
    site.whole(&path);
}

/// Keeps the bucket from taking the objects of pins.
fn break_pins(site: &Site) {
    match site.server.bucket() {
        Bucket::Folder(folder) => {
            std::fs::rename(folder.join("pins"), folder.with_file_name("pins")).unwrap();
            std::fs::write(folder.join("pins"), "").unwrap();
        }
        Bucket::Service(_) => {
            site.s3.fail("PUT", "pins/", Fault::Status(403), 1000);
            site.s3.fail("DELETE", "pins/", Fault::Status(403), 1000);
        }
    }
}

/// The bucket takes them again.
fn mend_pins(site: &mut Site) {
    match site.server.bucket().clone() {
        Bucket::Folder(folder) => {
            std::fs::remove_file(folder.join("pins")).unwrap();
            std::fs::rename(folder.with_file_name("pins"), folder.join("pins")).unwrap();
            // Requests of a dead process are over, so a start settles all pins.
            site.server.kill();
            site.server.resume();
        }
        Bucket::Service(_) => site.s3.heal(),
    }
}

fn narinfo(path: &str) -> String {
    format!("{}.narinfo", &path.rsplit('/').next().unwrap()[..32])
}

async fn the_path_that_a_pin_names_in_the_bucket_stays_until_the_bucket_names_the_next_one(backend: Backend) {
    let mut site = Site::new(backend).await;
    let (one, two) = (pushed(&site, "one"), pushed(&site, "two"));
    let _ = pins(&site, &["create", "it", &one]).ok();
    break_pins(&site);
    call(
        &site.server,
        Method::PUT,
        "/pins/it",
        Some(json!({ "path": two })),
    )
    .await
    .problem(503);
    gc(&site.server);
    site.whole(&one);
    site.whole(&two);
    let found = run(site.server.niks3().args(["fsck", "--json"]));
    assert_eq!(found.code, 0, "{found:?}");
    mend_pins(&mut site);
    gc(&site.server);
    assert_eq!(pin(&site.server, "it"), Some(format!("{two}\n")));
    gc(&site.server);
    assert_eq!(site.server.get(&narinfo(&one)), None);
    site.whole(&two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_target_of_an_unsettled_pin_stays_whatever_changed_it() {
    let mut site = Site::new(Backend::Services).await;
    let paths = ["one", "two", "three", "four"].map(|name| pushed(&site, name));
    let [one, two, three, four] = &paths;
    let _ = pins(&site, &["create", "it", one]).ok();
    let _ = pins(&site, &["create", "gone", one]).ok();
    break_pins(&site);
    let body = |path: &String| Some(json!({ "path": path }));
    for (method, path) in [(Method::PUT, Some(two)), (Method::DELETE, None)] {
        call(&site.server, method, "/pins/it", path.and_then(body))
            .await
            .problem(503);
    }
    // A commit sets its pin, which the bucket refuses, too.
    let push = run(site.command(three).args(["--pin", "it"]));
    assert_ne!(push.code, 0, "{push:?}");
    call(&site.server, Method::PUT, "/pins/it", body(four))
        .await
        .problem(503);
    call(&site.server, Method::DELETE, "/pins/gone", None)
        .await
        .problem(503);
    // A dry run and a collection agree that no closure goes.
    for arguments in [
        &["gc", "--older-than=0s", "--force", "--json", "--dry-run"][..],
        &["gc", "--older-than=0s", "--force", "--json"],
    ] {
        let done = run(site.server.niks3().args(arguments)).json();
        assert_eq!(done["gc"]["counts"]["old_closures_deleted"], 0, "{done}");
        assert_eq!(
            done["gc"]["counts"]["objects_deleted_after_grace_period"], 0,
            "{done}"
        );
    }
    for path in &paths {
        site.whole(path);
    }
    mend_pins(&mut site);
    for _ in 0..2 {
        gc(&site.server);
    }
    assert_eq!(pin(&site.server, "it"), Some(format!("{four}\n")));
    assert_eq!(pin(&site.server, "gone"), None);
    site.whole(four);
    for path in [one, two, three] {
        assert_eq!(site.server.get(&narinfo(path)), None);
    }
    assert_eq!(site.server.sql("SELECT count(*) FROM pin_targets"), ["0"]);
}

async fn names_that_differ_in_case_alone_are_refused_unless_they_are_there(backend: Backend) {
    let api = Api::new(backend, &[]);
    api.push(A, b"a").await.ok();
    let pin = async |method: Method, name: &str| {
        let (kind, body) = match method {
            Method::PUT => ("application/json", json!({ "path": A }).to_string()),
            _ => ("", String::new()),
        };
        let path = format!("/api/v1/pins/{name}");
        api.send(method, &path, &api.token, kind, body).await
    };
    pin(Method::PUT, "case").await.ok();
    for other in ["Case", "CASE", "casE"] {
        let problem = pin(Method::PUT, other).await.problem(409);
        assert!(
            problem["detail"].as_str().unwrap().contains("a pin case"),
            "{problem}"
        );
        let push = json!({ "store_dir": "/nix/store", "roots": [A], "pin": other });
        api.post("/pushes", &push).await.problem(409);
    }
    // Another that comes while a push with a pin is open.
    let open = json!({ "store_dir": "/nix/store", "roots": [B], "pin": "late" });
    let push = api.post("/pushes", &open).await.ok()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    api.claim(&push, json!([info(B, &[])])).await.ok();
    api.upload(&push, "nar", B, b"b").await;
    api.upload(&push, "listing", B, b"{}").await;
    pin(Method::PUT, "Late").await.ok();
    api.post(&format!("/pushes/{push}/commit"), &json!({}))
        .await
        .problem(409);
    assert_eq!(pin(Method::GET, "late").await.status, 404);
    // The name is free once its pin is gone.
    assert_eq!(pin(Method::DELETE, "Late").await.status, 204);
    api.post(&format!("/pushes/{push}/commit"), &json!({})).await.ok();
    pin(Method::GET, "late").await.ok();
    // Pins that came from elsewhere stay, and can be moved and deleted.
    let columns = "name, path_id, created_at, updated_at";
    let _ = api.server.sql(&format!(
        "INSERT INTO pins ({columns}) SELECT 'CASE', path_id, created_at, updated_at FROM pins WHERE name = 'case'"
    ));
    for name in ["case", "CASE"] {
        pin(Method::PUT, name).await.ok();
    }
    pin(Method::PUT, "Case").await.problem(409);
    for name in ["case", "CASE"] {
        assert_eq!(pin(Method::DELETE, name).await.status, 204, "{name}");
    }
    pin(Method::PUT, "Case").await.ok();
}
