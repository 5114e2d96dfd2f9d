//! What is there and what it needs, in memory: marking, and the order of deletion.
//! A million paths with ten references each take about 200 MB.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use niks3_catalog::{LogNode, ObjectId, ObjectNode, PathId, PathNode};

/// Nothing, where an index stands.
const NONE: u32 = u32::MAX;

/// A NAR or a build log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Bytes.
    pub size: i64,
    /// Since when nothing needs it; 0 when something did.
    pub condemned_at: i64,
    /// How many paths that are there have it.
    pub users: u32,
    /// A path that stays, or a push under way, has it.
    pub marked: bool,
    /// Nobody has seen it in the bucket.
    pub pending: bool,
    /// It was deleted.
    pub gone: bool,
}

/// Store paths, what they refer to, and the NARs and logs they have.
#[derive(Debug, Default)]
pub(super) struct Graph {
    ids: Vec<PathId>,
    index: HashMap<PathId, u32>,
    there: Vec<bool>,
    marked: Vec<bool>,
    condemned_at: Vec<i64>,
    object: Vec<u32>,
    log: Vec<u32>,
    /// Logs of the other derivers that paths were pushed with.
    more_logs: HashMap<u32, Vec<u32>>,
    /// Where the references of each path begin in `refs`; one more at the end.
    starts: Vec<usize>,
    refs: Vec<u32>,
    /// References as ids, until all paths are known.
    raw: Vec<PathId>,
    /// Ids that something names which was not there: their rows must stay.
    named: HashSet<PathId>,
    objects: Vec<Item>,
    object_ids: Vec<ObjectId>,
    object_index: HashMap<ObjectId, u32>,
    logs: Vec<Item>,
    log_index: HashMap<u64, u32>,
    realisations: HashMap<u32, u64>,
}

/// Names are hashed, which saves their bytes; two that meet are kept or let go together.
fn digest(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(NONE)
}

impl Graph {
    /// Adds a NAR; all of them come before the paths.
    pub(crate) fn add_object(&mut self, node: &ObjectNode) {
        self.object_index.insert(node.id, index(self.objects.len()));
        self.object_ids.push(node.id);
        self.objects.push(Item {
            size: node.size,
            condemned_at: node.condemned_at,
            users: 0,
            marked: false,
            pending: node.pending,
            gone: false,
        });
    }

    /// Adds a build log; all of them come before the paths.
    pub(crate) fn add_log(&mut self, node: &LogNode) {
        let position = index(self.logs.len());
        let known = *self.log_index.entry(digest(&node.drv)).or_insert(position);
        if known == position {
            self.logs.push(Item {
                size: node.size,
                condemned_at: node.condemned_at,
                users: 0,
                marked: false,
                pending: false,
                gone: false,
            });
        }
    }

    /// Adds a path.
    pub(crate) fn add_path(&mut self, node: &PathNode) {
        self.index.insert(node.id, index(self.ids.len()));
        self.ids.push(node.id);
        self.there.push(node.there);
        self.marked.push(false);
        self.condemned_at.push(node.condemned_at);
        let object = self.object_index.get(&node.object_id).copied().unwrap_or(NONE);
        let log = self.log_of(&node.deriver);
        self.object.push(object);
        self.log.push(log);
        self.starts.push(self.raw.len());
        if node.there {
            self.raw.extend(&node.refs);
            if let Some(item) = self.objects.get_mut(object as usize) {
                item.users += 1;
            }
            if let Some(item) = self.logs.get_mut(log as usize) {
                item.users += 1;
            }
        }
    }

    /// Adds another deriver that a path was pushed with; the path comes before.
    pub(crate) fn add_deriver(&mut self, id: PathId, deriver: &str) {
        let log = self.log_of(deriver);
        let Some(&path) = self.index.get(&id) else { return };
        if log == NONE || !self.there[path as usize] {
            return;
        }
        self.more_logs.entry(path).or_default().push(log);
        self.logs[log as usize].users += 1;
    }

    /// Says how many realisations a path has.
    pub fn set_realisations(&mut self, id: PathId, count: i64) {
        if let Some(path) = self.index.get(&id) {
            self.realisations.insert(*path, count.unsigned_abs());
        }
    }

