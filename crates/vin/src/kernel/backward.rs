//! The backward loop of one sample.
//!
//! Only the channel that won carries a derivative, and neighbours mostly have the same winner: a block of cells looks at the channels that won in it
//! or beside it, and at no others.

use pulp::{Simd, WithSimd};

use super::Real;
use super::iteration::LoopShape;
use super::plane::{LANES, Layout, correlate, weight_gradient};

/// The backward loop of one sample; gives dW and dU.
pub(super) struct Backward<'a, T, const F: usize> {
    pub(super) shape: &'a LoopShape,
    pub(super) r: &'a [T],
    /// W and U, each kernel turned.
    pub(super) turned: (&'a [T], &'a [T]),
    pub(super) pad: T,
    pub(super) dq: &'a [T],
    pub(super) tape: (&'a [T], &'a [u8]),
    pub(super) dr: &'a mut [T],
}

/// The planes of the channels, one after the other, with border.
struct Planes<T> {
    /// dL/dQ.
    g: Vec<T>,
    /// dL/d(W ⋆ r), summed over the iterations.
    base: Vec<T>,
}

/// For each block of [`LANES`] cells of a row, the channels (modulo 64) that are not 0 there.
struct Blocks {
    across: usize,
    /// In the block itself.
    own: Vec<u64>,
    /// In the block and half a kernel around it.
    around: Vec<u64>,
}

impl Blocks {
    fn all(layout: &Layout) -> Self {
        let across = layout.span / LANES;
        let all = vec![u64::MAX; across * layout.height];
        Self { across, own: all.clone(), around: all }
    }

    /// Of the winners, one byte a cell.
    fn load(&mut self, layout: &Layout, winners: &[u8]) {
        let mut wide = vec![0u64; self.own.len()];
        for (y, row) in winners.chunks_exact(layout.width).enumerate() {
            for b in 0..self.across {
                let cells = b * LANES..((b + 1) * LANES).min(layout.width);
                let near = cells.start.saturating_sub(layout.half)
                    ..(cells.end + layout.half).min(layout.width);
                let set = |row: &[u8]| row.iter().fold(0u64, |bits, w| bits | 1 << (w & 63));
                self.own[y * self.across + b] = set(&row[cells]);
                wide[y * self.across + b] = set(&row[near]);
            }
        }
        for y in 0..layout.height {
            let rows = y.saturating_sub(layout.half)..(y + layout.half + 1).min(layout.height);
            for b in 0..self.across {
                let near = rows.clone().map(|y| wide[y * self.across + b]);
                self.around[y * self.across + b] = near.fold(0, |a, b| a | b);
            }
        }
    }

    fn has(of: &[u64], across: usize, (y, x): (usize, usize), channel: usize) -> bool {
        of[y * across + x / LANES] >> (channel & 63) & 1 == 1
    }
}

impl<T: Real, const F: usize> WithSimd for Backward<'_, T, F> {
    type Output = [Vec<T>; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [Vec<T>; 2] {
        let Backward { shape, r, turned: (w, u), pad, dq, tape: (values, winners), dr } = self;
        let layout = Layout::new(shape.height, shape.width, F);
        let cells = shape.height * shape.width;
        let (mut dw, mut du) = (vec![T::default(); w.len()], vec![T::default(); u.len()]);
        let zero = || vec![T::default(); shape.channels * layout.len()];
        let mut planes = Planes { g: zero(), base: zero() };
        let mut reward = vec![T::default(); layout.len()];
        if !shape.per_action {
            layout.load(r, &mut reward);
        }
        let mut sum_r = vec![T::default(); layout.height * layout.span];
        let mut before = vec![pad; layout.len()];
        let mut dv = vec![T::default(); layout.height * layout.span];
        // No channel has this number: beyond the map nothing won.
        let mut won = vec![T::of(-1.0); layout.height * layout.span];
        for (dq, g) in dq.chunks_exact(cells).zip(planes.g.chunks_exact_mut(layout.len())) {
            layout.load(dq, g);
        }
        planes.base.copy_from_slice(&planes.g);
        let all = Blocks::all(&layout);
        let mut blocks = Blocks::all(&layout);
        for k in (0..=shape.iterations).rev() {
            if k < shape.iterations {
                // dV goes to the channel that won.
                let winners = &winners[k * cells..(k + 1) * cells];
                let rows = winners.chunks_exact(layout.width);
                for (won, row) in won.chunks_exact_mut(layout.span).zip(rows) {
                    won.iter_mut().zip(row).for_each(|(to, w)| *to = T::of_byte(*w));
                }
                let old = blocks.own.clone();
                blocks.load(&layout, winners);
                spread(simd, &layout, (&dv, &won), (&old, &blocks), &mut planes);
            }
            if !shape.per_action && (shape.untied || k == 0) {
                // What W and r have earned since the last time.
                let (set, base) = (shape.set(k), &planes.base);
                gradients::<S, T, F>(simd, &layout, (base, &all), &reward, &mut dw[set.clone()]);
                transposed::<S, T, F>(simd, &layout, (base, &all), &w[set], &mut sum_r);
                planes.base.fill(T::default());
            }
            if k == 0 {
                break;
            }
            let (set, g) = (shape.set(k), &planes.g);
            layout.load(&values[(k - 1) * cells..k * cells], &mut before);
            gradients::<S, T, F>(simd, &layout, (g, &blocks), &before, &mut du[set.clone()]);
            dv.fill(T::default());
            transposed::<S, T, F>(simd, &layout, (g, &blocks), &u[set], &mut dv);
        }
        if shape.per_action {
            let each = planes.base.chunks_exact(layout.len()).zip(dr.chunks_exact_mut(cells));
            for (base, dr) in each {
                for (y, row) in dr.chunks_exact_mut(layout.width).enumerate() {
                    row.copy_from_slice(&base[layout.row(y)..][..layout.width]);
                }
            }
            return [dw, du];
        }
        for (y, row) in dr.chunks_exact_mut(layout.width).enumerate() {
            row.copy_from_slice(&sum_r[y * layout.span..][..layout.width]);
        }
        [dw, du]
    }
}

