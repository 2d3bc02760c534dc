//! Jacobians of tapes as the bench asks for them: by recording dual numbers, and by a plan.

use anyhow::Result;
use pullback_graph::sparsity::{JacobianPlan, Pattern, PlanOptions};
use pullback_graph::{Dual, Expr, Tape};
use std::ops::Range;

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

/// Values and sparse Jacobian.
pub(crate) struct Sparse {
    plan: JacobianPlan,
    outputs: usize,
}

impl Sparse {
    /// What a user prepares once: the plan, and what its first evaluation makes.
    pub(crate) fn prepare(tape: &Tape) -> Result<Self> {
        let plan = JacobianPlan::new(tape, PlanOptions::default())?;
        Ok(Sparse { plan, outputs: tape.outputs() })
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        self.plan.pattern()
    }

    pub(crate) fn instructions(&self) -> usize {
        self.plan.instructions()
    }

    /// `y`: the values, then the entries of the Jacobian by rows.
    pub(crate) fn run(&mut self, x: &[f64], y: &mut [f64]) -> Result<()> {
        let (values, entries) = y.split_at_mut(self.outputs);
        Ok(self.plan.value_and_jacobian(x, values, entries)?)
    }
}
