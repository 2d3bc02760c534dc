//! Tapes of derivatives: the two chain rules, written as instructions.

use super::dag::{Dag, Id};
use super::op::Op;
use super::{Builder, Tape};
use crate::sparsity::Pattern;

/// Sum of two contributions, of which each may be a structural zero.
fn plus(dag: &mut Dag, a: Option<Id>, b: Option<Id>) -> Option<Id> {
    match (a, b) {
        (Some(a), Some(b)) => Some(dag.two(Op::Add, a, b)),
        (one, None) | (None, one) => one,
    }
}

/// A product; a constant 0 is a structural zero.
fn times(dag: &mut Dag, a: Id, b: Id) -> Option<Id> {
    let product = dag.two(Op::Mul, a, b);
    (dag.known(product) != Some(0.0)).then_some(product)
}

/// Forward chain rule: the tangent of each of the first `last` nodes from those of the inputs.
fn push(dag: &mut Dag, last: usize, seed: impl Fn(usize) -> Option<Id>) -> Vec<Option<Id>> {
    let mut tangent: Vec<Option<Id>> = vec![None; last];
    for id in 0..last {
        let node = dag.nodes[id];
        if node.op == Op::Input {
            tangent[id] = seed(node.args[0] as usize);
            continue;
        }
        for port in 0..node.op.arity() {
            let Some(d) = tangent[node.args[port] as usize] else { continue };
            if let Some(partial) = node.op.partial(dag, port, node.args, id as Id) {
                let part = times(dag, partial, d);
                tangent[id] = plus(dag, tangent[id], part);
            }
        }
    }
    tangent
}

/// Backward chain rule: adds the adjoint of each node to those of its operands, from the last node to the first.
fn pull(dag: &mut Dag, mut adjoint: Vec<Option<Id>>) -> Vec<Option<Id>> {
    for id in (0..adjoint.len()).rev() {
        let Some(d) = adjoint[id] else { continue };
        let node = dag.nodes[id];
        for port in 0..node.op.arity() {
            let at = node.args[port] as usize;
            if dag.nodes[at].op == Op::Const {
                continue;
            }
            if let Some(partial) = node.op.partial(dag, port, node.args, id as Id) {
                let part = times(dag, partial, d);
                adjoint[at] = plus(dag, adjoint[at], part);
            }
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

    /// The Jacobian: x ↦ its entries that are not 0 everywhere, and where they stand.
    ///
    /// Written column by column (forward) or row by row (backward), whichever has fewer; a structural zero costs nothing either way.
    #[must_use]
    pub fn jacobian(&self) -> (Tape, Pattern) {
        let mut b = Builder::over(self);
        let last = b.dag.nodes.len();
        let one = b.dag.constant(1.0);
        let mut found: Vec<((usize, usize), Id)> = Vec::new();
        if self.inputs <= self.outputs.len() {
            for column in 0..self.inputs {
                let tangent = push(&mut b.dag, last, |input| (input == column).then_some(one));
                let entries = self.outputs.iter().enumerate();
                found.extend(
                    entries.filter_map(|(row, &y)| Some(((row, column), tangent[y as usize]?))),
                );
            }
        } else {
            for (row, &y) in self.outputs.iter().enumerate() {
                let mut adjoint = vec![None; y as usize + 1];
                adjoint[y as usize] = Some(one);
                let adjoint = pull(&mut b.dag, adjoint);
                let slopes =
                    self.nodes.iter().zip(&adjoint).filter(|(node, _)| node.op == Op::Input);
                found.extend(
                    slopes.filter_map(|(node, d)| Some(((row, node.args[0] as usize), (*d)?))),
                );
            }
        }
        found.sort_unstable();
        let (places, ids): (Vec<_>, Vec<Id>) = found.into_iter().unzip();
        let tape = b.finish(&ids);
        (tape, Pattern::new(self.outputs.len(), self.inputs, places))
    }

    /// The Hessian of Σ λᵢ·yᵢ: (x, λ) ↦ its lower triangle's entries that are not 0 everywhere, and where they stand.
    #[must_use]
    pub fn hessian(&self) -> (Tape, Pattern) {
        let reverse = self.reverse();
        let (n, m) = (self.inputs, self.outputs.len());
        let mut b = Builder::over(&reverse);
        let last = b.dag.nodes.len();
        let one = b.dag.constant(1.0);
        let mut found: Vec<((usize, usize), Id)> = Vec::new();
        for column in 0..n {
            let tangent = push(&mut b.dag, last, |input| (input == column).then_some(one));
            for row in column..n {
                let slope = reverse.outputs[m + row];
                found.extend(tangent[slope as usize].map(|d| ((row, column), d)));
            }
        }
        found.sort_unstable();
        let (places, ids): (Vec<_>, Vec<Id>) = found.into_iter().unzip();
        (b.finish(&ids), Pattern::new(n, n, places))
    }
}
