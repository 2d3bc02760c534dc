//! Any function of a network, swept by pushes and pulls of its linear map with prepared directions.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Direction, Function, Wrt};

use super::{Coloring, Pattern, Source};
use crate::{Error, Result};

/// A function at points that differ in the inputs marked in `wrt`, as one vector; what its outputs are is known.
#[derive(Clone)]
pub(super) struct Flat {
    function: Arc<dyn Function>,
    point: Vec<Tensor>,
    wrt: Vec<bool>,
    /// Numbers in all marked inputs, and in all outputs.
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    shapes: Vec<Tensor>,
}

/// The directions of a colouring, and where the entries stand.
#[derive(Clone)]
pub(super) struct Pushes {
    pub(super) flat: Flat,
    pushes: Vec<Direction>,
    pulls: Vec<Direction>,
    /// (entry, colour, row) and (entry, colour, column)
    pushed: Vec<[usize; 3]>,
    pulled: Vec<[usize; 3]>,
}

/// Numbers as tensors of the same shapes, types and devices.
fn tensors<'a>(
    like: impl Iterator<Item = (&'a Tensor, bool)>,
    numbers: &[f64],
) -> Result<Direction> {
    let mut at = 0;
    let mut tensors = Vec::new();
    for (like, wanted) in like {
        if !wanted {
            tensors.push(None);
            continue;
        }
        let own = numbers[at..at + like.elem_count()].to_vec();
        at += own.len();
        let exact = from_vec(own, like.dims(), like.device())?;
        let cast =
            if like.dtype() == DType::F64 { Ok(exact) } else { exact.to_dtype(like.dtype()) };
        tensors.push(Some(cast.map_err(pullback_core_graph::Error::from)?));
    }
    Ok(tensors)
}

/// Tensors as numbers, zeros where there is none. They are checked: a function's map may be a user's.
fn numbers(name: &str, like: &[&Tensor], given: &[Option<Tensor>]) -> Result<Vec<f64>> {
    if like.len() != given.len() {
        let what = format!("{} tensors came where there are {}", given.len(), like.len());
        return Err(Error::invalid(name, what));
    }
    let mut numbers = Vec::new();
    for (like, given) in like.iter().zip(given) {
        match given {
            Some(t) if t.dims() != like.dims() || t.dtype() != like.dtype() => {
                let (t, like) = ((t.dims(), t.dtype()), (like.dims(), like.dtype()));
                return Err(Error::invalid(name, format!("{t:?} came where {like:?} belongs")));
            }
            Some(t) => numbers.extend(to_f64(t)?),
            None => numbers.resize(numbers.len() + like.elem_count(), 0.0),
        }
    }
    Ok(numbers)
}

impl Flat {
    pub(super) fn new(function: Arc<dyn Function>, point: &[Tensor], wrt: Wrt<'_>) -> Result<Self> {
        let wrt: Vec<bool> = (0..point.len()).map(|i| wrt.needs(i)).collect();
        let shapes = function.eval(point)?;
        let count = |t: &[&Tensor]| t.iter().map(|t| t.elem_count()).sum();
        let marked: Vec<&Tensor> =
            point.iter().zip(&wrt).filter(|(_, w)| **w).map(|(t, _)| t).collect();
        let inputs = count(&marked);
        let outputs = count(&shapes.iter().collect::<Vec<_>>());
        Ok(Flat { function, point: point.to_vec(), wrt, inputs, outputs, shapes })
    }

    fn marked(&self) -> impl Iterator<Item = (&Tensor, bool)> {
        self.point.iter().zip(self.wrt.iter().copied())
    }

    /// Does the pattern fit?
    pub(super) fn check(&self, pattern: &Pattern) -> Result<()> {
        let (m, n) = (self.outputs, self.inputs);
        if (pattern.rows(), pattern.columns()) == (m, n) {
            return Ok(());
        }
        let what = format!("a pattern of {}×{} for {m}×{n}", pattern.rows(), pattern.columns());
        Err(Error::invalid(self.function.name(), what))
    }
}

