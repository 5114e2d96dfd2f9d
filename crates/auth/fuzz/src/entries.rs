//! One function for each parser of what strangers send and administrators write: no bytes panic, and nothing is
//! accepted that should not be.

use http::{HeaderMap, HeaderName, HeaderValue};
use niks3_auth::oidc::{Claims, Glob, Settings, jwt, keys};
use niks3_auth::{AuthContext, Credentials, FailureLimit, TrustedHeaders};
use secrecy::ExposeSecret as _;

/// Checks what one parser makes of the bytes.
pub type Entry = fn(&[u8]);

/// Every entry by the name of its fuzz target.
pub const ALL: &[(&str, Entry)] = &[
    ("token", token),
    ("rules", rules),
    ("headers", headers),
    ("keys", keys),
];

/// A key of which nobody has the other half.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","use":"sig",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A web token: taken apart, it is of an asymmetric algorithm, and its signature is not right.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(token) = jwt::parse(text) else {
        return;
    };
    assert!(jwt::ALGORITHMS.iter().any(|(_, known)| *known == token.algorithm));
    assert_eq!(text, format!("{}.{}", token.message, token.signature));
    let known = keys::KeySet::parse(KEYS.as_bytes()).expect("the document above");
    assert_ne!(known.verify(&token), keys::Verdict::Right);
    let names: Vec<String> = token.claims.keys().cloned().collect();
    let claims = Claims::new(token.claims);
    for name in names {
        assert!(claims.get(&name).is_some());
        let _ = claims.get(&format!("{name}.{name}"));
    }
}

/// A rule file: it is refused with a line that it has, or no rule of it admits every token by leaving out what it binds.
pub fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Settings::parse(text, &["main-1"]) {
        Err(error) => assert!(error.line <= text.split('\n').count(), "{error}"),
        Ok(settings) => {
            for provider in settings.providers {
                assert!(!provider.rules.is_empty() && !provider.audience.is_empty());
                for rule in provider.rules {
                    assert!(!rule.bounds.is_empty() && !rule.grant.scopes.is_empty());
                    for bound in rule.bounds {
                        assert!(!bound.values.is_empty());
                    }
                }
            }
        }
    }
    if let Some((pattern, text)) = text.split_once('\n') {
        let found = Glob::new(pattern).matches(text);
        assert!(!pattern.is_empty() || found == text.is_empty());
    }
}

/// Headers: a token in them is of visible characters, and a proxy's word counts only from where it is.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(6) {
        let (name, value) = match line.first() {
            Some(b'f') => ("x-forwarded-for", &line[1..]),
            Some(b'v') => ("x-verified", &line[1..]),
            Some(b's') => ("x-subject", &line[1..]),
            _ => ("authorization", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    for context in [AuthContext::Api, AuthContext::Reads] {
        if let Ok(Some(credentials)) = Credentials::from_headers(&headers, context) {
            let token = credentials.token.expose_secret();
            assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
    let trusted = TrustedHeaders {
        verified: HeaderName::from_static("x-verified"),
        subject: HeaderName::from_static("x-subject"),
        proxies: vec!["10.0.0.0/8".parse().expect("a network")],
    };
    let (proxy, stranger) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
    if let Ok(Some(subject)) = trusted.subject(proxy, &headers) {
        assert!(!subject.is_empty());
    }
    assert!(matches!(trusted.subject(stranger, &headers), Ok(None)));
    let limit = FailureLimit::new(1, trusted.proxies);
    let _ = limit.sender(proxy, &headers);
    assert_eq!(limit.sender(stranger, &headers), stranger);
}

/// A key document: what is taken of it has keys.
pub fn keys(bytes: &[u8]) {
    if let Ok(found) = keys::KeySet::parse(bytes) {
        assert_ne!(format!("{found:?}"), "KeySet(0 keys)");
    }
}
