//! Closures and pins of another cache's database, between the import that has read them and the repair that finds
//! their paths in the bucket.
//!
//! A root waits until its path is in the cache, and is done from then on. The rows stay: a repeated import is compared
//! with them, so that it does not bring back what was deleted here since.

use std::collections::HashMap;

use niks3_nix::store_path::{StorePath, StorePathHash};

use super::columns::PathName;
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::states::{IMPORT_DONE, IMPORT_WAITING};
use super::{Catalog, PathId, Result, WriteTx};

/// A closure of another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedClosure {
    /// Hash part of its root.
    pub hash: StorePathHash,
    /// Unix time of its last push.
    pub pushed_at: i64,
}

/// A pin of another database.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ImportedPin {
    /// Its name.
    pub name: String,
    /// What it keeps, with its closure.
    #[sqlx(try_from = "PathName")]
    pub path: StorePath,
    /// Unix time at which the name was made.
    pub created_at: i64,
    /// Unix time at which it was last pointed somewhere.
    pub updated_at: i64,
}

/// Roots that wait for their paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct WaitingRoots {
    /// Closures.
    pub closures: i64,
    /// Pins.
    pub pins: i64,
}

impl Catalog {
    /// When each closure that was imported before was pushed last, by the hash part of its root.
    pub async fn imported_closures(&self) -> Result<HashMap<String, i64>> {
        let rows = sqlx::query_as("SELECT hash, pushed_at FROM imported_closures")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// When each pin that was imported before was pointed somewhere last, by name.
    pub async fn imported_pins(&self) -> Result<HashMap<String, i64>> {
        let rows = sqlx::query_as("SELECT name, updated_at FROM imported_pins")
            .fetch_all(&self.reader)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// How many imported roots wait.
    pub async fn waiting_roots(&self) -> Result<WaitingRoots> {
        Ok(in_clause::query_as(
            self.backend,
            format!(
                "SELECT (SELECT COUNT(*) FROM imported_closures WHERE state = {IMPORT_WAITING}) AS closures, \
             (SELECT COUNT(*) FROM imported_pins WHERE state = {IMPORT_WAITING}) AS pins"
            ),
            true,
        )
        .fetch_one(&self.reader)
        .await?)
    }

    /// Hash parts of the roots of closures that wait, after one.
    pub async fn waiting_closures(&self, after: &str, limit: i64) -> Result<Vec<String>> {
        let rows = in_clause::query_scalar(self.backend, format!("SELECT hash FROM imported_closures WHERE state = {IMPORT_WAITING} AND hash > $1 ORDER BY hash LIMIT $2"), true)
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Those of some closures that wait.
    pub async fn waiting_closures_among(&self, hashes: &[String]) -> Result<Vec<String>> {
        let mut waiting = Vec::new();
        for chunk in hashes.chunks(ROWS) {
            let text = format!(
                "SELECT hash FROM imported_closures WHERE state = {IMPORT_WAITING} AND hash IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().cloned());
            waiting.extend(query.fetch_all(&self.reader).await?);
        }
        Ok(waiting)
    }

    /// Pins that wait, in the order of their names, after one.
    pub async fn waiting_pins(&self, after: &str, limit: i64) -> Result<Vec<ImportedPin>> {
        let rows = in_clause::query_as(self.backend, format!("SELECT name, path, created_at, updated_at FROM imported_pins WHERE state = {IMPORT_WAITING} AND name > $1 \
             ORDER BY name LIMIT $2"), true)
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Adds closures of another database, each of which is new or was pushed there again since the last import.
    pub async fn add_imported_closures(&mut self, closures: &[ImportedClosure]) -> Result<()> {
        for chunk in closures.chunks(ROWS) {
            let text = format!(
                "INSERT INTO imported_closures (hash, pushed_at) VALUES {} \
                 ON CONFLICT (hash) DO UPDATE SET pushed_at = excluded.pushed_at, state = {IMPORT_WAITING}",
                in_clause::values(chunk.len(), 2)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for closure in chunk {
                query = query
                    .bind(closure.hash.as_str().to_owned())
                    .bind(closure.pushed_at);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Adds pins of another database, each of which is new or was changed there since the last import.
    pub async fn add_imported_pins(&mut self, pins: &[ImportedPin]) -> Result<()> {
        for pin in pins {
            in_clause::query(self.backend, format!("INSERT INTO imported_pins (name, path, created_at, updated_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET path = excluded.path, updated_at = excluded.updated_at, state = {IMPORT_WAITING}"), true)
            .bind(pin.name.clone())
            .bind(pin.path.to_string())
            .bind(pin.created_at)
            .bind(pin.updated_at)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    /// Makes closures of those among some waiting ones whose roots are in the cache; how many. Of a closure that was
    /// pushed here as well, the later time counts; the age of the object, which a check has gone by, does not.
    pub async fn settle_imported_closures(&mut self, hashes: &[String]) -> Result<u64> {
        let mut settled = 0;
        for chunk in hashes.chunks(ROWS) {
            let among = in_clause::placeholders(1, chunk.len());
            let made = format!(
                "INSERT INTO closures (path_id, created_at, pushed_at, direct_at) \
                 SELECT p.id, i.pushed_at, i.pushed_at, i.pushed_at FROM imported_closures i JOIN paths p ON p.hash = i.hash \
                 WHERE i.state = {IMPORT_WAITING} AND p.state IN ({PUBLISHING}, {PRESENT}) AND i.hash IN ({among}) \
                 ON CONFLICT (path_id) DO UPDATE SET created_at = CASE WHEN closures.created_at < excluded.created_at \
                 THEN closures.created_at ELSE excluded.created_at END, \
                 pushed_at = CASE WHEN closures.adopted = 0 AND closures.pushed_at > excluded.pushed_at \
                 THEN closures.pushed_at ELSE excluded.pushed_at END, \
                 direct_at = CASE WHEN closures.adopted = 0 AND closures.direct_at > excluded.direct_at \
                 THEN closures.direct_at ELSE excluded.direct_at END, adopted = 0"
            );
            self.about_hashes(made, chunk).await?;
            let done = format!(
                "UPDATE imported_closures SET state = {IMPORT_DONE} WHERE state = {IMPORT_WAITING} AND hash IN ({among}) \
                 AND EXISTS (SELECT 1 FROM paths p WHERE p.hash = imported_closures.hash \
                 AND p.state IN ({PUBLISHING}, {PRESENT}))"
            );
            settled += self.about_hashes(done, chunk).await?;
        }
        if settled > 0 {
            self.roots_changed().await?;
        }
        Ok(settled)
    }

    /// Ends the wait of closures whose roots will not come.
    pub async fn give_up_imported_closures(&mut self, hashes: &[String]) -> Result<()> {
        for chunk in hashes.chunks(ROWS) {
            let among = in_clause::placeholders(1, chunk.len());
            let text = format!("UPDATE imported_closures SET state = {IMPORT_DONE} WHERE hash IN ({among})");
            self.about_hashes(text, chunk).await?;
        }
        Ok(())
    }

    async fn about_hashes(&mut self, text: String, hashes: &[String]) -> Result<u64> {
        let query =
            in_clause::query(self.backend, text, hashes.len() == ROWS).bind_all(hashes.iter().cloned());
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }

    /// Makes a pin of a waiting one if readers have its path; whether its wait is over. Of two targets, the one that was
    /// set later is kept.
    pub async fn settle_imported_pin(&mut self, pin: &ImportedPin) -> Result<bool> {
        let text = format!("SELECT id FROM paths WHERE hash = $1 AND name = $2 AND state = {PRESENT}");
        let row: Option<PathId> = in_clause::query_scalar(self.backend, text, true)
            .bind(pin.path.hash_part().to_owned())
            .bind(pin.path.to_string())
            .fetch_optional(&mut *self.tx)
            .await?;
        let Some(path_id) = row else { return Ok(false) };
        let current: Option<(PathId, i64)> =
            sqlx::query_as("SELECT path_id, updated_at FROM pins WHERE name = $1")
                .bind(pin.name.clone())
                .fetch_optional(&mut *self.tx)
                .await?;
        let superseded =
            current.is_some_and(|(target, updated_at)| target != path_id && updated_at > pin.updated_at);
        if !superseded {
            self.pin_changed(&pin.name).await?;
            sqlx::query(
                "INSERT INTO pins (name, path_id, created_at, updated_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET path_id = excluded.path_id, created_at = excluded.created_at, \
                 updated_at = excluded.updated_at",
            )
            .bind(pin.name.clone())
            .bind(path_id)
            .bind(pin.created_at)
            .bind(pin.updated_at)
            .execute(&mut *self.tx)
            .await?;
            self.roots_changed().await?;
        }
        self.give_up_imported_pin(&pin.name).await?;
        Ok(true)
    }

    /// Ends the wait of a pin.
    pub async fn give_up_imported_pin(&mut self, name: &str) -> Result<()> {
        in_clause::query(
            self.backend,
            format!("UPDATE imported_pins SET state = {IMPORT_DONE} WHERE name = $1"),
            true,
        )
        .bind(name.to_owned())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}
