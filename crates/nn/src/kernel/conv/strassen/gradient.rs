//! The weight gradient of a 1×1 convolution with many channels, by the same method.
//!
//! ```text
//! dw[o, s] = Σ_n Σ_p dy[n, o, p] · x[n, s, p]        dy: targets × pixels,  x, turned: pixels × sources
//! ```
//! - A task has a strip of the sources and some blocks of targets, and goes through all pixels, a chunk at a time. The 49 sums of a chunk's
//!   blocks of x, turned so that a register holds neighbouring sources, lie in the second-level cache.
//! - The sums of dy are made where they are used, seven at a time, of a copy of a block's rows in the chunk. While the block's products are
//!   computed, the next block's rows are fetched, most of them in `f64`.
//!
//! Pixels behind the last whole chunk are computed directly.
//!
//! # Rounding
//! Lines of dy and x are multiplied by powers of two that take the greatest of their numbers to about 1, and the results by the inverses (outside
//! scaling: G. Ballard, A. R. Benson, A. Druinsky, B. Lipshitz, O. Schwartz, "Improving the Numerical Stability of Fast Matrix
//! Multiplication", SIAM J. Matrix Anal. Appl. 37, 2016). So a channel is as exact beside great ones as alone, as far as [`Top::units`] reaches,
//! and a line of zeros gives zeros: optimizers that divide gradients by their size would take steps along anything else.

#[cfg(test)]
mod tests;
mod turn;

use std::array::from_fn;

use pullback_core_graph::{Fresh, Top, prefetch, spread};
use pulp::{Simd, WithSimd};
use rayon::current_num_threads;

use self::turn::turn;
use super::TARGETS;
use super::form::{PAIRS, PRODUCTS, Side, sixteenths};
use super::levels::{Cursor, Products, Tile, add_products, add_sum, add_tile, tile};
use crate::kernel::conv::microkernel::BLOCK;
use crate::kernel::conv::pack::{Finish, append};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{LINE_BYTES, Real, Scratch};

/// Bytes of a line of a block of sources, a quarter of a strip's.
const QUARTER_BYTES: usize = 128;
/// Registers of such a line that the inner loop takes at a time: all of the widest kind.
const REGISTERS: usize = 2;
/// Pixels of a quarter of a chunk.
const DEPTH: usize = 48;
/// Pixels whose sums are in the second-level cache at a time.
pub(in crate::kernel::conv) const CHUNK: usize = 4 * DEPTH;
/// Numbers so many times greater than those before change how a line is scaled.
const ROOM: f64 = 8.0;
/// Elements of a line of a block.
const fn quarter<T>() -> usize {
    QUARTER_BYTES / size_of::<T>()
}

/// Sources of a strip.
pub(in crate::kernel::conv) const fn strip<T>() -> usize {
    4 * quarter::<T>()
}

/// Elements from one sum of blocks to the next: a line of the cache more than a block, see [`super::pitch`].
const fn pitch<T>() -> usize {
    DEPTH * quarter::<T>() + LINE_BYTES / size_of::<T>()
}

/// The weight gradient of one convolution. `targets` is a multiple of [`TARGETS`], `sources` of [`strip`].
pub(in crate::kernel::conv) struct Gradient {
    pub(in crate::kernel::conv) batch: usize,
    pub(in crate::kernel::conv) sources: usize,
    pub(in crate::kernel::conv) targets: usize,
    /// Of an image.
    pub(in crate::kernel::conv) pixels: usize,
}

impl Gradient {
    /// Computes all of `dw`. Whether all is finite.
    pub(in crate::kernel::conv) fn run<T: Real>(
        &self,
        x: &[T],
        dy: &[T],
        dw: Fresh<'_, T>,
    ) -> bool {
        self.run_on(x, dy, dw, |run| dispatch(run))
    }

    /// The same with the instructions that `work` chooses.
    pub(super) fn run_on<T: Real>(
        &self,
        x: &[T],
        dy: &[T],
        dw: Fresh<'_, T>,
        work: impl Fn(Run<'_, '_, T>) -> bool + Sync,
    ) -> bool {
        let finite = spread(self.split(dw), |_, task| work(Run { of: self, x, dy, task }));
        !finite.contains(&false)
    }

