//! A set of nodes for hash-consing: a table of positions, whose keys are the nodes themselves.

use std::hash::{BuildHasher, RandomState};

use super::dag::{Id, Node};

const EMPTY: Id = Id::MAX;

/// Open addressing with linear probing; at most half full.
#[derive(Debug, Default, Clone)]
pub(super) struct Table {
    /// A power of two of places, or none.
    places: Vec<Id>,
    count: usize,
    seed: Seed,
}

/// Of this process alone, so that nobody can choose nodes that meet in one place. The order of the nodes does not depend on it.
#[derive(Debug, Clone, Copy)]
struct Seed([u64; 2]);

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::new();
        Seed([random.hash_one(0), random.hash_one(1)])
    }
}

impl Seed {
    fn mixed(self, node: &Node) -> u64 {
        let [a, b, c] = node.args.map(u64::from);
        let rest = (c | (node.op as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = (a | b << 32) ^ self.0[0];
        let second = node.value.to_bits() ^ rest ^ self.0[1];
        let product = u128::from(first) * u128::from(second);
        product as u64 ^ (product >> 64) as u64
    }
}

fn same(a: &Node, b: &Node) -> bool {
    a.op == b.op && a.args == b.args && a.value.to_bits() == b.value.to_bits()
}

impl Table {
    /// Room for this many nodes without growing.
    pub(super) fn with_room(count: usize) -> Self {
        Table { places: vec![EMPTY; (2 * count).next_power_of_two()], ..Table::default() }
    }

    /// The position of an equal node, or `None` after it is entered as the next one of `nodes`.
    #[inline]
    pub(super) fn find_or_enter(&mut self, nodes: &[Node], node: &Node) -> Option<Id> {
        if self.places.len() <= 2 * self.count {
            self.grow(nodes);
        }
        let mask = self.places.len() - 1;
        let mut at = self.seed.mixed(node) as usize & mask;
        loop {
            match self.places[at] {
                EMPTY => {
                    self.places[at] = nodes.len() as Id;
                    self.count += 1;
                    return None;
                }
                id if same(&nodes[id as usize], node) => return Some(id),
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self, nodes: &[Node]) {
        let old = std::mem::take(&mut self.places);
        self.places = vec![EMPTY; (4 * self.count).next_power_of_two().max(64)];
        for id in old.into_iter().filter(|id| *id != EMPTY) {
            self.enter(nodes, id);
        }
    }

    fn enter(&mut self, nodes: &[Node], id: Id) {
        let mask = self.places.len() - 1;
        let mut at = self.seed.mixed(&nodes[id as usize]) as usize & mask;
        while self.places[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.places[at] = id;
    }

    /// Enters a node that stands in `nodes` already.
    pub(super) fn add(&mut self, nodes: &[Node], id: Id) {
        if self.places.len() <= 2 * self.count {
            self.grow(nodes);
        }
        self.enter(nodes, id);
        self.count += 1;
    }
}
