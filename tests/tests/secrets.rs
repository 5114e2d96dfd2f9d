//! Nothing secret in what the programs log, answer, count or show of themselves.

use std::process::Command;

use base64::Engine as _;
use niks3_test_support::{Backend, Issuer, Server, ServerOptions, Store, TokenEndpoint, on_both, run};
use niks3_tests::api::{Answer, Api};
use reqwest::Method;
use serde_json::json;

on_both!(what_is_secret_is_shown_nowhere);

async fn what_is_secret_is_shown_nowhere(backend: Backend) {
    let store = Store::default();
    let issuer = Issuer::start(&["RS256"]);
    let rules = store.path("oidc.json");
    let rule = json!({ "allow_insecure": true, "providers": { "ci": {
        "issuer": issuer.url(), "audience": "cache", "bound_claims": { "ref": "main" } } } });
    std::fs::write(&rules, rule.to_string()).unwrap();
    let api = Api::of(Server::with(
        backend,
        ServerOptions {
            store_dir: Some(store.dir()),
            log: Some("trace"),
            arguments: ["--protect-reads", "--oidc-config", rules.to_str().unwrap()]
                .map(str::to_owned)
                .to_vec(),
            ..ServerOptions::default()
        },
    ));
    let server = &api.server;
    let made = api
        .post("/tokens", &json!({ "name": "ci", "scopes": ["push", "read"] }))
        .await
        .ok();
    let named = made["token"].as_str().unwrap().to_owned();
    let revoked = api
        .post("/tokens", &json!({ "name": "old", "scopes": ["push"] }))
        .await
        .ok();
    let revoked = revoked["token"].as_str().unwrap().to_owned();
    let gone = api
        .send(Method::DELETE, "/api/v1/tokens/old", &api.token, "", "")
        .await;
    assert_eq!(gone.status, 204);
    let right = issuer.token("cache", &json!({ "ref": "main" }));
    let ended = issuer.token("cache", &json!({ "ref": "main", "exp": 1 }));
    let unruled = issuer.token("cache", &json!({ "ref": "other" }));
    let key = std::fs::read_to_string(server.directory().join("signing-key")).unwrap();
    let key = key.trim().split_once(':').unwrap().1.to_owned();
    let random = "a-wrong-token-that-somebody-may-have-mistyped".to_owned();
    let mut secrets = vec![
        api.token.clone(),
        named.clone(),
        revoked.clone(),
        right.clone(),
        ended.clone(),
        unruled.clone(),
        key,
        random.clone(),
    ];
    // The signature is what makes a web token one; the rest of it is shown to nobody either.
    secrets.extend([&right, &ended, &unruled].map(|token| token.rsplit('.').next().unwrap().to_owned()));
    for entry in std::fs::read_dir(server.directory()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.contains("s3") && name.contains("secret") {
            secrets.push(std::fs::read_to_string(entry.path()).unwrap().trim().to_owned());
        }
    }

    let mut said: Vec<(&str, String)> = Vec::new();
    let tokens = [&api.token, &named, &revoked, &right, &ended, &unruled, &random];
    for token in tokens {
        for path in ["/api/v1/pins", "/api/v1/whoami", "/nix-cache-info", "/dashboard"] {
            let answer = api.send(Method::GET, path, token, "", "").await;
            said.push(("an answer", format!("{:?}{}", answer.headers, answer.body)));
            let basic = api
                .client
                .get(format!("{}{path}", server.url()))
                .basic_auth("x", Some(token));
            let answer = Answer::of(basic.send().await.unwrap()).await;
            said.push((
                "an answer to HTTP Basic",
                format!("{:?}{}", answer.headers, answer.body),
            ));
            secrets.push(base64::engine::general_purpose::STANDARD.encode(format!("x:{token}")));
        }
    }

    let endpoint_token = right.clone();
    let endpoint = TokenEndpoint::start(move |_| Ok(endpoint_token.clone()));
    for (number, token) in tokens.into_iter().enumerate() {
        let path = store
            .build(&format!("build \"app-{number}\" \"echo {number} > $out\""))
            .remove(0);
        let file = store.path("token");
        std::fs::write(&file, token).unwrap();
        for way in 0..3 {
            let mut command = server.niks3();
            store.prepare(command.args(["-vvv", "push", &path]));
            command.env("NIKS3_LOG", "trace").env("RUST_BACKTRACE", "1");
            match way {
                0 => {
                    command.env("NIKS3_AUTH_TOKEN_FILE", &file);
                }
                1 => {
                    command.args(["--auth-token-script", &format!("cat '{}'", file.display())]);
                }
                _ => {
                    command
                        .env_remove("NIKS3_AUTH_TOKEN_FILE")
                        .envs(endpoint.variables());
                }
            }
            let mut child = niks3_test_support::spawn(&mut command);
            let shown = run(Command::new("ps").args(["-ww", "-eo", "args"])).ok();
            let _ = child.try_wait();
            let output = niks3_test_support::finish(child);
            assert!(matches!(output.code, 0 | 1), "{output:?}");
            said.push(("ps", shown));
            said.push(("the client", format!("{}{}", output.stdout, output.stderr)));
        }
    }
    let metrics = api.send(Method::GET, "/metrics", &api.token, "", "").await;
    said.push(("/metrics", metrics.body));
    said.push(("the server", server.log()));
    for secret in &secrets {
        assert!(secret.len() > 20, "{secret}");
        for (who, text) in &said {
            if let Some(at) = text.find(secret.as_str()) {
                let line = text[..at].lines().next_back().unwrap_or_default();
                panic!("{who} shows a secret after {line:?}");
            }
        }
    }
    assert!(server.log().contains("TRACE"), "the log has every level");
}
