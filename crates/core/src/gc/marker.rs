//! Marking, and keeping the marks true while pushes go on.
//!
//! The graph is read page by page, outside of any transaction. It cannot mislead:
//! what is there does not change its references, and whatever becomes there while a
//! collection runs is written down by the commit that decides it (`gc_dirty`). So
//! the marks are true as soon as, inside a writing transaction, every root that is new
//! since the last look has been followed. Each transaction that condemns anything
//! to deletion begins with that look.

use std::collections::{HashMap, HashSet};

use niks3_catalog::{Catalog, DirtyId, ObjectId, PathId, PushId, ReplacementId, Result, WriteTx};

use super::graph::Graph;

/// Rows that are read at once.
const PAGE: i64 = 10_000;

/// The graph, and how far it has followed what changes.
pub(super) struct Marker {
    /// Everything that was there.
    pub graph: Graph,
    roots: Option<i64>,
    /// Roots of closures that count as gone, unless a pin names them.
    without: HashSet<PathId>,
    pushes: HashMap<PushId, i64>,
    dirty: DirtyId,
    /// The last replacement whose contents before were followed.
    replacement: ReplacementId,
}

impl Marker {
    /// Reads everything that is there.
    pub async fn load(catalog: &Catalog) -> Result<Self> {
        let mut graph = Graph::default();
        let mut after = ObjectId::default();
        loop {
            let page = catalog.object_nodes(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            page.iter().for_each(|node| graph.add_object(node));
        }
        let mut after = String::new();
        loop {
            let page = catalog.log_nodes(&after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.drv);
            page.iter().for_each(|node| graph.add_log(node));
        }
        let mut after = PathId::default();
        loop {
            let page = catalog.path_nodes(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            page.iter().for_each(|node| graph.add_path(node));
        }
        let mut after = (PathId::default(), String::new());
        loop {
            let page = catalog.more_derivers(&after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            page.iter().for_each(|(id, drv)| graph.add_deriver(*id, drv));
        }
        for (id, count) in catalog.realisation_counts().await? {
            graph.set_realisations(id, count);
        }
        graph.seal();
        Ok(Self {
            graph,
            roots: None,
            without: HashSet::new(),
            pushes: HashMap::new(),
            dirty: DirtyId::default(),
            replacement: ReplacementId::default(),
        })
    }

    /// Says which closures count as gone, by their roots. What they need is followed by the next
    /// [`Self::catch_up`] once they no longer do; what was followed stays so.
    pub fn without(&mut self, roots: HashSet<PathId>) {
        self.without = roots;
        self.roots = None;
    }

    /// Follows every root that is new: what is unmarked then is needed by nothing, for as
    /// long as the transaction lasts.
    pub(crate) async fn catch_up(&mut self, tx: &mut WriteTx) -> Result<()> {
        let roots = tx.roots_revision().await?;
        if self.roots != Some(roots) {
            for (id, is_pinned) in tx.root_ids().await? {
                if is_pinned || !self.without.contains(&id) {
                    self.graph.mark(id);
                }
            }
            self.roots = Some(roots);
        }
        for push in tx.live_pushes().await? {
            let seen = self.pushes.get(&push.id).copied();
            if seen == Some(push.revision) {
                continue;
            }
            for node in tx.claim_nodes(push.id, seen).await? {
                self.graph.mark_node(&node);
            }
            self.pushes.insert(push.id, push.revision);
        }
        let (dirty, nodes) = tx.dirty_nodes(self.dirty).await?;
        for node in &nodes {
            self.graph.mark_node(node);
        }
        let ids: Vec<PathId> = nodes.iter().map(|node| node.id).collect();
        for drv in tx.more_derivers_of(&ids).await? {
            self.graph.mark_log(&drv);
        }
        self.dirty = dirty;
        for kept in tx.kept_contents(self.replacement).await? {
            self.graph.mark_contents(kept.object_id, &kept.refs);
            self.replacement = kept.id;
        }
        Ok(())
    }
}
