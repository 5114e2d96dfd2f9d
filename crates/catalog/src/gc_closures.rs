//! The closures that garbage collections let go.

use super::{Catalog, Result, TaskId, WriteTx, in_clause};

/// A closure that a garbage collection let go, or would.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GcClosure {
    /// Its place in the list, from 1.
    pub number: i64,
    /// Base name of its root.
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// Of its paths, those that nothing else keeps.
    pub paths: i64,
    /// Bytes of their NARs in the bucket.
    pub bytes: i64,
    /// What the collection does with it: `release`, `wait`, `delete` or `keep`; nothing without a policy.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Unix time from which it is deleted unless something keeps it; 0: now, or never.
    pub delete_from: i64,
}

impl Catalog {
    /// The closures that a garbage collection let go, or would, after one.
    pub async fn gc_closures(&self, run_id: TaskId, after: i64, limit: i64) -> Result<Vec<GcClosure>> {
        let rows = sqlx::query_as(
            "SELECT number, root, pushed_at, paths, bytes, action, reason, delete_from FROM gc_closures \
             WHERE run_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(run_id)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }
}

impl WriteTx {
    /// Writes down closures that a garbage collection lets go, or would.
    pub async fn note_gc_closures(&mut self, run_id: TaskId, closures: &[GcClosure]) -> Result<()> {
        for chunk in closures.chunks(super::in_clause::ROWS) {
            let text = format!(
                "INSERT INTO gc_closures (run_id, number, root, pushed_at, paths, bytes, action, reason, delete_from) VALUES {}",
                super::in_clause::values(chunk.len(), 9)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == super::in_clause::ROWS);
            for closure in chunk {
                query = query
                    .bind(run_id)
                    .bind(closure.number)
                    .bind(closure.root.clone())
                    .bind(closure.pushed_at)
                    .bind(closure.paths)
                    .bind(closure.bytes)
                    .bind(closure.action.clone())
                    .bind(closure.reason.clone())
                    .bind(closure.delete_from);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
