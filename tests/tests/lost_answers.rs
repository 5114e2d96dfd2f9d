//! Requests whose answers come late or never: what was done is not done again, nor taken for a failure.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use niks3_test_support::{
    APP, Backend, Fault, Server, ServerOptions, Site, Store, finish, on_both, program, run, spawn,
};
use niks3_tests::api::{A, Api, B};
use serde_json::json;

on_both!(
    a_committed_push_whose_answer_is_late_is_not_begun_again,
    a_push_that_is_gone_is_told_from_other_things_that_are,
    what_was_deleted_without_an_answer_is_deleted,
    a_token_made_without_an_answer_is_explained,
    a_push_interrupted_while_nix_is_asked_is_given_up,
    a_caller_who_is_not_let_in_need_not_wait_for_nix,
    a_server_that_asks_for_patience_at_once_gets_it,
    whatever_a_proxy_says_of_a_server_that_is_away_is_waited_for,
    other_contents_than_the_cache_has_are_reported_and_stay,
);

fn count(site: &Site, request: impl Fn(&str) -> bool) -> usize {
    let requests = site.api.requests();
    requests.iter().filter(|line| request(line)).count()
}

async fn a_committed_push_whose_answer_is_late_is_not_begun_again(backend: Backend) {
    let options = ServerOptions {
        arguments: vec!["--push-lease".into(), "3s".into()],
        ..ServerOptions::default()
    };
    let site = Site::with(backend, options).await;
    let path = site.store.build(APP).remove(0);
    // The commit is done and its answer lost; the next try to hear of it takes longer than two renewals are apart.
    site.api.fail("POST", "/commit", Fault::LoseAnswer, 1);
    site.api.fail("POST", "/commit", Fault::Hold, 1);
    let child = site.spawn(&path);
    site.api.happened().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    site.api.release();
    let _ = finish(child).json();
    assert_eq!(count(&site, |line| line == "POST /api/v1/pushes"), 1);
    assert_eq!(count(&site, |line| line.starts_with("DELETE ")), 0);
    let requests = site.api.requests();
    let commit = requests
        .iter()
        .position(|line| line.ends_with("/commit"))
        .unwrap();
    let later: Vec<_> = requests[commit..]
        .iter()
        .filter(|line| line.ends_with("/lease"))
        .collect();
    assert!(later.is_empty(), "a committed push has no lease: {later:?}");
    site.whole(&path);
}

async fn a_push_that_is_gone_is_told_from_other_things_that_are(backend: Backend) {
    let api = Api::new(backend, &[]);
    let gone = "urn:niks3:problem:push-gone";
    let (open, over) = (api.open(A).await, api.open(B).await);
    let path = format!("/api/v1/pushes/{over}");
    let answer = api.send(reqwest::Method::DELETE, &path, &api.token, "", "").await;
    assert_eq!(answer.status, 204);
    let claims = json!({ "paths": [] });
    let lease = |push: &str| format!("/api/v1/pushes/{push}/lease");
    for push in ["nonsense", &over] {
        let problem = api
            .post(&format!("/pushes/{push}/paths"), &claims)
            .await
            .problem(404);
        assert_eq!(problem["type"], gone, "{problem}");
        let renewed = api
            .send(reqwest::Method::PUT, &lease(push), &api.token, "", "")
            .await;
        assert_eq!(renewed.problem(404)["type"], gone);
        let committed = api.post(&format!("/pushes/{push}/commit"), &json!({})).await;
        assert_eq!(committed.problem(404)["type"], gone);
    }
    let parts = format!("/pushes/{open}/multipart-uploads/7/parts");
    let problem = api.post(&parts, &json!({ "parts": [] })).await.problem(404);
    assert_eq!(problem["type"], "about:blank", "{problem}");
}

async fn what_was_deleted_without_an_answer_is_deleted(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build(APP).remove(0);
    let _ = run(site.command(&path).args(["--pin", "release"])).ok();
    let niks3 = |arguments: &[&str]| {
        let mut command = site.server.niks3();
        run(command.args(arguments).env("NIKS3_SERVER_URL", site.api.url()))
    };
    let delete = ["pins", "delete", "release"];
    site.api.fail("DELETE", "/pins/", Fault::LoseAnswer, 1);
    let _ = niks3(&delete).ok();
    assert_eq!(niks3(&["pins", "list", "--names-only"]).ok(), "");
    let said = niks3(&delete).fails(1);
    assert!(said.contains("there is no pin release"), "{said}");
    // Nobody has seen the first try: nothing was deleted by it.
    site.api.fail("DELETE", "/pins/", Fault::Status(429), 1);
    let said = niks3(&delete).fails(1);
    assert!(said.contains("there is no pin release"), "{said}");

    let _ = niks3(&["tokens", "create", "ci", "--scope", "push"]).ok();
    site.api.fail("DELETE", "/tokens/", Fault::LoseAnswer, 1);
    let _ = niks3(&["tokens", "revoke", "ci"]).ok();
    let said = niks3(&["tokens", "revoke", "ci"]).fails(1);
    assert!(said.contains("there is no token ci"), "{said}");
}

async fn a_token_made_without_an_answer_is_explained(backend: Backend) {
    let site = Site::new(backend).await;
    let niks3 = |arguments: &[&str]| {
        let mut command = site.server.niks3();
        run(command.args(arguments).env("NIKS3_SERVER_URL", site.api.url()))
    };
    let create = ["tokens", "create", "ci", "--scope", "push"];
    site.api.fail("POST", "/tokens", Fault::LoseAnswer, 1);
    let said = niks3(&create).fails(1);
    assert!(
        said.contains("answer was lost") && said.contains("niks3 tokens revoke ci"),
        "{said}"
    );
    let _ = niks3(&["tokens", "revoke", "ci"]).ok();
    let _ = niks3(&create).ok();
    let said = niks3(&create).fails(1);
    assert!(!said.contains("answer was lost"), "{said}");
}

