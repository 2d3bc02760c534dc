//! Several parameter tensors as one vector.

use std::ops::Range;

use pullback_core_graph::Phase;
use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::{ensure_finite, from_vec, is_real, to_f64};

use super::operator::{check_finite, check_length};
use crate::direction::{Spec, count};
use crate::{Error, Result};

/// How parameter tensors lie end to end in one vector of f64: shapes and element types, row-major, in their order.
#[derive(Debug, Clone)]
pub struct Parameters {
    tensors: Vec<Spec>,
    starts: Vec<usize>,
}

impl Parameters {
    /// The layout of these tensors. Errors: none of them; an element type other than f32 and f64.
    pub fn of(tensors: &[Tensor]) -> Result<Self> {
        if tensors.is_empty() {
            return Err(Error::invalid("parameters", "no tensor"));
        }
        let mut starts = vec![0];
        for (i, t) in tensors.iter().enumerate() {
            if !is_real(t) {
                let what = format!("tensor {i} is {:?}; f32 or f64 is needed", t.dtype());
                return Err(Error::invalid("parameters", what));
            }
            starts.push(starts[i] + t.elem_count());
        }
        Ok(Parameters { tensors: Spec::all(tensors), starts })
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// No number at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tensors there are.
    pub fn count(&self) -> usize {
        self.tensors.len()
    }

    /// The shape of a tensor; empty beyond the last.
    pub fn dims(&self, tensor: usize) -> &[usize] {
        self.tensors.get(tensor).map_or(&[], |at| &at.dims)
    }

    /// Where a tensor's numbers lie in the vector; empty beyond the last.
    pub fn range(&self, tensor: usize) -> Range<usize> {
        match self.starts.get(tensor..) {
            Some(&[from, to, ..]) => from..to,
            _ => 0..0,
        }
    }

    /// Tensors to vector. Errors: not these shapes.
    pub fn ravel(&self, tensors: &[Tensor]) -> Result<Vec<f64>> {
        check_length("parameter tensors", self.count(), tensors.len())?;
        let mut out = Vec::with_capacity(self.len());
        for (i, (t, Spec { dims, .. })) in tensors.iter().zip(&self.tensors).enumerate() {
            if t.dims() != dims {
                let what = format!("tensor {i} has the shape {:?}, not {dims:?}", t.dims());
                return Err(Error::invalid("parameters", what));
            }
            out.extend(to_f64(t)?);
        }
        Ok(out)
    }

    /// Vector to tensors, each in its element type. Errors: another length; a number that is not finite, or not in that type: the tensor's
    /// place is the error's port.
    pub fn unravel(&self, x: &[f64]) -> Result<Vec<Tensor>> {
        check_length("parameters", self.len(), x.len())?;
        (0..self.count()).map(|i| self.tensor(i, &x[self.range(i)])).collect()
    }

    /// What a linear map gave for each of the tensors, to one vector: 0 where it gave none.
    ///
    /// Errors, under the map's name: not one slot for each tensor; another shape, element type or device than the tensor's; not finite.
    pub(super) fn gathered(&self, node: &str, slots: &[Option<Tensor>]) -> Result<Vec<f64>> {
        count(node, "derivatives", self.count(), slots.len())?;
        let mut out = vec![0.0; self.len()];
        for (i, (slot, at)) in slots.iter().zip(&self.tensors).enumerate() {
            if let Some(t) = slot {
                at.check(node, "a derivative like its parameter (derivative, parameter)", t)?;
                out[self.range(i)].copy_from_slice(&to_f64(t)?);
            }
        }
        check_finite(node, "component of the derivative", &out)?;
        Ok(out)
    }

    /// One tensor from its numbers.
    pub(super) fn tensor(&self, i: usize, x: &[f64]) -> Result<Tensor> {
        let Spec { dims, dtype, device } = &self.tensors[i];
        let made = match dtype {
            DType::F32 => from_vec(x.iter().map(|&x| x as f32).collect::<Vec<f32>>(), dims, device),
            _ => from_vec(x.to_vec(), dims, device),
        };
        let made = made?;
        ensure_finite(&made, "parameters", Phase::Eval, i)?;
        Ok(made)
    }

    /// The coarsest rounding among the element types.
    pub(super) fn precision(&self) -> f64 {
        let single = self.tensors.iter().any(|at| at.dtype == DType::F32);
        if single { f64::from(f32::EPSILON) } else { f64::EPSILON }
    }
}
