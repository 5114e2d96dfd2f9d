//! Who is asking: the bearer of the admin token, for now the only identity.

use std::sync::Arc;

use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::http::problem::Problem;

/// Fewest characters that an admin token may have.
pub const MIN_TOKEN: usize = 36;

/// Somebody the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Stable name; a push belongs to it.
    pub name: String,
}

/// Proof of an identity: `Authorization: Bearer TOKEN`.
#[derive(SecurityScheme)]
#[oai(rename = "token", ty = "bearer", checker = "check")]
pub struct Authenticated(pub Identity);

/// The static admin token, kept as its hash.
#[derive(Debug)]
pub struct AdminToken {
    hash: [u8; 32],
}

impl AdminToken {
    /// Takes a token as configured.
    ///
    /// # Errors
    /// When it is shorter than 36 characters or has characters that no header carries.
    pub fn new(token: &SecretString) -> Result<Self, String> {
        let token = token.expose_secret();
        if token.chars().count() < MIN_TOKEN {
            return Err(format!("an API token needs {MIN_TOKEN} characters or more"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("an API token is made of visible ASCII characters".into());
        }
        Ok(Self {
            hash: Sha256::digest(token).into(),
        })
    }

    /// Whether that is the token. Hashes are compared, so time tells nothing of it.
    fn is(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        hash == self.hash
    }
}

#[expect(clippy::unused_async, reason = "the framework wants a future")]
async fn check(request: &Request, bearer: Bearer) -> poem::Result<Identity> {
    let app: &Arc<App> = request
        .data()
        .ok_or_else(|| poem::Error::from_status(poem::http::StatusCode::INTERNAL_SERVER_ERROR))?;
    if app.admin_token.is(&bearer.token) {
        return Ok(Identity { name: "admin".into() });
    }
    tracing::info!(reason = "unknown token", "authentication failed");
    let problem = Problem::unauthorized("the token is not one that this server knows");
    Err(poem::Error::from_response(poem::IntoResponse::into_response(
        problem,
    )))
}
