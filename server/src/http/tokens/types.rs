//! What named tokens look like on the wire.

use poem_openapi::Object;

use crate::catalog::TokenRow;

/// A token to be made.
#[derive(Debug, Object)]
pub(super) struct CreateToken {
    /// Its name: 1 to 128 letters, digits, `.`, `_` or `-`, not dots alone.
    pub name: String,
    /// What it is good for: `read`, `push`, `gc`, `admin`.
    pub scopes: Vec<String>,
    /// Seconds until it ends; without it, it does not.
    #[oai(skip_serializing_if_is_none)]
    pub expires_in_seconds: Option<u64>,
    /// What is uploaded with it need not be read before it becomes visible, with `--verify-uploads=untrusted`.
    #[oai(default)]
    pub trusted: bool,
}

/// A named token, without what proves it.
#[derive(Debug, Object)]
pub(super) struct Token {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// Unix time at which it was made.
    pub created_at: i64,
    /// Unix time at which it ends, if it does.
    #[oai(skip_serializing_if_is_none)]
    pub expires_at: Option<i64>,
    /// What is uploaded with it need not be read before it becomes visible, with `--verify-uploads=untrusted`.
    pub trusted: bool,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            name: row.name,
            scopes: row.scopes.split(',').map(str::to_owned).collect(),
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            trusted: row.trusted,
        }
    }
}

/// A new token.
#[derive(Object)]
pub(super) struct CreatedToken {
    /// The token itself.
    pub token: String,
    /// What is kept of it.
    pub about: Token,
}

/// A page of tokens.
#[derive(Debug, Object)]
pub(super) struct Tokens {
    /// In the order of their names.
    pub tokens: Vec<Token>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}
