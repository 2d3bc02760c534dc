//! The weight gradient by the transpose of F(4×4, 3×3): as a function of the weight, the convolution is linear.
//!
//! ```text
//! dg = Gᵀ [ Σ_tiles (A dy Aᵀ) ∘ (Bᵀ d B) ] G
//! ```
//! The sum over tiles is, for each of the 36 products, a matrix product: outputs × tiles times tiles × channels. Here the
//! lanes of a register are channels, so that the long sum runs within each lane.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::tiles::Tiles;
use super::transform::{OUT, PRODUCTS, SIDE, filter_transposed, input, output_transposed};
use super::{GROUP_BYTES, SEQUENTIAL, each};
use crate::kernel::conv::microkernel::{BLOCK, Product, Source, rows_of};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

/// Tiles of a block: with the channels of a task they fill the first-level cache.
const TILES: usize = 64;
/// Outputs of a task.
const TARGETS: usize = 32;
/// Input channels of a task, in 64-byte registers.
const SOURCE_REGISTERS: usize = 6;

/// The weight gradient of one 3×3 convolution of stride 1, one group.
pub(in crate::kernel::conv) struct WeightGradient {
    pub(in crate::kernel::conv) batch: usize,
    pub(in crate::kernel::conv) source_channels: usize,
    pub(in crate::kernel::conv) target_channels: usize,
    pub(in crate::kernel::conv) source: [usize; 2],
    pub(in crate::kernel::conv) target: [usize; 2],
    pub(in crate::kernel::conv) padding: [usize; 2],
}

/// Elements of a 64-byte register: how many channels are packed together, whatever the processor's length.
const fn register<T>() -> usize {
    64 / size_of::<T>()
}

/// Consecutive ranges of `step` channels.
fn ranges(channels: usize, step: usize) -> Vec<Range<usize>> {
    (0..channels).step_by(step).map(|first| first..(first + step).min(channels)).collect()
}

impl WeightGradient {
    /// Computes all of `dw`.
    pub(in crate::kernel::conv) fn run<T: Real>(&self, x: &[T], dy: &[T], dw: &mut [T]) {
        let register = register::<T>();
        let tiles = Tiles::new(self.batch, self.target, 1).in_blocks_of(TILES);
        let sources = ranges(self.source_channels, SOURCE_REGISTERS * register);
        let targets = ranges(self.target_channels, TARGETS);
        let (x_width, y_width) = (
            self.source_channels.next_multiple_of(register),
            self.target_channels.next_multiple_of(TARGETS),
        );
        let (x_len, y_len) = (PRODUCTS * tiles.padded * x_width, PRODUCTS * tiles.padded * y_width);
        let group =
            (GROUP_BYTES / ((x_len + y_len) * size_of::<T>())).clamp(1, tiles.blocks().max(1));
        let parallel = tiles.blocks() * tiles.padded * PRODUCTS * x_width * y_width >= SEQUENTIAL;
        dw.fill(T::ZERO);
        let mut x_all = Scratch::new(group * x_len);
        let mut y_all = Scratch::new(group * y_len);
        let x_piece = PRODUCTS * tiles.padded * SOURCE_REGISTERS * register;
        let y_piece = PRODUCTS * tiles.padded * TARGETS;
        for first in (0..tiles.blocks()).step_by(group) {
            let count = group.min(tiles.blocks() - first);
            let of_x = x_all[..count * x_len].chunks_mut(x_len).enumerate().flat_map(|(b, all)| {
                let pieces = all.chunks_mut(x_piece).zip(&sources);
                pieces.map(move |(out, channels)| (true, first + b, channels.clone(), out))
            });
            let of_y = y_all[..count * y_len].chunks_mut(y_len).enumerate().flat_map(|(b, all)| {
                let pieces = all.chunks_mut(y_piece).zip(&targets);
                pieces.map(move |(out, channels)| (false, first + b, channels.clone(), out))
            });
            let pieces: Vec<_> = of_x.chain(of_y).collect();
            each(parallel, pieces, |(is_source, block, channels, out)| {
                let (of, tiles) = (self, &tiles);
                if is_source {
                    dispatch(Sources { of, tiles, x, block, channels, out });
                } else {
                    dispatch(Targets { of, tiles, dy, block, channels, out });
                }
            });
            let mut tasks: Vec<_> = targets
                .iter()
                .flat_map(|t| sources.iter().map(move |s| (t.clone(), s.clone(), Vec::new())))
                .collect();
            for (k, mut row) in dw.chunks_exact_mut(9 * self.source_channels).enumerate() {
                let tasks = &mut tasks[k / TARGETS * sources.len()..][..sources.len()];
                for (task, range) in tasks.iter_mut().zip(&sources) {
                    let (mine, rest) = row.split_at_mut(9 * range.len());
                    task.2.push(mine);
                    row = rest;
                }
            }
            let x: Vec<_> = x_all[..count * x_len].chunks(x_len).collect();
            let y: Vec<_> = y_all[..count * y_len].chunks(y_len).collect();
            each(parallel, tasks, |(targets, sources, rows)| {
                let (x_from, y_from) = (
                    sources.start / (SOURCE_REGISTERS * register) * x_piece,
                    targets.start / TARGETS * y_piece,
                );
                let width = sources.len().next_multiple_of(register);
                let tiles = |b: usize| tiles.block(first + b).len() * tiles.columns;
                dispatch(Sums {
                    x: x.iter().enumerate().map(|(b, x)| (tiles(b), &x[x_from..])).collect(),
                    y: y.iter().map(|y| &y[y_from..]).collect(),
                    padded: y_piece / (PRODUCTS * TARGETS),
                    width,
                    rows,
                });
            });
        }
    }
}

