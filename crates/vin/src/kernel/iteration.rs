//! The value iteration loop of a VIN (Tamar and others 2016): Q = W ⋆ r + U ⋆ V, V = max over the channels, K times, and a last Q.
//!
//! W ⋆ r does not change over the iterations and is computed once. Backwards, only the channel that won carries a derivative: the tape is V and
//! one byte for each cell and iteration.

use rayon::prelude::*;

use super::Real;
use super::plane::{LANES, Layout, correlate, flipped, lanes, weight_gradient};
use crate::error::check_len;
use crate::lanes::vectorized;
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
    /// Numbers in W, and in U.
    #[must_use]
    pub fn weights(&self) -> usize {
        let sets = if self.untied { self.iterations + 1 } else { 1 };
        sets * self.channels * self.taps()
    }
    /// The weights of one channel in the k-th computation of Q.
    fn weight(&self, k: usize, channel: usize) -> std::ops::Range<usize> {
        let k = if self.untied { k } else { 0 };
        let from = (k * self.channels + channel) * self.taps();
        from..from + self.taps()
    }

    fn check<T>(&self, r: &[T], w: &[T], u: &[T]) -> Result<()> {
        let Self { batch, height, width, channels, kernel, iterations, .. } = *self;
        let positive = batch > 0 && height > 0 && width > 0 && iterations > 0;
        if !positive || channels == 0 || channels > 255 || !matches!(kernel, 3 | 5 | 7 | 9 | 11) {
            return Err(Error::invalid(
                NODE,
                format!("{self:?}: sizes > 0, ≤ 255 channels, an odd kernel of 3 to 11"),
            ));
        }
        check_len(NODE, "r", r.len(), batch * self.cells())?;
        check_len(NODE, "W", w.len(), self.weights())?;
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
        .zip(r.par_chunks(cells))
        .for_each(|(((q, values), winners), r)| {
            with_side!(shape.kernel, F => vectorized(
                #[inline(always)]
                || forward::<T, F>(&shape, r, (w, u), pad, q, values, winners),
            ));
        });
    Ok((q, LoopTape { values, winners }))
}

/// W ⋆ r for all channels of the k-th weights, rows of `span` cells.
#[inline(always)]
fn reward_part<T: Real, const F: usize>(
    shape: &LoopShape,
    layout: &Layout,
    r: &[T],
    w: &[T],
    k: usize,
    base: &mut [T],
) {
    let plane = layout.height * layout.span;
    for c in 0..shape.channels {
        let weights = &w[shape.weight(k, c)];
        for y in 0..layout.height {
            for x in (0..layout.span).step_by(LANES) {
                let acc = [T::default(); LANES];
                let acc = correlate::<T, F>(r, y * layout.stride + x, layout.stride, weights, acc);
                base[c * plane + y * layout.span + x..][..LANES].copy_from_slice(&acc);
            }
        }
    }
}

