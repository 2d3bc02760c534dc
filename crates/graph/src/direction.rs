//! Directions of tensors that are stacked along their first axis: checked, sliced, summed, stacked.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{ensure_finite, from_vec, is_real, with_slice};
use pullback_core_graph::{Error, Phase, Result};

/// What a direction at a tensor must look like.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) dims: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) device: Device,
}

impl Spec {
    pub(crate) fn of(t: &Tensor) -> Self {
        Spec { dims: t.dims().to_vec(), dtype: t.dtype(), device: t.device().clone() }
    }

    pub(crate) fn all(t: &[Tensor]) -> Vec<Self> {
        t.iter().map(Spec::of).collect()
    }

    /// Has `t` this shape, element type and device?
    pub(crate) fn check(&self, node: &str, what: &str, t: &Tensor) -> Result<()> {
        if t.dims() != self.dims {
            return Err(Error::shape(node, what, &[t.dims(), &self.dims]));
        }
        if t.dtype() != self.dtype {
            let what = "of another element type than it should be (it, what it should be)";
            return Err(Error::DType { node: node.into(), what, got: vec![t.dtype(), self.dtype] });
        }
        if !t.device().same_device(&self.device) {
            let got = vec![t.device().location(), self.device.location()];
            return Err(Error::Device { node: node.into(), got });
        }
        Ok(())
    }
}

/// One slot for each point, each of its shape, element type and device, and finite.
pub(crate) fn check(
    node: &str,
    phase: Phase,
    direction: &[Option<Tensor>],
    at: &[Spec],
) -> Result<()> {
    let what = if phase == Phase::Push { "input directions" } else { "output cotangents" };
    count(node, what, at.len(), direction.len())?;
    for (port, (d, at)) in direction.iter().zip(at).enumerate() {
        if let Some(d) = d {
            at.check(node, "a direction has the shape of its variable (direction, variable)", d)?;
            ensure_finite(d, node, phase, port)?;
        }
    }
    Ok(())
}

/// So many, no more and no fewer.
pub(crate) fn count(node: &str, what: &'static str, expected: usize, got: usize) -> Result<()> {
    match expected == got {
        true => Ok(()),
        false => Err(Error::Arity { node: node.into(), what, expected, got }),
    }
}

/// Structural zeros in every slot?
pub(crate) fn nothing(d: &[Option<Tensor>]) -> bool {
    d.iter().all(Option::is_none)
}

/// A sum that grows in the order of the calls.
pub(crate) fn accumulate(into: &mut Option<Tensor>, t: Tensor) -> Result<()> {
    *into = Some(match into.take() {
        None => t,
        Some(have) => (&have + &t)?,
    });
    Ok(())
}

/// Element `i` of the first axis.
pub(crate) fn element(t: &Tensor, i: usize) -> Result<Tensor> {
    Ok(t.narrow(0, i, 1)?.squeeze(0)?)
}

/// The error of a function inside a node, under the name of its place.
pub(crate) fn inside(place: &str, function: &str, e: Error) -> Error {
    e.renamed(|inner| {
        let own = inner.strip_prefix(function).and_then(|rest| rest.strip_prefix('/'));
        match own.unwrap_or(inner) {
            "" | "tensor" => place.to_string(),
            inner if inner == function => place.to_string(),
            inner => format!("{place}/{inner}"),
        }
    })
}

/// Tensors of one shape that come one at a time, in any order, to be stacked along a new first axis. Rows that never come are 0.
pub(crate) struct Stack {
    rows: usize,
    row: Option<Spec>,
    data: Data,
}

enum Data {
    Nothing,
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Stack {
    pub(crate) fn new(rows: usize) -> Self {
        Stack { rows, row: None, data: Data::Nothing }
    }

    /// Puts a row. Errors: another shape, element type or device than the first that came; no memory; integers.
    pub(crate) fn set(&mut self, node: &str, what: &str, row: usize, t: &Tensor) -> Result<()> {
        if let Some(first) = &self.row {
            first.check(node, what, t)?;
        } else {
            if !is_real(t) {
                let what = "what is stacked needs f32 or f64";
                return Err(Error::DType { node: node.into(), what, got: vec![t.dtype()] });
            }
            let n = t.elem_count().checked_mul(self.rows);
            let room =
                || Error::shape(node, format!("no memory for {} rows", self.rows), &[t.dims()]);
            let n = n.ok_or_else(room)?;
            self.data = match t.dtype() {
                DType::F32 => Data::Single(zeros(n).ok_or_else(room)?),
                _ => Data::Double(zeros(n).ok_or_else(room)?),
            };
            self.row = Some(Spec::of(t));
        }
        let at = row * t.elem_count();
        match &mut self.data {
            Data::Nothing => Ok(()),
            Data::Single(data) => {
                with_slice::<f32, _>(t, |t| data[at..at + t.len()].copy_from_slice(t))
            }
            Data::Double(data) => {
                with_slice::<f64, _>(t, |t| data[at..at + t.len()].copy_from_slice(t))
            }
        }
    }

    /// The stack; `None` if nothing came.
    pub(crate) fn finish(self) -> Result<Option<Tensor>> {
        let Some(row) = self.row else { return Ok(None) };
        let dims: Vec<usize> = std::iter::once(self.rows).chain(row.dims).collect();
        match self.data {
            Data::Nothing => Ok(None),
            Data::Single(data) => from_vec(data, &dims, &row.device).map(Some),
            Data::Double(data) => from_vec(data, &dims, &row.device).map(Some),
        }
    }
}

fn zeros<T: Clone + Default>(n: usize) -> Option<Vec<T>> {
    let mut data = Vec::new();
    data.try_reserve_exact(n).ok()?;
    data.resize(n, T::default());
    Some(data)
}
