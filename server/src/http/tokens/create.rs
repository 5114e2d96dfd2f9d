//! `POST /tokens`

use secrecy::ExposeSecret as _;

use super::types::{CreateToken, CreatedToken};
use super::{App, Error, parse};
use crate::auth::{Identity, Scope, Scopes, named_token};
use crate::catalog::{NewToken, TokenRow, now};

/// Seconds of a hundred years.
const MAX_LIFE: u64 = 100 * 365 * 24 * 3600;

pub(super) async fn create(app: &App, who: &Identity, body: &CreateToken) -> Result<CreatedToken, Error> {
    let name = parse(&body.name)?;
    let scopes = scopes(&body.scopes)?;
    let now = now();
    let row = TokenRow {
        name: name.to_string(),
        scopes: scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(","),
        created_by: who.name(),
        created_at: now,
        expires_at: life(body.expires_in_seconds)?.map(|seconds| now + seconds),
        trusted: body.trusted,
    };
    let token = named_token::generate();
    let new = NewToken {
        hash: named_token::hash(&token),
        row,
    };
    let mut tx = app.catalog.write().await?;
    if !tx.create_token(&new).await? {
        return Err(Error::conflict(format!(
            "there is a token {name}: revoke it first, or choose another name"
        )));
    }
    tx.commit().await?;
    tracing::info!(token_name = %name, %scopes, "created a token");
    Ok(CreatedToken {
        token: token.expose_secret().to_owned(),
        about: new.row.into(),
    })
}

fn scopes(words: &[String]) -> Result<Scopes, Error> {
    let words = crate::http::wire::list("scopes", words, Scope::ALL.len())?;
    let scopes: Result<Scopes, String> = words.iter().map(|word| word.parse::<Scope>()).collect();
    match scopes.map_err(|why| Error::invalid("scopes", why))? {
        scopes if scopes.is_empty() => Err(Error::invalid(
            "scopes",
            "a token needs one at least: read, push, gc or admin",
        )),
        scopes => Ok(scopes),
    }
}

fn life(seconds: Option<u64>) -> Result<Option<i64>, Error> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    match i64::try_from(seconds) {
        Ok(life) if (1..=MAX_LIFE).contains(&seconds) => Ok(Some(life)),
        _ => Err(Error::invalid(
            "expires_in_seconds",
            "a token lives for a second at least, and for a hundred years at most",
        )),
    }
}
