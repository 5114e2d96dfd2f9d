//! Closures: the roots that pushes committed, which keep paths in the cache for a while.

use niks3_nix::store_path::StorePath;

use super::columns::PathName;
use super::query_filter::{SelectBuilder, Value};
use super::{Catalog, ClosureId, PathId, PushId, Result, RunFilter, WriteTx, in_clause, now};

/// A root that a push committed.
#[derive(Debug, Clone)]
pub struct ClosureSummary {
    /// The root.
    pub root: StorePath,
}

/// A closure in the cache.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ClosureRow {
    /// Id of the closure.
    pub id: ClosureId,
    /// Id of its root.
    pub path_id: PathId,
    /// Its root.
    #[sqlx(rename = "name", try_from = "PathName")]
    pub root: StorePath,
    /// Unix time of its first push.
    pub created_at: i64,
    /// Unix time of its last push; of a closure that no push but a use has made, of that.
    pub pushed_at: i64,
    /// Unix time of the last use that a run has reported; 0 if none has.
    pub used_at: i64,
    /// Unix time since when nothing keeps it; 0 if it is not released.
    pub released_at: i64,
}

const SELECT: &str = "SELECT c.id, c.path_id, p.name, c.created_at, c.pushed_at, c.used_at, c.released_at FROM closures c JOIN paths p ON p.id = c.path_id";

impl Catalog {
    /// Closures from the one pushed last to the one not pushed for longest, after a time and an id; those that runs
    /// have pushed which the filter and `run`, the name of one, are about.
    pub async fn closures(
        &self,
        filter: &RunFilter,
        run: Option<&str>,
        after: Option<(i64, ClosureId)>,
        limit: i64,
    ) -> Result<Vec<ClosureRow>> {
        let mut listing = SelectBuilder::of(SELECT);
        let mut filters = filter.filters();
        filters.extend(run.map(|run| ("r.token = $", vec![Value::Text(run.to_owned())])));
        if !filters.is_empty() {
            let question = "c.id IN (SELECT l.closure_id FROM closure_runs l JOIN runs r ON r.id = l.run_id";
            listing.and_among(question, filters);
        }
        if let Some(since) = filter.since {
            listing.and(("c.pushed_at >= $", vec![Value::Number(since)]));
        }
        if let Some(until) = filter.until {
            listing.and(("c.pushed_at < $", vec![Value::Number(until)]));
        }
        if let Some((time, id)) = after {
            let values = [time, time, id.get()].map(Value::Number).to_vec();
            listing.and(("(c.pushed_at < $ OR (c.pushed_at = $ AND c.id < $))", values));
        }
        let order = " ORDER BY c.pushed_at DESC, c.id DESC";
        let rows = listing.page(self.backend, &self.reader, order, limit).await?;
        Ok(rows)
    }

    /// The closure of a root.
    pub async fn closure(&self, root: &StorePath) -> Result<Option<ClosureRow>> {
        let text = format!("{SELECT} WHERE p.hash = $1 AND p.name = $2");
        let row = in_clause::query_as(self.backend, text, true)
            .bind(root.hash_part().to_owned())
            .bind(root.to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(row)
    }
}

impl WriteTx {
    /// Makes the roots of a push closures, or says they were pushed again.
    pub(super) async fn add_closures(&mut self, push_id: PushId) -> Result<()> {
        sqlx::query(
            "INSERT INTO closures (path_id, created_at, pushed_at, direct_at) \
             SELECT o.path_id, $1, $1, CASE WHEN u.run_id IS NULL THEN CAST($1 AS BIGINT) ELSE 0 END \
             FROM push_roots o JOIN pushes u ON u.id = o.push_id WHERE o.push_id = $2 \
             ON CONFLICT (path_id) DO UPDATE SET pushed_at = excluded.pushed_at, adopted = 0, released_at = 0, released_by = '', \
             direct_at = CASE WHEN excluded.direct_at <> 0 THEN excluded.direct_at ELSE closures.direct_at END",
        )
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        self.add_closure_runs(push_id).await?;
        self.roots_changed().await
    }

    /// Counts a change of closures or pins, for a garbage collection under way.
    pub(super) async fn roots_changed(&mut self) -> Result<()> {
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'roots'")
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }
}
