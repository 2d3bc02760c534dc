//! Cross entropy over a whole map, where several actions may be right in a cell.

use rayon::prelude::*;

use super::Real;
use crate::error::check_len;
use crate::{Error, Result};

const NODE: &str = "cross entropy of sets";

/// Mean over the labelled cells of −ln Σ_{a ∈ set} softmax(z)ₐ, and how many there are. Logits are (batch, actions, cells), `sets` (batch, cells) has a bit for
/// each right action, 0 for a cell without a label.
///
/// # Errors
/// Slices of another length, more than 8 actions, a bit without an action, no labelled cell.
pub fn set_cross_entropy<T: Real>(
    sizes: [usize; 3],
    logits: &[T],
    sets: &[u8],
) -> Result<(f64, usize)> {
    let [_, actions, cells] = sizes;
    let labelled = check(sizes, logits, sets)?;
    let parts: Vec<f64> = logits
        .par_chunks(actions * cells)
        .zip(sets.par_chunks(cells))
        .map(|(z, sets)| {
            let labelled = sets.iter().enumerate().filter(|(_, set)| **set != 0);
            labelled.map(|(i, &set)| Cell::of(z, [actions, cells], i, set).loss()).sum()
        })
        .collect();
    Ok((parts.iter().sum::<f64>() / labelled as f64, labelled))
}

/// [`set_cross_entropy`] and its gradient times `scale`, in one pass.
///
/// # Errors
/// As there.
pub fn set_cross_entropy_gradient<T: Real>(
    sizes: [usize; 3],
    logits: &[T],
    sets: &[u8],
    scale: f64,
) -> Result<(f64, Vec<T>)> {
    let [_, actions, cells] = sizes;
    let labelled = check(sizes, logits, sets)? as f64;
    let mut out = vec![T::default(); logits.len()];
    let parts: Vec<f64> = out
        .par_chunks_mut(actions * cells)
        .zip(logits.par_chunks(actions * cells))
        .zip(sets.par_chunks(cells))
        .map(|((out, z), sets)| {
            let mut sum = 0.0;
            for (i, &set) in sets.iter().enumerate().filter(|(_, set)| **set != 0) {
                let cell = Cell::of(z, [actions, cells], i, set);
                sum += cell.loss();
                for a in 0..actions {
                    out[a * cells + i] = T::of(scale / labelled * cell.slope(a));
                }
            }
            sum
        })
        .collect();
    Ok((parts.iter().sum::<f64>() / labelled, out))
}

/// The exponentials of one cell's logits.
struct Cell {
    set: u8,
    /// exp(z − max z), and their sum.
    all: ([f64; 8], f64),
    /// Those of the right actions, by their own maximum where all of them are 0 by the other.
    right: ([f64; 8], f64),
    /// By how much the maximum of the right ones is lower, where it is the shift.
    lower: f64,
}

impl Cell {
    #[inline]
    fn of<T: Real>(z: &[T], [actions, cells]: [usize; 2], i: usize, set: u8) -> Self {
        let at = |a: usize| z[a * cells + i];
        let hits = |a: usize| set >> a & 1 == 1;
        let top = (1..actions).fold(at(0), |top, a| if at(a) > top { at(a) } else { top });
        let mut all = ([0.0; 8], 0.0);
        for a in 0..actions {
            all.0[a] = (at(a) - top).exponential().wide();
            all.1 += all.0[a];
        }
        let (mut right, mut lower) = (([0.0; 8], 0.0), 0.0);
        for a in (0..actions).filter(|&a| hits(a)) {
            right.0[a] = all.0[a];
            right.1 += all.0[a];
        }
        // Too small to divide by: all right logits are far below.
        if right.1 < 1e-30 {
            let high = (0..actions).filter(|&a| hits(a)).map(at);
            let high = high.fold(T::LOWEST, |high, z| if z > high { z } else { high });
            (right, lower) = (([0.0; 8], 0.0), (top - high).wide());
            for a in (0..actions).filter(|&a| hits(a)) {
                right.0[a] = (at(a) - high).exponential().wide();
                right.1 += right.0[a];
            }
        }
        Self { set, all, right, lower }
    }

    fn loss(&self) -> f64 {
        (self.all.1 / self.right.1).ln() + self.lower
    }

    fn slope(&self, a: usize) -> f64 {
        let right = if self.set >> a & 1 == 1 { self.right.0[a] / self.right.1 } else { 0.0 };
        self.all.0[a] / self.all.1 - right
    }
}

fn check<T>([batch, actions, cells]: [usize; 3], logits: &[T], sets: &[u8]) -> Result<usize> {
    if actions == 0 || actions > 8 {
        return Err(Error::invalid(NODE, format!("{actions} actions, must be 1 to 8")));
    }
    check_len(NODE, "logits", logits.len(), batch * actions * cells)?;
    check_len(NODE, "sets", sets.len(), batch * cells)?;
    if let Some(i) = sets.iter().position(|s| usize::from(*s) >> actions != 0) {
        return Err(Error::invalid(
            NODE,
            format!("the set {:#b} at {i} has an action beyond the {actions}", sets[i]),
        ));
    }
    match sets.iter().filter(|s| **s != 0).count() {
        0 => Err(Error::invalid(NODE, "no cell has a label")),
        labelled => Ok(labelled),
    }
}
