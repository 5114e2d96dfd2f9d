//! How much closures hold: read level by level for all of them together, counted for each.

use std::collections::{HashMap, HashSet};

use sqlx::Row as _;

use super::bulk::{self, ROWS};
use super::path_columns::{self, PRESENT, PUBLISHING};
use super::{Catalog, Result};

/// What a closure holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClosureSize {
    /// Its paths that are in the cache.
    pub paths: u64,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of them in the bucket; equal contents count once.
    pub file_bytes: u64,
}

struct Node {
    refs: Vec<i64>,
    nar_bytes: u64,
    object: i64,
    file_bytes: u64,
}

impl Catalog {
    /// How much the closures of some roots hold, in their order.
    pub async fn closure_sizes(&self, roots: &[i64]) -> Result<Vec<ClosureSize>> {
        let sizes = self.closure_sizes_within(roots, usize::MAX).await?;
        Ok(sizes.unwrap_or_default())
    }

    /// The same, as long as all of them together have no more paths than that.
    pub async fn closure_sizes_within(&self, roots: &[i64], most: usize) -> Result<Option<Vec<ClosureSize>>> {
        let mut nodes: HashMap<i64, Node> = HashMap::new();
        let mut asked: HashSet<i64> = roots.iter().copied().collect();
        let mut level: Vec<i64> = asked.iter().copied().collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for chunk in level.chunks(ROWS) {
                if nodes.len() + chunk.len() > most {
                    return Ok(None);
                }
                for (id, node) in self.nodes(chunk).await? {
                    next.extend(node.refs.iter().copied().filter(|id| asked.insert(*id)));
                    nodes.insert(id, node);
                }
            }
            level = next;
        }
        Ok(Some(roots.iter().map(|root| size(&nodes, *root)).collect()))
    }

    async fn nodes(&self, ids: &[i64]) -> Result<Vec<(i64, Node)>> {
        let text = format!(
            "SELECT p.id, p.refs, p.nar_size, p.object_id, o.size FROM paths p JOIN objects o ON o.id = p.object_id \
             WHERE p.state IN ($1, $2) AND p.id IN ({})",
            bulk::placeholders(3, ids.len())
        );
        let mut query = bulk::query(self.backend, text, ids.len() == ROWS)
            .bind(PUBLISHING)
            .bind(PRESENT);
        for id in ids {
            query = query.bind(*id);
        }
        let rows = query.fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                let node = Node {
                    refs: path_columns::unpack_refs(&row.try_get::<Vec<u8>, _>(1)?)?,
                    nar_bytes: row.try_get::<i64, _>(2)?.unsigned_abs(),
                    object: row.try_get(3)?,
                    file_bytes: row.try_get::<i64, _>(4)?.unsigned_abs(),
                };
                Ok((row.try_get(0)?, node))
            })
            .collect()
    }
}

fn size(nodes: &HashMap<i64, Node>, root: i64) -> ClosureSize {
    let mut size = ClosureSize::default();
    let mut seen = HashSet::from([root]);
    let mut objects = HashSet::new();
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop().map(|id| nodes.get(&id)) {
        let Some(node) = node else { continue };
        size.paths += 1;
        size.nar_bytes += node.nar_bytes;
        if objects.insert(node.object) {
            size.file_bytes += node.file_bytes;
        }
        waiting.extend(node.refs.iter().copied().filter(|id| seen.insert(*id)));
    }
    size
}
