//! Tapes of derivatives: the two chain rules, written as instructions.

use std::collections::HashMap;
use std::ops::Range;

use super::dag::{Dag, Id, Mixed};
use super::op::Op;
use super::sparse::{pull_rows, push_columns};
use super::{Builder, Tape};
use crate::sparsity::Pattern;
use crate::{Error, Result};

/// Sum of two contributions, of which each may be a structural zero.
pub(super) fn plus(dag: &mut Dag, a: Option<Id>, b: Option<Id>) -> Option<Id> {
    match (a, b) {
        (Some(a), Some(b)) => Some(dag.two(Op::Add, a, b)),
        (one, None) | (None, one) => one,
    }
}

/// How a derivative of one operand goes through an instruction.
#[derive(Clone, Copy)]
pub(super) enum Slope {
    /// s·d
    Times(Id),
    /// d ⊙ s, since s may be infinite or not a number where d is 0.
    Guarded(Id),
    /// d ⊙ b or d ⊘ b: of a guarded product or quotient, its first operand.
    Before(Op, Id),
    /// a ⊙ d: of a guarded product, its second operand.
    After(Id),
    /// −(y/b ⊙ d): of a guarded quotient, its second operand.
    MinusAfter(Id),
}

impl Slope {
    /// Of node `id` with respect to its operand `port`; `None` where it is 0 everywhere, and of `select`.
    pub(super) fn of(dag: &mut Dag, id: usize, port: usize) -> Option<Slope> {
        let node = dag.nodes[id];
        let [a, b, _] = node.args;
        Some(match (node.op, port) {
            (Op::GuardedMul | Op::GuardedDiv, 0) => Slope::Before(node.op, b),
            (Op::GuardedMul, _) => Slope::After(a),
            (Op::GuardedDiv, _) => Slope::MinusAfter(dag.two(Op::GuardedDiv, id as Id, b)),
            (op, _) => {
                let slope = op.partial(dag, port, node.args, id as Id)?;
                if op.is_singular() { Slope::Guarded(slope) } else { Slope::Times(slope) }
            }
        })
    }

    /// The slope times a derivative; a constant 0 is a structural zero. In a branch of a `select`, a derivative of 0 stays 0 whatever
    /// the slope is: it may be anything where the branch is not taken.
    pub(super) fn times(self, dag: &mut Dag, d: Id, in_branch: bool) -> Option<Id> {
        let product = match self {
            Slope::Times(slope) if !in_branch => dag.two(Op::Mul, slope, d),
            Slope::Times(slope) | Slope::Guarded(slope) => dag.two(Op::GuardedMul, d, slope),
            Slope::Before(op, b) => dag.two(op, d, b),
            Slope::After(a) | Slope::MinusAfter(a) => {
                let mut product = dag.two(Op::GuardedMul, a, d);
                if let Slope::MinusAfter(_) = self {
                    product = dag.one(Op::Neg, product);
                }
                if in_branch {
                    let zero = dag.constant(0.0);
                    product = dag.add(Op::Select, [d, product, zero]);
                }
                product
            }
        };
        (dag.known(product) != Some(0.0)).then_some(product)
    }
}

/// Forward rule of `select`: the derivative of the side that is taken.
pub(super) fn select(dag: &mut Dag, condition: Id, yes: Option<Id>, no: Option<Id>) -> Option<Id> {
    if yes.is_none() && no.is_none() {
        return None;
    }
    let zero = dag.constant(0.0);
    let chosen = [condition, yes.unwrap_or(zero), no.unwrap_or(zero)];
    let d = dag.add(Op::Select, chosen);
    (dag.known(d) != Some(0.0)).then_some(d)
}

/// The contribution of node `id` with adjoint `d` to its operand `port`.
pub(super) fn contribution(
    dag: &mut Dag,
    id: usize,
    port: usize,
    d: Id,
    in_branch: bool,
) -> Option<Id> {
    let node = dag.nodes[id];
    match (node.op, port) {
        (Op::Select, 0) => None,
        (Op::Select, 1) => select(dag, node.args[0], Some(d), None),
        (Op::Select, _) => select(dag, node.args[0], None, Some(d)),
        _ => Slope::of(dag, id, port)?.times(dag, d, in_branch),
    }
}

/// Which of the first `last` nodes lead to an output through a branch of a `select`.
pub(super) fn in_branches(dag: &Dag, last: usize) -> Vec<bool> {
    let mut marked = vec![false; last];
    for id in (0..last).rev() {
        let node = dag.nodes[id];
        for (port, &a) in node.operands().iter().enumerate() {
            if marked[id] || (node.op == Op::Select && 0 < port) {
                marked[a as usize] = true;
            }
        }
    }
    marked
}

