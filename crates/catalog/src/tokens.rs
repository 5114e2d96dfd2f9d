//! Named tokens, of which only the hash is known.

use super::columns::{EndTime, Flag};
use super::{Catalog, Result, WriteTx, in_clause, now};

/// A named token.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// The words of its scopes, with commas.
    pub scopes: String,
    /// Who made it.
    pub created_by: String,
    /// Unix time at which it was made.
    pub created_at: i64,
    /// Unix time at which it ends, if it does.
    #[sqlx(try_from = "EndTime")]
    pub expires_at: Option<i64>,
    /// What is uploaded with it need not be read first, with `--verify-uploads=untrusted`.
    #[sqlx(try_from = "Flag")]
    pub trusted: bool,
}

/// A token to be made.
#[derive(Debug)]
pub struct NewToken {
    /// Its row; `created_at` is now.
    pub row: TokenRow,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
}

const COLUMNS: &str = "name, scopes, created_by, created_at, expires_at, trusted";

impl Catalog {
    /// The token with that SHA-256.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>> {
        let text = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
        let row = in_clause::query_as(self.backend, text, true)
            .bind(hash.to_vec())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }

    /// Tokens in the order of their names, after one.
    pub async fn tokens(&self, after: &str, limit: i64) -> Result<Vec<TokenRow>> {
        let text = format!("SELECT {COLUMNS} FROM tokens WHERE name > $1 ORDER BY name LIMIT $2");
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(after.to_owned())
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Makes a token; false when there is one of that name which has not ended.
    pub async fn create_token(&mut self, new: &NewToken) -> Result<bool> {
        let row = &new.row;
        let made = sqlx::query(
            "INSERT INTO tokens (name, hash, scopes, created_by, created_at, expires_at, trusted) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, \
             created_by = excluded.created_by, created_at = excluded.created_at, expires_at = excluded.expires_at, \
             trusted = excluded.trusted \
             WHERE tokens.expires_at > 0 AND tokens.expires_at <= $8",
        )
        .bind(row.name.clone())
        .bind(new.hash.to_vec())
        .bind(row.scopes.clone())
        .bind(row.created_by.clone())
        .bind(row.created_at)
        .bind(row.expires_at.unwrap_or(0))
        .bind(i64::from(row.trusted))
        .bind(now())
        .execute(&mut *self.tx)
        .await?;
        Ok(made.rows_affected() > 0)
    }

    /// Revokes a token; false when there is none of that name.
    pub async fn delete_token(&mut self, name: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM tokens WHERE name = $1")
            .bind(name.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
