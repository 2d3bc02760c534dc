//! The loop of MVProp (Nardelli and others 2019): v ← max(v, r + p·(the largest v of the 3×3 neighbours − r)), v = r at first.
//!
//! Composed of single operations, each iteration keeps the pooled plane, two differences, the product and v; here the tape is v and one byte. Where no cell
//! of a map rises any more, none ever will: the rest of the iterations costs nothing.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::plane::{LANES, Layout, window};
use super::{LoopTape, Real};
use crate::error::{check_len, check_room};
use crate::{Error, Result};

const NODE: &str = "maximum propagation loop";
/// The mark of a cell that keeps its v; the others name the neighbour that it came from, row by row.
const KEPT: u8 = 9;

/// Sizes of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropagationShape {
    /// Maps.
    pub batch: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// K ≥ 1.
    pub iterations: usize,
}

impl PropagationShape {
    fn cells(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in the values of all iterations, if they can be counted.
    fn counted(&self) -> Option<usize> {
        let cells = self.batch.checked_mul(self.height)?.checked_mul(self.width)?;
        cells.checked_mul(self.iterations)
    }

    fn check<T: Real>(&self, r: &[T], p: &[T]) -> Result<()> {
        let Self { batch, height, width, iterations } = *self;
        if batch == 0 || height == 0 || width == 0 || iterations == 0 {
            return Err(Error::invalid(NODE, format!("{self:?}: sizes must be > 0")));
        }
        let what = format!("the tape of {iterations} iterations");
        check_room::<T>(NODE, &what, self.counted())?;
        for (name, x) in [("r", r), ("p", p)] {
            check_len(NODE, name, x.len(), batch * self.cells())?;
            // A comparison with NaN is false: it would pass for a cell that keeps its v.
            if let Some(i) = x.iter().position(|x| !x.wide().is_finite()) {
                return Err(Error::invalid(NODE, format!("{name} is {:?} at {i}", x[i])));
            }
        }
        Ok(())
    }

    fn check_tape<T>(&self, tape: &LoopTape<T>) -> Result<()> {
        let len = self.batch * self.iterations * self.cells();
        check_len(NODE, "tape", tape.values.len(), len)?;
        check_len(NODE, "tape", tape.winners.len(), len)
    }

    /// The cell that a mark names, seen from cell i.
    fn neighbour(&self, i: usize, mark: u8) -> usize {
        let mark = usize::from(mark);
        // The mark of a neighbour on the map: neither sum is below 1.
        (i / self.width + mark / 3 - 1) * self.width + i % self.width + mark % 3 - 1
    }
}

/// v after K iterations, (batch, height, width), and the tape. r and p are (batch, height, width); there are no neighbours off the map.
///
/// # Errors
/// Sizes of 0, a tape that no memory holds, slices of another length, numbers that are not finite.
pub fn propagation_forward<T: Real>(
    shape: PropagationShape,
    r: &[T],
    p: &[T],
) -> Result<(Vec<T>, LoopTape<T>)> {
    shape.check(r, p)?;
    let (cells, k) = (shape.cells(), shape.iterations);
    let mut v = vec![T::default(); r.len()];
    let mut values = vec![T::default(); r.len() * k];
    let mut winners = vec![KEPT; r.len() * k];
    v.par_chunks_mut(cells)
        .zip(values.par_chunks_mut(k * cells))
        .zip(winners.par_chunks_mut(k * cells))
        .zip(r.par_chunks(cells).zip(p.par_chunks(cells)))
        .for_each(|(((v, values), winners), (r, p))| {
            Arch::new().dispatch(Forward { shape: &shape, r, p, out: (v, values, winners) });
        });
    Ok((v, LoopTape { values, winners }))
}

/// The forward loop of one sample.
struct Forward<'a, T> {
    shape: &'a PropagationShape,
    r: &'a [T],
    p: &'a [T],
    /// v at last, v after each iteration, where it came from.
    out: (&'a mut [T], &'a mut [T], &'a mut [u8]),
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { shape, r, p, out: (v, values, winners) } = self;
        let layout = Layout::new(shape.height, shape.width, 3);
        let (cells, lanes, minus) = (shape.cells(), T::lanes::<S>(), T::splat(simd, T::of(-1.0)));
        let dense = |x: &[T]| {
            let mut rows = vec![T::default(); layout.height * layout.span];
            let each = rows.chunks_exact_mut(layout.span).zip(x.chunks_exact(layout.width));
            each.for_each(|(to, x)| to[..layout.width].copy_from_slice(x));
            rows
        };
        let (r_rows, p_rows) = (dense(r), dense(p));
        // Off the map nothing is larger than anything.
        let mut now = vec![T::LOWEST; layout.len()];
        layout.load(r, &mut now);
        let mut next = now.clone();
        let (mut value, mut mark) = ([T::default(); LANES], [T::default(); LANES]);
        for k in 0..shape.iterations {
            let (values, winners) =
                (&mut values[k * cells..][..cells], &mut winners[k * cells..][..cells]);
            let mut changed = false;
            for y in 0..layout.height {
                for x in (0..layout.width).step_by(lanes) {
                    let seen = window::<S, T, 3>(&now, y * layout.stride + x, layout.stride);
                    let mut best = (seen[0][0], T::splat(simd, T::default()));
                    for tap in 1..9u8 {
                        let other = seen[usize::from(tap / 3)][usize::from(tap % 3)];
                        best = T::greater(simd, (other, T::splat(simd, T::of_byte(tap))), best);
                    }
                    let from = y * layout.span + x;
                    let own = T::load::<S>(&r_rows[from..]);
                    let above = T::multiply_add(simd, minus, own, best.0);
                    let reached = T::multiply_add(simd, T::load::<S>(&p_rows[from..]), above, own);
                    let kept = (seen[1][1], T::splat(simd, T::of_byte(KEPT)));
                    let last = T::greater(simd, (reached, best.1), kept);
                    let (count, to) = (lanes.min(layout.width - x), y * layout.width + x);
                    T::store::<S>(last.0, &mut value);
                    T::store::<S>(last.1, &mut mark);
                    next[layout.row(y) + x..][..count].copy_from_slice(&value[..count]);
                    values[to..to + count].copy_from_slice(&value[..count]);
                    for (winner, mark) in winners[to..to + count].iter_mut().zip(&mark) {
                        *winner = mark.byte();
                        changed |= *winner != KEPT;
                    }
                }
            }
            std::mem::swap(&mut now, &mut next);
            if !changed {
                break;
            }
        }
        for (y, row) in v.chunks_exact_mut(layout.width).enumerate() {
            row.copy_from_slice(&now[layout.row(y)..][..layout.width]);
        }
    }
}