impl Pushes {
    /// `first`: the output at which the matrix's first row stands.
    pub(super) fn new(
        flat: Flat,
        pattern: &Pattern,
        coloring: &Coloring,
        first: usize,
        sources: &[Source],
    ) -> Result<Self> {
        let unit = |n: usize, of: &dyn Fn(usize) -> Option<usize>, color: usize| -> Vec<f64> {
            (0..n).map(|i| if of(i) == Some(color) { 1.0 } else { 0.0 }).collect()
        };
        let pushes = (0..coloring.pushes())
            .map(|c| {
                tensors(flat.marked(), &unit(pattern.columns(), &|j| coloring.of_column(j), c))
            })
            .collect::<Result<_>>()?;
        let outputs = || flat.shapes.iter().map(|t| (t, true));
        let pulls = (0..coloring.pulls())
            .map(|c| tensors(outputs(), &unit(pattern.rows(), &|i| coloring.of_row(i), c)))
            .collect::<Result<_>>()?;
        let (mut pushed, mut pulled) = (Vec::new(), Vec::new());
        for (entry, &source) in sources.iter().enumerate() {
            match source {
                Source::Push { color, row } => pushed.push([entry, color, first + row]),
                Source::Pull { color, column } => pulled.push([entry, color, column]),
            }
        }
        Ok(Pushes { flat, pushes, pulls, pushed, pulled })
    }

    /// The values at x, and the entries.
    pub(super) fn run(&self, x: &[f64], y: &mut [f64], entries: &mut [f64]) -> Result<()> {
        let flat = &self.flat;
        let moved = tensors(flat.marked(), x)?;
        let point: Vec<Tensor> = moved
            .into_iter()
            .zip(&flat.point)
            .map(|(t, old)| t.unwrap_or_else(|| old.clone()))
            .collect();
        let (values, map) = flat.function.linearize(&point, Wrt(&flat.wrt))?;
        let name = flat.function.name();
        let outputs: Vec<&Tensor> = flat.shapes.iter().collect();
        let values = numbers(name, &outputs, &values.into_iter().map(Some).collect::<Vec<_>>())?;
        super::sweep::length("outputs", y.len(), values.len())?;
        if let Some(output) = values.iter().position(|v| !v.is_finite()) {
            let value = values[output];
            let cause = String::new();
            return Err(Error::OutputNotFinite { output, sample: 0, value, cause });
        }
        y.copy_from_slice(&values);
        // What a map gives back is checked: it may be a user's.
        let read = |from: Vec<Vec<f64>>, places: &[[usize; 3]], entries: &mut [f64]| {
            for &[entry, color, at] in places {
                let derivative = from.get(color).and_then(|numbers| numbers.get(at));
                let &value = derivative.ok_or_else(|| {
                    let what = format!("its map gave no number {at} in direction {color}");
                    Error::invalid(name, what)
                })?;
                if !value.is_finite() {
                    let what = format!("its map gave {value} for number {at} in direction {color}");
                    return Err(Error::invalid(name, what));
                }
                entries[entry] = value;
            }
            Ok(())
        };
        if !self.pushed.is_empty() {
            let out = map.push_many(&self.pushes)?;
            let out = out.iter().map(|d| numbers(name, &outputs, d)).collect::<Result<_>>()?;
            read(out, &self.pushed, entries)?;
        }
        if !self.pulled.is_empty() {
            let out = map.pull_many(&self.pulls)?;
            let marked: Vec<&Tensor> = flat.point.iter().collect();
            let out: Vec<Vec<f64>> = out
                .into_iter()
                .map(|d| {
                    if d.len() != marked.len() {
                        let what = format!("{} derivatives of {} inputs", d.len(), marked.len());
                        return Err(Error::invalid(name, what));
                    }
                    let own = d.into_iter().zip(&flat.wrt).zip(&marked).filter(|((_, w), _)| **w);
                    let (own, like): (Direction, Vec<&Tensor>) =
                        own.map(|((d, _), like)| (d, *like)).unzip();
                    numbers(name, &like, &own)
                })
                .collect::<Result<_>>()?;
            read(out, &self.pulled, entries)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Pushes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pushes({})", self.flat.function.name())
    }
}
