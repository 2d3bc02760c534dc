//! A strip's products, and what is left behind the last strip.

use pullback_core_graph::Fresh;
use pulp::{Simd, WithSimd};

use super::form::{PAIRS, PRODUCTS, STEPS};
use super::{CHUNK, Strassen, TARGETS, Task, pitch, quarter, strip};
use crate::kernel::conv::microkernel::{BLOCK, Product, Source, rows_of};
use crate::kernel::conv::pack::append;
use crate::kernel::real::{LINE_BYTES, Real, Scratch, copy_strided};

/// A task with all that it reads.
pub(super) struct Run<'a, 'c, 't, T> {
    pub(super) of: &'a Strassen<'c, T>,
    pub(super) x: &'a [T],
    pub(super) plain: &'a [T],
    pub(super) sums: &'a [T],
    pub(super) task: Task<'t, T>,
}

impl<T: Real> WithSimd for Run<'_, '_, '_, T> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, x, plain, sums, mut task } = self;
        let image = &x[task.image * of.sources * of.pixels..][..of.sources * of.pixels];
        let mut finite = of.tail(simd, image, plain, &mut task.tail);
        let quarter = quarter::<T>();
        let chunk = CHUNK.min(of.sources);
        let mut blocks = Scratch::new(PAIRS * pitch::<T>(chunk));
        let outputs = TARGETS * 4 * quarter;
        let passes = of.sources > CHUNK;
        let mut results = Scratch::new(outputs * if passes { of.blocks() } else { 1 });
        let mut sum = Scratch::new(2 * BLOCK * 2 * quarter);
        for (first, count) in of.chunks() {
            let (len, pitch) = (count / 4 * quarter, pitch::<T>(count));
            let blocks = &mut blocks[..PAIRS * pitch];
            of.source_sums(simd, image, (first, count), task.from, blocks);
            for block in 0..of.blocks() {
                let start = if passes { block * outputs } else { 0 };
                let result = &mut results[start..][..outputs];
                if first == 0 {
                    result.fill(T::ZERO);
                }
                let start = block * of.block_len() + PAIRS * first / 4 * BLOCK;
                let weights = &sums[start..][..PAIRS * count / 4 * BLOCK];
                let sevens = weights.chunks_exact(PRODUCTS * count / 4 * BLOCK);
                let sevens = sevens.zip(blocks.chunks_exact(PRODUCTS * pitch));
                for (step, (weights, blocks)) in STEPS.iter().zip(sevens) {
                    let products = Products { weights, blocks, len, pitch };
                    let place = |k: usize| k / 2 * (2 * BLOCK * 4 * quarter) + k % 2 * 2 * quarter;
                    if let ([only], true) = (step.into, step.alone) {
                        products.add(simd, &mut result[place(*only)..], 4 * quarter);
                        continue;
                    }
                    if !step.onto {
                        sum.fill(T::ZERO);
                    }
                    products.add(simd, &mut sum, 2 * quarter);
                    for &k in step.into {
                        let rows = result[place(k)..].chunks_mut(4 * quarter);
                        for (row, sum) in rows.zip(sum.chunks_exact(2 * quarter)) {
                            let row = T::vectors_mut::<S>(&mut row[..2 * quarter]).0;
                            for (out, &sum) in row.iter_mut().zip(T::vectors::<S>(sum).0) {
                                *out = T::plus(simd, *out, sum);
                            }
                        }
                    }
                }
                if first + count < of.sources {
                    continue;
                }
                for (k, row) in result.chunks_exact(4 * quarter).enumerate() {
                    let target = (k / BLOCK * of.blocks() + block) * BLOCK + k % BLOCK;
                    finite &= append(&mut task.planes[target], row, of.finish(target));
                }
            }
        }
        finite
    }
}

