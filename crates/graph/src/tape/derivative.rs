//! Tapes of derivatives: the two chain rules, written as instructions.

use std::ops::Range;

use super::dag::{Dag, Id};
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

/// A slope times a derivative; a constant 0 is a structural zero. Where the slope may be infinite or not a number, a derivative of 0
/// stays 0.
pub(super) fn times(dag: &mut Dag, guarded: bool, slope: Id, d: Id) -> Option<Id> {
    let product = match guarded {
        true => dag.two(Op::GuardedMul, d, slope),
        false => dag.two(Op::Mul, slope, d),
    };
    (dag.known(product) != Some(0.0)).then_some(product)
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

/// The contribution of node `id` with adjoint `d` to its operand `port`. In a branch of a `select` every slope is guarded: it may be
/// anything where the branch is not taken.
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
        (op, _) => {
            let slope = op.partial(dag, port, node.args, id as Id)?;
            times(dag, in_branch || op.is_singular(), slope, d)
        }
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
                    if let Some(slope) = op.partial(dag, port, node.args, id as Id) {
                        let part = times(dag, op.is_singular(), slope, d);
                        sum = plus(dag, sum, part);
                    }
                }
                sum
            }
        };
    }
    tangent
}

/// Backward chain rule: adds the adjoint of each node to those of its operands, from the last node to the first.
fn pull(dag: &mut Dag, mut adjoint: Vec<Option<Id>>) -> Vec<Option<Id>> {
    let in_branch = in_branches(dag, adjoint.len());
    for id in (0..adjoint.len()).rev() {
        let Some(d) = adjoint[id] else { continue };
        let node = dag.nodes[id];
        for port in 0..node.op.arity() {
            let at = node.args[port] as usize;
            if dag.nodes[at].op == Op::Const {
                continue;
            }
            let part = contribution(dag, id, port, d, in_branch[id]);
            adjoint[at] = plus(dag, adjoint[at], part);
        }
    }
    adjoint
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
        let mut b = Builder::over(self);
        let last = b.dag.nodes.len();
        let seeds: Vec<Id> = self.outputs.iter().map(|_| b.dag.input()).collect();
        let mut adjoint = vec![None; last];
        for (&y, &seed) in self.outputs.iter().zip(&seeds) {
            adjoint[y as usize] = plus(&mut b.dag, adjoint[y as usize], Some(seed));
        }
        let adjoint = pull(&mut b.dag, adjoint);
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
        let adjoint = pull(&mut b.dag, adjoint);
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
        let reverse = self.reverse();
        let (n, m) = (self.inputs, self.outputs.len());
        let mut b = Builder::over(&reverse);
        let columns = push_columns(&mut b.dag, reverse.nodes.len(), n);
        let mut found: Vec<((usize, usize), Id)> = Vec::new();
        for row in 0..n {
            let entries = columns.of(reverse.outputs[m + row]).iter();
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
