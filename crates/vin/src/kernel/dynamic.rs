//! The loop of a DT-VIN (Wang and others 2025): Q(s, a) = Σ over the 3×3 neighbours of T(s, a, ·)·(r + V), V = max Q, with kernels T of every cell.
//!
//! Composed of single operations, each iteration keeps the nine neighbours of every cell, the product and Q; here the tape is V and one byte.

use rayon::prelude::*;

use super::{LoopTape, Real};
use crate::error::{check_len, check_room};
use crate::lanes::vectorized;
use crate::{Error, Result};

const NODE: &str = "dynamic iteration loop";
/// Neighbours of a cell, itself among them.
const TAPS: usize = 9;

/// Sizes of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicShape {
    /// Maps.
    pub batch: usize,
    /// Actions, at most 255.
    pub actions: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// K ≥ 1.
    pub iterations: usize,
}

impl DynamicShape {
    fn cells(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in the values of all iterations and in the kernels of every cell, if they can be counted.
    fn counted(&self) -> Option<usize> {
        let cells = self.batch.checked_mul(self.height)?.checked_mul(self.width)?;
        cells.checked_mul(self.actions)?.checked_mul(TAPS)?;
        cells.checked_mul(self.iterations)
    }

    fn check_tape<T>(&self, tape: &LoopTape<T>) -> Result<()> {
        let len = self.batch * self.iterations * self.cells();
        check_len(NODE, "tape", tape.values.len(), len)?;
        check_len(NODE, "tape", tape.winners.len(), len)
    }

    fn check<T>(&self, kernels: &[T], r: &[T], stages: &[usize]) -> Result<()> {
        let Self { batch, actions, height, width, iterations } = *self;
        let rising = stages.windows(2).all(|w| w[0] < w[1]);
        let within = stages.iter().all(|n| (1..=iterations).contains(n)) && !stages.is_empty();
        let positive = batch > 0 && height > 0 && width > 0 && iterations > 0;
        if !positive || actions == 0 || actions > 255 || !rising || !within {
            let what = format!(
                "{self:?}, stages {stages:?}: sizes must be > 0, actions at most 255, stages rise from 1 to K"
            );
            return Err(Error::invalid(NODE, what));
        }
        let what = format!("the tape of {iterations} iterations");
        check_room::<T>(NODE, &what, self.counted())?;
        check_len(NODE, "T", kernels.len(), batch * actions * TAPS * self.cells())?;
        check_len(NODE, "r", r.len(), batch * self.cells())
    }
}

/// A plane with a border of one cell.
struct Bordered {
    height: usize,
    width: usize,
}

impl Bordered {
    fn zeros<T: Real>(&self) -> Vec<T> {
        vec![T::default(); (self.height + 2) * (self.width + 2)]
    }

