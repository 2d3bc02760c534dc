//! Sweeps over all states.

use rayon::prelude::*;

use super::{Settings, Solution, Status};
use crate::process::{Backup, Process, Prospects};

/// V, and which states keep theirs.
pub(super) struct State {
    pub(super) values: Vec<f64>,
    pub(super) held: Vec<bool>,
}

/// The end of an iteration.
pub(super) struct Ended {
    pub(super) values: Vec<f64>,
    pub(super) iterations: usize,
    pub(super) residual: f64,
    pub(super) converged: bool,
    pub(super) bound: Option<f64>,
    /// The values have no limit.
    pub(super) diverged: bool,
}

impl Ended {
    pub(super) fn into_solution<P: Process + ?Sized>(
        self,
        process: &P,
        settings: &Settings,
        prospects: Prospects,
    ) -> Solution {
        let discount = process.discount();
        let valued = |s: usize| prospects.is_valued(s, discount);
        let grown = self.diverged
            || (0..self.values.len()).any(|s| valued(s) && !self.values[s].is_finite());
        let (iterations, residual) = (self.iterations, self.residual);
        let status = match (grown, self.converged) {
            (true, _) => Status::Diverged { iterations },
            (_, true) => Status::Solved,
            _ => Status::NotConverged { iterations, residual },
        };
        let (values, bound, backup) = (self.values, self.bound, settings.backup);
        Solution { values, status, iterations, residual, bound, backup, prospects }
    }
}

/// The least and the largest V′ − V of the free states; 0 is among them if a state is held, for its value does not change.
pub(super) fn changes(before: &[f64], after: &[f64], held: &[bool]) -> [f64; 2] {
    let start = || [f64::INFINITY, f64::NEG_INFINITY];
    let join = |a: [f64; 2], b: [f64; 2]| [a[0].min(b[0]), a[1].max(b[1])];
    const CHUNK: usize = 1 << 14;
    let part = |((before, after), held): ((&[f64], &[f64]), &[bool])| {
        let mut range = start();
        for ((b, a), held) in before.iter().zip(after).zip(held) {
            let change = if *held { 0.0 } else { a - b };
            range = join(range, [change; 2]);
            if change.is_nan() {
                return [f64::NEG_INFINITY, f64::INFINITY];
            }
        }
        range
    };
    if before.len() <= CHUNK {
        return part(((before, after), held));
    }
    before
        .par_chunks(CHUNK)
        .zip(after.par_chunks(CHUNK))
        .zip(held.par_chunks(CHUNK))
        .map(part)
        .reduce(start, join)
}

/// ‖change‖∞.
pub(super) fn size([low, high]: [f64; 2]) -> f64 {
    low.abs().max(high.abs())
}

/// γ times the largest row sum of P: T contracts by it in the largest norm.
pub(super) fn modulus<P: Process + ?Sized>(process: &P) -> f64 {
    process.discount() * process.row_sums()[1].max(1.0)
}

/// What remains after a change of this size: β/(1 − β)·‖V′ − V‖∞ with the modulus β; unknown with β ≥ 1.
pub(super) fn bound(modulus: f64, residual: f64) -> Option<f64> {
    (modulus < 1.0).then(|| modulus / (1.0 - modulus) * residual)
}

/// The largest change that keeps the promise.
pub(super) fn threshold(modulus: f64, tolerance: f64) -> f64 {
    if modulus < 1.0 { tolerance * (1.0 - modulus) / modulus } else { tolerance }
}

/// What rounding may leave of a Q whose parts have this size and of which so many are added up, in units of that size: errors of single additions are
/// as good as random, so that of their sum grows by the root (Higham and Mary 2019).
pub(super) fn rounding_of(parts: usize) -> f64 {
    4.0 * f64::EPSILON * (4.0 + (parts as f64).sqrt())
}

/// A change that rounding alone can make to the free values: no iteration gets below it for sure.
pub(super) fn rounding<P: Process + ?Sized>(process: &P, values: &[f64], held: &[bool]) -> f64 {
    let free = || (0..values.len()).into_par_iter().filter(|&s| !held[s]);
    let parts = |s: usize| {
        let most = (0..process.actions()).map(|a| {
            let mut count = 0;
            process.successors(s, a, &mut |_, _| count += 1);
            count
        });
        most.max().unwrap_or(0)
    };
    let largest = free().map(|s| values[s].abs()).reduce(|| 0.0, f64::max);
    rounding_of(free().map(parts).max().unwrap_or(0)) * largest
}

