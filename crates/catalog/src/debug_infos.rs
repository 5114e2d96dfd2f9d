//! Debug information: which path a build id leads to.

use std::collections::HashSet;

use sqlx::Row as _;

use super::bulk::{self, ROWS};
use super::{Result, WriteTx, now};

impl WriteTx {
    /// Takes keys of debug information for a path, and returns those that are the path's own: some may be another one's.
    pub async fn add_debug_infos(&mut self, path_id: i64, keys: &[String]) -> Result<HashSet<String>> {
        let mut own = HashSet::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "INSERT INTO debug_infos (key, path_id, created_at) VALUES {} ON CONFLICT (key) DO UPDATE \
                 SET created_at = excluded.created_at WHERE debug_infos.path_id = excluded.path_id",
                bulk::values(chunk.len(), 3)
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS);
            for key in chunk {
                query = query.bind(key.clone()).bind(path_id).bind(now());
            }
            query.execute(&mut *self.tx).await?;
            let text = format!(
                "SELECT key FROM debug_infos WHERE path_id = $1 AND key IN ({})",
                bulk::placeholders(2, chunk.len())
            );
            let mut query = bulk::query(self.backend, text, chunk.len() == ROWS).bind(path_id);
            for key in chunk {
                query = query.bind(key.clone());
            }
            for row in query.fetch_all(&mut *self.tx).await? {
                own.insert(row.try_get(0)?);
            }
        }
        Ok(own)
    }
}
