//! Closures and pins of another cache's database, between the import that has read them and the repair that finds
//! their paths in the bucket.
//!
//! A root waits until its path is in the cache, and is done from then on. The rows stay: a repeated import is compared
//! with them, so that it does not bring back what was deleted here since.

use std::collections::HashMap;

use niks3_nix::store_path::{StorePath, StorePathHash};
use sqlx::Row as _;

use super::bulk::{self, ROWS};
use super::path_columns::{PRESENT, PUBLISHING, store_path};
use super::{Catalog, Result, WriteTx, PathId};

/// The path of the root is not in the cache yet.
const WAITING: i64 = 0;
/// A closure or pin was made of it, or there is nothing to make one of.
const DONE: i64 = 1;

/// A closure of another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedClosure {
    /// Hash part of its root.
    pub hash: StorePathHash,
    /// Unix time of its last push.
    pub pushed_at: i64,
}

/// A pin of another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedPin {
    /// Its name.
    pub name: String,
    /// What it keeps, with its closure.
    pub path: StorePath,
    /// Unix time at which the name was made.
    pub created_at: i64,
    /// Unix time at which it was last pointed somewhere.
    pub updated_at: i64,
}

/// Roots that wait for their paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitingRoots {
    /// Closures.
    pub closures: i64,
    /// Pins.
    pub pins: i64,
}

impl Catalog {
    /// When each closure that was imported before was pushed last, by the hash part of its root.
    pub async fn imported_closures(&self) -> Result<HashMap<String, i64>> {
        let rows = sqlx::query("SELECT hash, pushed_at FROM imported_closures")
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// When each pin that was imported before was pointed somewhere last, by name.
    pub async fn imported_pins(&self) -> Result<HashMap<String, i64>> {
        let rows = sqlx::query("SELECT name, updated_at FROM imported_pins")
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// How many imported roots wait.
    pub async fn waiting_roots(&self) -> Result<WaitingRoots> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM imported_closures WHERE state = 0), \
             (SELECT COUNT(*) FROM imported_pins WHERE state = 0)",
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(WaitingRoots {
            closures: row.try_get(0)?,
            pins: row.try_get(1)?,
        })
    }

    /// Hash parts of the roots of closures that wait, after one.
    pub async fn waiting_closures(&self, after: &str, limit: i64) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT hash FROM imported_closures WHERE state = 0 AND hash > $1 ORDER BY hash LIMIT $2",
        )
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Those of some closures that wait.
    pub async fn waiting_closures_among(&self, hashes: &[String]) -> Result<Vec<String>> {
        let mut waiting = Vec::new();
        for chunk in hashes.chunks(ROWS) {
            let text = format!(
                "SELECT hash FROM imported_closures WHERE state = {WAITING} AND hash IN ({})",
                bulk::placeholders(1, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for hash in chunk {
                query = query.bind(hash.clone());
            }
            for row in query.fetch_all(&self.reader).await? {
                waiting.push(row.try_get(0)?);
            }
        }
        Ok(waiting)
    }

    /// Pins that wait, in the order of their names, after one.
    pub async fn waiting_pins(&self, after: &str, limit: i64) -> Result<Vec<ImportedPin>> {
        let rows = sqlx::query(
            "SELECT name, path, created_at, updated_at FROM imported_pins WHERE state = 0 AND name > $1 \
             ORDER BY name LIMIT $2",
        )
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ImportedPin {
                    name: row.try_get(0)?,
                    path: store_path(&row.try_get::<String, _>(1)?)?,
                    created_at: row.try_get(2)?,
                    updated_at: row.try_get(3)?,
                })
            })
            .collect()
    }
}

impl WriteTx {
    /// Adds closures of another database, each of which is new or was pushed there again since the last import.
    pub async fn add_imported_closures(&mut self, closures: &[ImportedClosure]) -> Result<()> {
        for chunk in closures.chunks(ROWS) {
            let text = format!(
                "INSERT INTO imported_closures (hash, pushed_at) VALUES {} \
                 ON CONFLICT (hash) DO UPDATE SET pushed_at = excluded.pushed_at, state = {WAITING}",
                bulk::values(chunk.len(), 2)
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
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
            sqlx::query(
                "INSERT INTO imported_pins (name, path, created_at, updated_at) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET path = excluded.path, updated_at = excluded.updated_at, state = 0",
            )
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
            let among = bulk::placeholders(1, chunk.len());
            let made = format!(
                "INSERT INTO closures (path_id, created_at, pushed_at) \
                 SELECT p.id, i.pushed_at, i.pushed_at FROM imported_closures i JOIN paths p ON p.hash = i.hash \
                 WHERE i.state = {WAITING} AND p.state IN ({PUBLISHING}, {PRESENT}) AND i.hash IN ({among}) \
                 ON CONFLICT (path_id) DO UPDATE SET created_at = CASE WHEN closures.created_at < excluded.created_at \
                 THEN closures.created_at ELSE excluded.created_at END, \
                 pushed_at = CASE WHEN closures.adopted = 0 AND closures.pushed_at > excluded.pushed_at \
                 THEN closures.pushed_at ELSE excluded.pushed_at END, adopted = 0"
            );
            self.about_hashes(made, chunk).await?;
            let done = format!(
                "UPDATE imported_closures SET state = {DONE} WHERE state = {WAITING} AND hash IN ({among}) \
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
            let among = bulk::placeholders(1, chunk.len());
            let text = format!("UPDATE imported_closures SET state = {DONE} WHERE hash IN ({among})");
            self.about_hashes(text, chunk).await?;
        }
        Ok(())
    }

    async fn about_hashes(&mut self, text: String, hashes: &[String]) -> Result<u64> {
        let mut query = bulk::query(self.backend, text, hashes.len() == ROWS);
        for hash in hashes {
            query = query.bind(hash.clone());
        }
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }

    /// Makes a pin of a waiting one if readers have its path; whether its wait is over. Of two targets, the one that was
    /// set later is kept.
    pub async fn settle_imported_pin(&mut self, pin: &ImportedPin) -> Result<bool> {
        let text = format!("SELECT id FROM paths WHERE hash = $1 AND name = $2 AND state = {PRESENT}");
        let row = bulk::query(self.backend, text, true)
            .bind(pin.path.hash_part().to_owned())
            .bind(pin.path.to_string())
            .fetch_optional(&mut *self.tx)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let path_id: PathId = row.try_get(0)?;
        let current = sqlx::query("SELECT path_id, updated_at FROM pins WHERE name = $1")
            .bind(pin.name.clone())
            .fetch_optional(&mut *self.tx)
            .await?;
        let superseded = match current {
            None => false,
            Some(row) => row.try_get::<PathId, _>(0)? != path_id && row.try_get::<i64, _>(1)? > pin.updated_at,
        };
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
        sqlx::query("UPDATE imported_pins SET state = 1 WHERE name = $1")
            .bind(name.to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
