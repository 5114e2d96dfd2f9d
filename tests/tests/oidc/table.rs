//! Tokens that are right, and wrong in one thing each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use niks3_test_support::{Backend, Issuer, IssuerKey, on_both};
use niks3_tests::api::{A, Answer};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{ALGORITHMS, AUDIENCE, World};

on_both!(
    tokens_wrong_in_one_thing_are_refused_with_the_reason,
    every_operation_asks_for_its_scope_and_names_it,
    a_push_belongs_to_whoever_opened_it,
    what_a_run_used_is_reported_by_a_token_of_that_run_alone,
);

/// A right token, and those that differ from it in one thing, with what the answer says.
fn tokens(world: &World) -> Vec<(&'static str, String, u16, &'static str)> {
    let issuer = &world.issuer;
    let with = |more: Value| world.token(&more);
    let claims = issuer.claims(AUDIENCE, &json!({ "ref": "refs/heads/main" }));
    let now = claims["iat"].as_i64().unwrap();
    let key = issuer.keys().remove(0);
    let header = |more: Value| {
        let mut header = json!({ "typ": "JWT", "alg": key.algorithm, "kid": key.id });
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        key.sign_with(&header, &claims)
    };
    let main = json!({ "ref": "refs/heads/main" });
    let and = |more: Value| {
        let mut all = main.clone();
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        with(all)
    };
    let right = with(main.clone());
    let parts: Vec<&str> = right.split('.').collect();
    let mut other_claims = claims.clone();
    other_claims["ref"] = "refs/heads/other".into();
    let other_payload = URL_SAFE_NO_PAD.encode(other_claims.to_string());
    let secret = key.public_bytes();
    let symmetric = {
        // The public key as the secret of an HMAC, the classic confusion.
        let header = json!({ "typ": "JWT", "alg": "HS256", "kid": key.id });
        Issuer::unsigned(&header, &claims, &secret[..32])
    };
    let stranger = IssuerKey::generate("RS256");
    let all = issuer.keys();
    let ec = all.iter().find(|key| key.algorithm == "ES256").unwrap();
    let mut table = vec![
        ("right", right.clone(), 200, ""),
        ("aud in a list", and(json!({ "aud": ["x", AUDIENCE] })), 200, ""),
        ("no nbf", and(json!({ "nbf": null })), 200, ""),
        ("exp a moment ago", and(json!({ "exp": now - 30 })), 200, ""),
        ("nbf in a moment", and(json!({ "nbf": now + 30 })), 200, ""),
        (
            "exp a fraction",
            and(json!({ "exp": now as f64 + 99.5 })),
            200,
            "",
        ),
        ("no typ", header(json!({ "typ": null })), 200, ""),
        ("a tag", with(json!({ "ref": "refs/tags/v1" })), 200, ""),
        (
            "a list of refs",
            with(json!({ "ref": ["x", "refs/heads/main"] })),
            200,
            "",
        ),
        ("expired", and(json!({ "exp": now - 90 })), 401, "expired (exp)"),
        ("expired long ago", and(json!({ "exp": 1 })), 401, "expired (exp)"),
        ("no exp", and(json!({ "exp": null })), 401, "no exp"),
        (
            "exp is text",
            and(json!({ "exp": "never" })),
            401,
            "exp is not a time",
        ),
        (
            "exp is huge",
            and(json!({ "exp": 1e300 })),
            401,
            "exp is not a time",
        ),
        ("not yet", and(json!({ "nbf": now + 120 })), 401, "(nbf)"),
        (
            "nbf is a list",
            and(json!({ "nbf": [] })),
            401,
            "nbf is not a time",
        ),
        ("from the future", and(json!({ "iat": now + 120 })), 401, "(iat)"),
        ("no iat", and(json!({ "iat": null })), 401, "no iat"),
        ("no aud", and(json!({ "aud": null })), 401, "audience"),
        (
            "another aud",
            and(json!({ "aud": "https://other.example.com" })),
            401,
            "audience",
        ),
        (
            "a longer aud",
            and(json!({ "aud": format!("{AUDIENCE}/") })),
            401,
            "audience",
        ),
        ("aud is a number", and(json!({ "aud": 7 })), 401, "audience"),
        ("other auds", and(json!({ "aud": ["a", "b"] })), 401, "audience"),
        ("no aud in the list", and(json!({ "aud": [] })), 401, "audience"),
        ("aud nested", and(json!({ "aud": [[AUDIENCE]] })), 401, "audience"),
        ("no iss", and(json!({ "iss": null })), 401, "issuer is none"),
        (
            "another iss",
            and(json!({ "iss": "https://other.example.com" })),
            401,
            "issuer is none",
        ),
        (
            "a longer iss",
            and(json!({ "iss": format!("{}/", issuer.url()) })),
            401,
            "issuer is none",
        ),
        (
            "iss is a list",
            and(json!({ "iss": [issuer.url()] })),
            401,
            "issuer is none",
        ),
        ("no sub", and(json!({ "sub": null })), 401, "no sub"),
        ("sub is empty", and(json!({ "sub": "" })), 401, "no sub"),
        ("sub is a number", and(json!({ "sub": 1 })), 401, "no sub"),
        (
            "sub is endless",
            and(json!({ "sub": "x".repeat(2000) })),
            401,
            "sub is too long",
        ),
        (
            "sub breaks lines",
            and(json!({ "sub": "a\nb" })),
            401,
            "control characters",
        ),
        (
            "another branch",
            with(json!({ "ref": "refs/pull/1/merge" })),
            403,
            "claim ref is",
        ),
        (
            "a branch that begins alike",
            with(json!({ "ref": "refs/heads/main2" })),
            403,
            "claim ref is",
        ),
        (
            "a tag in front",
            with(json!({ "ref": "xrefs/tags/v1" })),
            403,
            "claim ref is",
        ),
        (
            "other case",
            with(json!({ "ref": "refs/heads/Main" })),
            403,
            "claim ref is",
        ),
        ("no branch", with(json!({})), 403, "no claim ref"),
        (
            "branch is null",
            with(json!({ "ref": [null] })),
            403,
            "claim ref is",
        ),
        (
            "branch is an object",
            with(json!({ "ref": { "x": 1 } })),
            403,
            "claim ref is",
        ),
        (
            "no algorithm",
            Issuer::unsigned(&json!({ "alg": "none" }), &claims, b""),
            401,
            "algorithm",
        ),
        (
            "None",
            Issuer::unsigned(&json!({ "alg": "None" }), &claims, b""),
            401,
            "algorithm",
        ),
        ("none, signed", header(json!({ "alg": "none" })), 401, "algorithm"),
        ("no alg", header(json!({ "alg": null })), 401, "header"),
        ("a shared secret", symmetric, 401, "algorithm"),
        ("HS512", header(json!({ "alg": "HS512" })), 401, "algorithm"),
        (
            "RS384 by a key for RS256",
            header(json!({ "alg": "RS384" })),
            401,
            "not one for its algorithm",
        ),
        (
            "PS256 by a key for RS256",
            header(json!({ "alg": "PS256" })),
            401,
            "not one for its algorithm",
        ),
        (
            "ES256 by an RSA key",
            header(json!({ "alg": "ES256" })),
            401,
            "not one for its algorithm",
        ),
        (
            "the kid of another key",
            header(json!({ "kid": ec.id })),
            401,
            "not one for its algorithm",
        ),
        ("crit", header(json!({ "crit": ["exp"] })), 401, "extensions"),
        ("b64", header(json!({ "b64": false })), 401, "extensions"),
        (
            "another type",
            header(json!({ "typ": "at+jwt" })),
            401,
            "another type",
        ),
        ("kid is a number", header(json!({ "kid": 1 })), 401, "header"),
        (
            "an unknown kid",
            header(json!({ "kid": "nobody" })),
            401,
            "not one of its issuer's",
        ),
        (
            "a key in the header",
            {
                let header = json!({ "alg": "RS256", "kid": key.id, "jwk": stranger.public() });
                stranger.sign_with(&header, &claims)
            },
            401,
            "signature is wrong",
        ),
        (
            "a key elsewhere",
            {
                let header = json!({ "alg": "RS256", "kid": stranger.id, "jku": "http://127.0.0.1:1/keys" });
                stranger.sign_with(&header, &claims)
            },
            401,
            "not one of its issuer's",
        ),
        (
            "signed by a stranger",
            { stranger.sign_with(&json!({ "alg": "RS256", "kid": key.id }), &claims) },
            401,
            "signature is wrong",
        ),
        (
            "other claims",
            format!("{}.{other_payload}.{}", parts[0], parts[2]),
            401,
            "signature is wrong",
        ),
        (
            "half a signature",
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..100]),
            401,
            "signature is wrong",
        ),
        (
            "no signature",
            format!("{}.{}.", parts[0], parts[1]),
            401,
            "signature is wrong",
        ),
        (
            "a padded header",
            format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
            401,
            "header",
        ),
        (
            "two parts",
            format!("{}.{}", parts[0], parts[1]),
            401,
            "does not know this token",
        ),
        (
            "four parts",
            format!("{right}.x"),
            401,
            "does not know this token",
        ),
        (
            "a payload that is no object",
            { format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode("[]"), parts[2]) },
            401,
            "payload",
        ),
        ("endless", format!("{right}{}", "x".repeat(20_000)), 401, "bytes"),
        ("not a token", "hello".into(), 401, "does not know this token"),
    ];
    for key in &all {
        table.push((key.algorithm, key.sign(&claims), 200, ""));
        let mut spoiled = key.sign(&claims);
        let last = spoiled.rfind('.').unwrap() + 10;
        let other = if &spoiled[last..=last] == "A" { "B" } else { "A" };
        spoiled.replace_range(last..=last, other);
        table.push((key.algorithm, spoiled, 401, "signature is wrong"));
    }
    table
}

