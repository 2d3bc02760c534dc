//! What depends on what: the instructions run on sets of inputs or of outputs instead of numbers.

use std::ops::Range;

use super::dag::Id;
use super::op::Op;
use super::{Builder, Tape};
use crate::sparsity::Pattern;

/// 64-bit words of a set: one cache line, 512 members at a time.
const WORDS: usize = 8;
/// Members of a set.
const MEMBERS: usize = 64 * WORDS;
/// No set: the empty one.
const NONE: u32 = u32::MAX;

type Set = [u64; WORDS];

/// Does the value depend on operand `port` with a derivative that is not 0 everywhere? Where [`Op::partial`] is not `None`.
const fn differentiable(op: Op, port: usize) -> bool {
    match op {
        Op::Const | Op::Input | Op::Sign | Op::Floor => false,
        Op::Less | Op::LessEqual | Op::Equal => false,
        Op::Select => port != 0,
        _ => true,
    }
}

/// Sets for the nodes that have one now: a node's set is given back after its last use.
#[derive(Default)]
struct Sets {
    all: Vec<Set>,
    free: Vec<u32>,
}

impl Sets {
    fn take(&mut self) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.all[slot as usize] = [0; WORDS];
                slot
            }
            None => {
                self.all.push([0; WORDS]);
                self.all.len() as u32 - 1
            }
        }
    }

    /// to ← to ∪ from
    fn join(&mut self, to: u32, from: u32) {
        let from = self.all[from as usize];
        self.all[to as usize].iter_mut().zip(from).for_each(|(to, from)| *to |= from);
    }
}

fn insert(set: &mut Set, member: usize) {
    set[member / 64] |= 1 << (member % 64);
}

fn members(set: &Set) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(word, &bits)| {
        let mut left = bits;
        std::iter::from_fn(move || {
            let lowest = (left != 0).then(|| 64 * word + left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(lowest)
        })
    })
}

/// Dependencies of a tape.
pub(crate) struct Structure {
    /// Outputs × inputs.
    pub(crate) pattern: Pattern,
    /// Σ over the instructions of the number of inputs (forward sweep) or outputs (backward sweep) that each is between: about
    /// how many instructions a Jacobian has that is written out.
    pub(crate) work: usize,
}

impl Tape {
    /// Where the Jacobian may be other than zero: structural, that is, whatever the numbers are.
    ///
    /// The instructions run on sets of 512 inputs at a time forward, or of 512 outputs backward, whichever takes fewer sweeps; a
    /// sweep visits what its members reach. An instruction passes a set on where its derivative rule is not 0 everywhere: not
    /// through sign, floor and comparisons, nor through the condition of `select`. A derivative that cancels, as in (x + y) − x, is
    /// still a place.
    pub fn jacobian_pattern(&self) -> Pattern {
        self.structure(0..self.outputs.len()).pattern
    }

    /// Where the Hessian of Σ λᵢ·yᵢ may be other than zero, both triangles: the Jacobian pattern of the gradient's tape.
    ///
    /// Structural as [`Tape::jacobian_pattern`]: an entry that cancels between terms is still a place; what never interacts, or only
    /// through abs, min, max and select, is none.
    pub fn hessian_pattern(&self) -> Pattern {
        self.reverse().gradient_structure(self.inputs).pattern
    }

    /// Of a backward tape (x, λ) ↦ (y, g): the places of ∂g/∂x.
    pub(crate) fn gradient_structure(&self, inputs: usize) -> Structure {
        let m = self.inputs - inputs;
        let Structure { pattern, work } = self.structure(m..m + inputs);
        let places: Vec<(usize, usize)> = pattern.places().filter(|&(_, j)| j < inputs).collect();
        Structure { pattern: Pattern::new(inputs, inputs, places).symmetrized(), work }
    }

    /// The dependencies of some of the outputs, numbered from the first of them.
    pub(crate) fn structure(&self, of: Range<usize>) -> Structure {
        let outputs = self.outputs.get(of).unwrap_or_default();
        let blocks = |n: usize| n.div_ceil(MEMBERS);
        let (places, work) = if blocks(self.inputs) < blocks(outputs.len()) {
            self.sweep_forward(outputs)
        } else {
            self.sweep_backward(outputs)
        };
        Structure { pattern: Pattern::from_different(outputs.len(), self.inputs, &places), work }
    }

    /// (output, input) pairs: each node's set of inputs from those of its operands.
    fn sweep_forward(&self, outputs: &[Id]) -> (Vec<(u32, u32)>, usize) {
        let mut last = vec![0u32; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            node.operands().iter().for_each(|&a| last[a as usize] = id as u32);
        }
        outputs.iter().for_each(|&y| last[y as usize] = NONE);
        let (mut places, mut work) = (Vec::new(), 0);
        for first in (0..self.inputs).step_by(MEMBERS) {
            let (mut sets, mut slot) = (Sets::default(), vec![NONE; self.nodes.len()]);
            for (id, node) in self.nodes.iter().enumerate() {
                if node.op == Op::Input {
                    let member = (node.args[0] as usize).wrapping_sub(first);
                    if member < MEMBERS {
                        slot[id] = sets.take();
                        insert(&mut sets.all[slot[id] as usize], member);
                    }
                    continue;
                }
                let mut own = NONE;
                for (port, &a) in node.operands().iter().enumerate() {
                    let from = slot[a as usize];
                    if from != NONE && differentiable(node.op, port) {
                        own = if own == NONE { sets.take() } else { own };
                        sets.join(own, from);
                    }
                }
                slot[id] = own;
                if own != NONE {
                    let set = &sets.all[own as usize];
                    work += set.iter().map(|w| w.count_ones() as usize).sum::<usize>();
                }
                for &a in node.operands() {
                    if last[a as usize] == id as u32 && slot[a as usize] != NONE {
                        sets.free.push(std::mem::replace(&mut slot[a as usize], NONE));
                    }
                }
            }
            for (output, &y) in outputs.iter().enumerate() {
                if let Some(set) = sets.all.get(slot[y as usize] as usize) {
                    places.extend(members(set).map(|j| (output as u32, (first + j) as u32)));
                }
            }
        }
        (places, work)
    }

