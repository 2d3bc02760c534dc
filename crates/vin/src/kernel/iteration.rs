//! The value iteration loop of a VIN (Tamar and others 2016): Q = W ⋆ r + U ⋆ V, V = max over the channels, K times, and a last Q.
//!
//! W ⋆ r does not change over the iterations and is computed once. Backwards, only the channel that won carries a derivative: the tape is V and
//! one byte for each cell and iteration.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Real;
use super::backward::Backward;
use super::plane::{LANES, Layout, correlate, correlate_window, flipped, window};
use crate::error::{check_len, check_room};
use crate::{Error, Result};

/// Sizes of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopShape {
    /// Maps.
    pub batch: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// Channels of Q, at most 255.
    pub channels: usize,
    /// Side of the kernels: 3, 5, 7, 9 or 11.
    pub kernel: usize,
    /// K ≥ 1: how often V is computed.
    pub iterations: usize,
    /// Whether each of the K + 1 computations of Q has weights of its own: W and U are then (K + 1, channels, kernel, kernel).
    pub untied: bool,
    /// R(s, a) is given for every channel in place of W ⋆ r: r is (batch, channels, height, width), and W is empty.
    pub per_action: bool,
}

/// What the backward loop needs.
#[derive(Debug, Clone)]
pub struct LoopTape<T> {
    /// V after each iteration, (batch, K, height, width).
    pub values: Vec<T>,
    /// The channel that won, same shape.
    pub winners: Vec<u8>,
}

impl<T> LoopTape<T> {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<T>() * self.values.len() + self.winners.len()
    }
}

const NODE: &str = "value iteration loop";

impl LoopShape {
    fn cells(&self) -> usize {
        self.height * self.width
    }
    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }
    /// Numbers in U, and in W where there is one.
    #[must_use]
    pub fn weights(&self) -> usize {
        let sets = if self.untied { self.iterations + 1 } else { 1 };
        sets * self.channels * self.taps()
    }
    /// Numbers in r of one map.
    pub(super) fn rewards(&self) -> usize {
        if self.per_action { self.channels * self.cells() } else { self.cells() }
    }
    /// The weights of the k-th computation of Q.
    pub(super) fn set(&self, k: usize) -> std::ops::Range<usize> {
        let (k, len) = (if self.untied { k } else { 0 }, self.channels * self.taps());
        k * len..(k + 1) * len
    }
    /// The weights of one channel in the k-th computation of Q.
    fn weight(&self, k: usize, channel: usize) -> std::ops::Range<usize> {
        let k = if self.untied { k } else { 0 };
        let from = (k * self.channels + channel) * self.taps();
        from..from + self.taps()
    }

    /// Numbers in the values of all iterations, if they can be counted; the other sizes are no larger, but for those that are checked.
    fn counted(&self) -> Option<usize> {
        let sets = self.iterations.checked_add(1)?;
        let cells = self.batch.checked_mul(self.height)?.checked_mul(self.width)?;
        cells.checked_mul(self.channels)?;
        sets.checked_mul(self.channels)?.checked_mul(self.taps())?;
        cells.checked_mul(sets)
    }

    fn check_tape<T>(&self, tape: &LoopTape<T>) -> Result<()> {
        let len = self.batch * self.iterations * self.cells();
        check_len(NODE, "tape", tape.values.len(), len)?;
        check_len(NODE, "tape", tape.winners.len(), len)
    }

    fn check<T>(&self, r: &[T], w: &[T], u: &[T]) -> Result<()> {
        let Self { batch, height, width, channels, kernel, iterations, .. } = *self;
        let positive = batch > 0 && height > 0 && width > 0 && iterations > 0;
        if !positive || channels == 0 || channels > 255 || !matches!(kernel, 3 | 5 | 7 | 9 | 11) {
            return Err(Error::invalid(
                NODE,
                format!(
                    "{self:?}: sizes must be > 0, channels at most 255, the kernel odd and 3 to 11"
                ),
            ));
        }
        let what = format!("the tape of {iterations} iterations");
        check_room::<T>(NODE, &what, self.counted())?;
        check_len(NODE, "r", r.len(), batch * self.rewards())?;
        check_len(NODE, "W", w.len(), if self.per_action { 0 } else { self.weights() })?;
        check_len(NODE, "U", u.len(), self.weights())
    }
}

/// Calls a function with the kernel's side as a constant.
macro_rules! with_side {
    ($side:expr, $F:ident => $body:expr) => {
        match $side {
            3 => {
                const $F: usize = 3;
                $body
            }
            5 => {
                const $F: usize = 5;
                $body
            }
            7 => {
                const $F: usize = 7;
                $body
            }
            9 => {
                const $F: usize = 9;
                $body
            }
            _ => {
                const $F: usize = 11;
                $body
            }
        }
    };
}