    /// Objects of a path alone: narinfo, listing, realisations.
    pub(crate) fn own_objects(&self, path: u32) -> u64 {
        2 + self.realisations.get(&path).copied().unwrap_or_default()
    }

    /// Ends the adding: every reference finds its path.
    pub(crate) fn seal(&mut self) {
        self.starts.push(self.raw.len());
        let raw = std::mem::take(&mut self.raw);
        self.refs = raw
            .into_iter()
            .map(|id| self.index.get(&id).copied().unwrap_or(NONE))
            .collect();
    }

    fn log_of(&self, deriver: &str) -> u32 {
        if deriver.is_empty() {
            return NONE;
        }
        self.log_index.get(&digest(deriver)).copied().unwrap_or(NONE)
    }

    /// The logs of the derivers of a path, by their places.
    fn logs_of(&self, path: u32) -> impl Iterator<Item = usize> + use<> {
        let more = self.more_logs.get(&path).cloned().unwrap_or_default();
        std::iter::once(self.log[path as usize])
            .chain(more)
            .filter(|log| *log != NONE)
            .map(|log| log as usize)
    }

    fn refs(&self, path: u32) -> &[u32] {
        let path = path as usize;
        &self.refs[self.starts[path]..self.starts[path + 1]]
    }

    /// Marks a path by id, and everything it needs.
    pub fn mark(&mut self, id: PathId) {
        let Some(&path) = self.index.get(&id) else {
            self.named.insert(id);
            return;
        };
        let mut pending = vec![path];
        while let Some(path) = pending.pop() {
            if std::mem::replace(&mut self.marked[path as usize], true) {
                continue;
            }
            if let Some(item) = self.objects.get_mut(self.object[path as usize] as usize) {
                item.marked = true;
            }
            for log in self.logs_of(path) {
                self.logs[log].marked = true;
            }
            let range = self.starts[path as usize]..self.starts[path as usize + 1];
            for position in range {
                let next = self.refs[position];
                if next != NONE && !self.marked[next as usize] {
                    pending.push(next);
                }
            }
        }
    }

    /// Marks what a claim or a path decided meanwhile needs: itself, its references, its
    /// NAR, its log.
    pub(crate) fn mark_node(&mut self, node: &PathNode) {
        self.mark(node.id);
        for id in &node.refs {
            self.mark(*id);
        }
        if let Some(object) = self.object_index.get(&node.object_id) {
            self.objects[*object as usize].marked = true;
        }
        self.mark_log(&node.deriver);
    }

    /// Marks what a narinfo needs that readers may still have although other contents have replaced it: its NAR and its
    /// references, but not the path itself.
    pub(crate) fn mark_contents(&mut self, object_id: ObjectId, refs: &[PathId]) {
        for id in refs {
            self.mark(*id);
        }
        if let Some(object) = self.object_index.get(&object_id) {
            self.objects[*object as usize].marked = true;
        }
    }

    /// Marks the log of a derivation.
    pub(crate) fn mark_log(&mut self, drv: &str) {
        let log = self.log_of(drv);
        if let Some(item) = self.logs.get_mut(log as usize) {
            item.marked = true;
        }
    }

    /// Whether nothing needs a path, as far as it is marked.
    pub(crate) fn is_white(&self, path: u32) -> bool {
        self.there[path as usize] && !self.marked[path as usize]
    }

    /// Every path that is there and that nothing needs.
    pub(crate) fn white(&self) -> impl Iterator<Item = u32> {
        (0..index(self.ids.len())).filter(|path| self.is_white(*path))
    }

    /// Every path that something needs although it was condemned.
    pub(crate) fn pardoned(&self) -> Vec<PathId> {
        self.ids
            .iter()
            .zip(&self.condemned_at)
            .zip(self.there.iter().zip(&self.marked))
            .filter(|((_, at), (there, marked))| **at != 0 && **there && **marked)
            .map(|((id, _), _)| *id)
            .collect()
    }

    /// Since when nothing needs a path; 0 when something did.
    pub fn condemned_at(&self, path: u32) -> i64 {
        self.condemned_at[path as usize]
    }

