//! The order in which paths are published: each after all that it refers to.

use niks3_catalog::PathId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Nodes by place, from 0 on, each with those that wait for it.
#[derive(Debug)]
pub(super) struct Order {
    /// How many of its references each node still waits for.
    waiting: Vec<u32>,
    /// Where the waiters of each node begin in `waiters`; one more than there are nodes.
    begins: Vec<u32>,
    waiters: Vec<u32>,
    /// How many nodes are not ready yet.
    left: usize,
    /// Places of the nodes that wait for nothing, and have not been taken.
    pub ready: Vec<u32>,
}

impl Order {
    /// Of nodes by id, in the order of their places. What refers to itself does not wait for
    /// itself, and nothing waits for what is not among the nodes.
    pub fn new<'g>(nodes: impl Iterator<Item = (PathId, &'g [PathId])> + Clone) -> Self {
        let places: HashMap<PathId, u32> = nodes.clone().map(|(id, _)| id).zip(0..).collect();
        let mut waiting = vec![0; places.len()];
        let mut begins = vec![0; places.len() + 1];
        let mut edges: Vec<(u32, u32)> = Vec::new();
        for ((id, refs), node) in nodes.zip(0..) {
            for reference in refs.iter().filter(|reference| **reference != id) {
                if let Some(&place) = places.get(reference) {
                    waiting[node as usize] += 1;
                    begins[place as usize + 1] += 1;
                    edges.push((place, node));
                }
            }
        }
        for place in 0..places.len() {
            begins[place + 1] += begins[place];
        }
        let mut next = begins.clone();
        let mut waiters = vec![0; edges.len()];
        for (place, waiter) in edges {
            let slot = &mut next[place as usize];
            waiters[*slot as usize] = waiter;
            *slot += 1;
        }
        let ready: Vec<u32> = (0..)
            .zip(&waiting)
            .filter(|(_, count)| **count == 0)
            .map(|(place, _)| place)
            .collect();
        Self {
            left: waiting.len() - ready.len(),
            waiting,
            begins,
            waiters,
            ready,
        }
    }

    /// Makes a node ready that waits for itself through others, if every node that is left waits for such a one. False
    /// when none is left.
    pub(crate) fn open_cycle(&mut self) -> bool {
        let Some(mut node) = self.waiting() else {
            return false;
        };
        // Each that waits does so for one that waits, too: going on ends in a cycle.
        let mut waits_for: HashMap<u32, u32> = HashMap::new();
        for (place, _) in (0_u32..).zip(&self.waiting).filter(|(_, count)| **count > 0) {
            let (begin, end) = (self.begins[place as usize], self.begins[place as usize + 1]);
            let waiters = &self.waiters[begin as usize..end as usize];
            waits_for.extend(waiters.iter().map(|waiter| (*waiter, place)));
        }
        let mut seen = HashSet::new();
        while seen.insert(node)
            && let Some(next) = waits_for.get(&node)
        {
            node = *next;
        }
        self.waiting[node as usize] = 0;
        self.left -= 1;
        self.ready.push(node);
        true
    }

    /// Whoever waited for nothing but this node is ready.
    pub fn done(&mut self, node: u32) {
        let (begin, end) = (self.begins[node as usize], self.begins[node as usize + 1]);
        for &waiter in &self.waiters[begin as usize..end as usize] {
            let count = &mut self.waiting[waiter as usize];
            // One that was made ready before its time waits for nothing more.
            if *count == 0 {
                continue;
            }
            *count -= 1;
            if *count == 0 {
                self.left -= 1;
                self.ready.push(waiter);
            }
        }
    }

    /// The place of a node that waits, if there is one.
    fn waiting(&self) -> Option<u32> {
        if self.left == 0 {
            return None;
        }
        (0..)
            .zip(&self.waiting)
            .find(|(_, count)| **count > 0)
            .map(|(place, _)| place)
    }

    /// The places of all nodes, each after all that it refers to, and otherwise the lesser ones first: rows
    /// that lie beside each other are changed together. `None` when a node refers to itself through others.
    #[must_use]
    pub fn sequence(mut self) -> Option<Vec<u32>> {
        let mut sequence = Vec::with_capacity(self.waiting.len());
        let mut ready: BinaryHeap<Reverse<u32>> = self.ready.drain(..).map(Reverse).collect();
        while let Some(Reverse(node)) = ready.pop() {
            self.done(node);
            ready.extend(self.ready.drain(..).map(Reverse));
            sequence.push(node);
        }
        (self.left == 0).then_some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use niks3_catalog::PathId;

    use super::Order;

    type Graph = &'static [(i64, &'static [i64])];

    fn order(graph: Graph) -> Order {
        let ids = |refs: &[i64]| -> Vec<PathId> { refs.iter().copied().map(PathId::from).collect() };
        let nodes: Vec<_> = graph
            .iter()
            .map(|(id, refs)| (PathId::from(*id), ids(refs)))
            .collect();
        Order::new(nodes.iter().map(|(id, refs)| (*id, refs.as_slice())))
    }

    #[test]
    fn each_is_ready_after_all_it_refers_to() {
        let mut order = order(&[(7, &[3, 5, 7]), (5, &[3, 99]), (3, &[])]);
        assert_eq!(order.ready, [2]);
        order.ready.clear();
        order.done(2);
        assert_eq!(order.ready, [1]);
        order.done(1);
        assert_eq!(order.ready, [1, 0]);
        order.done(0);
        assert!(!order.open_cycle());
    }

    #[test]
    fn a_reference_named_twice_counts_as_one() {
        let mut order = order(&[(1, &[2, 2]), (2, &[])]);
        order.ready.clear();
        order.done(1);
        assert_eq!(order.ready, [0]);
    }

    #[test]
    fn cycles_are_found() {
        for (graph, found) in [
            (&[] as Graph, Some(vec![])),
            (&[(1, &[1])], Some(vec![0])),
            (&[(1, &[2]), (2, &[]), (3, &[])], Some(vec![1, 0, 2])),
            (&[(1, &[2]), (2, &[1])], None),
            (&[(0, &[]), (1, &[2, 0]), (2, &[3]), (3, &[1])], None),
        ] {
            assert_eq!(order(graph).sequence(), found, "{graph:?}");
        }
    }

    #[test]
    fn a_cycle_is_opened_where_it_is_and_all_others_still_wait() {
        // 5 waits for the cycle of 1, 2 and 3, and the cycle for 4.
        let mut order = order(&[(5, &[1]), (1, &[2]), (2, &[3, 4]), (3, &[1]), (4, &[])]);
        let mut sequence = Vec::new();
        loop {
            while let Some(node) = order.ready.pop() {
                order.done(node);
                sequence.push([5, 1, 2, 3, 4][node as usize]);
            }
            if !order.open_cycle() {
                break;
            }
        }
        let place = |id| sequence.iter().position(|found| *found == id);
        assert_eq!(sequence.len(), 5, "{sequence:?}");
        assert!(place(4) < place(2) && place(1) < place(5), "{sequence:?}");
    }
}