/// The last Q, (batch, channels, height, width), and the tape. r is (batch, height, width), W and U (channels, kernel, kernel); off the map r is 0
/// and V is `pad` (the paper's is 0).
///
/// # Errors
/// Sizes outside their domain, slices of another length.
pub fn loop_forward<T: Real>(
    shape: LoopShape,
    r: &[T],
    w: &[T],
    u: &[T],
    pad: T,
) -> Result<(Vec<T>, LoopTape<T>)> {
    shape.check(r, w, u)?;
    let (cells, k) = (shape.cells(), shape.iterations);
    let mut q = vec![T::default(); shape.batch * shape.channels * cells];
    let mut values = vec![T::default(); shape.batch * k * cells];
    let mut winners = vec![0u8; shape.batch * k * cells];
    q.par_chunks_mut(shape.channels * cells)
        .zip(values.par_chunks_mut(k * cells))
        .zip(winners.par_chunks_mut(k * cells))
        .zip(r.par_chunks(shape.rewards()))
        .for_each(|(((q, values), winners), r)| {
            with_side!(shape.kernel, F => Arch::new().dispatch(Forward::<T, F> {
                shape: &shape,
                r,
                weights: (w, u),
                pad,
                out: (q, values, winners),
            }));
        });
    Ok((q, LoopTape { values, winners }))
}

/// W ⋆ r for all channels of the k-th weights, rows of `span` cells.
#[inline(always)]
fn reward_part<S: Simd, T: Real, const F: usize>(
    simd: S,
    (shape, layout): (&LoopShape, &Layout),
    r: &[T],
    w: &[T],
    k: usize,
    base: &mut [T],
) {
    let plane = layout.height * layout.span;
    for c in 0..shape.channels {
        let weights = &w[shape.weight(k, c)];
        for y in 0..layout.height {
            for x in (0..layout.span).step_by(T::lanes::<S>()) {
                let at = (y * layout.stride + x, layout.stride);
                let zero = T::splat(simd, T::default());
                let value = correlate::<S, T, F>(simd, r, at, weights, zero);
                T::store::<S>(value, &mut base[c * plane + y * layout.span + x..]);
            }
        }
    }
}

/// The forward loop of one sample.
struct Forward<'a, T, const F: usize> {
    shape: &'a LoopShape,
    r: &'a [T],
    weights: (&'a [T], &'a [T]),
    pad: T,
    /// Q, V after each iteration, the channels that won.
    out: (&'a mut [T], &'a mut [T], &'a mut [u8]),
}

impl<T: Real, const F: usize> WithSimd for Forward<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { shape, r, weights: (w, u), pad, out: (q, values, winners) } = self;
        let layout = Layout::new(shape.height, shape.width, F);
        let (plane, lanes) = (layout.height * layout.span, T::lanes::<S>());
        let mut padded = vec![T::default(); layout.len()];
        let mut base = vec![T::default(); shape.channels * plane];
        if shape.per_action {
            let rows = base.chunks_exact_mut(layout.span).zip(r.chunks_exact(layout.width));
            rows.for_each(|(to, r)| to[..layout.width].copy_from_slice(r));
        } else {
            layout.load(r, &mut padded);
            reward_part::<S, T, F>(simd, (shape, &layout), &padded, w, 0, &mut base);
        }
        let anew = shape.untied && !shape.per_action;
        let (mut now, mut next) = (vec![pad; layout.len()], vec![pad; layout.len()]);
        let mut block = [T::default(); LANES];
        for k in 0..shape.iterations {
            if anew && k > 0 {
                reward_part::<S, T, F>(simd, (shape, &layout), &padded, w, k, &mut base);
            }
            let u = &u[shape.set(k)];
            for y in 0..layout.height {
                for x in (0..layout.width).step_by(lanes) {
                    let at = (y * layout.stride + x, layout.stride);
                    let seen = window::<S, T, 3>(&now, at.0, at.1);
                    let mut best = (T::splat(simd, T::LOWEST), T::splat(simd, T::default()));
                    let mut mark = T::default();
                    for (c, weights) in u.chunks_exact(F * F).enumerate() {
                        let mut value = T::load::<S>(&base[c * plane + y * layout.span + x..]);
                        if k > 0 {
                            // A window of nine fits the registers.
                            value = match F {
                                3 => correlate_window::<S, T, 3>(simd, &seen, weights, value),
                                _ => correlate::<S, T, F>(simd, &now, at, weights, value),
                            };
                        }
                        best = T::greater(simd, (value, T::splat(simd, mark)), best);
                        mark += T::ONE;
                    }
                    let count = lanes.min(layout.width - x);
                    let to = (k * layout.height + y) * layout.width + x;
                    T::store::<S>(best.0, &mut block);
                    next[layout.row(y) + x..][..count].copy_from_slice(&block[..count]);
                    values[to..to + count].copy_from_slice(&block[..count]);
                    T::store::<S>(best.1, &mut block);
                    for (winner, mark) in winners[to..to + count].iter_mut().zip(&block) {
                        *winner = mark.byte();
                    }
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        let last = shape.iterations;
        if anew {
            reward_part::<S, T, F>(simd, (shape, &layout), &padded, w, last, &mut base);
        }
        for (c, weights) in u[shape.set(last)].chunks_exact(F * F).enumerate() {
            for y in 0..layout.height {
                for x in (0..layout.width).step_by(lanes) {
                    let at = (y * layout.stride + x, layout.stride);
                    let value = T::load::<S>(&base[c * plane + y * layout.span + x..]);
                    let value = correlate::<S, T, F>(simd, &now, at, weights, value);
                    let count = lanes.min(layout.width - x);
                    let to = (c * layout.height + y) * layout.width + x;
                    T::store::<S>(value, &mut block);
                    q[to..to + count].copy_from_slice(&block[..count]);
                }
            }
        }
    }
}

/// dL/dr, dL/dW, dL/dU from dL/dQ.
///
/// # Errors
/// Sizes outside their domain, slices or a tape of another length.
pub fn loop_backward<T: Real>(
    shape: LoopShape,
    (r, w, u): (&[T], &[T], &[T]),
    pad: T,
    tape: &LoopTape<T>,
    dq: &[T],
) -> Result<[Vec<T>; 3]> {
    shape.check(r, w, u)?;
    let (cells, k) = (shape.cells(), shape.iterations);
    check_len(NODE, "dQ", dq.len(), shape.batch * shape.channels * cells)?;
    shape.check_tape(tape)?;
    let mut dr = vec![T::default(); r.len()];
    let turned = (flipped_all(&shape, w), flipped_all(&shape, u));
    let parts: Vec<[Vec<T>; 2]> = dr
        .par_chunks_mut(shape.rewards())
        .zip(dq.par_chunks(shape.channels * cells))
        .zip(tape.values.par_chunks(k * cells))
        .zip(tape.winners.par_chunks(k * cells))
        .zip(r.par_chunks(shape.rewards()))
        .map(|((((dr, dq), values), winners), r)| {
            with_side!(shape.kernel, F => Arch::new().dispatch(Backward::<T, F> {
                shape: &shape,
                r,
                turned: (&turned.0, &turned.1),
                pad,
                dq,
                tape: (values, winners),
                dr,
            }))
        })
        .collect();
    let mut sums = [vec![T::default(); w.len()], vec![T::default(); u.len()]];
    for part in &parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += *p);
        }
    }
    let [dw, du] = sums;
    Ok([dr, dw, du])
}