    /// Tasks with the parts of the rows of dw that each alone writes, as the threads need them: no block's sums depend on how many blocks there
    /// are in a task.
    fn split<'t, T: Real>(&self, dw: Fresh<'t, T>) -> Vec<Task<'t, T>> {
        let (strips, blocks) = (self.sources / strip::<T>(), self.targets / TARGETS);
        let threads = current_num_threads();
        // The sums of x, which each task makes anew, take about as long as a block's products.
        let time =
            |&parts: &usize| (strips * parts).div_ceil(threads) * (blocks.div_ceil(parts) + 1);
        let parts = (1..=blocks.min(threads)).min_by_key(time).unwrap_or(1);
        let targets = blocks.div_ceil(parts) * TARGETS;
        let mut tasks: Vec<_> = (0..self.targets.div_ceil(targets.max(1)) * strips)
            .map(|i| Task {
                strip: i % strips,
                first: i / strips * targets,
                rows: Vec::with_capacity(targets),
            })
            .collect();
        for (target, row) in dw.chunks(self.sources).enumerate() {
            let tasks = &mut tasks[target / targets * strips..][..strips];
            for (task, part) in tasks.iter_mut().zip(row.chunks(strip::<T>())) {
                task.rows.push(part);
            }
        }
        tasks
    }
}

/// A strip of the sources in some blocks of targets.
struct Task<'t, T> {
    strip: usize,
    /// The first target.
    first: usize,
    rows: Vec<Fresh<'t, T>>,
}

/// A task with all that it reads.
pub(super) struct Run<'a, 't, T> {
    of: &'a Gradient,
    x: &'a [T],
    dy: &'a [T],
    task: Task<'t, T>,
}

impl<T: Real> WithSimd for Run<'_, '_, T> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, x, dy, task: Task { strip: index, first, mut rows } } = self;
        let (pixels, strip) = (of.pixels, strip::<T>());
        let mut results = Scratch::new(rows.len() * strip);
        results.fill(T::ZERO);
        let (mut of_x, mut of_dy) = (Scales::new(strip), Scales::new(rows.len()));
        let mut turned = Scratch::new(CHUNK * strip);
        let mut sums = Scratch::new(PAIRS * pitch::<T>());
        let mut near = Scratch::new(TARGETS * CHUNK);
        let mut weights = Scratch::new(PRODUCTS * BLOCK * DEPTH);
        let mut sum = Scratch::new(TARGETS * strip / 4);
        let whole = pixels - pixels % CHUNK;
        for image in 0..of.batch {
            let x = &x[(image * of.sources + index * strip) * pixels..][..strip * pixels];
            let dy = &dy[(image * of.targets + first) * pixels..][..rows.len() * pixels];
            for from in (0..whole).step_by(CHUNK) {
                of_x.turn(x, pixels, from, &mut turned, &mut results);
                source_sums(simd, &turned, &mut sums);
                for (block, result) in results.chunks_exact_mut(TARGETS * strip).enumerate() {
                    let lines = dy[block * TARGETS * pixels..].chunks_exact(pixels);
                    let lines = lines.map(|line| &line[from..][..CHUNK]);
                    of_dy.copy(lines, block * TARGETS, CHUNK, &mut near, result);
                    // The next block in this chunk, or the first one in the next.
                    let next = match (block + 1) * TARGETS {
                        line if line < rows.len() => &dy[line * pixels + from..],
                        _ => &dy[from + CHUNK..],
                    };
                    let ahead = Cursor::default();
                    let (near, weights, sums) = (&near[..], &mut weights[..], &sums[..]);
                    let mut products = Sums { near, weights, sums, next, pixels, ahead, outer: 0 };
                    let line = quarter::<T>();
                    add_products::<T, S, _, REGISTERS>(simd, line, &mut products, result, &mut sum);
                }
            }
            // What is left of the pixels, directly.
            for from in (whole..pixels).step_by(DEPTH) {
                let depth = DEPTH.min(pixels - from);
                let turned = &mut turned[..depth * strip];
                of_x.turn(x, pixels, from, turned, &mut results);
                let blocks = results.chunks_exact_mut(BLOCK * strip);
                for (block, result) in blocks.enumerate() {
                    let lines = dy[block * BLOCK * pixels..].chunks_exact(pixels);
                    let lines = lines.map(|line| &line[from..][..depth]);
                    let near = &mut near[..BLOCK * DEPTH];
                    of_dy.copy(lines, block * BLOCK, DEPTH, near, result);
                    if S::REGISTER_COUNT >= 32 {
                        add_directly::<T, S, 8>(simd, near, turned, result);
                    } else {
                        add_directly::<T, S, 4>(simd, near, turned, result);
                    }
                }
            }
        }
        let finish = Finish { bias: T::ZERO, relu: false };
        let mut finite = true;
        for (k, (row, line)) in rows.iter_mut().zip(results.chunks_exact_mut(strip)).enumerate() {
            let unit = of_dy.units[k];
            line.iter_mut().zip(&*of_x.units).for_each(|(v, &of_x)| *v = *v * (unit * of_x));
            finite &= append(row, line, finish);
        }
        finite
    }
}

