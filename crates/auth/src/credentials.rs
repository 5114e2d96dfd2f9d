//! What a request brings to prove who sends it.

use base64::Engine as _;
use http::{HeaderMap, header};
use secrecy::{SecretString, zeroize::Zeroize as _};

use super::{AuthContext, AuthError};

/// Most bytes of a token.
const MAX_TOKEN: usize = 16 << 10;

/// The token of a request.
#[derive(Debug)]
pub struct Credentials {
    /// The token.
    pub token: SecretString,
}

impl Credentials {
    /// The token in the `Authorization` header of a request, if it has one: `Bearer TOKEN`, and
    /// for reads also the password of HTTP Basic, as netrc files have it.
    ///
    /// # Errors
    /// When the header is there and is something else, or is there twice.
    pub fn from_headers(headers: &HeaderMap, context: AuthContext) -> Result<Option<Self>, AuthError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(AuthError::invalid("there are two Authorization headers"));
        }
        let unknown = || {
            AuthError::invalid(match context {
                AuthContext::Api => "the Authorization header is not `Bearer TOKEN`",
                AuthContext::Reads => "the Authorization header is neither `Bearer TOKEN` nor HTTP Basic",
            })
        };
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(unknown)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::checked(token.trim()).map(Some);
        }
        if scheme.eq_ignore_ascii_case("basic") && context == AuthContext::Reads {
            return Self::password(token.trim()).map(Some);
        }
        Err(unknown())
    }

    /// The password of HTTP Basic; the user's name may be anything.
    fn password(encoded: &str) -> Result<Self, AuthError> {
        let wrong = || AuthError::invalid("the Authorization header is not `Basic BASE64(USER:TOKEN)`");
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|_| wrong())?;
        let mut text = String::from_utf8(decoded).map_err(|_| wrong())?;
        let checked = match text.split_once(':') {
            Some((_, password)) => Self::checked(password),
            None => Err(wrong()),
        };
        text.zeroize();
        checked
    }

    fn checked(token: &str) -> Result<Self, AuthError> {
        if token.is_empty() {
            return Err(AuthError::invalid("the token is empty"));
        }
        if token.len() > MAX_TOKEN {
            return Err(AuthError::invalid(format!(
                "the token has more than {MAX_TOKEN} bytes"
            )));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AuthError::invalid("the token has characters that no token has"));
        }
        Ok(Self {
            token: token.to_owned().into(),
        })
    }
}