fn flipped_all<T: Real>(shape: &LoopShape, weights: &[T]) -> Vec<T> {
    weights.chunks_exact(shape.taps()).flat_map(|w| flipped(w)).collect()
}

/// dQ from dr, dW, dU: the forward chain rule.
///
/// # Errors
/// Sizes outside their domain, slices or a tape of another length.
pub fn loop_push<T: Real>(
    shape: LoopShape,
    (r, w, u): (&[T], &[T], &[T]),
    pad: T,
    tape: &LoopTape<T>,
    (dr, dw, du): (&[T], &[T], &[T]),
) -> Result<Vec<T>> {
    shape.check(r, w, u)?;
    shape.check(dr, dw, du)?;
    shape.check_tape(tape)?;
    let (cells, taps) = (shape.cells(), shape.taps());
    let (h, width, half) = (shape.height, shape.width, shape.kernel / 2);
    // A plain loop: nothing calls this often. Off the map a value is constant.
    let at = |plane: &[T], y: usize, x: usize, tap: usize, off: T| -> T {
        let y = (y + tap / shape.kernel).checked_sub(half).filter(|&y| y < h);
        let x = (x + tap % shape.kernel).checked_sub(half).filter(|&x| x < width);
        if let (Some(y), Some(x)) = (y, x) { plane[y * width + x] } else { off }
    };
    let zero = T::default();
    let mut out = vec![zero; shape.batch * shape.channels * cells];
    for n in 0..shape.batch {
        let own = n * shape.rewards()..(n + 1) * shape.rewards();
        let (r, dr) = (&r[own.clone()], &dr[own]);
        let one = |k: usize, c: usize, i: usize, v: Option<(&[T], &[T])>| -> T {
            let (y, x) = (i / width, i % width);
            let range = shape.weight(k, c);
            let mut sum = if shape.per_action { dr[c * cells + i] } else { zero };
            for t in 0..taps {
                let j = range.start + t;
                if !shape.per_action {
                    sum += w[j] * at(dr, y, x, t, zero) + dw[j] * at(r, y, x, t, zero);
                }
                if let Some((v, dv)) = v {
                    sum += u[j] * at(dv, y, x, t, zero) + du[j] * at(v, y, x, t, pad);
                }
            }
            sum
        };
        let mut along: Option<Vec<T>> = None;
        for k in 0..=shape.iterations {
            let before = k.checked_sub(1).map(|k| {
                let from = (n * shape.iterations + k) * cells;
                &tape.values[from..from + cells]
            });
            let pair = before.zip(along.as_deref());
            if k == shape.iterations {
                for c in 0..shape.channels {
                    for i in 0..cells {
                        out[(n * shape.channels + c) * cells + i] = one(k, c, i, pair);
                    }
                }
            } else {
                let from = (n * shape.iterations + k) * cells;
                let winners = &tape.winners[from..from + cells];
                along = Some((0..cells).map(|i| one(k, winners[i] as usize, i, pair)).collect());
            }
        }
    }
    Ok(out)
}