/// What lines are multiplied by, and its inverse, which is 0 while all numbers of a line are.
struct Scales<T: Real> {
    scales: Scratch<T>,
    units: Scratch<T>,
}

impl<T: Real> Scales<T> {
    fn new(lines: usize) -> Self {
        let (mut scales, mut units) = (Scratch::new(lines), Scratch::new(lines));
        scales.fill(T::ONE);
        units.fill(T::ZERO);
        Self { scales, units }
    }

    /// `top` of more of a line. What its sums must be multiplied by: not 1 if these numbers are much greater than those before.
    #[inline(always)]
    fn see(&mut self, line: usize, top: Top<T>) -> T {
        let ([scale, unit], before) = (top.units(), self.units[line]);
        if unit <= before * T::from_f64(ROOM) {
            return T::ONE;
        }
        (self.scales[line], self.units[line]) = (scale, unit);
        before * scale
    }

    /// [`turn`], of scaled lines.
    #[inline(always)]
    fn turn(&mut self, x: &[T], pixels: usize, from: usize, turned: &mut [T], results: &mut [T]) {
        let strip = strip::<T>();
        let depth = turned.len() / strip;
        let mut factors = Scratch::new(strip);
        for (k, (factor, line)) in factors.iter_mut().zip(x.chunks_exact(pixels)).enumerate() {
            let mut top = Top::new();
            line[from..][..depth].iter().for_each(|&v| top.see(v));
            *factor = self.see(k, top);
        }
        if factors.iter().any(|&factor| factor != T::ONE) {
            for row in results.chunks_exact_mut(strip) {
                row.iter_mut().zip(&*factors).for_each(|(v, &factor)| *v = *v * factor);
            }
        }
        turn(x, pixels, from, turned);
        for line in turned.chunks_exact_mut(strip) {
            line.iter_mut().zip(&*self.scales).for_each(|(v, &scale)| *v = *v * scale);
        }
    }

    /// Scaled lines, the first one's number is `first`, to every `pitch` elements of `out`. `results` has a line of a strip for each.
    #[inline(always)]
    fn copy<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a [T]>,
        first: usize,
        pitch: usize,
        out: &mut [T],
        results: &mut [T],
    ) {
        let outs = out.chunks_exact_mut(pitch).zip(results.chunks_exact_mut(strip::<T>()));
        for (k, ((out, result), line)) in outs.zip(lines).enumerate() {
            let mut scaled = |scale: T| {
                let mut top = Top::new();
                for (out, &v) in out.iter_mut().zip(line) {
                    top.see(v);
                    *out = v * scale;
                }
                top
            };
            let top = scaled(self.scales[first + k]);
            let factor = self.see(first + k, top);
            if factor != T::ONE {
                scaled(self.scales[first + k]);
                result.iter_mut().for_each(|v| *v = *v * factor);
            }
        }
    }
}

/// The 49 sums of a chunk's blocks of x: \[product\]\[pixel of a quarter of the chunk\]\[source of a quarter of the strip\].
#[inline(always)]
fn source_sums<T: Real, S: Simd>(simd: S, turned: &[T], out: &mut [T]) {
    let lanes = T::lanes::<S>();
    let registers = quarter::<T>() / lanes;
    let (turned, out) = (T::vectors::<S>(turned).0, T::vectors_mut::<S>(out).0);
    let pitch = pitch::<T>() / lanes;
    for pixel in 0..DEPTH {
        let lines: [_; 4] =
            from_fn(|k| &turned[(k * DEPTH + pixel) * 4 * registers..][..4 * registers]);
        for i in 0..registers {
            let blocks = sixteenths::<T, S>(simd, lines, registers, i);
            Side::Right.twice::<T, S>(
                simd,
                &blocks,
                #[inline(always)]
                |product, sum| out[product * pitch + pixel * registers + i] = sum,
            );
        }
    }
}

