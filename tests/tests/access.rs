//! Named tokens, who the server says one is, and reads that ask for a token.

use std::process::Command;

use niks3_test_support::{Backend, Server, ServerOptions, Store, on_both, run};
use niks3_tests::api::{A, Answer, Api};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    a_named_token_does_what_its_scopes_say_until_it_is_revoked,
    a_named_token_ends_when_it_should_and_its_name_is_free_then,
    wrong_wishes_for_tokens_are_refused_with_the_field,
    everybody_is_told_who_they_are,
    a_gated_cache_is_read_with_a_token_and_not_without,
);

/// `niks3` with more arguments; the file holds its token.
fn niks3(server: &Server, token: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = server.niks3();
    if let Some(token) = token {
        let file = server.directory().join(format!("token-{}", token.len()));
        std::fs::write(&file, token).unwrap();
        command.env("NIKS3_AUTH_TOKEN_FILE", file);
    }
    command.args(arguments);
    command
}

async fn a_named_token_does_what_its_scopes_say_until_it_is_revoked(backend: Backend) {
    let api = Api::new(backend, &[]);
    let create = ["tokens", "create", "ci", "--scope", "push", "--expires", "90d"];
    let made = run(&mut niks3(&api.server, None, &create));
    let said = made.stderr.clone();
    let token = made.ok().trim().to_owned();
    assert!(token.starts_with("niks3_") && token.len() >= 40, "{said}");
    assert!(
        said.contains("ci") && said.contains("push") && !said.contains(&token),
        "{said}"
    );

    let push = json!({ "store_dir": "/nix/store", "roots": [A] }).to_string();
    let send = async |method, path: &str, body: &str| -> Answer {
        api.send(method, path, &token, "application/json", body.to_owned())
            .await
    };
    let opened = send(Method::POST, "/api/v1/pushes", &push).await;
    assert!(opened.status.is_success(), "{}", opened.body);
    for (method, path, scope) in [
        (Method::GET, "/api/v1/pins", "read"),
        (Method::GET, "/api/v1/tokens", "admin"),
        (Method::DELETE, "/api/v1/tokens/ci", "admin"),
    ] {
        let refused = send(method, path, "").await.problem(403);
        assert_eq!(refused["required_scope"], scope, "{path}");
    }

    let again = run(&mut niks3(&api.server, None, &create)).fails(1);
    assert!(again.contains("there is a token ci"), "{again}");
    let list = run(&mut niks3(&api.server, None, &["tokens", "list"])).ok();
    assert!(
        list.starts_with("NAME  SCOPES  EXPIRES")
            && list.contains("\nci    push    ")
            && list.ends_with("  admin\n"),
        "{list}"
    );
    let list: Value =
        serde_json::from_str(&run(&mut niks3(&api.server, None, &["tokens", "list", "--json"])).ok())
            .unwrap();
    let (from, to) = (&list[0]["created_at"], &list[0]["expires_at"]);
    assert_eq!(to.as_i64().unwrap() - from.as_i64().unwrap(), 90 * 86_400);
    assert!(!list.to_string().contains(&token));

    let _ = run(&mut niks3(&api.server, None, &["tokens", "revoke", "ci"])).ok();
    let refused = send(Method::POST, "/api/v1/pushes", &push).await.problem(401);
    assert!(
        refused["detail"].as_str().unwrap().contains("revoked"),
        "{refused}"
    );
    let gone = run(&mut niks3(&api.server, None, &["tokens", "revoke", "ci"])).fails(1);
    assert!(gone.contains("there is no token ci"), "{gone}");
    assert!(!api.server.log().contains(&token), "the token is in the log");
}