/// Transformed pixels of a block and some channels: \[product\]\[tile\]\[channel\].
struct Sources<'a, T> {
    of: &'a WeightGradient,
    tiles: &'a Tiles,
    x: &'a [T],
    block: usize,
    channels: Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Sources<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, tiles, x, block, channels, out } = self;
        let register = register::<T>();
        let width = channels.len().next_multiple_of(register);
        let pixels = OUT * tiles.columns + SIDE - OUT;
        let mut rows = Scratch::new(SIDE * pixels * register);
        for at in (0..width).step_by(register) {
            let first = channels.start + at;
            let last = (first + register).min(channels.end);
            for (index, row) in tiles.block(block).enumerate() {
                let (image, ty) = tiles.place(row);
                rows.fill(T::ZERO);
                for (i, line) in rows.chunks_exact_mut(pixels * register).enumerate() {
                    let Some(y) = (ty * OUT + i).checked_sub(of.padding[0]) else { continue };
                    if y < of.source[0] && of.padding[1] < pixels {
                        let line = &mut line[of.padding[1] * register..];
                        let plane = image * of.source_channels + first;
                        transpose(x, of.source, plane, y, last - first, line);
                    }
                }
                for lane in (0..register).step_by(T::lanes::<S>()) {
                    for column in 0..pixels {
                        let place = |i: usize| (i * pixels + column) * register + lane;
                        let d = input::<T, S>(simd, load::<T, S, SIDE>(simd, &rows, place));
                        store::<T, S, SIDE>(&mut rows, place, d);
                    }
                    for tx in 0..tiles.columns {
                        let tile = index * tiles.columns + tx;
                        for i in 0..SIDE {
                            let place = |j: usize| (i * pixels + tx * OUT + j) * register + lane;
                            let d = input::<T, S>(simd, load::<T, S, SIDE>(simd, &rows, place));
                            let place = |j: usize| {
                                ((i * SIDE + j) * tiles.padded + tile) * width + at + lane
                            };
                            store::<T, S, SIDE>(out, place, d);
                        }
                    }
                }
            }
        }
    }
}