/// Forward chain rule: the tangent of each of the first `last` nodes from those of the inputs.
fn push(dag: &mut Dag, last: usize, seed: impl Fn(usize) -> Option<Id>) -> Vec<Option<Id>> {
    let mut tangent: Vec<Option<Id>> = vec![None; last];
    for id in 0..last {
        let node = dag.nodes[id];
        let of = |port: usize| tangent[node.args[port] as usize];
        tangent[id] = match node.op {
            Op::Input => seed(node.args[0] as usize),
            Op::Select => select(dag, node.args[0], of(1), of(2)),
            op => {
                let mut sum = None;
                for port in 0..op.arity() {
                    let Some(d) = of(port) else { continue };
                    let part = Slope::of(dag, id, port).and_then(|s| s.times(dag, d, false));
                    sum = plus(dag, sum, part);
                }
                sum
            }
        };
    }
    tangent
}

/// Backward chain rule: the adjoint of each node from those of its readers, from the last node to the first.
///
/// Where there are many, what readers contribute is added class by class, not in the order of the readers: where a formula is repeated
/// over many inputs, the sums of all of them are of one form then, and the machine computes them side by side.
///
/// `guarded`: as if all of it stood in a branch.
fn pull(dag: &mut Dag, mut adjoint: Vec<Option<Id>>, guarded: bool) -> Vec<Option<Id>> {
    let in_branch = match guarded {
        true => vec![true; adjoint.len()],
        false => in_branches(dag, adjoint.len()),
    };
    let mut classes = Classes::default();
    // Of each node the last of its contributions, and of each contribution the one before.
    let mut last: Vec<u32> = vec![NONE; adjoint.len()];
    let mut contributions: Vec<(Id, u32)> = Vec::new();
    let mut own: Vec<Id> = Vec::new();
    for id in (0..adjoint.len()).rev() {
        own.clear();
        let mut at = last[id];
        while let Some(&(part, before)) = contributions.get(at as usize) {
            own.push(part);
            at = before;
        }
        own.reverse();
        if MANY <= own.len() {
            classes.follow(dag);
            own.sort_by_key(|&part| classes.of[part as usize]); // stable
        }
        for &part in &own {
            adjoint[id] = plus(dag, adjoint[id], Some(part));
        }
        let Some(d) = adjoint[id] else { continue };
        let node = dag.nodes[id];
        for port in 0..node.op.arity() {
            let at = node.args[port] as usize;
            if dag.nodes[at].op == Op::Const {
                continue;
            }
            if let Some(part) = contribution(dag, id, port, d, in_branch[id]) {
                contributions.push((part, last[at]));
                last[at] = contributions.len() as u32 - 1;
            }
        }
    }
    adjoint
}

const NONE: u32 = u32::MAX;
/// Contributions from which on their order is worth the classes: few come in the same order anyway where a formula is repeated.
const MANY: usize = 8;

/// Nodes that do the same to operands of the same classes are of one class; all inputs are, and all constants.
#[derive(Default)]
struct Classes {
    of: Vec<u32>,
    known: HashMap<(Op, [u32; 3]), u32, Mixed>,
}

impl Classes {
    /// Takes in the nodes that are new.
    fn follow(&mut self, dag: &Dag) {
        for node in &dag.nodes[self.of.len()..] {
            let mut from = [NONE; 3];
            from.iter_mut().zip(node.operands()).for_each(|(c, &a)| *c = self.of[a as usize]);
            if node.op.commutes() {
                from[..2].sort_unstable();
            }
            let next = self.known.len() as u32;
            self.of.push(*self.known.entry((node.op, from)).or_insert(next));
        }
    }
}

impl Tape {
    /// The forward chain rule: (x, dx) ↦ (y, dy) with dy = J(x)·dx. 2·n inputs, 2·m outputs.
    #[must_use]
    pub fn forward(&self) -> Tape {
        let mut b = Builder::over(self);
        let last = b.dag.nodes.len();
        let seeds: Vec<Id> = (0..self.inputs).map(|_| b.dag.input()).collect();
        let tangent = push(&mut b.dag, last, |input| seeds.get(input).copied());
        let zero = b.dag.constant(0.0);
        let directions = self.outputs.iter().map(|&y| tangent[y as usize].unwrap_or(zero));
        let outputs: Vec<Id> = self.outputs.iter().copied().chain(directions).collect();
        b.finish(&outputs)
    }

    /// The backward chain rule: (x, dy) ↦ (y, dx) with dx = dyᵀ·J(x). n + m inputs, m + n outputs.
    #[must_use]
    pub fn reverse(&self) -> Tape {
        self.pulled(false)
    }

    /// [`Tape::reverse`], in which a cotangent of 0 stays 0 whatever the slopes are: of a tape whose outputs go into branches elsewhere.
    pub(super) fn reverse_guarded(&self) -> Tape {
        self.pulled(true)
    }

    fn pulled(&self, guarded: bool) -> Tape {
        let mut b = Builder::over(self);
        let last = b.dag.nodes.len();
        let seeds: Vec<Id> = self.outputs.iter().map(|_| b.dag.input()).collect();
        let mut adjoint = vec![None; last];
        for (&y, &seed) in self.outputs.iter().zip(&seeds) {
            adjoint[y as usize] = plus(&mut b.dag, adjoint[y as usize], Some(seed));
        }
        let adjoint = pull(&mut b.dag, adjoint, guarded);
        let slopes = b.of_inputs(self, &adjoint);
        let outputs: Vec<Id> = self.outputs.iter().copied().chain(slopes).collect();
        b.finish(&outputs)
    }

