//! A strip's products, and what is left behind the last strip.

use pullback_core_graph::{Fresh, prefetch};
use pulp::{Simd, WithSimd};

use super::form::{ALONE, BLOCKS, LAST, PAIRS, PRODUCTS, STEPS};
use super::levels::{Cursor, Products, Tile, add_products, add_sum, tile};
use super::{CHUNK, Strassen, TARGETS, Task, pitch, quarter, strip};
use crate::kernel::conv::microkernel::{BLOCK, Product, Source, rows_of};
use crate::kernel::conv::pack::append;
use crate::kernel::real::{LINE_BYTES, Real, Scratch, copy_strided};

/// Registers of a line that the inner loop takes at a time.
const REGISTERS: usize = 3;

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
            let pitch = pitch::<T>(count);
            let blocks = &mut blocks[..PAIRS * pitch];
            of.source_sums(simd, image, (first, count), task.from, blocks);
            // What is read next: the next chunk, or the next strip.
            let last = first + count == of.sources;
            let next = match last {
                true if task.from + 2 * strip::<T>() > of.pixels => &[],
                true => &image[task.from + strip::<T>()..],
                false => &image[(first + count) * of.pixels + task.from..],
            };
            let mut line = Cursor::default();
            for block in 0..of.blocks() {
                let start = if passes { block * outputs } else { 0 };
                let result = &mut results[start..][..outputs];
                let start = block * of.block_len() + PAIRS * first / 4 * BLOCK;
                let weights = &sums[start..][..PAIRS * count / 4 * BLOCK];
                let planes = &mut task.planes[block * TARGETS..][..TARGETS];
                let mut products = Sums {
                    of,
                    target: block * TARGETS,
                    first: first == 0,
                    finite,
                    weights,
                    blocks,
                    sources: count / 4,
                    pitch,
                    outer: 0,
                    planes: if last { planes } else { &mut [] },
                    plane: Cursor::default(),
                    next,
                    pixels: of.pixels,
                    line,
                };
                add_products::<T, S, _, REGISTERS>(simd, quarter, &mut products, result, &mut sum);
                line = products.line;
                finite = products.finite;
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
            let start = target / BLOCK;
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

/// The products of the sums of the weights' blocks and the source's.
struct Sums<'a, 'c, 't, T> {
    of: &'a Strassen<'c, T>,
    /// The block's first target.
    target: usize,
    /// Nothing was added to the results yet.
    first: bool,
    /// Is all that was written finite?
    finite: bool,
    /// \[product\]\[source\]\[target of the block\].
    weights: &'a [T],
    /// \[product\]\[source\]\[pixel of a quarter of the strip\], `pitch` from one product to the next.
    blocks: &'a [T],
    /// Of a quarter.
    sources: usize,
    pitch: usize,
    outer: usize,
    /// The outputs that the results go to, once they are finished.
    planes: &'a mut [Fresh<'t, T>],
    plane: Cursor,
    /// The lines that are read next, `pixels` from one to the next.
    next: &'a [T],
    pixels: usize,
    line: Cursor,
}

impl<T: Real> Products<T> for Sums<'_, '_, '_, T> {
    #[inline(always)]
    fn begin<S: Simd>(&mut self, _: S, outer: usize) {
        self.outer = outer;
    }

    #[inline(always)]
    fn sums<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        inner: usize,
        first: usize,
        at: usize,
        start: Tile<T, S, M, V>,
    ) -> Tile<T, S, M, V> {
        let product = self.outer * PRODUCTS + inner;
        let (weights, block) = (self.sources * BLOCK, self.sources * quarter::<T>());
        let lines = self.blocks[product * self.pitch..][..block].chunks_exact(quarter::<T>());
        let weights = self.weights[product * weights..][..weights].as_chunks::<BLOCK>().0.iter();
        let weights = weights.filter_map(
            #[inline(always)]
            |weights| weights[first..].first_chunk::<M>(),
        );
        let (planes, plane, next, line) =
            (&*self.planes, &mut self.plane, self.next, &mut self.line);
        let (pixels, width) = (self.pixels, strip::<T>() + LINE_BYTES / size_of::<T>());
        let rows = 4 * self.sources;
        tile::<T, S, _, M, V>(
            simd,
            lines.zip(weights),
            at,
            start,
            #[inline(always)]
            |weights, m| weights[m],
            #[inline(always)]
            || match plane.next::<T>(planes.len(), width) {
                Some((row, at)) => planes[row].prefetch(at),
                None => {
                    if let Some((row, at)) = line.next::<T>(rows, width) {
                        prefetch(next, row * pixels + at);
                    }
                }
            },
        )
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, outer: usize, result: &mut [T], sum: &[T]) {
        let quarter = quarter::<T>();
        let fresh = self.first && outer < BLOCKS;
        let finished = LAST <= outer && !self.planes.is_empty();
        if outer != ALONE && !fresh {
            add_sum(simd, quarter, result, sum);
        }
        if finished {
            let start = STEPS[outer].into / 2 * (2 * BLOCK);
            let planes = self.planes[start..][..2 * BLOCK].iter_mut().enumerate();
            let rows = match fresh {
                true => (sum, 2 * quarter),
                false => (&*result, 4 * quarter),
            };
            for ((k, plane), row) in planes.zip(rows.0.chunks(rows.1)) {
                let finish = self.of.finish(self.target + start + k);
                self.finite &= append(plane, &row[..2 * quarter], finish);
            }
        } else if fresh {
            let rows = result.chunks_mut(4 * quarter);
            for (row, sum) in rows.zip(sum.chunks_exact(2 * quarter)) {
                row[..2 * quarter].copy_from_slice(sum);
            }
        }
    }
}