/// The products of the sums of dy's blocks and of x's.
struct Sums<'a, T> {
    /// \[quarter\]\[target of a block\]\[pixel of the chunk\].
    near: &'a [T],
    /// The inner level's sums of `near`: \[product\]\[target of the block\]\[pixel of a quarter\].
    weights: &'a mut [T],
    /// \[product\]\[pixel of a quarter\]\[source of a quarter\], [`pitch`] from one product to the next.
    sums: &'a [T],
    /// The next block's lines, from the first element on, `pixels` from one to the next.
    next: &'a [T],
    pixels: usize,
    ahead: Cursor,
    outer: usize,
}

impl<T: Real> Products<T> for Sums<'_, T> {
    #[inline(always)]
    fn begin<S: Simd>(&mut self, simd: S, outer: usize) {
        self.outer = outer;
        match outer {
            0 => self.sum::<S, 0>(simd),
            1 => self.sum::<S, 1>(simd),
            2 => self.sum::<S, 2>(simd),
            3 => self.sum::<S, 3>(simd),
            4 => self.sum::<S, 4>(simd),
            5 => self.sum::<S, 5>(simd),
            _ => self.sum::<S, 6>(simd),
        }
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
        let lines = &self.sums[(self.outer * PRODUCTS + inner) * pitch::<T>()..];
        let lines = lines[..DEPTH * quarter::<T>()].chunks_exact(quarter::<T>());
        let weights = &self.weights[(inner * BLOCK + first) * DEPTH..];
        let Some(weights) = weights.as_chunks::<DEPTH>().0.first_chunk::<M>() else { return start };
        let (next, pixels, ahead) = (self.next, self.pixels, &mut self.ahead);
        tile::<T, S, _, M, V>(
            simd,
            lines.zip(0..DEPTH),
            at,
            start,
            #[inline(always)]
            |k, m| weights[m][k],
            #[inline(always)]
            || {
                if let Some((row, at)) = ahead.next::<T>(TARGETS, CHUNK) {
                    prefetch(next, row * pixels + at);
                }
            },
        )
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, _: usize, result: &mut [T], sum: &[T]) {
        add_sum(simd, quarter::<T>(), result, sum);
    }
}

impl<T: Real> Sums<'_, T> {
    /// The inner level's sums for the outer level's product P.
    #[inline(always)]
    fn sum<S: Simd, const P: usize>(&mut self, simd: S) {
        let registers = DEPTH / T::lanes::<S>();
        let (near, weights) = (T::vectors::<S>(self.near).0, T::vectors_mut::<S>(self.weights).0);
        for row in 0..BLOCK {
            let lines: [_; 4] =
                from_fn(|k| &near[(k * BLOCK + row) * 4 * registers..][..4 * registers]);
            for i in 0..registers {
                let blocks = sixteenths::<T, S>(simd, lines, registers, i);
                let sums = Side::Left.within::<P, T, S>(simd, &blocks);
                for product in 0..PRODUCTS {
                    weights[(product * BLOCK + row) * registers + i] = sums[product];
                }
            }
        }
    }
}

/// Adds the products of lines of dy, [`DEPTH`] apart, and turned pixels to [`BLOCK`] lines of a strip.
#[inline(always)]
fn add_directly<T: Real, S: Simd, const M: usize>(
    simd: S,
    near: &[T],
    turned: &[T],
    result: &mut [T],
) {
    let strip = strip::<T>();
    for at in (0..strip).step_by(REGISTERS * T::lanes::<S>()) {
        for first in (0..BLOCK).step_by(M) {
            let zero = [[T::splat(simd, T::ZERO); REGISTERS]; M];
            let weights = near[first * DEPTH..].as_chunks::<DEPTH>().0;
            let Some(weights) = weights.first_chunk::<M>() else { return };
            let sums = tile::<T, S, _, M, REGISTERS>(
                simd,
                turned.chunks_exact(strip).zip(0..DEPTH),
                at,
                zero,
                #[inline(always)]
                |k, m| weights[m][k],
                #[inline(always)]
                || {},
            );
            add_tile::<T, S, M, REGISTERS>(simd, &sums, &mut result[first * strip + at..], strip);
        }
    }
}
