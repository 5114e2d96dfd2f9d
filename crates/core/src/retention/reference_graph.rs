//! What refers to what in the whole cache, for questions that go against the references. Reading it takes a second and
//! some 100 MB for a million paths with ten references each.

use std::cmp::Reverse;
use std::collections::HashMap;

use niks3_base::error::Error;
use niks3_catalog::{Catalog, ObjectId, PathId};

/// Rows that are read at once.
const PAGE: i64 = 10_000;
/// No path.
const NONE: u32 = u32::MAX;

/// The paths that the cache has, and what they refer to.
#[derive(Debug, Default)]
pub struct ReferenceGraph {
    ids: Vec<PathId>,
    index: HashMap<PathId, u32>,
    /// Where the references of each path begin; one more at the end.
    starts: Vec<usize>,
    refs: Vec<u32>,
    /// The NAR of each path.
    nars: Vec<u32>,
    /// Bytes of each NAR in the bucket.
    sizes: Vec<u64>,
}

impl ReferenceGraph {
    /// Reads it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(catalog: &Catalog) -> Result<Self, Error> {
        let mut graph = Self::default();
        let mut nars: HashMap<ObjectId, u32> = HashMap::new();
        let mut after = ObjectId::default();
        loop {
            let page = catalog.object_nodes(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for node in &page {
                nars.insert(node.id, u32::try_from(graph.sizes.len()).unwrap_or(NONE));
                graph.sizes.push(node.size.unsigned_abs());
            }
        }
        let mut raw: Vec<PathId> = Vec::new();
        let mut after = PathId::default();
        loop {
            let page = catalog.path_nodes(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for node in page.iter().filter(|node| node.there) {
                let position = u32::try_from(graph.ids.len()).unwrap_or(NONE);
                graph.index.insert(node.id, position);
                graph.ids.push(node.id);
                graph
                    .nars
                    .push(nars.get(&node.object_id).copied().unwrap_or(NONE));
                graph.starts.push(raw.len());
                raw.extend(&node.refs);
            }
        }
        graph.starts.push(raw.len());
        let indexes = raw.into_iter().map(|id| graph.index.get(&id).copied());
        graph.refs = indexes.map(|index| index.unwrap_or(NONE)).collect();
        Ok(graph)
    }

    fn references(&self, path: u32) -> impl Iterator<Item = u32> {
        let path = path as usize;
        let refs = &self.refs[self.starts[path]..self.starts[path + 1]];
        refs.iter().copied().filter(|next| *next != NONE)
    }

    /// Every path whose closure holds one, that one included.
    #[must_use]
    pub fn holders(&self, id: PathId) -> Vec<PathId> {
        let Some(&target) = self.index.get(&id) else {
            return Vec::new();
        };
        let mut referrers: HashMap<u32, Vec<u32>> = HashMap::new();
        for path in 0..u32::try_from(self.ids.len()).unwrap_or(NONE) {
            for next in self.references(path).filter(|next| *next != path) {
                referrers.entry(next).or_default().push(path);
            }
        }
        let mut seen = vec![false; self.ids.len()];
        let mut pending = vec![target];
        let mut found = Vec::new();
        while let Some(path) = pending.pop() {
            if std::mem::replace(&mut seen[path as usize], true) {
                continue;
            }
            found.push(self.ids[path as usize]);
            pending.extend(referrers.get(&path).into_iter().flatten());
        }
        found
    }

    /// Of the paths in the closures of some roots, how many others of the roots need as well: for each of those that needs
    /// any which none before it needs, how many.
    #[must_use]
    pub fn needed_by(&self, roots: &[PathId], others: &[PathId]) -> Vec<(PathId, u64)> {
        let mut inside = vec![false; self.ids.len()];
        self.walk(roots, &mut inside, |_| {});
        let mut seen = vec![false; self.ids.len()];
        let mut found = Vec::new();
        for other in others {
            let mut count = 0;
            self.walk(&[*other], &mut seen, |path| {
                count += u64::from(inside[path as usize])
            });
            if count > 0 {
                found.push((*other, count));
            }
        }
        found.sort_by_key(|(id, count)| (Reverse(*count), *id));
        found
    }

    /// Bytes of the NARs that some roots reach, each once.
    #[must_use]
    pub fn bytes(&self, roots: &[PathId]) -> u64 {
        let mut bytes = 0;
        let mut seen = vec![false; self.sizes.len()];
        self.walk(roots, &mut vec![false; self.ids.len()], |path| {
            let nar = self.nars[path as usize] as usize;
            if let (Some(size), Some(seen)) = (self.sizes.get(nar), seen.get_mut(nar)) {
                bytes += if std::mem::replace(seen, true) { 0 } else { *size };
            }
        });
        bytes
    }

    /// For each of some groups of roots: bytes of the NARs that it reaches, and of those that no other group does.
    #[must_use]
    pub fn bytes_of_groups(&self, groups: &[&[PathId]]) -> Vec<(u64, u64)> {
        // The first group that reaches each NAR, or that several do.
        const SEVERAL: u32 = u32::MAX - 1;
        let mut first = vec![NONE; self.sizes.len()];
        let mut bytes: Vec<(u64, u64)> = Vec::with_capacity(groups.len());
        for (group, roots) in (0..).zip(groups) {
            let mut seen = vec![false; self.sizes.len()];
            let mut reached = 0;
            self.walk(roots, &mut vec![false; self.ids.len()], |path| {
                let nar = self.nars[path as usize] as usize;
                let Some(size) = self.sizes.get(nar) else { return };
                if std::mem::replace(&mut seen[nar], true) {
                    return;
                }
                reached += size;
                first[nar] = if first[nar] == NONE { group } else { SEVERAL };
            });
            bytes.push((reached, 0));
        }
        for (group, size) in first.into_iter().zip(&self.sizes) {
            if let Some((_, only)) = bytes.get_mut(group as usize) {
                *only += size;
            }
        }
        bytes
    }

    /// Visits what some roots need, besides what was seen.
    fn walk(&self, roots: &[PathId], seen: &mut [bool], mut visit: impl FnMut(u32)) {
        let indexes = roots.iter().filter_map(|id| self.index.get(id).copied());
        let mut pending: Vec<u32> = indexes.collect();
        while let Some(path) = pending.pop() {
            if std::mem::replace(&mut seen[path as usize], true) {
                continue;
            }
            visit(path);
            pending.extend(self.references(path));
        }
    }
}
