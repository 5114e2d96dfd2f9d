//! Debug information: which path a build id leads to.

use std::collections::HashSet;

use super::in_clause::{self, BindAll as _, ROWS};
use super::{PathId, Result, WriteTx, now};

impl WriteTx {
    /// Takes keys of debug information for a path, and returns those that are the path's own: some may be another one's.
    pub async fn add_debug_infos(&mut self, path_id: PathId, keys: &[String]) -> Result<HashSet<String>> {
        let mut own = HashSet::with_capacity(keys.len());
        for chunk in keys.chunks(ROWS) {
            let text = format!(
                "INSERT INTO debug_infos (key, path_id, created_at) VALUES {} ON CONFLICT (key) DO UPDATE \
                 SET created_at = excluded.created_at WHERE debug_infos.path_id = excluded.path_id",
                in_clause::values(chunk.len(), 3)
            );
            let mut query = in_clause::query(self.backend, text, chunk.len() == ROWS);
            for key in chunk {
                query = query.bind(key.clone()).bind(path_id).bind(now());
            }
            query.execute(&mut *self.tx).await?;
            let text = format!(
                "SELECT key FROM debug_infos WHERE path_id = $1 AND key IN ({})",
                in_clause::placeholders(2, chunk.len())
            );
            let query = in_clause::query_scalar::<String>(self.backend, text, chunk.len() == ROWS)
                .bind(path_id)
                .bind_all(chunk.iter().cloned());
            own.extend(query.fetch_all(&mut *self.tx).await?);
        }
        Ok(own)
    }
}