async fn ask(world: &World, method: Method, path: &str, token: &str, body: &Value) -> Answer {
    let (kind, body) = if body.is_null() {
        ("", String::new())
    } else {
        ("application/json", body.to_string())
    };
    let path = format!("/api/v1{path}");
    world.api.send(method, &path, token, kind, body).await
}

async fn tokens_wrong_in_one_thing_are_refused_with_the_reason(backend: Backend) {
    let rules =
        json!([{ "bound_claims": { "ref": ["refs/heads/main", "refs/tags/*"] }, "scopes": ["read"] }]);
    let world = World::new(backend, None, &rules, &[]);
    world.issuer.rotate(&ALGORITHMS);
    let table = tokens(&world);
    assert!(table.len() >= 60, "{}", table.len());
    for (name, token, status, reason) in table {
        let answer = ask(&world, Method::GET, "/pins", &token, &Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        let challenge = answer.headers.get("www-authenticate").cloned();
        if status == 200 {
            continue;
        }
        let problem = answer.problem(status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{name}: {detail}");
        assert!(
            !detail.contains("refs/heads/main\""),
            "{name} shows a rule: {detail}"
        );
        if token.len() > 20 {
            assert!(!problem.to_string().contains(&token), "{name} shows the token");
            assert!(!world.api.server.log().contains(&token), "{name} is logged");
        }
        if status == 401 {
            let challenge = challenge.unwrap();
            assert!(challenge.to_str().unwrap().starts_with("Bearer realm="), "{name}");
            // Only to who proved to be whom the issuer says.
            assert!(!detail.contains("claim "), "{name}: {detail}");
        }
    }
}

async fn every_operation_asks_for_its_scope_and_names_it(backend: Backend) {
    let rules: Vec<Value> = ["read", "push", "gc", "admin"]
        .map(|scope| json!({ "bound_subject": scope, "scopes": [scope] }))
        .into();
    let world = World::new(backend, None, &json!(rules), &[]);
    let document: Value = serde_json::from_slice(&world.api.server.get("openapi.json").unwrap()).unwrap();
    let mut judged = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let method: Method = verb.to_uppercase().parse().unwrap();
            let Some(needed) = operation["x-required-scope"].as_str() else {
                continue;
            };
            let mut address = path.trim_start_matches("/api/v1").to_owned();
            while let (Some(from), Some(to)) = (address.find('{'), address.find('}')) {
                address.replace_range(from..=to, "1");
            }
            let body = if verb == "get" || verb == "delete" {
                Value::Null
            } else {
                json!({})
            };
            let unknown = ask(&world, method.clone(), &address, "", &body).await;
            assert_eq!(unknown.status, 401, "{verb} {path}: {}", unknown.body);
            for scope in ["read", "push", "gc", "admin"] {
                let token = world.token(&json!({ "sub": scope }));
                let answer = ask(&world, method.clone(), &address, &token, &body).await;
                let status = answer.status.as_u16();
                judged += 1;
                if scope == needed || scope == "admin" {
                    assert!(
                        status < 500 && status != 401 && status != 403,
                        "{verb} {path} {scope}: {status}"
                    );
                    continue;
                }
                let problem = answer.problem(403);
                assert_eq!(problem["required_scope"], needed, "{verb} {path} {scope}");
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains(&format!("the scope {needed}")), "{detail}");
                assert!(detail.contains("the claim sub is"), "{detail}");
            }
        }
    }
    assert!(judged >= 60, "{judged}");
}

