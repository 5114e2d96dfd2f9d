//! How much closures hold: read level by level for all of them together, counted for each.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::columns::{Natural, References};
use super::in_clause::{self, BindAll as _, ROWS};
use super::path_columns::{PRESENT, PUBLISHING};
use super::{Catalog, ObjectId, PathId, Result};

/// Caches that are told apart; what is left to others counts together. Pushers choose the names.
const MAX_UPSTREAMS: usize = 16;

/// What a closure holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClosureSize {
    /// Its paths that are in the cache.
    pub paths: u64,
    /// Bytes of their NARs.
    pub nar_bytes: u64,
    /// Bytes of them in the bucket; equal contents count once.
    pub file_bytes: u64,
    /// Paths that it refers to and that pushes have left out, by the address of the cache they are left to, or nothing.
    pub left_to: BTreeMap<String, u64>,
}

#[derive(sqlx::FromRow)]
struct Node {
    id: PathId,
    #[sqlx(try_from = "References")]
    refs: Vec<PathId>,
    #[sqlx(rename = "nar_size", try_from = "Natural")]
    nar_bytes: u64,
    #[sqlx(rename = "object_id")]
    object: ObjectId,
    #[sqlx(rename = "size", try_from = "Natural")]
    file_bytes: u64,
}

impl Catalog {
    /// How much the closures of some roots hold, in their order.
    pub async fn closure_sizes(&self, roots: &[PathId]) -> Result<Vec<ClosureSize>> {
        let sizes = self.closure_sizes_within(roots, usize::MAX).await?;
        Ok(sizes.unwrap_or_default())
    }

    /// The same, as long as all of them together have no more paths than that.
    pub async fn closure_sizes_within(
        &self,
        roots: &[PathId],
        most: usize,
    ) -> Result<Option<Vec<ClosureSize>>> {
        let mut nodes: HashMap<PathId, Node> = HashMap::new();
        let mut left_out: HashMap<PathId, String> = HashMap::new();
        let mut asked: HashSet<PathId> = roots.iter().copied().collect();
        let mut level: Vec<PathId> = asked.iter().copied().collect();
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
                let absent: Vec<PathId> = chunk
                    .iter()
                    .copied()
                    .filter(|id| !nodes.contains_key(id))
                    .collect();
                if !absent.is_empty() {
                    left_out.extend(self.left_out(&absent).await?);
                }
            }
            level = next;
        }
        let sizes = roots.iter().map(|root| size(&nodes, &left_out, *root));
        Ok(Some(sizes.collect()))
    }

    /// Those of some paths that pushes have left out, and the caches that they are left to.
    async fn left_out(&self, ids: &[PathId]) -> Result<Vec<(PathId, String)>> {
        let text = format!(
            "SELECT id, left_to FROM paths WHERE left_out <> 0 AND id IN ({})",
            in_clause::placeholders(1, ids.len())
        );
        let query = in_clause::query_as(self.backend, text, ids.len() == ROWS).bind_all(ids.iter().copied());
        Ok(query.fetch_all(&self.reader).await?)
    }

    async fn nodes(&self, ids: &[PathId]) -> Result<Vec<(PathId, Node)>> {
        let text = format!(
            "SELECT p.id, p.refs, p.nar_size, p.object_id, o.size FROM paths p JOIN objects o ON o.id = p.object_id \
             WHERE p.state IN ($1, $2) AND p.id IN ({})",
            in_clause::placeholders(3, ids.len())
        );
        let query = in_clause::query_as(self.backend, text, ids.len() == ROWS)
            .bind(PUBLISHING)
            .bind(PRESENT)
            .bind_all(ids.iter().copied());
        let rows: Vec<Node> = query.fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(|node| (node.id, node)).collect())
    }
}

fn size(nodes: &HashMap<PathId, Node>, left_out: &HashMap<PathId, String>, root: PathId) -> ClosureSize {
    let mut size = ClosureSize::default();
    let mut seen = HashSet::from([root]);
    let mut objects = HashSet::new();
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(&id) else {
            if let Some(cache) = left_out.get(&id) {
                let is_known = size.left_to.contains_key(cache) || size.left_to.len() < MAX_UPSTREAMS;
                let cache = if is_known { cache.clone() } else { String::new() };
                *size.left_to.entry(cache).or_default() += 1;
            }
            continue;
        };
        size.paths += 1;
        size.nar_bytes += node.nar_bytes;
        if objects.insert(node.object) {
            size.file_bytes += node.file_bytes;
        }
        waiting.extend(node.refs.iter().copied().filter(|id| seen.insert(*id)));
    }
    size
}
