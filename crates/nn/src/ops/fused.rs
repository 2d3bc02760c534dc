//! A kernel beside the formula that it computes: values come from the kernel, derivatives of its derivative from the formula.
//!
//! The kernel does in few passes over memory what the formula does in many. A first derivative has a kernel of its own; its
//! derivatives, wanted by second order and above, are those of the formula, which the graph differentiates. The law tests hold
//! kernel and formula against each other.

use std::sync::Arc;

use candle_core::Tensor;
use pullback_core_graph::primitive::{Slots, Values};
use pullback_core_graph::tensor::{Real, all_finite, from_vec, with_slices};
use pullback_core_graph::{Error, Function, Primitive, Result, Seen, Var, Wrt, with_real};

use super::slices::check_alike;
use crate::kernel::matrix::Element;

/// Outputs with their shapes.
pub(super) struct Made<T> {
    outputs: Vec<(Vec<T>, Vec<usize>)>,
    /// Has the kernel seen that all are finite?
    finite: bool,
}

impl<T> From<Vec<(Vec<T>, Vec<usize>)>> for Made<T> {
    fn from(outputs: Vec<(Vec<T>, Vec<usize>)>) -> Self {
        Made { outputs, finite: false }
    }
}

impl<T: Real> Made<T> {
    /// With a long output that was seen, and others that are short.
    pub(super) fn seen(
        seen: Seen<T>,
        dims: &[usize],
        others: impl IntoIterator<Item = (Vec<T>, Vec<usize>)>,
    ) -> Self {
        let mut outputs = vec![(seen.values, dims.to_vec())];
        outputs.extend(others);
        let finite = seen.finite && outputs[1..].iter().all(|(values, _)| all_finite(values));
        Made { outputs, finite }
    }
}

/// Loops over slices for either element type.
pub(super) trait FusedKernel: Send + Sync + 'static {
    /// The outputs with their shapes. The slices have the shapes that the caller of [`Fused`] gave.
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>>;

    /// As [`Primitive::sees`].
    fn sees(&self, i: usize, inputs: usize) -> bool {
        let (_, _) = (i, inputs);
        false
    }
}

/// dx of the first inputs from (x, y, dy), where dy is that of the first output.
pub(super) type Rule =
    dyn for<'g> Fn(&[Var<'g>], &[Var<'g>], Var<'g>) -> Result<Slots<'g>> + Send + Sync;

/// The primitive of a kernel and its formula.
pub(super) struct Fused<K> {
    pub(super) name: &'static str,
    pub(super) kernel: K,
    /// From the first inputs, those that carry derivatives, to the first outputs. Further inputs are what another kernel saved,
    /// further outputs what this one saves.
    pub(super) formula: Arc<dyn Function>,
    pub(super) carried: usize,
    pub(super) results: usize,
    /// The backward chain rule for a cotangent of the first output alone; without it, the formula's.
    pub(super) gradient: Option<Box<Rule>>,
}

impl<K: FusedKernel> Primitive for Fused<K> {
    fn name(&self) -> &str {
        self.name
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        check_alike(self.name, x)?;
        let first = x.first().ok_or_else(|| Error::invalid(self.name, "needs an input"))?;
        with_real!(self.name, first.dtype(), T => {
            let made = with_slices::<T, _>(x, |x| self.kernel.run::<T>(x))??;
            let tensors = made.outputs.into_iter().map(|(data, dims)| from_vec(data, &dims, first.device()));
            Ok((tensors.collect::<Result<Values>>()?, made.finite))
        })
    }

    fn sees(&self, i: usize, x: &[&Tensor]) -> bool {
        self.kernel.sees(i, x.len())
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, y.len());
        let given: Vec<bool> = dx[..self.carried].iter().map(Option::is_some).collect();
        if !given.contains(&true) {
            return Ok(out);
        }
        let along = dx[..self.carried].iter().copied().flatten();
        let known = x[..self.carried].iter().chain(&y[..self.results]).copied();
        let inputs: Vec<Var<'g>> = known.chain(along).collect();
        let dy = x[0].graph().apply(&self.formula.tangent(Wrt(&given))?, &inputs)?;
        out.iter_mut().zip(dy).for_each(|(out, d)| *out = Some(d));
        Ok(out)
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, x.len());
        let needs: Vec<bool> = (0..self.carried).map(|i| wrt.needs(i)).collect();
        let dy = &dy[..self.results];
        if !needs.contains(&true) || dy.iter().all(Option::is_none) {
            return Ok(out);
        }
        if let (Some(rule), Some(first)) = (&self.gradient, dy[0])
            && dy[1..].iter().all(Option::is_none)
        {
            let dx = rule(x, y, first)?;
            for (i, d) in dx.into_iter().enumerate().filter(|(i, _)| wrt.needs(*i)) {
                out[i] = d;
            }
            return Ok(out);
        }
        let dense = y.iter().zip(dy).map(|(y, d)| d.unwrap_or_else(|| y.zeros_like()));
        let known = x[..self.carried].iter().chain(&y[..self.results]).copied();
        let inputs: Vec<Var<'g>> = known.chain(dense).collect();
        let dx = x[0].graph().apply(&self.formula.adjoint(Wrt(&needs))?, &inputs)?;
        let wanted = (0..self.carried).filter(|&i| needs[i]);
        wanted.zip(dx).for_each(|(i, d)| out[i] = Some(d));
        Ok(out)
    }
}
