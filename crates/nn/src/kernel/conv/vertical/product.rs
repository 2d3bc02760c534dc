//! The inner loop: a block's sums in registers, and the rows of the block before on their way to memory.

use std::ops::Range;

use pullback_core_graph::Fresh;
use pulp::{NullaryFnOnce, Simd};

use super::super::pack::{Finish, append};
use super::{OUT, POINTS, Vertical};
use crate::kernel::real::Real;

/// The rows of a block, from the next that is not written on.
pub(super) struct Rows {
    /// The first of the block's outputs.
    channel: usize,
    width: usize,
    bands: Range<usize>,
    next: usize,
}

impl Rows {
    pub(super) fn new(channel: usize, width: usize, bands: Range<usize>) -> Self {
        Self { channel, width, bands, next: 0 }
    }

    fn len(&self) -> usize {
        self.width * OUT * self.bands.len()
    }
}

/// Computed rows on their way to memory.
pub(super) struct Held<'r, 'c, 't, T> {
    of: &'r Vertical<'c, T>,
    line: usize,
    planes: &'r mut [Fresh<'t, T>],
    /// Is all that was written?
    pub(super) finite: bool,
    pub(super) rows: Rows,
}

impl<'r, 'c, 't, T: Real> Held<'r, 'c, 't, T> {
    /// No rows yet, of lines of `line` elements; `planes` has the parts of all channels that are to be written.
    pub(super) fn new(
        of: &'r Vertical<'c, T>,
        line: usize,
        planes: &'r mut [Fresh<'t, T>],
    ) -> Self {
        Self { of, line, planes, finite: true, rows: Rows::new(0, 0, 0..0) }
    }

    /// Writes the next rows, at most so many, from \[output\]\[row of the band\]\[position\].
    #[inline(always)]
    pub(super) fn write(&mut self, from: &[T], most: usize) {
        let [height, width] = self.of.target;
        let end = self.rows.len().min(self.rows.next.saturating_add(most));
        let count = OUT * self.rows.bands.len();
        while self.rows.next < end {
            let (m, row) = (self.rows.next / count, self.rows.next % count);
            self.rows.next += 1;
            // The last band of an odd height has one row alone.
            if self.rows.bands.start * OUT + row < height {
                let start = (m * OUT + row % OUT) * self.line + row / OUT * width;
                let target = self.rows.channel + m;
                let bias = self.of.bias.map_or(T::ZERO, |bias| bias[target]);
                let finish = Finish { bias, relu: self.of.relu };
                let values = &from[start..][..width];
                self.finite &= append(&mut self.planes[target], values, finish);
            }
        }
    }
}

/// A block of outputs: rows\[m\]\[row of the band\]\[position\], from the lines and weights\[channel, column\]\[point\]\[m\].
pub(super) struct Product<'a, T> {
    pub(super) lines: &'a [T],
    /// Elements from line to line, whole registers.
    pub(super) line: usize,
    pub(super) weights: &'a [T],
    /// m < `width`, of a block of outputs: 1 to 4.
    pub(super) width: usize,
    pub(super) positions: usize,
    /// Add to what the rows hold.
    pub(super) accumulate: bool,
}

/// A block's computation, while the block before is written; compiled once for each instruction set.
pub(super) struct Call<'a, 'r, 'h, 'c, 't, T, S> {
    pub(super) simd: S,
    pub(super) product: Product<'a, T>,
    pub(super) rows: &'r mut [T],
    pub(super) held: &'r mut Held<'h, 'c, 't, T>,
    pub(super) before: &'r [T],
}