    /// Id of a path.
    pub fn id(&self, path: u32) -> PathId {
        self.ids[path as usize]
    }

    /// Bytes of the NAR of a path that no path before has had, with this list of those seen.
    pub fn nar_bytes(&self, path: u32, seen: &mut [bool]) -> i64 {
        let object = self.object[path as usize] as usize;
        match self.objects.get(object) {
            Some(item) if !item.marked && !std::mem::replace(&mut seen[object], true) => item.size,
            _ => 0,
        }
    }

    /// Everything that a path keeps and nothing that is marked does, besides what is in
    /// `seen`, where it is added.
    pub(crate) fn kept_by(&self, root: PathId, seen: &mut [bool]) -> Vec<u32> {
        let mut kept = Vec::new();
        let mut pending: Vec<u32> = self.index.get(&root).copied().into_iter().collect();
        while let Some(path) = pending.pop() {
            if !self.is_white(path) || std::mem::replace(&mut seen[path as usize], true) {
                continue;
            }
            kept.push(path);
            pending.extend(self.refs(path).iter().filter(|next| **next != NONE));
        }
        kept
    }

    /// Bytes of the NARs that a path keeps, besides what is in `seen`, where it is added: first paths, then NARs.
    pub(crate) fn reach(&self, root: PathId, seen: &mut (Vec<bool>, Vec<bool>)) -> u64 {
        let mut bytes = 0;
        let mut pending: Vec<u32> = self.index.get(&root).copied().into_iter().collect();
        while let Some(path) = pending.pop() {
            if !self.there[path as usize] || std::mem::replace(&mut seen.0[path as usize], true) {
                continue;
            }
            let object = self.object[path as usize] as usize;
            if let Some(item) = self.objects.get(object)
                && !std::mem::replace(&mut seen.1[object], true)
            {
                bytes += item.size.unsigned_abs();
            }
            pending.extend(self.refs(path).iter().filter(|next| **next != NONE));
        }
        bytes
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The NARs, with the id of each.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, &Item)> {
        self.object_ids.iter().copied().zip(&self.objects)
    }

    /// What is known of a NAR.
    pub fn object(&self, id: ObjectId) -> Option<&Item> {
        self.objects.get(*self.object_index.get(&id)? as usize)
    }

    /// What is known of the log of a derivation, and its place among all.
    pub fn log(&self, drv: &str) -> Option<(usize, &Item)> {
        let place = self.log_of(drv) as usize;
        self.logs.get(place).map(|item| (place, item))
    }

    /// A path is gone: its NAR and its log have one user fewer.
    pub fn gone(&mut self, path: u32) {
        self.there[path as usize] = false;
        if let Some(item) = self.objects.get_mut(self.object[path as usize] as usize) {
            item.users = item.users.saturating_sub(1);
        }
        for log in self.logs_of(path) {
            let item = &mut self.logs[log];
            item.users = item.users.saturating_sub(1);
        }
    }

    /// A NAR is gone.
    pub(crate) fn object_gone(&mut self, id: ObjectId) {
        if let Some(object) = self.object_index.get(&id) {
            self.objects[*object as usize].gone = true;
        }
    }

    /// A build log is gone.
    pub(crate) fn log_gone(&mut self, drv: &str) {
        let log = self.log_of(drv);
        if let Some(item) = self.logs.get_mut(log as usize) {
            item.gone = true;
        }
    }

    /// Whether something needs or names a path.
    pub(crate) fn is_marked(&self, path: u32) -> bool {
        self.marked[path as usize]
    }

    /// The same, by id.
    pub fn names(&self, id: PathId) -> bool {
        match self.index.get(&id) {
            Some(path) => self.is_marked(*path),
            None => self.named.contains(&id),
        }
    }

    /// The build logs.
    pub fn logs(&self) -> impl Iterator<Item = &Item> {
        self.logs.iter()
    }

