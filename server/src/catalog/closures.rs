//! Closures: the roots that pushes committed, which keep paths in the cache for a while.

use super::{Result, WriteTx, now};
use niks3_nix::store_path::StorePath;

/// A root that a push committed.
#[derive(Debug, Clone)]
pub struct ClosureSummary {
    /// The root.
    pub root: StorePath,
}

impl WriteTx {
    /// Makes the roots of a push closures, or says they were pushed again.
    pub(super) async fn add_closures(&mut self, push_id: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO closures (path_id, created_at, pushed_at) \
             SELECT path_id, $1, $1 FROM push_roots WHERE push_id = $2 \
             ON CONFLICT (path_id) DO UPDATE SET pushed_at = excluded.pushed_at",
        )
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
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
