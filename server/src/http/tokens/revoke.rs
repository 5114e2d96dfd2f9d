//! `DELETE /tokens/{name}`

use super::{App, Error};
use crate::auth::{Identity, TokenName};

pub(super) async fn revoke(app: &App, who: &Identity, name: &TokenName) -> Result<(), Error> {
    let mut tx = app.catalog.write().await?;
    if !tx.delete_token(&name.to_string()).await? {
        return Err(Error::not_found(format!("there is no token {name}")));
    }
    tx.commit().await?;
    tracing::info!(token_name = %name, by = who.name(), "revoked a token");
    Ok(())
}
