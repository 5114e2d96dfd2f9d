//! `GET /tokens`

use super::types::Tokens;
use super::{App, Error};
use crate::http::wire;

pub(super) async fn list(app: &App, after: Option<&str>, limit: Option<u32>) -> Result<Tokens, Error> {
    let limit = wire::page(limit)?;
    let tokens = app.catalog.tokens(wire::after(after)?, limit).await?;
    let full = i64::try_from(tokens.len()) == Ok(limit);
    Ok(Tokens {
        next: tokens.last().filter(|_| full).map(|token| token.name.clone()),
        tokens: tokens.into_iter().map(Into::into).collect(),
    })
}