async fn a_named_token_ends_when_it_should_and_its_name_is_free_then(backend: Backend) {
    let api = Api::new(backend, &[]);
    let wish = json!({ "name": "brief", "scopes": ["read"], "expires_in_seconds": 1 });
    let made = api.post("/tokens", &wish).await.ok();
    let token = made["token"].as_str().unwrap().to_owned();
    // It ends a second from now; however long that takes to be seen, it does not come back.
    loop {
        let answer = api.send(Method::GET, "/api/v1/whoami", &token, "", "").await;
        if answer.status == 401 {
            assert!(
                answer.body.contains("the token brief has expired"),
                "{}",
                answer.body
            );
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let _ = api.post("/tokens", &wish).await.ok();
    let answer = api.send(Method::GET, "/api/v1/whoami", &token, "", "").await;
    assert_eq!(answer.status, 401);
}

async fn wrong_wishes_for_tokens_are_refused_with_the_field(backend: Backend) {
    let api = Api::new(backend, &[]);
    for (field, wish) in [
        ("name", json!({ "name": "", "scopes": ["read"] })),
        ("name", json!({ "name": "..", "scopes": ["read"] })),
        ("name", json!({ "name": "a/b", "scopes": ["read"] })),
        ("name", json!({ "name": "a\u{0}", "scopes": ["read"] })),
        ("name", json!({ "name": "a".repeat(129), "scopes": ["read"] })),
        ("scopes", json!({ "name": "a", "scopes": [] })),
        ("scopes", json!({ "name": "a", "scopes": ["write"] })),
        (
            "scopes",
            json!({ "name": "a", "scopes": ["read", "push", "gc", "admin", "read"] }),
        ),
        (
            "expires_in_seconds",
            json!({ "name": "a", "scopes": ["read"], "expires_in_seconds": 0 }),
        ),
        (
            "expires_in_seconds",
            json!({ "name": "a", "scopes": ["read"], "expires_in_seconds": u64::MAX }),
        ),
    ] {
        let problem = api.post("/tokens", &wish).await.problem(422);
        assert_eq!(problem["field"], field, "{wish}");
    }
    let _ = api
        .send(Method::DELETE, "/api/v1/tokens/a", &api.token, "", "")
        .await
        .problem(404);
    let _ = run(&mut niks3(&api.server, None, &["tokens", "create", "a"])).fails(2);
    let wrong = ["tokens", "create", "a", "--scope", "write"];
    let _ = run(&mut niks3(&api.server, None, &wrong)).fails(2);
    let list = api
        .send(Method::GET, "/api/v1/tokens", &api.token, "", "")
        .await
        .ok();
    assert_eq!(list["tokens"], json!([]));
}

async fn everybody_is_told_who_they_are(backend: Backend) {
    let api = Api::new(backend, &[]);
    let text = run(&mut niks3(&api.server, None, &["whoami"])).ok();
    assert_eq!(text, "identity: admin\nscopes: admin\n");
    let wish = json!({ "name": "both", "scopes": ["push", "read"], "expires_in_seconds": 3600 });
    let token = api.post("/tokens", &wish).await.ok()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = run(&mut niks3(&api.server, Some(&token), &["whoami"])).ok();
    assert!(
        text.starts_with("identity: token:both\nscopes: read, push\nexpires: 2"),
        "{text}"
    );
    let json = run(&mut niks3(&api.server, Some(&token), &["whoami", "--json"])).ok();
    let who: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&who["kind"], &who["rules"]), (&json!("token"), &json!([])));
    let unknown = format!("{token}x");
    let refused = run(&mut niks3(&api.server, Some(&unknown), &["whoami"])).fails(1);
    assert!(
        refused.contains("does not know this token") && !refused.contains(&unknown),
        "{refused}"
    );
}

async fn a_gated_cache_is_read_with_a_token_and_not_without(backend: Backend) {
    let store = Store::default();
    let options = ServerOptions {
        store_dir: Some(store.dir()),
        arguments: vec!["--protect-reads".into()],
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(backend, options));
    let path = store.build("build \"path\" \"echo hello > $out\"").remove(0);
    let mut push = niks3(&api.server, None, &["push", &path]);
    store.prepare(&mut push);
    let _ = run(&mut push).ok();
    let token = async |name: &str, scope: &str| -> String {
        let made = api
            .post("/tokens", &json!({ "name": name, "scopes": [scope] }))
            .await
            .ok();
        made["token"].as_str().unwrap().to_owned()
    };
    let (reader, pusher) = (token("reader", "read").await, token("pusher", "push").await);
    let url = format!("{}/nix-cache-info", api.server.url());
    let get = async |user: &str, password: &str| {
        let mut request = api.client.get(&url);
        if !user.is_empty() || !password.is_empty() {
            request = request.basic_auth(user, Some(password));
        }
        Answer::of(request.send().await.unwrap()).await
    };
    let read = get("anybody", &reader).await;
    assert_eq!(read.status, 200);
    assert!(
        read.headers["cache-control"]
            .to_str()
            .unwrap()
            .starts_with("private")
    );
    let bearer = api.send(Method::GET, "/nix-cache-info", &reader, "", "").await;
    assert_eq!(bearer.status, 200);
    let nobody = get("", "").await;
    let asks: Vec<_> = nobody.headers.get_all("www-authenticate").iter().collect();
    assert!(
        asks.iter().any(|value| value.as_bytes().starts_with(b"Bearer")),
        "{asks:?}"
    );
    assert!(
        asks.iter().any(|value| value.as_bytes().starts_with(b"Basic")),
        "{asks:?}"
    );
    let _ = nobody.problem(401);
    let _ = get("anybody", "wrong").await.problem(401);
    let _ = get("anybody", &pusher).await.problem(403);
    // What a browser would send by itself opens nothing but reads.
    let basic = api
        .client
        .get(format!("{}/api/v1/pins", api.server.url()))
        .basic_auth("x", Some(&reader));
    let _ = Answer::of(basic.send().await.unwrap()).await.problem(401);

    let copy = |netrc: &str| {
        let file = store.path("netrc");
        std::fs::write(&file, netrc).unwrap();
        let to = store.path("copied");
        let mut command = Command::new("nix");
        store.prepare(
            command
                .args(["copy", "--from", &api.server.url(), "--to"])
                .arg(&to)
                .args(["--option", "trusted-public-keys", api.server.public_key()])
                .args(["--option", "netrc-file"])
                .arg(&file)
                .arg(&path),
        );
        run(&mut command)
    };
    // To Nix 2.8, what asks for a password has nothing; later ones say what the server answered.
    let refused = copy("").fails(1);
    assert!(
        refused.contains("does not appear to be a binary cache") || refused.contains("401"),
        "{refused}"
    );
    let _ = copy(&format!("machine 127.0.0.1 login nix password {reader}\n")).ok();
    let name = path.rsplit('/').next().unwrap();
    assert!(store.path("copied").join("nix/store").join(name).exists());
    assert!(!api.server.log().contains(&reader), "the token is in the log");
}
