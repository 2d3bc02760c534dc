//! The sums of blocks of weights and of the source.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::form::{PAIRS, Side, sixteenths};
use super::{Strassen, TARGETS, Weights, pitch, quarter, strip};
use crate::kernel::conv::microkernel::BLOCK;
use crate::kernel::real::Real;

/// One block of targets, eight to a quarter.
pub(super) struct Prepare<'a, 'c, T> {
    pub(super) of: &'a Strassen<'c, T>,
    pub(super) weights: Weights<'a, T>,
    pub(super) block: usize,
    /// The weights: \[quarter of the block\]\[source\]\[target of the quarter\].
    pub(super) plain: &'a mut [T],
    /// The 49 sums of their blocks: \[chunk\]\[product\]\[source of a quarter of the chunk\]\[target of the block\].
    pub(super) sums: &'a mut [T],
}

impl<T: Real> WithSimd for Prepare<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, weights, block, plain, mut sums } = self;
        of.pack(block, weights, plain);
        for (first, count) in of.chunks() {
            let len = count / 4 * BLOCK;
            let (now, later) = sums.split_at_mut(PAIRS * len);
            sums = later;
            let out = T::vectors_mut::<S>(now).0;
            let lines: [_; 16] = from_fn(|k| {
                let start = (k / 4 * of.sources + first) * BLOCK + k % 4 * len;
                T::vectors::<S>(&plain[start..][..len]).0
            });
            let registers = len / T::lanes::<S>();
            for i in 0..registers {
                let mut blocks = [[T::splat(simd, T::ZERO); 4]; 4];
                for target in 0..4 {
                    for source in 0..4 {
                        blocks[target][source] = lines[target * 4 + source][i];
                    }
                }
                Side::Left.twice::<T, S>(
                    simd,
                    &blocks,
                    #[inline(always)]
                    |product, sum| out[product * registers + i] = sum,
                );
            }
        }
    }
}

impl<T: Real> Strassen<'_, T> {
    /// A block's weights, a quarter after the other: \[quarter\]\[source\]\[target of the quarter\].
    #[inline(always)]
    fn pack(&self, block: usize, weights: Weights<'_, T>, plain: &mut [T]) {
        for (quarter, lines) in plain.chunks_exact_mut(self.sources * BLOCK).enumerate() {
            let target = block * TARGETS + quarter * BLOCK;
            let lines = lines.as_chunks_mut::<BLOCK>().0;
            match weights {
                Weights::ByTarget(w) => {
                    let row = |k: usize| &w[(target + k) * self.sources..][..lines.len()];
                    let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
                    let [e, f, g, h] = [row(4), row(5), row(6), row(7)];
                    for i in 0..lines.len() {
                        lines[i] = [a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]];
                    }
                }
                Weights::BySource(w) => {
                    for (line, row) in lines.iter_mut().zip(w.chunks_exact(self.targets)) {
                        line.copy_from_slice(&row[target..][..BLOCK]);
                    }
                }
            }
        }
    }

    /// The 49 sums of source blocks of a strip: \[product\]\[source of a quarter of the chunk\]\[pixel of a quarter of the strip\].
    #[inline(always)]
    pub(super) fn source_sums<S: Simd>(
        &self,
        simd: S,
        image: &[T],
        (first, count): (usize, usize),
        from: usize,
        out: &mut [T],
    ) {
        let (rows, lanes) = (count / 4, T::lanes::<S>());
        let registers = quarter::<T>() / lanes;
        let (out, pitch) = (T::vectors_mut::<S>(out).0, pitch::<T>(count) / lanes);
        for row in 0..rows {
            let lines: [_; 4] = from_fn(|source| {
                let start = (first + source * rows + row) * self.pixels + from;
                T::vectors::<S>(&image[start..][..strip::<T>()]).0
            });
            for i in 0..registers {
                let blocks = sixteenths::<T, S>(simd, lines, registers, i);
                Side::Right.twice::<T, S>(
                    simd,
                    &blocks,
                    #[inline(always)]
                    |product, sum| out[product * pitch + row * registers + i] = sum,
                );
            }
        }
    }
}
