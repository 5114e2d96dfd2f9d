//! The order in which paths are published: each after all that it refers to.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

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
    pub fn new<'g>(nodes: impl Iterator<Item = (i64, &'g [i64])> + Clone) -> Self {
        let places: HashMap<i64, u32> = nodes.clone().map(|(id, _)| id).zip(0..).collect();
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

    /// Whoever waited for nothing but this node is ready.
    pub fn done(&mut self, node: u32) {
        let (begin, end) = (self.begins[node as usize], self.begins[node as usize + 1]);
        for &waiter in &self.waiters[begin as usize..end as usize] {
            let count = &mut self.waiting[waiter as usize];
            *count -= 1;
            if *count == 0 {
                self.left -= 1;
                self.ready.push(waiter);
            }
        }
    }

    /// The place of a node that waits, if there is one.
    #[must_use]
    pub fn waiting(&self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        self.waiting.iter().position(|count| *count > 0)
    }

    /// The places of all nodes, each after all that it refers to, and otherwise the lesser ones first: rows
    /// that lie beside each other are changed together.
    ///
    /// # Errors
    /// The place of a node that refers to itself through others, or to one that does.
    pub fn sequence(mut self) -> Result<Vec<u32>, usize> {
        let mut sequence = Vec::with_capacity(self.waiting.len());
        let mut ready: BinaryHeap<Reverse<u32>> = self.ready.drain(..).map(Reverse).collect();
        while let Some(Reverse(node)) = ready.pop() {
            self.done(node);
            ready.extend(self.ready.drain(..).map(Reverse));
            sequence.push(node);
        }
        self.waiting().map_or(Ok(sequence), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    type Graph = &'static [(i64, &'static [i64])];

    fn order(graph: Graph) -> Order {
        Order::new(graph.iter().copied())
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
        assert_eq!(order.waiting(), None);
    }

    #[test]
    fn a_reference_named_twice_counts_as_one() {
        let mut order = order(&[(1, &[2, 2]), (2, &[])]);
        order.ready.clear();
        order.done(1);
        assert_eq!(order.ready, [0]);
    }

    #[test]
    fn circles_are_found() {
        for (graph, found) in [
            (&[] as Graph, Ok(vec![])),
            (&[(1, &[1])], Ok(vec![0])),
            (&[(1, &[2]), (2, &[])], Ok(vec![1, 0])),
            (&[(1, &[2]), (2, &[1])], Err(0)),
            (&[(0, &[]), (1, &[2, 0]), (2, &[3]), (3, &[1])], Err(1)),
        ] {
            assert_eq!(order(graph).sequence(), found, "{graph:?}");
        }
    }
}