async fn a_push_belongs_to_whoever_opened_it(backend: Backend) {
    let rules = json!([{ "bound_subject": "*", "scopes": ["push"] }]);
    let mut world = World::new(backend, None, &rules, &[]);
    world.api.token = world.token(&json!({ "sub": "one" }));
    let push = world.api.open(A).await;
    let other = world.token(&json!({ "sub": "two" }));
    for (method, path, body) in [
        (Method::GET, "", Value::Null),
        (Method::DELETE, "", Value::Null),
        (Method::PUT, "/lease", Value::Null),
        (Method::POST, "/paths", json!({ "paths": [] })),
        (Method::POST, "/uploads", json!({ "uploads": [] })),
        (Method::PUT, "/objects", json!({ "objects": [] })),
        (Method::POST, "/commit", json!({})),
        (Method::PUT, "/realisations", json!({ "realisations": [] })),
    ] {
        let address = format!("/pushes/{push}{path}");
        let answer = ask(&world, method.clone(), &address, &other, &body).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    // A later token of the same subject goes on.
    let again = world.token(&json!({ "sub": "one", "jti": "another" }));
    let shown = ask(
        &world,
        Method::GET,
        &format!("/pushes/{push}"),
        &again,
        &Value::Null,
    )
    .await;
    assert_eq!(shown.status, 200, "{}", shown.body);
}

async fn what_a_run_used_is_reported_by_a_token_of_that_run_alone(backend: Backend) {
    let rules = json!([{ "bound_subject": "*", "scopes": ["push"] }]);
    let world = World::new(backend, None, &rules, &[]);
    world.api.push(A, b"a").await.ok();
    let claims = |subject: &str, run: &str, attempt: &str, repository: &str| {
        world.token(&json!({
            "sub": subject, "repository": repository, "repository_id": "1", "run_id": run, "run_attempt": attempt,
        }))
    };
    let of_run = claims("x", "7", "1", "o/r");
    let post = Method::POST;
    let run = ask(&world, post.clone(), "/runs", &of_run, &json!({})).await.ok();
    let address = format!("/runs/{}/uses", run["id"].as_str().unwrap());
    let report = json!({ "paths": [A], "complete": true });
    for (what, token) in [
        ("another run of the same subject", claims("x", "8", "1", "o/r")),
        ("another attempt", claims("x", "7", "2", "o/r")),
        ("another repository", claims("x", "7", "1", "o/s")),
        ("another subject", claims("y", "7", "1", "o/r")),
        ("no run", world.token(&json!({ "sub": "x" }))),
        ("the admin token", world.api.token.clone()),
    ] {
        let answer = ask(&world, post.clone(), &address, &token, &report).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
    }
    let links = || world.api.server.sql("SELECT count(*) FROM closure_uses");
    assert_eq!(links(), ["0"]);
    // A later token of the same run goes on.
    let again = claims("x", "7", "1", "o/r");
    let reported = ask(&world, post, &address, &again, &report).await.ok();
    assert_eq!(
        (&reported["used"], &reported["run"]["uses_complete"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(links(), ["1"]);
}
