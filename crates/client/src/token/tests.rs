//! Tests of where tokens come from.

use std::collections::HashMap;

use super::*;

fn provider(options: TokenOptions, environment: &[(&str, &str)]) -> Result<TokenProvider, TokenError> {
    let environment: HashMap<_, _> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    TokenProvider::with_environment(options, |name| environment.get(name).cloned())
}

async fn token_of(provider: &TokenProvider) -> Result<String, TokenError> {
    let http = reqwest::Client::new();
    let token = provider.token(&http, "http://localhost").await?;
    Ok(token
        .map(|token| token.expose_secret().to_owned())
        .unwrap_or_default())
}

#[tokio::test]
async fn the_script_wins_over_the_path_over_the_environment_over_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{}\n", name.replace('/', "-"))).unwrap();
        path
    };
    let (path, env) = (file("path"), file("env"));
    file("niks3/auth-token");
    let environment = [
        ("NIKS3_AUTH_TOKEN_SCRIPT", "echo variable"),
        ("NIKS3_AUTH_TOKEN_FILE", env.to_str().unwrap()),
        ("XDG_CONFIG_HOME", dir.path().to_str().unwrap()),
    ];

    let mut options = TokenOptions {
        script: Some("echo 'script'".to_owned()),
        path: Some(path),
        ..TokenOptions::default()
    };
    assert_eq!(
        token_of(&provider(options.clone(), &environment).unwrap())
            .await
            .unwrap(),
        "script"
    );
    options.script = None;
    assert_eq!(
        token_of(&provider(options.clone(), &environment).unwrap())
            .await
            .unwrap(),
        "path"
    );
    // A variable says what is the case everywhere, an option what is the case now.
    options.path = None;
    assert_eq!(
        token_of(&provider(options.clone(), &environment).unwrap())
            .await
            .unwrap(),
        "variable"
    );
    assert_eq!(
        token_of(&provider(options.clone(), &environment[1..]).unwrap())
            .await
            .unwrap(),
        "env"
    );
    assert_eq!(
        token_of(&provider(options.clone(), &environment[2..]).unwrap())
            .await
            .unwrap(),
        "niks3-auth-token"
    );
    let message = token_of(&provider(options, &[("HOME", "/home/x")]).unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("/home/x/.config/niks3/auth-token"), "{message}");
}

#[test]
fn a_file_that_holds_no_token_gets_one_clear_sentence() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b" \n\n", "empty"),
        (b"one\ntwo\n", "more than one line"),
        ("töken".as_bytes(), "non-ASCII"),
        (b"to\0ken", "control"),
        (b"\xff\xfe", "non-ASCII"),
        (b"two words", "spaces"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let message = from_file(file.path()).err().unwrap().to_string();
        assert!(
            message.contains(word) && message.contains(file.path().to_str().unwrap()),
            "{message}"
        );
        assert!(!message.contains('\n'));
    }
    let message = from_file(Path::new("/nonexistent/token"))
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("/nonexistent/token"), "{message}");
}

#[tokio::test]
async fn a_script_that_fails_is_named_and_its_output_is_not_shown() {
    for (script, word) in [
        ("false", "failed"),
        ("/nonexistent/script", "cannot be run"),
        ("true", "is empty"),
        ("echo '{\"tok\": \"secret\"}'", "neither a token"),
    ] {
        let provider = provider(
            TokenOptions {
                script: Some(script.to_owned()),
                ..TokenOptions::default()
            },
            &[],
        )
        .unwrap();
        let message = token_of(&provider).await.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
    assert!(
        provider(
            TokenOptions {
                script: Some("'open".to_owned()),
                ..TokenOptions::default()
            },
            &[]
        )
        .is_err()
    );
}

#[test]
fn a_script_may_print_json_with_an_expiry() {
    let cached = script_answer(br#"{"token":"abc","expires_at":"2030-01-01T00:00:00Z"}"#, "s").unwrap();
    assert_eq!(cached.token.expose_secret(), "abc");
    assert_eq!(cached.expires_at.unwrap().timestamp(), 1_893_456_000);
    let cached = script_answer(br#"{"token":"abc","expires_at":1893456000}"#, "s").unwrap();
    assert_eq!(cached.expires_at.unwrap().timestamp(), 1_893_456_000);
    assert!(script_answer(b"abc\n", "s").unwrap().expires_at.is_none());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_once_when_refused() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let run = |expires: i64| {
        let script = format!(
            "sh -c 'echo x >> {0}; n=$(wc -l < {0}); echo \"{{\\\"token\\\":\\\"t$n\\\",\\\"expires_at\\\":{expires}}}\"'",
            count.display()
        );
        provider(
            TokenOptions {
                script: Some(script),
                ..TokenOptions::default()
            },
            &[],
        )
        .unwrap()
    };
    let lasting = run(Utc::now().timestamp() + 3600);
    assert_eq!(token_of(&lasting).await.unwrap(), "t1");
    assert_eq!(token_of(&lasting).await.unwrap(), "t1");
    let http = reqwest::Client::new();
    let renewed = lasting
        .renewed(&http, "http://localhost", Some(&"t1".to_owned().into()))
        .await
        .unwrap();
    assert_eq!(renewed.unwrap().expose_secret(), "t2");
    let ending = run(Utc::now().timestamp() + 30);
    assert_eq!(token_of(&ending).await.unwrap(), "t3");
    assert_eq!(token_of(&ending).await.unwrap(), "t4");
}

#[tokio::test]
async fn a_static_token_that_is_refused_is_not_sent_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "abc").unwrap();
    let provider = provider(
        TokenOptions {
            path: Some(file.path().to_owned()),
            ..TokenOptions::default()
        },
        &[],
    )
    .unwrap();
    let http = reqwest::Client::new();
    let refused: SecretString = "abc".to_owned().into();
    assert!(
        provider
            .renewed(&http, "http://localhost", Some(&refused))
            .await
            .unwrap()
            .is_none()
    );
    std::fs::write(file.path(), "def").unwrap();
    assert!(
        provider
            .renewed(&http, "http://localhost", Some(&"abc".to_owned().into()))
            .await
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_token_is_not_in_the_debug_output() {
    let provider = provider(TokenOptions::default(), &[]).unwrap();
    assert_eq!(format!("{provider:?}"), "TokenProvider { .. }");
}

#[test]
fn the_expiry_of_a_web_token_is_read() {
    // {"exp":1893456000}
    let token: SecretString = "e30.eyJleHAiOjE4OTM0NTYwMDB9.x".to_owned().into();
    assert_eq!(expiry(&token).unwrap().timestamp(), 1_893_456_000);
    assert!(expiry(&"opaque".to_owned().into()).is_none());
}
