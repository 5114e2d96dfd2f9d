//! Uses: which runs of CI had which paths from the cache. A use keeps a closure as a push does.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;

use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::{ClosureId, PathId, Result, RunId, WriteTx, now};

/// The paths of a report of uses that the cache has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedPaths {
    /// Ids of all of them, each once.
    pub ids: Vec<PathId>,
    /// Ids of those whose narinfo may not be in the bucket.
    pub publishing: Vec<PathId>,
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
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_as(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().map(|path| path.hash_part().to_owned()));
            let rows: Vec<(PathId, String, i64)> = query.fetch_all(&mut *self.tx).await?;
            for (id, name, state) in rows {
                if !wanted.contains(name.as_str()) || !seen.insert(id) {
                    continue;
                }
                found.ids.push(id);
                if state == PUBLISHING {
                    found.publishing.push(id);
                }
            }
        }
        Ok(found)
    }

    /// How many closures a run would be linked to as their user if it used some paths as well.
    pub async fn links_with(&mut self, run_id: RunId, paths: &[PathId]) -> Result<i64> {
        let mut links: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM closure_uses WHERE run_id = $1")
            .bind(run_id)
            .fetch_one(&mut *self.tx)
            .await?;
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "SELECT COUNT(*) FROM closures c JOIN closure_uses l ON l.closure_id = c.id \
                 WHERE l.run_id = $1 AND c.path_id IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind(run_id)
                .bind_all(chunk.iter().copied());
            let known: i64 = query.fetch_one(&mut *self.tx).await?;
            links += i64::try_from(chunk.len()).unwrap_or(i64::MAX) - known;
        }
        Ok(links)
    }

    /// Links a run to some paths that the cache has, as their user. A path that is no root of a closure becomes one.
    pub async fn add_uses(&mut self, run_id: RunId, paths: &[PathId]) -> Result<()> {
        let now = now();
        for chunk in paths.chunks(ROWS) {
            let text = format!(
                "INSERT INTO closures (path_id, created_at, pushed_at, used_at) VALUES {} ON CONFLICT (path_id) \
                 DO UPDATE SET used_at = excluded.used_at, adopted = 0, released_at = 0, released_by = ''",
                in_clause::values(chunk.len(), 4)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for id in chunk {
                query = query.bind(*id).bind(now).bind(now).bind(now);
            }
            query.execute(&mut *self.tx).await?;
            let text = format!(
                "INSERT INTO closure_uses (closure_id, run_id, used_at) SELECT c.id, $1, $2 FROM closures c \
                 WHERE c.path_id IN ({}) ON CONFLICT (closure_id, run_id) DO UPDATE SET used_at = excluded.used_at",
                in_clause::placeholders(3, chunk.len())
            );
            let query = in_clause::query(self.backend, text, chunk.len() == ROWS)
                .bind(run_id)
                .bind(now)
                .bind_all(chunk.iter().copied());
            query.execute(&mut *self.tx).await?;
        }
        if paths.is_empty() {
            return Ok(());
        }
        self.roots_changed().await
    }

    /// Notes that a run has reported uses; with `complete`, all that it used.
    pub async fn uses_reported(&mut self, run_id: RunId, complete: bool) -> Result<()> {
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

    /// Deletes some uses that were last reported before a time.
    pub async fn drop_these_uses(&mut self, uses: &[(ClosureId, RunId)], before: i64) -> Result<()> {
        for chunk in uses.chunks(ROWS) {
            let text = format!(
                "DELETE FROM closure_uses WHERE (closure_id, run_id) IN (VALUES {}) AND used_at < ${}",
                in_clause::values(chunk.len(), 2),
                2 * chunk.len() + 1
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for (closure_id, run_id) in chunk {
                query = query.bind(*closure_id).bind(*run_id);
            }
            query.bind(before).execute(&mut *self.tx).await?;
        }
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
