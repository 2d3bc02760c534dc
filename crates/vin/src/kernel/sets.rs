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
    [batch, actions, cells]: [usize; 3],
    logits: &[T],
    sets: &[u8],
) -> Result<(f64, usize)> {
    let labelled = check([batch, actions, cells], logits, sets)?;
    let parts: Vec<f64> = logits
        .par_chunks(actions * cells)
        .zip(sets.par_chunks(cells))
        .map(|(z, sets)| {
            let mut sum = 0.0;
            for (i, &set) in sets.iter().enumerate().filter(|(_, s)| **s != 0) {
                let at = |a: usize| z[a * cells + i].wide();
                let top = (0..actions).map(at).fold(f64::NEG_INFINITY, f64::max);
                let (mut all, mut right) = (0.0, 0.0);
                for a in 0..actions {
                    let e = (at(a) - top).exp();
                    all += e;
                    right += if set >> a & 1 == 1 { e } else { 0.0 };
                }
                sum += match right > 0.0 {
                    true => (all / right).ln(),
                    // All right logits far below: their own shift.
                    false => all.ln() + top - log_sum(actions, set, at),
                };
            }
            sum
        })
        .collect();
    Ok((parts.iter().sum::<f64>() / labelled as f64, labelled))
}

fn log_sum(actions: usize, set: u8, at: impl Fn(usize) -> f64) -> f64 {
    let right = || (0..actions).filter(|a| set >> a & 1 == 1).map(&at);
    let top = right().fold(f64::NEG_INFINITY, f64::max);
    top + right().map(|z| (z - top).exp()).sum::<f64>().ln()
}

/// The gradient of [`set_cross_entropy`] times `scale`.
///
/// # Errors
/// As there.
pub fn set_cross_entropy_gradient<T: Real>(
    [batch, actions, cells]: [usize; 3],
    logits: &[T],
    sets: &[u8],
    scale: f64,
) -> Result<Vec<T>> {
    let labelled = check([batch, actions, cells], logits, sets)?;
    let scale = scale / labelled as f64;
    let mut out = vec![T::default(); logits.len()];
    out.par_chunks_mut(actions * cells)
        .zip(logits.par_chunks(actions * cells))
        .zip(sets.par_chunks(cells))
        .for_each(|((out, z), sets)| {
            for (i, &set) in sets.iter().enumerate().filter(|(_, s)| **s != 0) {
                let at = |a: usize| z[a * cells + i].wide();
                let hits = |a: usize| set >> a & 1 == 1;
                let top = (0..actions).map(at).fold(f64::NEG_INFINITY, f64::max);
                let high =
                    (0..actions).filter(|&a| hits(a)).map(at).fold(f64::NEG_INFINITY, f64::max);
                let (mut all, mut right) = ([0.0; 8], [0.0; 8]);
                for a in 0..actions {
                    all[a] = (at(a) - top).exp();
                    right[a] = if hits(a) { (at(a) - high).exp() } else { 0.0 };
                }
                let sums = [all.iter().sum::<f64>(), right.iter().sum::<f64>()];
                for a in 0..actions {
                    out[a * cells + i] = T::of(scale * (all[a] / sums[0] - right[a] / sums[1]));
                }
            }
        });
    Ok(out)
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
            format!("set {:#b} at {i}, with {actions} actions", sets[i]),
        ));
    }
    match sets.iter().filter(|s| **s != 0).count() {
        0 => Err(Error::invalid(NODE, "no cell has a label")),
        labelled => Ok(labelled),
    }
}