    /// Rows of paths that are not there and that nothing there refers to.
    pub(crate) fn leftover(&self) -> Vec<PathId> {
        let mut named = vec![false; self.ids.len()];
        for path in 0..index(self.ids.len()) {
            if self.there[path as usize] {
                for next in self.refs(path).iter().filter(|next| **next != NONE) {
                    named[*next as usize] = true;
                }
            }
        }
        (0..self.ids.len())
            .filter(|path| !self.there[*path] && !self.marked[*path] && !named[*path])
            .map(|path| self.ids[path])
            .collect()
    }
}

/// What may go now: what has been needed by nothing for long enough, and is not needed by
/// what has not.
#[derive(Debug)]
pub(super) struct Ripe {
    paths: Vec<bool>,
    objects: Vec<bool>,
    logs: Vec<bool>,
}

impl Ripe {
    /// Judges by when things were condemned.
    pub fn new(graph: &Graph, long_ago: impl Fn(i64) -> bool) -> Self {
        let mut ripe = Self {
            paths: (0..index(graph.len()))
                .map(|path| graph.is_white(path) && long_ago(graph.condemned_at(path)))
                .collect(),
            objects: graph
                .objects
                .iter()
                .map(|item| !item.marked && long_ago(item.condemned_at))
                .collect(),
            logs: graph
                .logs
                .iter()
                .map(|item| !item.marked && long_ago(item.condemned_at))
                .collect(),
        };
        let mut held: Vec<u32> = graph.white().filter(|path| !ripe.path(*path)).collect();
        let mut seen = vec![false; graph.len()];
        while let Some(path) = held.pop() {
            if std::mem::replace(&mut seen[path as usize], true) {
                continue;
            }
            ripe.paths[path as usize] = false;
            if let Some(object) = ripe.objects.get_mut(graph.object[path as usize] as usize) {
                *object = false;
            }
            for log in graph.logs_of(path) {
                ripe.logs[log] = false;
            }
            held.extend(graph.refs(path).iter().filter(|next| **next != NONE));
        }
        ripe
    }

    /// What some roots keep and nothing else needs, at once.
    pub fn only(graph: &Graph, roots: &[PathId]) -> Self {
        let mut ripe = Self {
            paths: vec![false; graph.len()],
            objects: vec![false; graph.objects.len()],
            logs: vec![false; graph.logs.len()],
        };
        let mut seen = vec![false; graph.len()];
        for path in roots.iter().flat_map(|root| graph.kept_by(*root, &mut seen)) {
            ripe.paths[path as usize] = true;
            if let Some(object) = ripe.objects.get_mut(graph.object[path as usize] as usize) {
                *object = true;
            }
            for log in graph.logs_of(path) {
                ripe.logs[log] = true;
            }
        }
        for (log, item) in ripe.logs.iter_mut().zip(&graph.logs) {
            *log &= !item.marked;
        }
        for (object, item) in ripe.objects.iter_mut().zip(&graph.objects) {
            *object &= !item.marked;
        }
        ripe
    }

    /// Whether a path may go.
    pub fn path(&self, path: u32) -> bool {
        self.paths[path as usize]
    }

    /// Whether a NAR may go, by its place among all.
    pub fn object(&self, place: usize) -> bool {
        self.objects[place]
    }

    /// Whether a build log may go, by its place among all.
    pub fn log(&self, place: usize) -> bool {
        self.logs[place]
    }
}

/// The order in which paths are deleted: each after all that refer to it, so that no
/// reader finds a narinfo whose reference is gone.
#[derive(Debug)]
pub(super) struct Order {
    /// How many of those that refer to it are still there.
    waiting: HashMap<u32, u32>,
    /// Those that may go.
    pub ready: Vec<u32>,
}

impl Order {
    /// Of all paths that nothing needs, those for which `ripe` holds.
    pub fn new(graph: &Graph, ripe: impl Fn(u32) -> bool) -> Self {
        let mut waiting: HashMap<u32, u32> = graph.white().map(|path| (path, 0)).collect();
        let whites: Vec<u32> = waiting.keys().copied().collect();
        for path in &whites {
            for next in graph.refs(*path).iter().filter(|next| *next != path) {
                if let Some(count) = waiting.get_mut(next) {
                    *count += 1;
                }
            }
        }
        let mut order = Self {
            waiting,
            ready: Vec::new(),
        };
        order.open_circles(graph, &whites);
        // What is not ripe keeps what it refers to.
        let mut ready: Vec<u32> = whites
            .into_iter()
            .filter(|path| order.waiting.get(path) == Some(&0))
            .collect();
        ready.sort_unstable();
        order.ready = ready.into_iter().filter(|path| ripe(*path)).collect();
        order
    }

