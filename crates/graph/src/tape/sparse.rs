//! The chain rules for all columns, or all rows, of a Jacobian in one sweep: each node carries the derivatives that are not 0 everywhere.

use super::dag::{Dag, Id};
use super::derivative::{Slope, contribution, in_branches, plus, select};
use super::op::Op;

/// (column or row, derivative), ascending.
type Entry = (u32, Id);

/// For each node its entries.
pub(super) struct Lists {
    /// Where each node's entries begin and end.
    ranges: Vec<(usize, usize)>,
    entries: Vec<Entry>,
}

impl Lists {
    fn new(nodes: usize) -> Self {
        Lists { ranges: vec![(0, 0); nodes], entries: Vec::with_capacity(nodes) }
    }

    /// The entries of a node.
    pub(super) fn of(&self, id: Id) -> &[Entry] {
        let (from, to) = self.ranges[id as usize];
        &self.entries[from..to]
    }

    fn set(&mut self, id: usize, entries: &[Entry]) {
        let from = self.entries.len();
        self.entries.extend_from_slice(entries);
        self.ranges[id] = (from, self.entries.len());
    }
}

/// For each of the first `last` nodes its derivatives with respect to the first `n` inputs.
pub(super) fn push_columns(dag: &mut Dag, last: usize, n: usize) -> Lists {
    let mut lists = Lists::new(last);
    let one = dag.constant(1.0);
    let (mut sum, mut next): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    for id in 0..last {
        let node = dag.nodes[id];
        sum.clear();
        match node.op {
            Op::Const => continue,
            Op::Input if (node.args[0] as usize) < n => sum.push((node.args[0], one)),
            Op::Input => continue,
            Op::Select => {
                let [yes, no] = [node.args[1], node.args[2]];
                merge(lists.of(yes), lists.of(no), &mut sum, |yes, no| {
                    select(dag, node.args[0], yes, no)
                });
            }
            op => {
                for port in 0..op.arity() {
                    let list = lists.of(node.args[port]);
                    if list.is_empty() {
                        continue;
                    }
                    let Some(slope) = Slope::of(dag, id, port) else { continue };
                    next.clear();
                    merge(&sum, list, &mut next, |sum, d| {
                        let part = d.and_then(|d| slope.times(dag, d, false));
                        plus(dag, sum, part)
                    });
                    std::mem::swap(&mut sum, &mut next);
                }
            }
        }
        lists.set(id, &sum);
    }
    lists
}

/// Two ascending lists as one; `both` combines what stands under one number.
fn merge(
    a: &[Entry],
    b: &[Entry],
    into: &mut Vec<Entry>,
    mut both: impl FnMut(Option<Id>, Option<Id>) -> Option<Id>,
) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let key = match (a.get(i), b.get(j)) {
            (Some(a), Some(b)) => a.0.min(b.0),
            (Some(only), None) | (None, Some(only)) => only.0,
            (None, None) => return,
        };
        let left = a.get(i).filter(|e| e.0 == key).map(|e| e.1);
        let right = b.get(j).filter(|e| e.0 == key).map(|e| e.1);
        i += usize::from(left.is_some());
        j += usize::from(right.is_some());
        into.extend(both(left, right).map(|d| (key, d)));
    }
}

/// For each of the first `last` nodes the derivatives of the outputs with respect to it, by output.
///
/// A node asks those that read it, so a number that many rows need is not merged again for each of them.
pub(super) fn pull_rows(dag: &mut Dag, last: usize, outputs: &[Id]) -> Lists {
    // Who reads each node: (reader, port), compressed.
    let mut starts = vec![0usize; last + 1];
    let arguments = |dag: &Dag, id: usize| {
        let node = dag.nodes[id];
        (node.args, node.op.arity())
    };
    for id in 0..last {
        let (args, n) = arguments(dag, id);
        args[..n].iter().for_each(|&a| starts[a as usize + 1] += 1);
    }
    (0..last).for_each(|id| starts[id + 1] += starts[id]);
    let mut next = starts.clone();
    let mut readers = vec![(0u32, 0u8); starts[last]];
    for id in 0..last {
        let (args, n) = arguments(dag, id);
        for (port, &a) in args[..n].iter().enumerate() {
            readers[next[a as usize]] = (id as u32, port as u8);
            next[a as usize] += 1;
        }
    }
    let mut own: Vec<Vec<u32>> = vec![Vec::new(); last];
    for (row, &y) in outputs.iter().enumerate() {
        own[y as usize].push(row as u32);
    }
    let in_branch = in_branches(dag, last);
    let mut lists = Lists::new(last);
    let one = dag.constant(1.0);
    let mut all: Vec<(u32, Id)> = Vec::new();
    for id in (0..last).rev() {
        if dag.nodes[id].op == Op::Const {
            continue;
        }
        all.clear();
        all.extend(own[id].iter().map(|&row| (row, one)));
        for &(reader, port) in readers[starts[id]..starts[id + 1]].iter().rev() {
            for &(row, d) in lists.of(reader) {
                let (at, branch) = (reader as usize, in_branch[reader as usize]);
                let part = contribution(dag, at, port.into(), d, branch);
                all.extend(part.map(|part| (row, part)));
            }
        }
        // Stable: contributions to one row keep their order.
        all.sort_by_key(|(row, _)| *row);
        let mut summed: Vec<Entry> = Vec::with_capacity(all.len());
        for &(row, d) in &all {
            match summed.last_mut() {
                Some(entry) if entry.0 == row => entry.1 = dag.two(Op::Add, entry.1, d),
                _ => summed.push((row, d)),
            }
        }
        summed.retain(|(_, d)| dag.known(*d) != Some(0.0));
        lists.set(id, &summed);
    }
    lists
}
