//! How the bench asks tapes for derivatives: the one place that changes when the crate offers a shorter way.

use anyhow::Result;
use pullback_graph::sparsity::Pattern;
use pullback_graph::{Dual, Expr, Tape, Workspace};
use rayon::prelude::*;
use std::ops::Range;

/// Samples of one task of a sum.
const TASK: usize = 64;

/// x ↦ (y, J by rows) with the Jacobian with respect to the N inputs in `wrt`, by recording dual numbers.
pub(crate) fn with_jacobian<const N: usize>(
    inputs: usize,
    wrt: &Range<usize>,
    f: impl for<'r> FnOnce(&[Dual<Expr<'r>, N>]) -> Vec<Dual<Expr<'r>, N>>,
) -> Result<Tape> {
    let zero = pullback_graph::Real::lit(0.0);
    let tape = Tape::record(inputs, |x| {
        let seed = |(i, &value)| match i {
            i if wrt.contains(&i) => Dual::variable(value, i - wrt.start),
            _ => Dual { value, slopes: [zero; N] },
        };
        let x: Vec<_> = x.iter().enumerate().map(seed).collect();
        let y = f(&x);
        let values = y.iter().map(|y| y.value);
        values.chain(y.iter().flat_map(|y| y.slopes)).collect()
    })?;
    Ok(tape)
}

/// Values of all samples, of which the first inputs are `shared`; on rayon's threads.
pub(crate) fn run_shared(tape: &Tape, shared: &[f64], x: &[f64], y: &mut [f64]) -> Result<()> {
    let each = tape.inputs() - shared.len();
    let mut inputs = Vec::with_capacity(x.len() / each * tape.inputs());
    for x in x.chunks_exact(each) {
        inputs.extend_from_slice(shared);
        inputs.extend_from_slice(x);
    }
    Ok(tape.run_parallel(x.len() / each, &inputs, y)?)
}

/// Σ over samples of a tape's one output and of its derivatives with respect to its first inputs, which all samples share.
pub(crate) struct SharedGradient {
    reverse: Tape,
    shared: usize,
    each: usize,
}

impl SharedGradient {
    pub(crate) fn new(tape: &Tape, shared: usize) -> Self {
        SharedGradient { reverse: tape.reverse(), shared, each: tape.inputs() - shared }
    }

    pub(crate) fn tape(&self) -> &Tape {
        &self.reverse
    }

    /// `sums` receives Σ y, then Σ dy/dshared; tasks of fixed size, added in order.
    pub(crate) fn sum(&self, shared: &[f64], x: &[f64], sums: &mut [f64]) -> Result<()> {
        let (n, m) = (self.reverse.inputs(), self.reverse.outputs());
        let task = |x: &[f64]| -> Result<Vec<f64>> {
            let count = x.len() / self.each;
            let mut inputs = Vec::with_capacity(count * n);
            for x in x.chunks_exact(self.each) {
                inputs.extend_from_slice(shared);
                inputs.extend_from_slice(x);
                inputs.push(1.0);
            }
            let mut y = vec![0.0; count * m];
            self.reverse.run(count, &inputs, &mut y, &mut Workspace::new(&self.reverse))?;
            let mut sums = vec![0.0; 1 + self.shared];
            for y in y.chunks_exact(m) {
                sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += y);
            }
            Ok(sums)
        };
        let parts: Vec<Vec<f64>> =
            x.par_chunks(self.each * TASK).map(task).collect::<Result<_>>()?;
        sums.fill(0.0);
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, p)| *sum += p);
        }
        Ok(())
    }
}

/// Values and sparse Jacobian.
pub(crate) struct Sparse {
    values: Tape,
    jacobian: Tape,
    pub(crate) pattern: Pattern,
    spaces: [Workspace; 2],
}

impl Sparse {
    /// What a user prepares once.
    pub(crate) fn prepare(tape: &Tape) -> Self {
        let (jacobian, pattern) = tape.jacobian();
        let spaces = [Workspace::new(tape), Workspace::new(&jacobian)];
        Sparse { values: tape.clone(), jacobian, pattern, spaces }
    }

    pub(crate) fn instructions(&self) -> usize {
        self.values.len() + self.jacobian.len()
    }

    /// `y`: the values, then the entries of the Jacobian by rows.
    pub(crate) fn run(&mut self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let (values, entries) = y.split_at_mut(self.values.outputs());
        self.values.run(1, x, values, &mut self.spaces[0])?;
        Ok(self.jacobian.run(1, x, entries, &mut self.spaces[1])?)
    }
}

/// The lower triangle of the Hessian of a tape with one output.
pub(crate) struct SparseHessian {
    tape: Tape,
    pub(crate) pattern: Pattern,
    space: Workspace,
    x: Vec<f64>,
}

impl SparseHessian {
    pub(crate) fn prepare(tape: &Tape) -> Self {
        let (hessian, pattern) = tape.hessian();
        let x = vec![1.0; hessian.inputs()];
        SparseHessian { space: Workspace::new(&hessian), tape: hessian, pattern, x }
    }

    pub(crate) fn instructions(&self) -> usize {
        self.tape.len()
    }

    pub(crate) fn run(&mut self, x: &[f64], y: &mut [f64]) -> Result<()> {
        self.x[..x.len()].copy_from_slice(x);
        Ok(self.tape.run(1, &self.x, y, &mut self.space)?)
    }
}
