//! Closures and pins: the roots that keep paths in the cache.

use niks3_nix::store_path::StorePath;
use sqlx::Row as _;

use super::{Catalog, Result, WriteTx, now};

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

    /// Points a pin at the root of a push that has one root.
    pub(super) async fn add_pin(&mut self, push_id: i64, name: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO pins (name, path_id, created_at, updated_at) \
             SELECT $1, path_id, $2, $2 FROM push_roots WHERE push_id = $3 \
             ON CONFLICT (name) DO UPDATE SET path_id = excluded.path_id, updated_at = excluded.updated_at",
        )
        .bind(name.to_owned())
        .bind(now())
        .bind(push_id)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }
}

impl Catalog {
    /// The path that a pin points at.
    pub async fn pin(&self, name: &str) -> Result<Option<StorePath>> {
        let row = sqlx::query("SELECT p.name FROM pins n JOIN paths p ON p.id = n.path_id WHERE n.name = $1")
            .bind(name.to_owned())
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| super::paths::store_path(&row.try_get::<String, _>(0)?))
            .transpose()
    }
}
