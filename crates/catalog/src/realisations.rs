//! Realisations: one in force under each key, and those that other pushes have brought for it.

use std::collections::HashMap;

use niks3_base::realisation;
use niks3_base::signing::KeyChoice;

use super::columns::Keys;
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::PRESENT;
use super::states::REALISATION_PRESENT;
use super::{Catalog, PathId, Realised, Result, WriteTx, now};

/// The statement about some keys, and its values bound.
macro_rules! by_keys {
    ($backend:expr, $text:expr, $keys:expr) => {{
        let text = format!("{} IN ({})", $text, in_clause::placeholders(1, $keys.len()));
        in_clause::query_as($backend, text, $keys.len() == ROWS).bind_all($keys.iter().cloned())
    }};
}

#[derive(sqlx::FromRow)]
struct RealisationRow {
    #[sqlx(flatten)]
    realised: Realised,
    state: i64,
}

impl Catalog {
    /// The realisations in force under some keys; nothing when one of them is being deleted.
    pub async fn realisations_in_force(&self, keys: &[String]) -> Result<Option<Vec<Realised>>> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS) {
            let text = "SELECT key, path_id, body, signing_keys, state FROM realisations WHERE key";
            let rows: Vec<RealisationRow> = by_keys!(self.backend, text, chunk)
                .fetch_all(&self.reader)
                .await?;
            if rows.iter().any(|row| row.state != REALISATION_PRESENT) {
                return Ok(None);
            }
            found.extend(rows.into_iter().map(|row| row.realised));
        }
        Ok(Some(found))
    }
}

impl WriteTx {
    /// Offers a realisation. The first writer's stays in force, and gains the signatures of others of the same path; those
    /// of other paths are kept for when its path goes.
    pub async fn add_realisation(&mut self, new: &Realised) -> Result<()> {
        sqlx::query(
            "INSERT INTO realisations (key, path_id, body, created_at, signing_keys) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (key) DO NOTHING",
        )
        .bind(new.key.clone())
        .bind(new.path_id)
        .bind(new.body.clone())
        .bind(now())
        .bind(new.keys.to_text())
        .execute(&mut *self.tx)
        .await?;
        let (path_id, body): (PathId, String) =
            sqlx::query_as("SELECT path_id, body FROM realisations WHERE key = $1")
                .bind(new.key.clone())
                .fetch_one(&mut *self.tx)
                .await?;
        if path_id == new.path_id {
            if let Some(body) = realisation::with_signatures(&body, &new.body) {
                sqlx::query("UPDATE realisations SET body = $1 WHERE key = $2")
                    .bind(body)
                    .bind(new.key.clone())
                    .execute(&mut *self.tx)
                    .await?;
            }
            return self.lend_keys("realisations", new).await;
        }
        sqlx::query(
            "INSERT INTO realisation_candidates (key, path_id, body, created_at, signing_keys) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key, path_id) DO NOTHING",
        )
        .bind(new.key.clone())
        .bind(new.path_id)
        .bind(new.body.clone())
        .bind(now())
        .bind(new.keys.to_text())
        .execute(&mut *self.tx)
        .await?;
        self.lend_keys("realisation_candidates", new).await
    }

    /// Whoever says the same lends it their keys.
    async fn lend_keys(&mut self, table: &str, new: &Realised) -> Result<()> {
        let text = format!("SELECT signing_keys FROM {table} WHERE key = $1 AND path_id = $2");
        let before: Keys = in_clause::query_scalar(self.backend, text, true)
            .bind(new.key.clone())
            .bind(new.path_id)
            .fetch_one(&mut *self.tx)
            .await?;
        let before = KeyChoice::from(before);
        let both = before.union(&new.keys);
        if both != before {
            let text = format!("UPDATE {table} SET signing_keys = $1 WHERE key = $2 AND path_id = $3");
            in_clause::query(self.backend, text, true)
                .bind(both.to_text())
                .bind(new.key.clone())
                .bind(new.path_id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    /// Whether the realisations in force are as they were written: if not, they have to be written again.
    pub async fn realisations_unchanged(&mut self, written: &[Realised]) -> Result<bool> {
        for chunk in written.chunks(ROWS) {
            let keys: Vec<String> = chunk.iter().map(|realised| realised.key.clone()).collect();
            let text = format!(
                "SELECT key, path_id, body, signing_keys FROM realisations WHERE state = {REALISATION_PRESENT} AND key"
            );
            let rows: Vec<Realised> = by_keys!(self.backend, text, &keys)
                .fetch_all(&mut *self.tx)
                .await?;
            let now: HashMap<&str, &Realised> = rows
                .iter()
                .map(|realised| (realised.key.as_str(), realised))
                .collect();
            if chunk
                .iter()
                .any(|written| now.get(written.key.as_str()) != Some(&written))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts in force what other pushes have brought under keys that have none any more, of paths that readers find:
    /// at most `limit`, in the order of their keys, after one. They are to be written into the bucket, and count as
    /// written with [`WriteTx::candidates_written`]; those that were put in force and not written come again.
    pub async fn put_candidates_in_force(&mut self, after: &str, limit: i64) -> Result<Vec<Realised>> {
        let text = format!(
            "SELECT c.key, c.path_id, c.body, c.signing_keys FROM realisation_candidates c \
             JOIN paths p ON p.id = c.path_id LEFT JOIN realisations r ON r.key = c.key \
             WHERE c.key > $1 AND p.state = {PRESENT} AND (r.key IS NULL OR (r.path_id = c.path_id AND r.state = {REALISATION_PRESENT})) \
             AND NOT EXISTS (SELECT 1 FROM realisation_candidates e JOIN paths q ON q.id = e.path_id \
             WHERE e.key = c.key AND q.state = {PRESENT} AND r.key IS NULL \
             AND (e.created_at < c.created_at OR (e.created_at = c.created_at AND e.path_id < c.path_id))) \
             ORDER BY c.key LIMIT $2"
        );
        let mut found: Vec<Realised> = in_clause::query_as(self.backend, text, true)
            .bind(after.to_owned())
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await?;
        for new in &mut found {
            self.add_realisation(new).await?;
            let keys: Keys = sqlx::query_scalar("SELECT signing_keys FROM realisations WHERE key = $1")
                .bind(new.key.clone())
                .fetch_one(&mut *self.tx)
                .await?;
            new.keys = keys.into();
        }
        Ok(found)
    }

    /// Says that realisations that were put in force are in the bucket.
    pub async fn candidates_written(&mut self, written: &[Realised]) -> Result<()> {
        for realised in written {
            sqlx::query("DELETE FROM realisation_candidates WHERE key = $1 AND path_id = $2")
                .bind(realised.key.clone())
                .bind(realised.path_id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}
