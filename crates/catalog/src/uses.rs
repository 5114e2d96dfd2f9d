//! Uses: which runs of CI had which paths from the cache. A use keeps a closure as a push does.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;
use sqlx::Row as _;

use super::bulk::{self, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::{Result, WriteTx, now};

/// The paths of a report of uses that the cache has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedPaths {
    /// Ids of all of them, each once.
    pub ids: Vec<i64>,
    /// Ids of those whose narinfo may not be in the bucket.
    pub publishing: Vec<i64>,
}

impl WriteTx {
    /// Those among some paths that the cache has.
    pub async fn used_paths(&mut self, paths: &[StorePath]) -> Result<UsedPaths> {
        let wanted: HashSet<&str> = paths.iter().map(StorePath::as_str).collect();
        let mut found = UsedPaths::default();
        let mut seen = HashSet::with_capacity(paths.len());
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT id, name, state FROM paths WHERE hash IN ({}) AND state IN ({PUBLISHING}, {PRESENT})",
                bulk::placeholders(1, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for path in chunk {
                query = query.bind(path.hash_part().to_owned());
            }
            for row in query.fetch_all(&mut *self.tx).await? {
                let id: i64 = row.try_get(0)?;
                if !wanted.contains(row.try_get::<String, _>(1)?.as_str()) || !seen.insert(id) {
                    continue;
                }
                found.ids.push(id);
                if row.try_get::<i64, _>(2)? == PUBLISHING {
                    found.publishing.push(id);
                }
            }
        }
        Ok(found)
    }

    /// How many closures a run would be linked to as their user if it used some paths as well.
    pub async fn links_with(&mut self, run_id: i64, paths: &[i64]) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) FROM closure_uses WHERE run_id = $1")
            .bind(run_id)
            .fetch_one(&mut *self.tx)
            .await?;
        let mut links: i64 = row.try_get(0)?;
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT COUNT(*) FROM closures c JOIN closure_uses l ON l.closure_id = c.id \
                 WHERE l.run_id = $1 AND c.path_id IN ({})",
                bulk::placeholders(2, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS).bind(run_id);
            for id in chunk {
                query = query.bind(*id);
            }
            let row = query.fetch_one(&mut *self.tx).await?;
            let known: i64 = row.try_get(0)?;
            links += i64::try_from(chunk.len()).unwrap_or(i64::MAX) - known;
        }
        Ok(links)
    }

    /// Links a run to some paths that the cache has, as their user. A path that is no root of a closure becomes one.
    pub async fn add_uses(&mut self, run_id: i64, paths: &[i64]) -> Result<()> {
        let now = now();
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "INSERT INTO closures (path_id, created_at, pushed_at, used_at) VALUES {} ON CONFLICT (path_id) \
                 DO UPDATE SET used_at = excluded.used_at, adopted = 0",
                bulk::values(chunk.len(), 4)
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for id in chunk {
                query = query.bind(*id).bind(now).bind(now).bind(now);
            }
            query.execute(&mut *self.tx).await?;
            let text = format!(
                "INSERT INTO closure_uses (closure_id, run_id, used_at) SELECT c.id, $1, $2 FROM closures c \
                 WHERE c.path_id IN ({}) ON CONFLICT (closure_id, run_id) DO UPDATE SET used_at = excluded.used_at",
                bulk::placeholders(3, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS)
                .bind(run_id)
                .bind(now);
            for id in chunk {
                query = query.bind(*id);
            }
            query.execute(&mut *self.tx).await?;
        }
        if paths.is_empty() {
            return Ok(());
        }
        self.roots_changed().await
    }

    /// Notes that a run has reported uses; with `complete`, all that it used.
    pub async fn uses_reported(&mut self, run_id: i64, complete: bool) -> Result<()> {
        sqlx::query(
            "UPDATE runs SET used_at = $1, uses_complete = CASE WHEN $2 = 1 THEN 1 ELSE uses_complete END WHERE id = $3",
        )
        .bind(now())
        .bind(i64::from(complete))
        .bind(run_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Deletes up to `limit` uses that were last reported before a time; how many.
    pub async fn drop_uses(&mut self, before: i64, limit: i64) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM closure_uses WHERE (closure_id, run_id) IN \
             (SELECT closure_id, run_id FROM closure_uses WHERE used_at <= $1 ORDER BY used_at LIMIT $2)",
        )
        .bind(before)
        .bind(limit)
        .execute(&mut *self.tx)
        .await?;
        Ok(done.rows_affected())
    }
}
