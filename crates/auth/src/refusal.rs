//! Why somebody is not let in.

use niks3_base::error::Error;
use niks3_catalog::CatalogError;

/// Why a request proves no identity.
#[derive(Debug)]
pub enum Refusal {
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

impl Refusal {
    /// Not accepted, and why.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

impl Refusal {
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

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Nothing => Self::no_credentials("this needs a token: Authorization: Bearer TOKEN"),
            Refusal::Invalid(why) => Self::invalid_credentials(why),
            Refusal::TooMany(wait) => Self::too_many(
                "too many tokens from this address were not accepted, and this one is not either",
                wait,
            ),
            Refusal::Forbidden(why) => Self::forbidden(why),
            Refusal::Unavailable(problem) => problem,
        }
    }
}
