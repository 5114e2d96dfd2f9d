//! What a request brings to prove who sends it.

use poem::http::{HeaderMap, header};
use secrecy::SecretString;

use super::Refusal;

/// Most bytes of a token.
const MAX_TOKEN: usize = 16 << 10;

/// The token of a request.
#[derive(Debug)]
pub struct Credentials {
    /// The token.
    pub token: SecretString,
}

impl Credentials {
    /// The `Authorization: Bearer` header of a request, if it has one.
    ///
    /// # Errors
    /// When the header is there and is something else, or is there twice.
    pub fn bearer(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refusal::invalid("there are two Authorization headers"));
        }
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(|| Refusal::invalid("the Authorization header is not `Bearer TOKEN`"))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::invalid("the Authorization header is not `Bearer TOKEN`"));
        }
        Self::checked(token.trim()).map(Some)
    }

    fn checked(token: &str) -> Result<Self, Refusal> {
        if token.is_empty() {
            return Err(Refusal::invalid("the token is empty"));
        }
        if token.len() > MAX_TOKEN {
            return Err(Refusal::invalid(format!(
                "the token has more than {MAX_TOKEN} bytes"
            )));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::invalid("the token has characters that no token has"));
        }
        Ok(Self {
            token: token.to_owned().into(),
        })
    }
}
