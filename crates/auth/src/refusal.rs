//! Why somebody is not let in.

use niks3_base::error::Error;
use niks3_catalog::CatalogError;

/// Why a request proves no identity.
#[derive(Debug)]
pub enum AuthError {
    /// It brings nothing that could.
    Nothing,
    /// What it brings is not accepted; the text says which check failed, and holds no secret.
    Invalid(String),
    /// It is right, and allows nothing here.
    Forbidden(String),
    /// What it brings is not accepted either, and too much of what came from there was not; after
    /// so many seconds it may be.
    TooMany(u32),
    /// It cannot be told now.
    Unavailable(Error),
}

impl AuthError {
    /// Not accepted, and why.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

impl AuthError {
    /// The one of [`niks3_base::metrics::AUTH_FAILURES`] that this is.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Nothing => "no_token",
            Self::Invalid(_) => "invalid_token",
            Self::TooMany(_) => "too_many",
            Self::Forbidden(_) => "no_rule",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<CatalogError> for AuthError {
    fn from(error: CatalogError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<AuthError> for Error {
    fn from(refusal: AuthError) -> Self {
        match refusal {
            AuthError::Nothing => Self::no_credentials("this needs a token: Authorization: Bearer TOKEN"),
            AuthError::Invalid(why) => Self::invalid_credentials(why),
            AuthError::TooMany(wait) => Self::too_many(
                "too many tokens from this address were not accepted, and this one is not either",
                wait,
            ),
            AuthError::Forbidden(why) => Self::forbidden(why),
            AuthError::Unavailable(problem) => problem,
        }
    }
}
