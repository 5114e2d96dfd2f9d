//! An issuer of OpenID Connect tokens in the shape of GitHub's on an Enterprise server.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::http::{listen, write};

/// Seconds that GitHub's tokens live.
const LIFETIME: i64 = 300;

/// A key that tokens are signed with.
struct Key {
    id: String,
    pair: KeyPair,
}

impl Key {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: KeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// As a key document has it (RFC 7517).
    fn published(&self) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(&public.n), "e": URL_SAFE_NO_PAD.encode(&public.e) })
    }
}

/// An issuer that serves its discovery document and its key.
#[derive(Clone)]
pub struct GithubIssuer {
    url: String,
    key: Arc<Mutex<Arc<Key>>>,
}

impl std::fmt::Debug for GithubIssuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "GithubIssuer({})", self.url)
    }
}

impl GithubIssuer {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        // Making a key takes a while: the tests of a process share the first.
        static FIRST: OnceLock<Arc<Key>> = OnceLock::new();
        let first = FIRST.get_or_init(|| Arc::new(Key::new("first")));
        let key = Arc::new(Mutex::new(Arc::clone(first)));
        let published = Arc::clone(&key);
        let port = listen(move |head, stream| {
            let path = head[0].split(' ').nth(1).unwrap_or_default();
            let host = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("host").then_some(value)
            });
            let url = format!("http://{}/_services/token", host.unwrap_or_default());
            let body = match path.strip_prefix("/_services/token") {
                Some("/.well-known/openid-configuration") => {
                    json!({ "issuer": url, "jwks_uri": format!("{url}/.well-known/jwks") })
                }
                Some("/.well-known/jwks") => json!({ "keys": [published.lock().unwrap().published()] }),
                _ => return write(&stream, 404, "", "{}"),
            };
            write(&stream, 200, "", &body.to_string());
        });
        Self {
            url: format!("http://127.0.0.1:{port}/_services/token"),
            key,
        }
    }

    /// Its URL, as tokens name it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Signs with another key from now on, and publishes that one alone.
    pub fn rotate(&self) {
        *self.key.lock().unwrap() = Arc::new(Key::new("second"));
    }

    /// What a token claims of a job on the branch main: attempt 2 of run 7 in `o/r`.
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        json!({
            "iss": self.url, "aud": audience, "sub": "repo:o@2/r@1:ref:refs/heads/main", "jti": "of-a-test",
            "iat": now, "nbf": now - 300, "exp": now + LIFETIME,
            "repository": "o/r", "repository_id": "1", "repository_owner": "o", "repository_owner_id": "2",
            "repository_visibility": "private", "ref": "refs/heads/main", "ref_type": "branch",
            "ref_protected": "true", "sha": "abc", "event_name": "push", "workflow": "CI",
            "workflow_ref": "o/r/.github/workflows/ci.yml@refs/heads/main",
            "job_workflow_ref": "o/r/.github/workflows/ci.yml@refs/heads/main",
            "head_ref": "", "base_ref": "", "run_id": "7", "run_number": "3", "run_attempt": "2",
            "actor": "somebody", "actor_id": "4", "runner_environment": "github-hosted",
        })
    }

    /// Signs claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let key = Arc::clone(&self.key.lock().unwrap());
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": key.id });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let mut signature = vec![0; key.pair.public_modulus_len()];
        key.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A server's `--oidc-config` that takes its tokens, by rules, as the provider `github`.
    #[must_use]
    pub fn config(&self, audience: &str, rules: &Value) -> String {
        let provider = json!({ "issuer": self.url, "audience": audience, "rules": rules });
        json!({ "allow_insecure": true, "providers": { "github": provider } }).to_string()
    }
}
