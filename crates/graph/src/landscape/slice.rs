//! The loss along lines and over planes.

use std::fmt::Write;
use std::sync::Arc;

use pullback_core_graph::{Error as Network, Function};
use rayon::prelude::*;

use super::basis::add;
use super::curvature::scalar;
use super::operator::check_length;
use super::parameters::Parameters;
use crate::{Error, Result};

/// The loss along a line, θ(t) = center + t·direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// t.
    pub at: Vec<f64>,
    /// The loss there; `None` where it is not finite.
    pub loss: Vec<Option<f64>>,
}

/// The loss over a plane, θ(s, t) = center + s·first + t·second.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice2 {
    /// s.
    pub first: Vec<f64>,
    /// t.
    pub second: Vec<f64>,
    /// The loss, row by row: one row for each t, one column for each s; `None` where it is not finite.
    pub loss: Vec<Option<f64>>,
}

/// `points` numbers from `low` to `high`, equally spaced; the middle alone for one.
pub fn spaced(low: f64, high: f64, points: usize) -> Vec<f64> {
    if points == 1 {
        return vec![0.5 * (low + high)];
    }
    let last = points.saturating_sub(1) as f64;
    (0..points).map(|i| low * ((last - i as f64) / last) + high * (i as f64 / last)).collect()
}

/// The loss at points of parameter space, in parallel, in their order. A loss that is not finite is a gap; other errors are errors.
pub(super) fn losses(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    points: usize,
    at: impl Fn(usize) -> Vec<f64> + Sync,
) -> Result<Vec<Option<f64>>> {
    let one = |i: usize| -> Result<Option<f64>> {
        let values = match layout.unravel(&at(i)).and_then(|x| Ok(loss.eval(&x)?)) {
            Err(Error::Network(Network::NotFinite { .. })) => return Ok(None),
            other => other?,
        };
        let all = pullback_core_graph::tensor::to_f64(&scalar(values, loss.name())?)?;
        check_length("elements of a loss", 1, all.len())?;
        Ok(Some(all[0]).filter(|x| x.is_finite()))
    };
    let all: Vec<Result<Option<f64>>> = (0..points).into_par_iter().map(one).collect();
    all.into_iter().collect()
}

/// The loss at center + t·direction for each t. Errors: other lengths; those of the loss, but not that it is not finite.
pub fn slice(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    center: &[f64],
    direction: &[f64],
    at: &[f64],
) -> Result<Slice> {
    check_length("center of a slice", layout.len(), center.len())?;
    check_length("direction of a slice", layout.len(), direction.len())?;
    let place = |i: usize| {
        let mut x = center.to_vec();
        add(at[i], direction, &mut x);
        x
    };
    Ok(Slice { at: at.to_vec(), loss: losses(loss, layout, at.len(), place)? })
}

/// The loss on the line from `a` (t = 0) to `b` (t = 1). Errors: as of [`slice()`].
pub fn interpolate(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    a: &[f64],
    b: &[f64],
    at: &[f64],
) -> Result<Slice> {
    check_length("end of a line", a.len(), b.len())?;
    let along: Vec<f64> = b.iter().zip(a).map(|(b, a)| b - a).collect();
    slice(loss, layout, a, &along, at)
}

/// The loss at center + s·d₁ + t·d₂ for each s and t. Errors: as of [`slice()`].
pub fn slice2(
    loss: &Arc<dyn Function>,
    layout: &Parameters,
    center: &[f64],
    directions: [&[f64]; 2],
    first: &[f64],
    second: &[f64],
) -> Result<Slice2> {
    check_length("center of a slice", layout.len(), center.len())?;
    for d in directions {
        check_length("direction of a slice", layout.len(), d.len())?;
    }
    let place = |i: usize| {
        let mut x = center.to_vec();
        add(first[i % first.len()], directions[0], &mut x);
        add(second[i / first.len()], directions[1], &mut x);
        x
    };
    let loss = losses(loss, layout, first.len() * second.len(), place)?;
    Ok(Slice2 { first: first.to_vec(), second: second.to_vec(), loss })
}

impl Slice {
    /// How far the loss rises above the straight line between its two ends, at most (Frankle et al. 2020); `None` with gaps at the ends.
    pub fn barrier(&self) -> Option<f64> {
        let (first, last) = ((*self.loss.first()?)?, (*self.loss.last()?)?);
        let (from, to) = (*self.at.first()?, *self.at.last()?);
        let above = self.at.iter().zip(&self.loss).filter_map(|(t, l)| {
            let share = if from == to { 0.0 } else { (t - from) / (to - from) };
            Some((*l)? - (first + share * (last - first)))
        });
        Some(above.fold(0.0, f64::max))
    }

    /// Points to draw; gaps are NaN.
    pub fn points(&self) -> Vec<[f64; 2]> {
        self.at.iter().zip(&self.loss).map(|(t, l)| [*t, l.unwrap_or(f64::NAN)]).collect()
    }

    /// `t,loss`, one line a point; nothing after the comma in gaps.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("t,loss\n");
        for (t, l) in self.at.iter().zip(&self.loss) {
            let _ = writeln!(out, "{t},{}", cell(*l));
        }
        out
    }
}

impl Slice2 {
    /// `s,t,loss`, one line a point; nothing after the last comma in gaps.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("s,t,loss\n");
        for (i, l) in self.loss.iter().enumerate() {
            let n = self.first.len();
            let _ = writeln!(out, "{},{},{}", self.first[i % n], self.second[i / n], cell(*l));
        }
        out
    }
}

fn cell(loss: Option<f64>) -> String {
    loss.map(|l| format!("{l:e}")).unwrap_or_default()
}