impl<T: Real> Strassen<'_, T> {
    /// What is left behind the last whole strip, for whole blocks of targets. Whether all is finite.
    #[inline(always)]
    fn tail<S: Simd>(
        &self,
        simd: S,
        image: &[T],
        plain: &[T],
        tail: &mut [(usize, Fresh<'_, T>)],
    ) -> bool {
        let count = self.pixels % strip::<T>();
        if count == 0 || tail.is_empty() {
            return true;
        }
        // Whole registers.
        let width = count.next_multiple_of(LINE_BYTES / size_of::<T>());
        let mut source = Scratch::new(self.sources * width);
        for (line, plane) in source.chunks_exact_mut(width).zip(image.chunks_exact(self.pixels)) {
            let (pixels, padding) = line.split_at_mut(count);
            copy_strided(pixels, &plane[self.pixels - count..], 1);
            padding.fill(T::ZERO);
        }
        let mut sums = Scratch::new(BLOCK * width);
        let mut finite = true;
        for planes in tail.chunks_mut(BLOCK) {
            let Some(&(target, _)) = planes.first() else { continue };
            let (quarter, block) = (target / BLOCK / self.blocks(), target / BLOCK % self.blocks());
            let start = block * 4 + quarter;
            let product = Product {
                source: Source { data: &source, channel: width },
                shifts: &[0],
                weights: &plain[start * BLOCK * self.sources..][..BLOCK * self.sources],
                width: BLOCK,
                positions: width,
                accumulate: false,
            };
            product.run(simd, &mut rows_of(&mut sums, width));
            for ((target, plane), row) in planes.iter_mut().zip(sums.chunks_exact(width)) {
                finite &= append(plane, &row[..count], self.finish(*target));
            }
        }
        finite
    }
}

/// The inner level's seven products.
struct Products<'a, T> {
    /// \[product\]\[source\]\[target of the block\].
    weights: &'a [T],
    /// \[product\]\[source\]\[pixel of a quarter of the strip\], `pitch` from one product to the next, `len` elements each.
    blocks: &'a [T],
    len: usize,
    pitch: usize,
}

impl<T: Real> Products<'_, T> {
    /// Adds the product of 2×2 blocks to `result`: two times [`BLOCK`] rows, `row` from one to the next, of two quarters each.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, result: &mut [T], row: usize) {
        if S::REGISTER_COUNT >= 32 {
            self.add_rows::<S, 8>(simd, 0, result, row);
        } else {
            self.add_rows::<S, 4>(simd, 0, result, row);
            self.add_rows::<S, 4>(simd, 4, result, row);
        }
    }

    /// M rows of each block, three registers at a time.
    #[inline(always)]
    fn add_rows<S: Simd, const M: usize>(
        &self,
        simd: S,
        first: usize,
        result: &mut [T],
        pitch: usize,
    ) {
        const V: usize = 3;
        let (quarter, lanes) = (quarter::<T>(), T::lanes::<S>());
        for at in (0..quarter).step_by(V * lanes) {
            let zero = [[T::splat(simd, T::ZERO); V]; M];
            let mut sums = zero;
            let weights = self.weights.chunks_exact(self.weights.len() / PRODUCTS);
            let blocks = self.blocks.chunks_exact(self.pitch);
            for (step, (weights, block)) in STEPS.iter().zip(weights.zip(blocks)) {
                let product = Product {
                    source: Source { data: &block[..self.len], channel: quarter },
                    shifts: &[0],
                    weights,
                    width: BLOCK,
                    positions: quarter,
                    accumulate: false,
                };
                let start = if step.onto { sums } else { zero };
                sums = product.sums::<S, M, V>(simd, first, at, start);
                for &k in step.into {
                    let start = (k / 2 * BLOCK + first) * pitch + k % 2 * quarter + at;
                    let rows = &mut result[start..];
                    for m in 0..M {
                        let row = T::vectors_mut::<S>(&mut rows[m * pitch..][..V * lanes]).0;
                        let Some(row) = row.first_chunk_mut::<V>() else { return };
                        for v in 0..V {
                            row[v] = T::plus(simd, row[v], sums[m][v]);
                        }
                    }
                }
            }
        }
    }
}