    /// The gradient of a tape with one output: x ↦ (y, dy/dx for the inputs in `wrt`). Nothing is computed for the others.
    ///
    /// # Errors
    /// `Invalid` if the tape has not one output, or not these inputs.
    pub fn gradient(&self, wrt: Range<usize>) -> Result<Tape> {
        let &[y] = &self.outputs[..] else {
            let what = format!("of {} outputs, not one", self.outputs.len());
            return Err(Error::invalid("gradient", what));
        };
        if wrt.end < wrt.start || self.inputs < wrt.end {
            let what = format!("with respect to inputs {wrt:?} of {}", self.inputs);
            return Err(Error::invalid("gradient", what));
        }
        let mut b = Builder::over(self);
        let mut adjoint = vec![None; b.dag.nodes.len()];
        adjoint[y as usize] = Some(b.dag.constant(1.0));
        let adjoint = pull(&mut b.dag, adjoint, false);
        let slopes = b.of_inputs(self, &adjoint);
        let outputs: Vec<Id> = std::iter::once(y).chain(slopes[wrt].iter().copied()).collect();
        Ok(b.finish(&outputs))
    }

    /// The Jacobian: x ↦ its entries that are not 0 everywhere, row by row, and where they stand.
    ///
    /// All columns are pushed forward together, or all rows pulled back, whichever are fewer; a structural zero costs nothing either way.
    #[must_use]
    pub fn jacobian(&self) -> (Tape, Pattern) {
        let (tape, pattern) = self.entries(false);
        (tape, pattern)
    }

    /// x ↦ (y, the entries of the Jacobian), in one tape that computes once what both need; see [`Tape::jacobian`].
    #[must_use]
    pub fn value_and_jacobian(&self) -> (Tape, Pattern) {
        self.entries(true)
    }

    fn entries(&self, with_values: bool) -> (Tape, Pattern) {
        let (n, m) = (self.inputs, self.outputs.len());
        let mut b = Builder::over(self);
        let mut found: Vec<((usize, usize), Id)> = Vec::new();
        if n <= m {
            let columns = push_columns(&mut b.dag, self.nodes.len(), n);
            for (row, &y) in self.outputs.iter().enumerate() {
                let entries = columns.of(y).iter();
                found.extend(entries.map(|&(column, d)| ((row, column as usize), d)));
            }
        } else {
            let rows = pull_rows(&mut b.dag, self.nodes.len(), &self.outputs);
            for (id, node) in self.nodes.iter().enumerate().filter(|(_, x)| x.op == Op::Input) {
                let entries = rows.of(id as Id).iter();
                found.extend(entries.map(|&(row, d)| ((row as usize, node.args[0] as usize), d)));
            }
            found.sort_unstable();
        }
        let (places, entries): (Vec<_>, Vec<Id>) = found.into_iter().unzip();
        let values = self.outputs.iter().copied().take(if with_values { m } else { 0 });
        let outputs: Vec<Id> = values.chain(entries).collect();
        (b.finish(&outputs), Pattern::new(m, n, places))
    }

    /// The Hessian of Σ λᵢ·yᵢ: (x, λ) ↦ its lower triangle's entries that are not 0 everywhere, row by row, and where they stand.
    #[must_use]
    pub fn hessian(&self) -> (Tape, Pattern) {
        let (n, m) = (self.inputs, self.outputs.len());
        let whole = self.reverse();
        // Without the values, whose chains no second derivative needs.
        let reverse = Builder::over(&whole).finish(&whole.outputs[m..]);
        let mut b = Builder::over(&reverse);
        let columns = push_columns(&mut b.dag, reverse.nodes.len(), n);
        let mut found: Vec<((usize, usize), Id)> = Vec::new();
        for row in 0..n {
            let entries = columns.of(reverse.outputs[row]).iter();
            let lower = entries.filter(|(column, _)| *column as usize <= row);
            found.extend(lower.map(|&(column, d)| ((row, column as usize), d)));
        }
        let (places, ids): (Vec<_>, Vec<Id>) = found.into_iter().unzip();
        (b.finish(&ids), Pattern::new(n, n, places))
    }

    /// The same tape with these outputs only, in this order; what they do not need is left out.
    ///
    /// # Errors
    /// `Invalid` for an output that is not there.
    pub fn outputs_only(&self, outputs: &[usize]) -> Result<Tape> {
        let ids: Result<Vec<Id>> = outputs
            .iter()
            .map(|&i| {
                let what = || format!("output {i} of {}", self.outputs.len());
                self.outputs.get(i).copied().ok_or_else(|| Error::invalid("outputs_only", what()))
            })
            .collect();
        Ok(Builder::over(self).finish(&ids?))
    }
}