    /// Paths that refer to each other in a circle, which only a lying client makes, would
    /// wait for each other without end: one of each circle need not wait.
    fn open_circles(&mut self, graph: &Graph, whites: &[u32]) {
        let mut counts = self.waiting.clone();
        let mut stack: Vec<u32> = whites.iter().copied().filter(|path| counts[path] == 0).collect();
        let mut left: HashSet<u32> = whites.iter().copied().collect();
        loop {
            while let Some(path) = stack.pop() {
                left.remove(&path);
                for next in graph.refs(path).iter().filter(|next| **next != path) {
                    if let Some(count) = counts.get_mut(next) {
                        *count = count.saturating_sub(1);
                        if *count == 0 && left.contains(next) {
                            stack.push(*next);
                        }
                    }
                }
            }
            if left.is_empty() {
                return;
            }
            // Whoever is left is in a circle or behind one: going back far enough ends in one.
            let mut referrers: HashMap<u32, u32> = HashMap::new();
            for path in &left {
                for next in graph.refs(*path).iter().filter(|next| *next != path) {
                    if left.contains(next) {
                        referrers.insert(*next, *path);
                    }
                }
            }
            let mut walks: HashMap<u32, u32> = HashMap::new();
            for &start in &left {
                let mut path = start;
                while let (false, Some(referrer)) = (walks.contains_key(&path), referrers.get(&path)) {
                    walks.insert(path, start);
                    path = *referrer;
                }
                // Back where this very walk has been: a circle that no walk before has seen.
                if walks.get(&path) == Some(&start) {
                    self.waiting.insert(path, 0);
                    counts.insert(path, 0);
                    stack.push(path);
                }
            }
        }
    }