/// Transformed derivatives of a block and some outputs: \[product\]\[block of outputs\]\[tile\]\[output of the block\].
struct Targets<'a, T> {
    of: &'a WeightGradient,
    tiles: &'a Tiles,
    dy: &'a [T],
    block: usize,
    channels: Range<usize>,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Targets<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, tiles, dy, block, channels, out } = self;
        let register = register::<T>();
        let pixels = OUT * tiles.columns;
        let mut rows = Scratch::new(SIDE * pixels * register);
        let mut factors = Scratch::new(SIDE * register);
        for at in (0..TARGETS).step_by(register) {
            let first = channels.start + at;
            let count = channels.end.saturating_sub(first).min(register);
            for (index, row) in tiles.block(block).enumerate() {
                let (image, ty) = tiles.place(row);
                rows.fill(T::ZERO);
                let lines = rows.chunks_exact_mut(pixels * register).take(OUT);
                for (i, line) in lines.enumerate().filter(|_| count > 0) {
                    if ty * OUT + i < of.target[0] {
                        let plane = image * of.target_channels + first;
                        transpose(dy, of.target, plane, ty * OUT + i, count, line);
                    }
                }
                for lane in (0..register).step_by(T::lanes::<S>()) {
                    for column in 0..pixels {
                        let place = |i: usize| (i * pixels + column) * register + lane;
                        let y = load::<T, S, OUT>(simd, &rows, place);
                        store::<T, S, SIDE>(&mut rows, place, output_transposed::<T, S>(simd, y));
                    }
                }
                for tx in 0..tiles.columns {
                    let tile = index * tiles.columns + tx;
                    for i in 0..SIDE {
                        for lane in (0..register).step_by(T::lanes::<S>()) {
                            let place = |j: usize| (i * pixels + tx * OUT + j) * register + lane;
                            let y = load::<T, S, OUT>(simd, &rows, place);
                            let place = |j: usize| j * register + lane;
                            let m = output_transposed::<T, S>(simd, y);
                            store::<T, S, SIDE>(&mut factors, place, m);
                        }
                        for (j, factors) in factors.chunks_exact(register).enumerate() {
                            for (block, factors) in factors.chunks_exact(BLOCK).enumerate() {
                                let product = (i * SIDE + j) * TARGETS / BLOCK;
                                let block = product + at / BLOCK + block;
                                let place = (block * tiles.padded + tile) * BLOCK;
                                out[place..place + BLOCK].copy_from_slice(factors);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Row `y` of `count` planes from `plane` on, pixel by pixel: line\[pixel\]\[plane\], as many pixels as fit.
#[inline(always)]
fn transpose<T: Real>(
    from: &[T],
    size: [usize; 2],
    plane: usize,
    y: usize,
    count: usize,
    line: &mut [T],
) {
    let register = register::<T>();
    for lane in 0..count {
        let row = &from[((plane + lane) * size[0] + y) * size[1]..][..size[1]];
        for (pixel, &value) in line.chunks_exact_mut(register).zip(row) {
            pixel[lane] = value;
        }
    }
}

/// N registers from the places that `place` names.
#[inline(always)]
fn load<T: Real, S: Simd, const N: usize>(
    simd: S,
    from: &[T],
    place: impl Fn(usize) -> usize,
) -> [T::Vector<S>; N] {
    let mut out = [T::splat(simd, T::ZERO); N];
    for (k, out) in out.iter_mut().enumerate() {
        *out = T::vectors::<S>(&from[place(k)..][..T::lanes::<S>()]).0[0];
    }
    out
}

/// N registers to the places that `place` names.
#[inline(always)]
fn store<T: Real, S: Simd, const N: usize>(
    to: &mut [T],
    place: impl Fn(usize) -> usize,
    values: [T::Vector<S>; N],
) {
    for (k, &value) in values.iter().enumerate() {
        T::vectors_mut::<S>(&mut to[place(k)..][..T::lanes::<S>()]).0[0] = value;
    }
}

/// The products of all blocks of a group for some outputs and channels, added to their rows of dw.
struct Sums<'a, 'w, T> {
    /// Tiles and transformed pixels of each block.
    x: Vec<(usize, &'a [T])>,
    y: Vec<&'a [T]>,
    /// Tiles that a block has room for.
    padded: usize,
    /// Channels, in whole registers.
    width: usize,
    rows: Vec<&'w mut [T]>,
}

impl<T: Real> WithSimd for Sums<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, y, padded, width, rows } = self;
        let blocks = rows.len().div_ceil(BLOCK);
        let mut sums = Scratch::new(PRODUCTS * blocks * BLOCK * width);
        for (product, sums) in sums.chunks_exact_mut(blocks * BLOCK * width).enumerate() {
            for (b, (&(tiles, x), y)) in x.iter().zip(&y).enumerate() {
                let data = &x[product * padded * width..][..tiles * width];
                for (block, sums) in sums.chunks_exact_mut(BLOCK * width).enumerate() {
                    let from = (product * TARGETS / BLOCK + block) * padded * BLOCK;
                    let factors = &y[from..][..tiles * BLOCK];
                    let source = Source { data, channel: width };
                    let product = Product {
                        source,
                        shifts: &[0],
                        weights: factors,
                        width: BLOCK,
                        positions: width,
                        accumulate: b > 0,
                    };
                    product.run(simd, &mut rows_of(sums, width));
                }
            }
        }
        let register = register::<T>();
        let mut taps = Scratch::new(9 * register);
        for (k, row) in rows.into_iter().enumerate() {
            for (c, weights) in row.chunks_mut(9 * register).enumerate() {
                for lane in (0..register).step_by(T::lanes::<S>()) {
                    let mut half = [[T::splat(simd, T::ZERO); SIDE]; 3];
                    for j in 0..SIDE {
                        let place = |i: usize| {
                            ((i * SIDE + j) * blocks * BLOCK + k) * width + c * register + lane
                        };
                        let column = load::<T, S, SIDE>(simd, &sums, place);
                        let column = filter_transposed::<T, S>(simd, column);
                        for i in 0..3 {
                            half[i][j] = column[i];
                        }
                    }
                    for i in 0..3 {
                        let row = filter_transposed::<T, S>(simd, half[i]);
                        store::<T, S, 3>(&mut taps, |j| (i * 3 + j) * register + lane, row);
                    }
                }
                for (lane, weight) in weights.chunks_exact_mut(9).enumerate() {
                    for (tap, weight) in weight.iter_mut().enumerate() {
                        *weight += taps[tap * register + lane];
                    }
                }
            }
        }
    }
}
