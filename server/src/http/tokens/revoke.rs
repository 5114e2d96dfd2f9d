//! `DELETE /tokens/{name}`

use super::{App, Problem};
use crate::auth::{Identity, TokenName};

pub(super) async fn revoke(app: &App, who: &Identity, name: &TokenName) -> Result<(), Problem> {
    let mut tx = app.catalog.write().await?;
    if !tx.delete_token(&name.to_string()).await? {
        return Err(Problem::not_found(format!("there is no token {name}")));
    }
    tx.commit().await?;
    tracing::info!(token_name = %name, by = who.name(), "revoked a token");
    Ok(())
}