    /// A path is gone, so what it referred to waits for one fewer.
    pub fn gone(&mut self, graph: &Graph, path: u32, ripe: impl Fn(u32) -> bool) {
        self.waiting.remove(&path);
        for next in graph.refs(path).iter().filter(|next| **next != path) {
            if let Some(count) = self.waiting.get_mut(next)
                && *count > 0
            {
                *count -= 1;
                if *count == 0 && ripe(*next) {
                    self.ready.push(*next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i64, refs: &[i64]) -> PathNode {
        PathNode {
            id: PathId::from(id),
            there: true,
            condemned_at: 0,
            object_id: ObjectId::from(id),
            deriver: format!("{id}.drv"),
            refs: refs.iter().copied().map(PathId::from).collect(),
        }
    }

    fn graph(nodes: &[PathNode]) -> Graph {
        let mut graph = Graph::default();
        for node in nodes {
            graph.add_object(&ObjectNode {
                id: node.object_id,
                size: 10,
                condemned_at: 0,
                pending: false,
            });
            graph.add_log(&LogNode {
                drv: node.deriver.clone(),
                size: 1,
                condemned_at: 0,
            });
        }
        for node in nodes {
            graph.add_path(node);
        }
        graph.seal();
        graph
    }

    fn ids(graph: &Graph, paths: impl IntoIterator<Item = u32>) -> Vec<i64> {
        let mut ids: Vec<i64> = paths.into_iter().map(|path| graph.id(path).get()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn what_a_root_needs_is_marked_with_its_nars_and_logs() {
        let mut graph = graph(&[node(1, &[2, 1]), node(2, &[3]), node(3, &[]), node(4, &[3, 9])]);
        graph.mark(PathId::from(1));
        assert_eq!(ids(&graph, graph.white()), [4]);
        assert!(graph.object(ObjectId::from(3)).expect("known").marked);
        assert!(!graph.object(ObjectId::from(4)).expect("known").marked);
        assert!(graph.log("2.drv").expect("known").1.marked);
        assert!(!graph.log("4.drv").expect("known").1.marked);
    }

    #[test]
    fn the_log_of_another_deriver_stays_as_long_as_the_path() {
        let mut graph = graph(&[node(1, &[]), node(2, &[])]);
        graph.add_log(&LogNode {
            drv: "other.drv".into(),
            size: 1,
            condemned_at: 1,
        });
        graph.add_deriver(PathId::from(1), "other.drv");
        graph.add_deriver(PathId::from(9), "other.drv");
        let log = |graph: &Graph| *graph.log("other.drv").expect("known").1;
        assert_eq!((log(&graph).users, log(&graph).marked), (1, false));
        // Its path waits, so it does, too.
        assert!(!Ripe::new(&graph, |at| at != 0).log(2));
        graph.gone(0);
        assert_eq!(log(&graph).users, 0);
        graph.mark(PathId::from(2));
        assert!(!log(&graph).marked);
        graph.mark(PathId::from(1));
        assert!(log(&graph).marked);
    }

    #[test]
    fn referrers_go_before_what_they_refer_to() {
        let graph = graph(&[node(1, &[2, 3]), node(2, &[3, 2]), node(3, &[]), node(4, &[])]);
        let mut order = Order::new(&graph, |_| true);
        assert_eq!(ids(&graph, order.ready.clone()), [1, 4]);
        order.ready.clear();
        order.gone(&graph, 0, |_| true);
        assert_eq!(ids(&graph, order.ready.clone()), [2]);
        order.ready.clear();
        order.gone(&graph, 1, |_| true);
        assert_eq!(ids(&graph, order.ready.clone()), [3]);
    }

    #[test]
    fn what_waits_holds_what_it_refers_to_and_its_nars() {
        let mut young = node(1, &[2]);
        young.condemned_at = 9;
        let mut old = node(2, &[]);
        old.condemned_at = 1;
        let mut other = node(3, &[]);
        other.condemned_at = 1;
        let graph = graph(&[young, old, other]);
        let ripe = Ripe::new(&graph, |at| at < 5);
        assert_eq!([ripe.path(0), ripe.path(1), ripe.path(2)], [false, false, true]);
        assert_eq!(
            [ripe.object(0), ripe.object(1), ripe.object(2)],
            [false, false, true]
        );
        assert_eq!([ripe.log(0), ripe.log(1), ripe.log(2)], [false, false, true]);
    }

    #[test]
    fn what_is_not_ripe_keeps_what_it_refers_to() {
        let graph = graph(&[node(1, &[2]), node(2, &[])]);
        let order = Order::new(&graph, |path| graph.id(path).get() != 1);
        assert!(order.ready.is_empty());
    }

    #[test]
    fn a_circle_is_opened_and_all_of_it_goes() {
        let graph = graph(&[node(1, &[2]), node(2, &[3]), node(3, &[1, 4]), node(4, &[])]);
        let mut order = Order::new(&graph, |_| true);
        let mut gone = Vec::new();
        while let Some(path) = order.ready.pop() {
            gone.push(graph.id(path).get());
            order.gone(&graph, path, |_| true);
        }
        let place = |id| gone.iter().position(|gone| *gone == id);
        assert!(place(3) < place(4), "{gone:?}");
        gone.sort_unstable();
        assert_eq!(gone, [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_kept_by_a_root_alone_is_told() {
        let mut graph = graph(&[node(1, &[2, 3]), node(2, &[]), node(3, &[]), node(5, &[3])]);
        graph.mark(PathId::from(5));
        let mut seen = vec![false; graph.len()];
        assert_eq!(ids(&graph, graph.kept_by(PathId::from(1), &mut seen)), [1, 2]);
        assert!(graph.kept_by(PathId::from(1), &mut seen).is_empty());
    }

    #[test]
    fn rows_that_something_refers_to_stay() {
        let mut absent = node(2, &[]);
        absent.there = false;
        let mut other = node(3, &[]);
        other.there = false;
        let graph = graph(&[node(1, &[2]), absent, other]);
        assert_eq!(graph.leftover(), [PathId::from(3)]);
    }
}