    /// Where the neighbours `tap` of row y begin.
    fn row(&self, y: usize, tap: usize) -> usize {
        (y + tap / 3) * (self.width + 2) + tap % 3
    }
}

/// to += a·b, number by number.
#[inline(always)]
fn add_product<T: Real>(to: &mut [T], a: &[T], b: &[T]) {
    let n = to.len();
    let (a, b) = (&a[..n], &b[..n]);
    for i in 0..n {
        to[i] += a[i] * b[i];
    }
}

/// Q after each of the stages, (batch, actions, height, width) each, and the tape. T is (batch, actions, 9, height, width), r (batch, height, width); V begins at
/// 0, and off the map r + V is 0.
///
/// # Errors
/// Sizes outside their domain, slices of another length, stages that do not rise or are not among 1 to K.
pub fn dynamic_forward<T: Real>(
    shape: DynamicShape,
    (kernels, r): (&[T], &[T]),
    stages: &[usize],
) -> Result<(Vec<Vec<T>>, LoopTape<T>)> {
    shape.check(kernels, r, stages)?;
    let (cells, k, a) = (shape.cells(), shape.iterations, shape.actions);
    let mut values = vec![T::default(); shape.batch * k * cells];
    let mut winners = vec![0u8; shape.batch * k * cells];
    let each: Vec<Vec<T>> = values
        .par_chunks_mut(k * cells)
        .zip(winners.par_chunks_mut(k * cells))
        .zip(kernels.par_chunks(a * TAPS * cells))
        .zip(r.par_chunks(cells))
        .map(|(((values, winners), kernels), r)| {
            let mut kept = Vec::with_capacity(stages.len() * a * cells);
            vectorized(
                #[inline(always)]
                || forward(&shape, (kernels, r), stages, (&mut *values, &mut *winners), &mut kept),
            );
            kept
        })
        .collect();
    let stage = |s: usize| {
        let part = |kept: &Vec<T>| kept[s * a * cells..(s + 1) * a * cells].to_vec();
        each.iter().flat_map(part).collect()
    };
    Ok(((0..stages.len()).map(stage).collect(), LoopTape { values, winners }))
}

#[inline(always)]
fn forward<T: Real>(
    shape: &DynamicShape,
    (kernels, r): (&[T], &[T]),
    stages: &[usize],
    (values, winners): (&mut [T], &mut [u8]),
    kept: &mut Vec<T>,
) {
    let (width, cells) = (shape.width, shape.cells());
    let plane = Bordered { height: shape.height, width };
    let mut x = plane.zeros::<T>();
    let mut q = vec![T::default(); shape.actions * cells];
    for n in 1..=shape.iterations {
        for y in 0..shape.height {
            let from = plane.row(y, 4);
            let row = &mut x[from..from + width];
            row.copy_from_slice(&r[y * width..(y + 1) * width]);
            if n > 1 {
                let before = &values[(n - 2) * cells + y * width..][..width];
                row.iter_mut().zip(before).for_each(|(x, v)| *x += *v);
            }
        }
        q.fill(T::default());
        for (row, q) in q.chunks_exact_mut(width).enumerate() {
            let (action, y) = (row / shape.height, row % shape.height);
            for tap in 0..TAPS {
                let t = &kernels[(action * TAPS + tap) * cells + y * width..][..width];
                add_product(q, t, &x[plane.row(y, tap)..]);
            }
        }
        let (v, won) = (&mut values[(n - 1) * cells..n * cells], &mut winners[(n - 1) * cells..]);
        v.copy_from_slice(&q[..cells]);
        for (action, q) in q.chunks_exact(cells).enumerate().skip(1) {
            for i in 0..cells {
                if q[i] > v[i] {
                    (v[i], won[i]) = (q[i], action as u8);
                }
            }
        }
        if stages.contains(&n) {
            kept.extend_from_slice(&q);
        }
    }
}

/// dL/dT and dL/dr from dL/dQ of each stage; an empty slice stands for zeros.
///
/// # Errors
/// As [`dynamic_forward`]; cotangents or a tape of another length.
pub fn dynamic_backward<T: Real>(
    shape: DynamicShape,
    (kernels, r): (&[T], &[T]),
    stages: &[usize],
    tape: &LoopTape<T>,
    dq: &[&[T]],
) -> Result<[Vec<T>; 2]> {
    shape.check(kernels, r, stages)?;
    let (cells, k, a) = (shape.cells(), shape.iterations, shape.actions);
    check_len(NODE, "dQ", dq.len(), stages.len())?;
    for dq in dq.iter().filter(|dq| !dq.is_empty()) {
        check_len(NODE, "dQ of a stage", dq.len(), shape.batch * a * cells)?;
    }
    shape.check_tape(tape)?;
    let mut dt = vec![T::default(); kernels.len()];
    let mut dr = vec![T::default(); r.len()];
    dt.par_chunks_mut(a * TAPS * cells)
        .zip(dr.par_chunks_mut(cells))
        .zip(kernels.par_chunks(a * TAPS * cells))
        .zip(r.par_chunks(cells))
        .zip(tape.values.par_chunks(k * cells).zip(tape.winners.par_chunks(k * cells)))
        .enumerate()
        .for_each(|(item, ((((dt, dr), kernels), r), tape))| {
            let of = |dq: &&[T]| -> Vec<T> {
                dq.get(item * a * cells..(item + 1) * a * cells).unwrap_or(&[]).to_vec()
            };
            let dq: Vec<Vec<T>> = dq.iter().map(of).collect();
            vectorized(
                #[inline(always)]
                || backward(&shape, (kernels, r), (stages, &dq), tape, dt, dr),
            );
        });
    Ok([dt, dr])
}

#[inline(always)]
fn backward<T: Real>(
    shape: &DynamicShape,
    (kernels, r): (&[T], &[T]),
    (stages, dq): (&[usize], &[Vec<T>]),
    (values, winners): (&[T], &[u8]),
    dt: &mut [T],
    dr: &mut [T],
) {
    let (width, cells) = (shape.width, shape.cells());
    let plane = Bordered { height: shape.height, width };
    let (mut x, mut dx) = (plane.zeros::<T>(), plane.zeros::<T>());
    let mut dv = vec![T::default(); cells];
    let mut g = vec![T::default(); shape.actions * cells];
    for n in (1..=shape.iterations).rev() {
        g.fill(T::default());
        let given = stages.iter().position(|s| *s == n).map(|s| &dq[s]);
        if let Some(dq) = given.filter(|dq| !dq.is_empty()) {
            g.copy_from_slice(dq);
        }
        for (i, (dv, won)) in dv.iter().zip(&winners[(n - 1) * cells..n * cells]).enumerate() {
            g[usize::from(*won) * cells + i] += *dv;
        }
        for y in 0..shape.height {
            let from = plane.row(y, 4);
            let row = &mut x[from..from + width];
            row.copy_from_slice(&r[y * width..(y + 1) * width]);
            if n > 1 {
                let before = &values[(n - 2) * cells + y * width..][..width];
                row.iter_mut().zip(before).for_each(|(x, v)| *x += *v);
            }
        }
        dx.fill(T::default());
        for (row, g) in g.chunks_exact(width).enumerate() {
            if g.iter().all(|g| *g == T::default()) {
                continue;
            }
            let (action, y) = (row / shape.height, row % shape.height);
            for tap in 0..TAPS {
                let at = (action * TAPS + tap) * cells + y * width..;
                let from = plane.row(y, tap);
                add_product(&mut dt[at.clone()][..width], g, &x[from..]);
                add_product(&mut dx[from..from + width], g, &kernels[at]);
            }
        }
        for y in 0..shape.height {
            let from = plane.row(y, 4);
            let row = &dx[from..from + width];
            dv[y * width..(y + 1) * width].copy_from_slice(row);
            dr[y * width..(y + 1) * width].iter_mut().zip(row).for_each(|(dr, d)| *dr += *d);
        }
    }
}

/// dQ of each stage from dT and dr: the forward chain rule.
///
/// # Errors
/// As [`dynamic_backward`].
pub fn dynamic_push<T: Real>(
    shape: DynamicShape,
    (kernels, r): (&[T], &[T]),
    stages: &[usize],
    tape: &LoopTape<T>,
    (dt, dr): (&[T], &[T]),
) -> Result<Vec<Vec<T>>> {
    shape.check(kernels, r, stages)?;
    shape.check(dt, dr, stages)?;
    shape.check_tape(tape)?;
    let (cells, k, a) = (shape.cells(), shape.iterations, shape.actions);
    let (h, width) = (shape.height, shape.width);
    let mut out = vec![vec![T::default(); shape.batch * a * cells]; stages.len()];
    // A plain loop: nothing calls this often.
    for item in 0..shape.batch {
        let own = item * cells..(item + 1) * cells;
        let (r, dr) = (&r[own.clone()], &dr[own]);
        let mut dv = vec![T::default(); cells];
        for n in 1..=k {
            let from = (item * k + n - 1) * cells;
            let (x, dx): (Vec<T>, Vec<T>) = (0..cells)
                .map(|i| {
                    let v = if n > 1 { tape.values[from - cells + i] } else { T::default() };
                    (r[i] + v, dr[i] + dv[i])
                })
                .unzip();
            let mut dq = vec![T::default(); a * cells];
            for (j, dq) in dq.iter_mut().enumerate() {
                let (action, i) = (j / cells, j % cells);
                for tap in 0..TAPS {
                    let y = (i / width + tap / 3).checked_sub(1).filter(|y| *y < h);
                    let z = (i % width + tap % 3).checked_sub(1).filter(|z| *z < width);
                    if let (Some(y), Some(z)) = (y, z) {
                        let t = ((item * a + action) * TAPS + tap) * cells + i;
                        let s = y * width + z;
                        *dq += dt[t] * x[s] + kernels[t] * dx[s];
                    }
                }
            }
            let won = &tape.winners[from..from + cells];
            dv = won.iter().enumerate().map(|(i, w)| dq[usize::from(*w) * cells + i]).collect();
            if let Some(s) = stages.iter().position(|s| *s == n) {
                out[s][item * a * cells..(item + 1) * a * cells].copy_from_slice(&dq);
            }
        }
    }
    Ok(out)
}