    /// (output, input) pairs: each node gives its set of outputs to its operands. Visited are the nodes that the outputs of a block
    /// need, found by a bit each, from the last to the first.
    fn sweep_backward(&self, outputs: &[Id]) -> (Vec<(u32, u32)>, usize) {
        let (mut places, mut work) = (Vec::new(), 0);
        let (mut sets, mut slot) = (Sets::default(), vec![NONE; self.nodes.len()]);
        let mut waiting = vec![0u64; self.nodes.len().div_ceil(64)];
        for (block, outputs) in outputs.chunks(MEMBERS).enumerate() {
            for (member, &y) in outputs.iter().enumerate() {
                let own = &mut slot[y as usize];
                *own = if *own == NONE { sets.take() } else { *own };
                insert(&mut sets.all[*own as usize], member);
                waiting[y as usize / 64] |= 1 << (y % 64);
            }
            for word in (0..waiting.len()).rev() {
                while waiting[word] != 0 {
                    let bit = 63 - waiting[word].leading_zeros();
                    waiting[word] &= !(1 << bit);
                    let id = 64 * word + bit as usize;
                    let own = std::mem::replace(&mut slot[id], NONE);
                    let node = &self.nodes[id];
                    let set = &sets.all[own as usize];
                    if node.op == Op::Input {
                        let output = |i: usize| (block * MEMBERS + i) as u32;
                        places.extend(members(set).map(|i| (output(i), node.args[0])));
                    } else {
                        work += set.iter().map(|w| w.count_ones() as usize).sum::<usize>();
                    }
                    for (port, &a) in node.operands().iter().enumerate() {
                        let constant = self.nodes[a as usize].op == Op::Const;
                        if constant || !differentiable(node.op, port) {
                            continue;
                        }
                        let to = &mut slot[a as usize];
                        *to = if *to == NONE { sets.take() } else { *to };
                        sets.join(*to, own);
                        waiting[a as usize / 64] |= 1 << (a % 64);
                    }
                    sets.free.push(own);
                }
            }
        }
        (places, work)
    }
}

impl Builder {
    /// Writes the instructions of `tape` with other nodes in place of its inputs; where they are constants, they fold. The nodes of
    /// its outputs.
    fn append(&mut self, tape: &Tape, inputs: &[Id]) -> Vec<Id> {
        let mut place: Vec<Id> = Vec::with_capacity(tape.nodes.len());
        for node in &tape.nodes {
            let id = match node.op {
                Op::Const => self.dag.constant(node.value),
                Op::Input => inputs[node.args[0] as usize],
                op => {
                    let mut args = [0; 3];
                    let operands = node.operands().iter();
                    args.iter_mut().zip(operands).for_each(|(to, &a)| *to = place[a as usize]);
                    self.dag.add(op, args)
                }
            };
            place.push(id);
        }
        tape.outputs.iter().map(|&y| place[y as usize]).collect()
    }
}

/// A function of `inputs` numbers, made of instructions of other tapes.
fn compose(inputs: usize, write: impl FnOnce(&mut Builder, &[Id]) -> Vec<Id>) -> Tape {
    let mut b = Builder { dag: Default::default() };
    let x: Vec<Id> = (0..inputs).map(|_| b.dag.input()).collect();
    let outputs = write(&mut b, &x);
    b.finish(&outputs)
}

impl Tape {
    /// x ↦ (values of this tape, values of `other`), what they share done once. Both have the same inputs; of `other`, as many as
    /// there are here count.
    pub(crate) fn beside(&self, other: &Tape) -> Tape {
        compose(self.inputs.max(other.inputs), |b, x| {
            let mut outputs = b.append(self, x);
            outputs.extend(b.append(other, x));
            outputs
        })
    }

    /// Of this tape as a backward tape (x, λ) ↦ (y, g), n numbers x: (x, λ, dx) ↦ (y, g, dg), dλ being 0.
    pub(crate) fn forward_in_first(&self, n: usize) -> Tape {
        let forward = self.forward();
        let m = self.outputs.len() - n;
        compose(self.inputs + n, |b, x| {
            let zero = b.dag.constant(0.0);
            let rest = vec![zero; self.inputs - n];
            let mut outputs = b.append(&forward, &[x, &rest].concat());
            outputs.drain(self.outputs.len()..self.outputs.len() + m);
            outputs
        })
    }
}