/// A command that pushes where `nix` never ends.
fn with_endless_nix(site: &Site, path: &str) -> Command {
    let folder = site.store.path("endless");
    std::fs::create_dir_all(&folder).unwrap();
    let nix = folder.join("nix");
    std::fs::write(&nix, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&nix, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = site.command(path);
    let rest = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{rest}", folder.display()));
    command
}

async fn a_push_interrupted_while_nix_is_asked_is_given_up(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build(APP).remove(0);
    let child = spawn(&mut with_endless_nix(&site, &path));
    site.api.seen("POST /api/v1/pushes").await;
    let _ = run(Command::new("kill").args(["-INT", &child.id().to_string()])).ok();
    let output = finish(child);
    assert_eq!(output.code, 130, "{output:?}");
    assert_eq!(count(&site, |line| line.starts_with("DELETE /api/v1/pushes/")), 1);
}

async fn a_caller_who_is_not_let_in_need_not_wait_for_nix(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build(APP).remove(0);
    std::fs::write(site.store.path("token"), "t".repeat(40)).unwrap();
    let mut command = with_endless_nix(&site, &path);
    let said = run(command.env("NIKS3_AUTH_TOKEN_FILE", site.store.path("token"))).fails(1);
    assert!(said.contains("401"), "{said}");
}

async fn a_server_that_asks_for_patience_at_once_gets_it(backend: Backend) {
    let site = Site::new(backend).await;
    let path = site.store.build(APP).remove(0);
    // Longer than an address is tried where nobody answers.
    site.api.fail("POST", "/api/v1/pushes", Fault::Patience(22), 1);
    let _ = site.push(&path).json();
    site.whole(&path);
}

async fn whatever_a_proxy_says_of_a_server_that_is_away_is_waited_for(backend: Backend) {
    let site = Site::new(backend).await;
    site.api.without_small_objects();
    let path = site.store.build(APP).remove(0);
    for status in [524, 408, 425, 507, 520, 521, 522, 530] {
        site.api.fail("POST", "/api/v1/pushes", Fault::Status(status), 1);
        site.s3.fail("PUT", "/nar/", Fault::Status(status), 1);
    }
    // More than a few of those that are mostly a defect.
    site.s3.fail("PUT", "/staging/", Fault::Status(500), 6);
    let _ = site.push(&path).json();
    assert_eq!((site.api.pending(), site.s3.pending()), (0, 0));
    site.whole(&path);
    // What is too large for a proxy stays so.
    let other = site.store.build(&APP.replace("hello", "other")).remove(0);
    site.api.fail("POST", "/paths", Fault::Status(413), 1);
    let said = site.push(&other).fails(1);
    assert!(said.contains("client_max_body_size"), "{said}");
}

async fn other_contents_than_the_cache_has_are_reported_and_stay(backend: Backend) {
    let site = Site::new(backend).await;
    let expression = "build \"odd\" \"head -c 20 /dev/urandom > $out\"";
    let path = site.store.build(expression).remove(0);
    let first = site.push(&path).json();
    assert_eq!(first["conflicts"], json!([]));
    let narinfo = || {
        let name = path.rsplit('/').next().unwrap();
        String::from_utf8(site.server.get(&format!("{}.narinfo", &name[..32])).unwrap()).unwrap()
    };
    let before = narinfo();
    let nar_hash = before
        .lines()
        .find_map(|line| line.strip_prefix("NarHash: "))
        .unwrap();
    site.store.nix("nix-store", &["--delete", &path]);
    assert_eq!(site.store.build(expression).remove(0), path);
    let output = site.push(&path);
    assert!(
        output.stderr.contains("warning") && output.stderr.contains("with other contents"),
        "{output:?}"
    );
    let second = output.json();
    let conflict = &second["conflicts"][0];
    assert_eq!(second["conflicts"].as_array().unwrap().len(), 1, "{second}");
    assert_eq!(
        (&conflict["path"], &conflict["nar_hash"]),
        (&json!(path), &json!(nar_hash))
    );
    let difference = &conflict["differences"][0];
    assert_eq!(conflict["differences"].as_array().unwrap().len(), 1, "{second}");
    assert_eq!(
        (&difference["field"], &difference["cached"]),
        (&json!("NarHash"), &json!(nar_hash))
    );
    assert_ne!(difference["claimed"], difference["cached"]);
    assert_eq!(second["uploaded"], 0);
    assert_eq!(narinfo(), before);
}

/// An address of the object store that leads nowhere is a mistake, not a moment's weakness.
#[test]
fn an_object_store_where_nobody_is_fails_the_push_and_is_named() {
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let store = Store::default();
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        // The embedded store is where clients reach the server.
        server_url: Some(nowhere.clone()),
        ..ServerOptions::default()
    };
    let server = Server::with(Backend::Embedded, options);
    // Small ones go to the server itself.
    let path = store
        .build("build \"large\" \"head -c 300000 /dev/urandom > $out\"")
        .remove(0);
    let mut command = Command::new("timeout");
    command.arg("120").arg(program("niks3")).args(["push", &path]);
    command
        .env("NIKS3_SERVER_URL", server.url())
        .env("NIKS3_AUTH_TOKEN_FILE", server.token_path());
    store.prepare(&mut command);
    let said = run(&mut command).fails(1);
    assert!(
        said.contains(&nowhere) && said.contains("cannot upload"),
        "{said}"
    );
}