impl<T: Real, S: Simd> NullaryFnOnce for Call<'_, '_, '_, '_, '_, T, S> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        // 32 registers hold 16 to 24 sums, source vectors and a weight; 16 registers hold 12 sums, of two points.
        if S::REGISTER_COUNT >= 32 {
            match self.product.width {
                1 => self.sweep::<1, 1, 6>(0),
                2 => self.sweep::<2, 2, 3>(0),
                3 => self.sweep::<3, 3, 2>(0),
                _ => self.sweep::<4, 4, 1>(0),
            }
        } else {
            match self.product.width {
                1 => self.sweep::<1, 1, 6>(0),
                2 => self.sweep::<2, 2, 3>(0),
                3 => {
                    self.sweep::<3, 2, 3>(0);
                    self.sweep::<3, 1, 6>(2);
                }
                _ => {
                    self.sweep::<4, 2, 3>(0);
                    self.sweep::<4, 2, 3>(2);
                }
            }
        }
    }
}

impl<T: Real, S: Simd> Call<'_, '_, '_, '_, '_, T, S> {
    /// M of the block's W outputs, from `first` on: V registers of positions at a time, then one by one; after each some rows of the
    /// block before are written.
    #[inline(always)]
    fn sweep<const W: usize, const M: usize, const V: usize>(&mut self, first: usize) {
        let (lanes, positions) = (T::lanes::<S>(), self.product.positions);
        let each = (self.held.rows.len() * V * lanes * M).div_ceil(positions * W);
        let mut at = 0;
        while at + V * lanes <= self.product.line && at < positions {
            self.tile::<W, M, V>(first, at);
            self.held.write(self.before, each);
            at += V * lanes;
        }
        while at < positions {
            self.tile::<W, M, 1>(first, at);
            at += lanes;
        }
    }

    /// M outputs × V registers of positions, held in registers over the whole sum.
    #[inline(always)]
    fn tile<const W: usize, const M: usize, const V: usize>(&mut self, first: usize, at: usize) {
        let Self { simd, product, rows, .. } = self;
        let simd = *simd;
        let ([m1, m2], [m0, m3]) = if S::REGISTER_COUNT >= 32 {
            let [m0, m1, m2, m3] = product.sums::<S, W, M, V, 4>(simd, first, at, [0, 1, 2, 3]);
            ([m1, m2], [m0, m3])
        } else {
            let inner = product.sums::<S, W, M, V, 2>(simd, first, at, [1, 2]);
            (inner, product.sums::<S, W, M, V, 2>(simd, first, at, [0, 3]))
        };
        let span = V * T::lanes::<S>();
        for m in 0..M {
            let mut y = [m0[m], m3[m]];
            for v in 0..V {
                let (even, odd) =
                    (T::plus(simd, m1[m][v], m2[m][v]), T::minus(simd, m1[m][v], m2[m][v]));
                y[0][v] = T::plus(simd, even, y[0][v]);
                y[1][v] = T::plus(simd, odd, y[1][v]);
            }
            for (i, y) in y.into_iter().enumerate() {
                let row = &mut rows[((first + m) * OUT + i) * product.line + at..][..span];
                for (out, y) in T::vectors_mut::<S>(row).0.iter_mut().zip(y) {
                    *out = if product.accumulate { T::plus(simd, *out, y) } else { y };
                }
            }
        }
    }
}

impl<T: Real> Product<'_, T> {
    /// mᵢ of M outputs and V registers of positions for P points.
    #[inline(always)]
    fn sums<S: Simd, const W: usize, const M: usize, const V: usize, const P: usize>(
        &self,
        simd: S,
        first: usize,
        at: usize,
        points: [usize; P],
    ) -> [[[T::Vector<S>; V]; M]; P] {
        let span = V * T::lanes::<S>();
        let mut sums = [[[T::splat(simd, T::ZERO); V]; M]; P];
        let lines = self.lines.chunks_exact(POINTS * self.line);
        for (lines, weights) in lines.zip(self.weights.chunks_exact(POINTS * W)) {
            for (sums, point) in sums.iter_mut().zip(points) {
                let line = &lines[point * self.line + at..][..span];
                let Some(x) = T::vectors::<S>(line).0.first_chunk::<V>() else { continue };
                for m in 0..M {
                    let weight = T::splat(simd, weights[point * W + first + m]);
                    for v in 0..V {
                        sums[m][v] = T::mul_add(simd, weight, x[v], sums[m][v]);
                    }
                }
            }
        }
        sums
    }
}