#[inline(always)]
fn forward<T: Real, const F: usize>(
    shape: &LoopShape,
    r: &[T],
    (w, u): (&[T], &[T]),
    pad: T,
    q: &mut [T],
    values: &mut [T],
    winners: &mut [u8],
) {
    let layout = Layout::new(shape.height, shape.width, F);
    let plane = layout.height * layout.span;
    let mut padded = vec![T::default(); layout.len()];
    layout.load(r, &mut padded);
    let mut base = vec![T::default(); shape.channels * plane];
    reward_part::<T, F>(shape, &layout, &padded, w, 0, &mut base);
    let (mut now, mut next) = (vec![pad; layout.len()], vec![pad; layout.len()]);
    for k in 0..shape.iterations {
        if shape.untied && k > 0 {
            reward_part::<T, F>(shape, &layout, &padded, w, k, &mut base);
        }
        for y in 0..layout.height {
            for x in (0..layout.span).step_by(LANES) {
                let at = y * layout.stride + x;
                let (mut best, mut which) = ([T::LOWEST; LANES], [0u8; LANES]);
                for c in 0..shape.channels {
                    let mut value = lanes(&base[c * plane + y * layout.span + x..]);
                    if k > 0 {
                        let weights = &u[shape.weight(k, c)];
                        value = correlate::<T, F>(&now, at, layout.stride, weights, value);
                    }
                    for l in 0..LANES {
                        let better = value[l] > best[l];
                        best[l] = if better { value[l] } else { best[l] };
                        which[l] = if better { c as u8 } else { which[l] };
                    }
                }
                let count = LANES.min(layout.width - x);
                next[layout.row(y) + x..][..count].copy_from_slice(&best[..count]);
                let to = (k * layout.height + y) * layout.width + x;
                values[to..to + count].copy_from_slice(&best[..count]);
                winners[to..to + count].copy_from_slice(&which[..count]);
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    let last = shape.iterations;
    if shape.untied {
        reward_part::<T, F>(shape, &layout, &padded, w, last, &mut base);
    }
    for c in 0..shape.channels {
        let weights = &u[shape.weight(last, c)];
        for y in 0..layout.height {
            for x in (0..layout.span).step_by(LANES) {
                let value = lanes(&base[c * plane + y * layout.span + x..]);
                let at = y * layout.stride + x;
                let value = correlate::<T, F>(&now, at, layout.stride, weights, value);
                let count = LANES.min(layout.width - x);
                let to = (c * layout.height + y) * layout.width + x;
                q[to..to + count].copy_from_slice(&value[..count]);
            }
        }
    }
}

/// dL/dr, dL/dW, dL/dU from dL/dQ.
///
/// # Errors
/// Sizes outside their domain, slices of another length.
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
    check_len(NODE, "tape", tape.values.len(), shape.batch * k * cells)?;
    check_len(NODE, "tape", tape.winners.len(), shape.batch * k * cells)?;
    let mut dr = vec![T::default(); r.len()];
    let turned = (flipped_all(&shape, w), flipped_all(&shape, u));
    let parts: Vec<[Vec<T>; 2]> = dr
        .par_chunks_mut(cells)
        .zip(dq.par_chunks(shape.channels * cells))
        .zip(tape.values.par_chunks(k * cells))
        .zip(tape.winners.par_chunks(k * cells))
        .zip(r.par_chunks(cells))
        .map(|((((dr, dq), values), winners), r)| {
            with_side!(shape.kernel, F => vectorized(
                #[inline(always)]
                || backward::<T, F>(&shape, r, (&turned.0, &turned.1), pad, dq, (values, winners), dr),
            ))
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

/// The planes of one sample's backward loop.
struct Backward<T> {
    /// dL/dQ of each channel, with border.
    g: Vec<Vec<T>>,
    /// dL/d(W ⋆ r), summed over the iterations.
    base: Vec<Vec<T>>,
}

#[inline(always)]
fn backward<T: Real, const F: usize>(
    shape: &LoopShape,
    r: &[T],
    (w, u): (&[T], &[T]),
    pad: T,
    dq: &[T],
    (values, winners): (&[T], &[u8]),
    dr: &mut [T],
) -> [Vec<T>; 2] {
    let layout = Layout::new(shape.height, shape.width, F);
    let cells = shape.height * shape.width;
    let (mut dw, mut du) = (vec![T::default(); w.len()], vec![T::default(); u.len()]);
    let zero = || vec![vec![T::default(); layout.len()]; shape.channels];
    let mut planes = Backward { g: zero(), base: zero() };
    let mut reward = vec![T::default(); layout.len()];
    layout.load(r, &mut reward);
    let mut sum_r = vec![T::default(); layout.height * layout.span];
    let flush = |k: usize, base: &mut Vec<Vec<T>>, dw: &mut [T], sum_r: &mut [T]| {
        for (c, g) in base.iter_mut().enumerate() {
            weight_gradient::<T, F>(&layout, g, &reward, &mut dw[shape.weight(k, c)]);
        }
        transposed::<T, F>(shape, &layout, base, w, k, sum_r);
        base.iter_mut().for_each(|g| g.fill(T::default()));
    };
    let mut before = vec![pad; layout.len()];
    let mut dv = vec![T::default(); layout.height * layout.span];
    for (c, (g, base)) in planes.g.iter_mut().zip(&mut planes.base).enumerate() {
        layout.load(&dq[c * cells..(c + 1) * cells], g);
        base.copy_from_slice(g);
    }
    for k in (0..=shape.iterations).rev() {
        if k < shape.iterations {
            // dV goes to the channel that won.
            spread(&layout, &dv, &winners[k * cells..(k + 1) * cells], &mut planes);
        }
        if shape.untied {
            flush(k, &mut planes.base, &mut dw, &mut sum_r);
        }
        if k == 0 {
            break;
        }
        layout.load(&values[(k - 1) * cells..k * cells], &mut before);
        for (c, g) in planes.g.iter().enumerate() {
            weight_gradient::<T, F>(&layout, g, &before, &mut du[shape.weight(k, c)]);
        }
        dv.fill(T::default());
        transposed::<T, F>(shape, &layout, &planes.g, u, k, &mut dv);
    }
    if !shape.untied {
        flush(0, &mut planes.base, &mut dw, &mut sum_r);
    }
    for (y, row) in dr.chunks_exact_mut(layout.width).enumerate() {
        row.copy_from_slice(&sum_r[y * layout.span..][..layout.width]);
    }
    [dw, du]
}

/// sum += Σ over channels of the turned kernels on the planes.
#[inline(always)]
fn transposed<T: Real, const F: usize>(
    shape: &LoopShape,
    layout: &Layout,
    planes: &[Vec<T>],
    turned: &[T],
    k: usize,
    sum: &mut [T],
) {
    for y in 0..layout.height {
        for x in (0..layout.span).step_by(LANES) {
            let to = y * layout.span + x;
            let mut acc = lanes(&sum[to..]);
            for (c, g) in planes.iter().enumerate() {
                let weights = &turned[shape.weight(k, c)];
                acc = correlate::<T, F>(g, y * layout.stride + x, layout.stride, weights, acc);
            }
            sum[to..to + LANES].copy_from_slice(&acc);
        }
    }
}

/// g[c] = dV where c won, else 0; base[c] += g[c].
#[inline(always)]
fn spread<T: Real>(layout: &Layout, dv: &[T], winners: &[u8], planes: &mut Backward<T>) {
    for y in 0..layout.height {
        let won = &winners[y * layout.width..][..layout.width];
        let dv = &dv[y * layout.span..][..layout.width];
        let row = layout.row(y);
        for (c, (g, base)) in planes.g.iter_mut().zip(&mut planes.base).enumerate() {
            let g = &mut g[row..][..layout.width];
            let base = &mut base[row..][..layout.width];
            for x in 0..layout.width {
                let d = if won[x] == c as u8 { dv[x] } else { T::default() };
                g[x] = d;
                base[x] += d;
            }
        }
    }
}

/// dQ from dr, dW, dU: the forward chain rule.
///
/// # Errors
/// Sizes outside their domain, slices of another length.
pub fn loop_push<T: Real>(
    shape: LoopShape,
    (r, w, u): (&[T], &[T], &[T]),
    pad: T,
    tape: &LoopTape<T>,
    (dr, dw, du): (&[T], &[T], &[T]),
) -> Result<Vec<T>> {
    shape.check(r, w, u)?;
    shape.check(dr, dw, du)?;
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
        let (r, dr) = (&r[n * cells..(n + 1) * cells], &dr[n * cells..(n + 1) * cells]);
        let one = |k: usize, c: usize, i: usize, v: Option<(&[T], &[T])>| -> T {
            let (y, x) = (i / width, i % width);
            let range = shape.weight(k, c);
            let mut sum = zero;
            for t in 0..taps {
                let j = range.start + t;
                sum += w[j] * at(dr, y, x, t, zero) + dw[j] * at(r, y, x, t, zero);
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