/// The weights' gradients of all channels.
#[inline(always)]
fn gradients<S: Simd, T: Real, const F: usize>(
    simd: S,
    layout: &Layout,
    (planes, blocks): (&[T], &Blocks),
    plane: &[T],
    out: &mut [T],
) {
    let each = planes.chunks_exact(layout.len()).zip(out.chunks_exact_mut(F * F));
    for (c, (g, out)) in each.enumerate() {
        let skip = |y: usize, x: usize| !Blocks::has(&blocks.own, blocks.across, (y, x), c);
        weight_gradient::<S, T, F>(simd, layout, (g, plane), skip, out);
    }
}

/// sum += Σ over channels of the turned kernels on the planes.
#[inline(always)]
fn transposed<S: Simd, T: Real, const F: usize>(
    simd: S,
    layout: &Layout,
    (planes, blocks): (&[T], &Blocks),
    turned: &[T],
    sum: &mut [T],
) {
    for y in 0..layout.height {
        for x in (0..layout.span).step_by(T::lanes::<S>()) {
            let sum = &mut sum[y * layout.span + x..];
            let mut acc = T::load::<S>(sum);
            let each = planes.chunks_exact(layout.len()).zip(turned.chunks_exact(F * F));
            for (c, (g, weights)) in each.enumerate() {
                if Blocks::has(&blocks.around, blocks.across, (y, x), c) {
                    let at = (y * layout.stride + x, layout.stride);
                    acc = correlate::<S, T, F>(simd, g, at, weights, acc);
                }
            }
            T::store::<S>(acc, sum);
        }
    }
}

/// g[c] = dV where c won, else 0; base[c] += g[c].
#[inline(always)]
fn spread<S: Simd, T: Real>(
    simd: S,
    layout: &Layout,
    (dv, won): (&[T], &[T]),
    (old, blocks): (&[u64], &Blocks),
    planes: &mut Planes<T>,
) {
    let (plane, mut mark) = (layout.len(), T::default());
    let each = planes.g.chunks_exact_mut(plane).zip(planes.base.chunks_exact_mut(plane));
    for (c, (g, base)) in each.enumerate() {
        for y in 0..layout.height {
            for x in (0..layout.span).step_by(T::lanes::<S>()) {
                let (from, to) = (y * layout.span + x, layout.row(y) + x);
                if Blocks::has(&blocks.own, blocks.across, (y, x), c) {
                    let marks = [T::load::<S>(&won[from..]), T::splat(simd, mark)];
                    let d = T::where_equal(simd, marks, T::load::<S>(&dv[from..]));
                    T::store::<S>(d, &mut g[to..]);
                    let sum = T::plus(simd, T::load::<S>(&base[to..]), d);
                    T::store::<S>(sum, &mut base[to..]);
                } else if Blocks::has(old, blocks.across, (y, x), c) {
                    T::store::<S>(T::splat(simd, T::default()), &mut g[to..]);
                }
            }
        }
        mark += T::ONE;
    }
}
