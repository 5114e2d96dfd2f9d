//! Build logs: whose becomes the one that readers see, and which paths keep it.
//!
//! Several pushes may bring logs of one derivation at once. One of them at a time moves its log into
//! place, and the row says whose: so the row describes the object. A path has one deriver in its row; the
//! others that it was pushed with are in `path_derivers`.

use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::states::{CLAIM_EXTERNAL, LOG_PRESENT, LOG_PUBLISHING};
use super::{Catalog, PathId, PushId, Result, StagedLog, WriteTx, now, short_leases};

/// Most derivers that are remembered for a path besides its own: a path that is fetched from ever new
/// mirrors has one for each of them.
const MAX_DERIVERS: i64 = 64;

impl WriteTx {
    /// Begins to publish build logs of a push, until a fence: those of derivations that have none, and
    /// that no other push is publishing. Returns the derivations.
    pub async fn begin_logs(
        &mut self,
        push_id: PushId,
        logs: &[StagedLog],
        fence: i64,
    ) -> Result<Vec<String>> {
        let mut begun = Vec::new();
        let now = now();
        for chunk in logs.chunks(ROWS) {
            let text = format!(
                "INSERT INTO logs (drv, size, state, fence, push_id, created_at) VALUES {} \
                 ON CONFLICT (drv) DO UPDATE SET size = excluded.size, fence = excluded.fence, \
                 push_id = excluded.push_id, condemned_at = 0 \
                 WHERE logs.state = {LOG_PUBLISHING} \
                 AND ({} OR logs.push_id = excluded.push_id) RETURNING drv",
                in_clause::values(chunk.len(), 6),
                short_leases::over("logs.fence", "excluded.created_at")
            );
            let mut query = in_clause::query_scalar(self.backend, text, false);
            for log in chunk {
                query = query
                    .bind(log.drv.clone())
                    .bind(log.size)
                    .bind(LOG_PUBLISHING)
                    .bind(fence)
                    .bind(push_id)
                    .bind(now);
            }
            begun.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok(begun)
    }

    /// Ends the publishing of build logs that a push has moved into place.
    pub async fn logs_published(&mut self, push_id: PushId, drvs: &[String]) -> Result<()> {
        for chunk in drvs.chunks(ROWS) {
            let text = format!(
                "UPDATE logs SET state = {LOG_PRESENT}, fence = 0, push_id = 0 \
                 WHERE state = {LOG_PUBLISHING} AND push_id = $1 AND drv IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query(self.backend, text, false)
                .bind(push_id)
                .bind_all(chunk.iter().cloned());
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Has paths keep the logs of more derivers. A garbage collection that is in progress looks at the
    /// paths again.
    pub async fn add_derivers(&mut self, derivers: &[(PathId, String)]) -> Result<()> {
        for (path_id, drv) in derivers {
            let text = format!(
                "INSERT INTO path_derivers (path_id, drv) SELECT id, $1 FROM paths WHERE id = $2 \
                 AND state IN ({PUBLISHING}, {PRESENT}) \
                 AND (SELECT COUNT(*) FROM path_derivers d WHERE d.path_id = paths.id) < {MAX_DERIVERS} \
                 ON CONFLICT (path_id, drv) DO NOTHING"
            );
            in_clause::query(self.backend, text, true)
                .bind(drv.clone())
                .bind(*path_id)
                .execute(&mut *self.tx)
                .await?;
            sqlx::query(
                "INSERT INTO gc_dirty (path_id) SELECT id FROM paths WHERE id = $1 \
                 AND (SELECT value FROM counters WHERE name = 'gc') <> 0",
            )
            .bind(*path_id)
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }

    /// The derivers that some paths were pushed with besides their own.
    pub async fn more_derivers_of(&mut self, ids: &[PathId]) -> Result<Vec<String>> {
        let mut derivers = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let text = format!(
                "SELECT drv FROM path_derivers WHERE path_id IN ({})",
                in_clause::placeholders(1, chunk.len())
            );
            let query = in_clause::query_scalar(self.backend, text, chunk.len() == ROWS)
                .bind_all(chunk.iter().copied());
            derivers.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok(derivers)
    }
}

impl Catalog {
    /// Paths that a push relies on with a deriver that is not the one in their row, unless that is known.
    pub async fn new_derivers(&self, push_id: PushId) -> Result<Vec<(PathId, String)>> {
        let text = format!(
            "SELECT c.path_id, c.deriver FROM push_paths c JOIN paths p ON p.id = c.path_id \
             WHERE c.push_id = $1 AND c.kind <> {CLAIM_EXTERNAL} AND c.deriver <> '' AND c.deriver <> p.deriver \
             AND p.state IN ({PUBLISHING}, {PRESENT}) \
             AND NOT EXISTS (SELECT 1 FROM path_derivers d WHERE d.path_id = c.path_id AND d.drv = c.deriver)"
        );
        let rows = in_clause::query_as(self.backend, text, true)
            .bind(push_id)
            .fetch_all(&self.reader)
            .await?;
        Ok(rows)
    }

    /// Which derivers paths were pushed with besides their own, in the order of both, after one.
    pub async fn more_derivers(&self, after: &(PathId, String), limit: i64) -> Result<Vec<(PathId, String)>> {
        let rows = sqlx::query_as(
            "SELECT path_id, drv FROM path_derivers WHERE path_id > $1 OR (path_id = $1 AND drv > $2) \
             ORDER BY path_id, drv LIMIT $3",
        )
        .bind(after.0)
        .bind(after.1.clone())
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}