/// Sweeps of one sample's tape that changed something: (v before, v's origins), first to last.
fn sweeps<'a, T>(
    shape: &PropagationShape,
    r: &'a [T],
    (values, winners): (&'a [T], &'a [u8]),
) -> Vec<(&'a [T], &'a [u8])> {
    let cells = shape.cells();
    let before = std::iter::once(r).chain(values.chunks_exact(cells));
    let all = before.zip(winners.chunks_exact(cells));
    all.take_while(|(_, won)| won.iter().any(|w| *w != KEPT)).collect()
}

/// dL/dr and dL/dp from dL/dv.
///
/// # Errors
/// As [`propagation_forward`]; a cotangent or a tape of another length.
pub fn propagation_backward<T: Real>(
    shape: PropagationShape,
    (r, p): (&[T], &[T]),
    tape: &LoopTape<T>,
    dv: &[T],
) -> Result<[Vec<T>; 2]> {
    shape.check(r, p)?;
    shape.check_tape(tape)?;
    check_len(NODE, "dv", dv.len(), r.len())?;
    let (cells, k) = (shape.cells(), shape.iterations);
    let (mut dr, mut dp) = (vec![T::default(); r.len()], vec![T::default(); p.len()]);
    dr.par_chunks_mut(cells)
        .zip(dp.par_chunks_mut(cells))
        .zip(r.par_chunks(cells).zip(p.par_chunks(cells)))
        .zip(tape.values.par_chunks(k * cells).zip(tape.winners.par_chunks(k * cells)))
        .zip(dv.par_chunks(cells))
        .for_each(|((((dr, dp), (r, p)), tape), dv)| {
            let mut now = dv.to_vec();
            let mut before = vec![T::default(); cells];
            for (v, won) in sweeps(&shape, r, tape).into_iter().rev() {
                before.fill(T::default());
                for i in 0..cells {
                    let g = now[i];
                    if won[i] == KEPT {
                        before[i] += g;
                        continue;
                    }
                    let from = shape.neighbour(i, won[i]);
                    let passed = g * p[i];
                    dr[i] += g - passed;
                    dp[i] += g * (v[from] - r[i]);
                    before[from] += passed;
                }
                std::mem::swap(&mut now, &mut before);
            }
            dr.iter_mut().zip(&now).for_each(|(dr, g)| *dr += *g);
        });
    Ok([dr, dp])
}

/// dv from dr and dp: the forward chain rule.
///
/// # Errors
/// As [`propagation_backward`].
pub fn propagation_push<T: Real>(
    shape: PropagationShape,
    (r, p): (&[T], &[T]),
    tape: &LoopTape<T>,
    (dr, dp): (&[T], &[T]),
) -> Result<Vec<T>> {
    shape.check(r, p)?;
    shape.check(dr, dp)?;
    shape.check_tape(tape)?;
    let (cells, k) = (shape.cells(), shape.iterations);
    let mut out = dr.to_vec();
    out.par_chunks_mut(cells)
        .zip(r.par_chunks(cells).zip(p.par_chunks(cells)))
        .zip(dr.par_chunks(cells).zip(dp.par_chunks(cells)))
        .zip(tape.values.par_chunks(k * cells).zip(tape.winners.par_chunks(k * cells)))
        .for_each(|(((out, (r, p)), (dr, dp)), tape)| {
            for (v, won) in sweeps(&shape, r, tape) {
                let dv = out.to_vec();
                for i in (0..cells).filter(|&i| won[i] != KEPT) {
                    let from = shape.neighbour(i, won[i]);
                    out[i] = dr[i] + dp[i] * (v[from] - r[i]) + p[i] * (dv[from] - dr[i]);
                }
            }
        });
    Ok(out)
}
