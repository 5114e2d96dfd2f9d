//! What a machine makes up out of openapi/niks3.json, sent by every kind of identity: nothing fails on the server's
//! side, nothing is answered that the document does not have, nothing succeeds without its scope.

use std::path::{Path, PathBuf};
use std::process::Command;

use niks3_test_support::{Backend, Issuer, Server, ServerOptions, run};
use niks3_tests::api::Api;
use serde_json::json;

/// What every answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,scope_is_asked_for";

fn program() -> PathBuf {
    let generators =
        std::env::var("NIKS3_TEST_GENERATORS").expect("run scripts/setup, and eval what it prints");
    Path::new(&generators).join("python/bin/schemathesis")
}

/// Sends requests of one identity.
fn judge(server: &Server, kind: &str, token: &str, scopes: &str) {
    let folder = tempfile::tempdir().unwrap();
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis/scopes.py");
    let mut command = Command::new("timeout");
    command
        .arg("600")
        .arg(program())
        .args(["run", &format!("{}/openapi.json", server.url())])
        .args(["--phases", "coverage,fuzzing", "--checks", CHECKS])
        .args([
            "--max-examples",
            "10",
            "--generation-deterministic",
            "--seed",
            "1",
        ])
        .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
        // How well examples are found says nothing of the server.
        .args(["--suppress-health-check", "all"])
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", hooks)
        .env("NIKS3_TEST_SCOPES", scopes);
    if !token.is_empty() {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = run(&mut command);
    assert!(output.code == 0, "{kind}: {}\n{}", output.stdout, output.stderr);
    let number = |after: &str| -> Option<u32> {
        let rest = output.stdout.split(after).nth(1)?;
        rest.trim_start().split(['/', '\n']).next()?.trim().parse().ok()
    };
    let tested = number("Tested:");
    assert!(
        tested.is_some_and(|tested| tested > 30),
        "{kind}: {}",
        output.stdout
    );
    assert_eq!(tested, number("Selected:"), "{kind}: {}", output.stdout);
}

// On several threads, so that a connection that the server ends while this one waits for a program is noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_more_than_the_document_and_their_scopes_say() {
    let issuer = Issuer::start(&["RS256"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("oidc.json");
    let rules = json!({ "allow_insecure": true, "providers": { "ci": {
        "issuer": issuer.url(), "audience": "cache", "rules": [{ "bound_subject": "*", "scopes": ["push"] }] } } });
    std::fs::write(&file, rules.to_string()).unwrap();
    let options = ServerOptions {
        arguments: vec!["--oidc-config".to_owned(), file.display().to_string()],
        ..ServerOptions::default()
    };
    let api = Api::of(Server::with(Backend::Embedded, options));
    judge(&api.server, "nobody", "", "");
    for scope in ["read", "push", "gc"] {
        let wish = json!({ "name": format!("only-{scope}"), "scopes": [scope] });
        let made = api.post("/tokens", &wish).await.ok();
        judge(&api.server, scope, made["token"].as_str().unwrap(), scope);
    }
    let lasting = json!({ "exp": issuer.claims("cache", &json!({}))["iat"].as_i64().unwrap() + 3600 });
    judge(&api.server, "OIDC", &issuer.token("cache", &lasting), "push");
    judge(&api.server, "admin", &api.token, "admin");
    let log = api.server.log();
    assert!(!log.contains("panicked") && !log.contains(&api.token));
}