/// Tells when sweeps of a contraction get no nearer, so that a promise below what rounding leaves does not keep them going for ever. Without a contraction a
/// small change proves nothing.
pub(super) struct Stall {
    modulus: f64,
    best: f64,
    /// Sweeps since the change was halved; without rounding it shrinks by 1/e in 1/(1 − modulus) of them.
    since: usize,
}

impl Stall {
    pub(super) fn new(modulus: f64) -> Self {
        Self { modulus, best: f64::INFINITY, since: 0 }
    }

    /// Whether the last sweep, of this change, is one of rounding.
    pub(super) fn seen<P: Process + ?Sized>(
        &mut self,
        change: f64,
        process: &P,
        (values, held): (&[f64], &[bool]),
    ) -> bool {
        if change <= 0.5 * self.best {
            (self.best, self.since) = (change, 0);
            return false;
        }
        self.since += 1;
        let late = self.since as f64 * (1.0 - self.modulus) > 1.0;
        late && change <= rounding(process, values, held)
    }
}

/// V ← T(V) until the bounds of MacQueen are close: V′ + γ/(1−γ)·min(V′ − V) ≤ V* ≤ V′ + γ/(1−γ)·max(V′ − V). They want rows of sum 1: what a row lacks is an
/// end of value 0, which does not change; with longer rows there is the bound of the modulus only.
pub(super) fn jacobi<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    State { mut values, held }: State,
) -> Ended {
    let (modulus, [least, most]) = (modulus(process), process.row_sums());
    let mut next = values.clone();
    let (mut iterations, mut residual) = (0, 0.0);
    let (mut converged, mut left) = (false, None);
    let mut stall = Stall::new(modulus);
    while iterations < settings.iterations {
        process.sweep(&values, &held, settings.backup, &mut next, None);
        iterations += 1;
        let [mut low, mut high] = changes(&values, &next, &held);
        std::mem::swap(&mut values, &mut next);
        residual = size([low, high]);
        if !residual.is_finite() {
            break;
        }
        if modulus < 1.0 {
            if most > 1.0 {
                [low, high] = [-residual, residual];
            } else if least < 1.0 {
                [low, high] = [low.min(0.0), high.max(0.0)];
            }
            let scale = modulus / (1.0 - modulus);
            let half = 0.5 * scale * (high - low);
            left = Some(half);
            if half <= settings.tolerance || stall.seen(high - low, process, (&values, &held)) {
                // The middle between the bounds.
                let shift = 0.5 * scale * (high + low);
                values.iter_mut().zip(&held).filter(|(_, h)| !**h).for_each(|(v, _)| *v += shift);
                converged = true;
                break;
            }
        } else if residual <= settings.tolerance {
            converged = true;
            break;
        }
    }
    Ended { values, iterations, residual, converged, bound: left, diverged: false }
}

/// V(s) ← backup of Q(s, ·), one state after the other, there and back in turns.
pub(super) fn gauss_seidel<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    state: State,
) -> Ended {
    let modulus = modulus(process);
    let limit = threshold(modulus, settings.tolerance);
    let free: Vec<usize> = (0..state.held.len()).filter(|&s| !state.held[s]).collect();
    let mut values = state.values;
    let (mut iterations, mut residual, mut converged) = (0, 0.0, false);
    let mut stall = Stall::new(modulus);
    while iterations < settings.iterations {
        residual = match iterations % 2 {
            0 => pass(process, settings.backup, free.iter().copied(), &mut values),
            _ => pass(process, settings.backup, free.iter().rev().copied(), &mut values),
        };
        iterations += 1;
        if !residual.is_finite() {
            break;
        }
        if residual <= limit || stall.seen(residual, process, (&values, &state.held)) {
            converged = true;
            break;
        }
    }
    let bound = bound(modulus, residual);
    Ended { values, iterations, residual, converged, bound, diverged: false }
}

/// One pass in this order, in place; the largest change.
pub(super) fn pass<P: Process + ?Sized>(
    process: &P,
    backup: Backup,
    order: impl Iterator<Item = usize>,
    values: &mut [f64],
) -> f64 {
    let mut q = vec![0.0; process.actions()];
    let mut residual = 0.0f64;
    for s in order {
        process.action_values(s, values, &mut q);
        let value = backup.value(&q);
        let change = (value - values[s]).abs();
        // NaN would be lost by `max`.
        residual = if change.is_nan() { f64::INFINITY } else { residual.max(change) };
        values[s] = value;
    }
    residual
}
