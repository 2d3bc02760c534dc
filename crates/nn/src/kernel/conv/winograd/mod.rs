//! Winograd's minimal filtering F(4×4, 3×3): a 3×3 convolution of stride 1 with a quarter of the multiplications.
//!
//! ```text
//! y = Aᵀ [ Σ_c (G g Gᵀ) ∘ (Bᵀ d B) ] A      d: 6×6 pixels, g: 3×3 weights, y: 4×4 outputs
//! ```
//! (Lavin and Gray, Fast algorithms for convolutional neural networks, CVPR 2016, §4.) For each of the 36 products the
//! sum over channels is a matrix product: outputs × channels times channels × tiles.
//!
//! # Order of work and memory
//! Tiles are taken in blocks of whole tile rows, blocks in groups of one size whose transformed pixels fill at most [`GROUP_BYTES`]. For each
//! group, tasks of (block, chunk of channels) transform pixels, then tasks of (block, outputs) multiply, transform back
//! and write y with bias and rectifier. Sums lie in the second-level cache, the factors of one product and chunk in the
//! first. Neither the whole transformed image nor, when it is large, the whole transformed weight ever exists.
//!
//! # Accuracy
//! In `f32`, with 128 channels of uniform random numbers, the tests bound the error by 3·10⁻⁶ of the largest output, and
//! its root mean square by 1.5·10⁻⁶ of the outputs'.

mod pixels;
mod tiles;
mod transform;
mod weight;

use pullback_core_graph::{Fresh, spread};
use pulp::{Simd, WithSimd};

use self::pixels::Pixels;
use self::tiles::Tiles;
use self::transform::{FILTERS, OUT, PRODUCTS, SIDE, filter, output};
pub(super) use self::weight::WeightGradient;
use super::microkernel::{Product, Source, rows_of};
use super::pack::{Finish, append, channel_blocks, lines};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

/// Bytes of transformed pixels that exist at a time, beyond the first block's: more are far from the threads that read them.
const GROUP_BYTES: usize = 5 << 20;
/// Bytes of transformed weights that are kept for all blocks; more are transformed again for each block.
const WEIGHT_BYTES: usize = 8 << 20;
/// Outputs of a task.
const TARGETS: usize = 32;
/// Bytes of transformed pixels of one product that stay in the first-level cache.
const CHUNK_BYTES: usize = 24 * 1024;
/// Multiplications below which one thread does everything.
const SEQUENTIAL: usize = 1 << 20;

/// One convolution with a 3×3 kernel, stride 1, one group.
pub(super) struct Winograd<'a, T> {
    pub(super) batch: usize,
    pub(super) source_channels: usize,
    pub(super) target_channels: usize,
    pub(super) source: [usize; 2],
    pub(super) target: [usize; 2],
    /// Zeros before the first row and column.
    pub(super) padding: [usize; 2],
    /// One value for each target channel.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

/// Where everything lies: follows from the sizes alone.
struct Plan {
    tiles: Tiles,
    /// Source channels of a chunk.
    chunk: usize,
    /// Blocks of a group.
    group: usize,
}

impl<T: Real> Winograd<'_, T> {
    fn plan(&self) -> Plan {
        let tiles = Tiles::new(self.batch, self.target, 64 / size_of::<T>());
        let chunk = (CHUNK_BYTES / (tiles.padded * size_of::<T>())).clamp(8, 64);
        let block_bytes = PRODUCTS * self.source_channels * tiles.padded * size_of::<T>();
        // A small one at the end would leave threads idle.
        let blocks = tiles.blocks().max(1);
        let most = (GROUP_BYTES / block_bytes).clamp(1, blocks);
        Plan { tiles, chunk, group: blocks.div_ceil(blocks.div_ceil(most)) }
    }

    /// Computes all of `y`. Whether all is finite. `weight(target, source, tap)` reads the weights.
    pub(super) fn run(
        &self,
        x: &[T],
        weight: impl Fn(usize, usize, usize) -> T + Sync,
        y: Fresh<'_, T>,
    ) -> bool {
        if y.is_empty() {
            return true;
        }
        let plan = self.plan();
        let blocks = plan.tiles.blocks();
        let parallel =
            blocks * plan.tiles.padded * PRODUCTS * self.source_channels * self.target_channels
                >= SEQUENTIAL;
        let per_output = PRODUCTS * self.source_channels;
        let keep = blocks > 1 && per_output * self.target_channels * size_of::<T>() <= WEIGHT_BYTES;
        let kept = keep.then(|| {
            let lines = lines(&channel_blocks(self.target_channels));
            let mut kept = Scratch::new(per_output * lines);
            let tasks: Vec<_> = kept.chunks_mut(per_output * TARGETS).enumerate().collect();
            each(parallel, tasks, |(index, kept)| {
                let mut rest = kept;
                for first in (0..self.source_channels).step_by(plan.chunk) {
                    let targets = self.targets(index);
                    let sources = first..(first + plan.chunk).min(self.source_channels);
                    let len = PRODUCTS * sources.len() * lines_of(targets.len());
                    let (mine, later) = std::mem::take(&mut rest).split_at_mut(len);
                    dispatch(Weights { weight: &weight, targets, sources, out: mine });
                    rest = later;
                }
            });
            kept
        });
        let mut tasks = self.split(&plan.tiles, y).into_iter();
        let block_len = per_output * plan.tiles.padded;
        let mut finite = true;
        let mut pixels = Scratch::new(block_len * plan.group);
        for first in (0..blocks).step_by(plan.group) {
            let count = plan.group.min(blocks - first);
            let pixels = &mut pixels[..count * block_len];
            let pieces: Vec<_> = pixels
                .chunks_mut(block_len)
                .enumerate()
                .flat_map(|(block, pixels)| {
                    pixels
                        .chunks_mut(PRODUCTS * plan.chunk * plan.tiles.padded)
                        .enumerate()
                        .map(move |(chunk, out)| (first + block, chunk, out))
                })
                .collect();
            each(parallel, pieces, |(block, chunk, out)| {
                dispatch(Pixels { of: self, plan: &plan, x, block, chunk, out });
            });
            let outputs = count * self.target_channels.div_ceil(TARGETS);
            let now: Vec<_> = tasks.by_ref().take(outputs).collect();
            finite &= all(parallel, now, |task: Task<'_, T>| {
                let pixels = &pixels[(task.block - first) * block_len..][..block_len];
                let kept = kept.as_deref().map(|kept| {
                    let kept = &kept[task.index * TARGETS * per_output..];
                    &kept[..per_output * lines_of(self.targets(task.index).len())]
                });
                dispatch(Outputs { of: self, plan: &plan, weight: &weight, pixels, kept, task })
            });
        }
        finite
    }

    /// Target channels of a task.
    fn targets(&self, index: usize) -> std::ops::Range<usize> {
        index * TARGETS..((index + 1) * TARGETS).min(self.target_channels)
    }

    /// The tasks of all blocks, with the rows of y that each alone writes.
    fn split<'y>(&self, tiles: &Tiles, y: Fresh<'y, T>) -> Vec<Task<'y, T>> {
        let per_block = self.target_channels.div_ceil(TARGETS);
        let mut tasks: Vec<_> = (0..tiles.blocks() * per_block)
            .map(|i| Task { block: i / per_block, index: i % per_block, planes: vec![] })
            .collect();
        let [height, width] = self.target;
        for (index, mut plane) in y.chunks(height * width).enumerate() {
            let (image, channel) = (index / self.target_channels, index % self.target_channels);
            let last = ((image + 1) * tiles.rows - 1) / tiles.block_rows;
            for block in image * tiles.rows / tiles.block_rows..=last {
                let end = (tiles.block(block).end - image * tiles.rows).min(tiles.rows) * OUT;
                let start = tiles.block(block).start.saturating_sub(image * tiles.rows) * OUT;
                let (mine, rest) = plane.split_at((end.min(height) - start) * width);
                tasks[block * per_block + channel / TARGETS].planes.push(mine);
                plane = rest;
            }
        }
        tasks
    }
}

/// Runs `work` on each task, on several threads if `parallel`.
fn each<A: Send>(parallel: bool, tasks: Vec<A>, work: impl Fn(A) + Send + Sync) {
    let _true = all(parallel, tasks, |task| {
        work(task);
        true
    });
}

/// The same; whether all said yes.
fn all<A: Send>(parallel: bool, tasks: Vec<A>, work: impl Fn(A) -> bool + Send + Sync) -> bool {
    if parallel && tasks.len() > 1 {
        !spread(tasks, |_, task| work(task)).contains(&false)
    } else {
        tasks.into_iter().fold(true, |all, task| all & work(task))
    }
}

fn lines_of(targets: usize) -> usize {
    lines(&channel_blocks(targets))
}

/// A block's tiles for some target channels: the rows of y that it writes, by image and channel.
struct Task<'y, T> {
    block: usize,
    index: usize,
    planes: Vec<Fresh<'y, T>>,
}

/// The factors of some weights: \[product\]\[block of targets\]\[source\]\[target of the block\].
struct Weights<'a, T, W> {
    weight: &'a W,
    targets: std::ops::Range<usize>,
    sources: std::ops::Range<usize>,
    out: &'a mut [T],
}

impl<T: Real, W: Fn(usize, usize, usize) -> T> WithSimd for Weights<'_, T, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { weight, targets, sources, out } = self;
        let blocks = channel_blocks(targets.len());
        let product = out.len() / PRODUCTS;
        for (first, width) in blocks {
            for (c, source) in sources.clone().enumerate() {
                let mut g = [[T::ZERO; FILTERS]; 9];
                for l in 0..width.min(targets.len() - first) {
                    for (tap, g) in g.iter_mut().enumerate() {
                        g[l] = weight(targets.start + first + l, source, tap);
                    }
                }
                let at = first * sources.len() + c * width;
                for (factors, out) in filter(&g).iter().zip(out.chunks_exact_mut(product)) {
                    match <&mut [T; FILTERS]>::try_from(&mut out[at..at + width]) {
                        Ok(out) => *out = *factors,
                        Err(_) => out[at..at + width].copy_from_slice(&factors[..width]),
                    }
                }
            }
        }
    }
}

/// The products, their transform back, and the rows of y.
struct Outputs<'a, 'c, 'y, T, W> {
    of: &'a Winograd<'c, T>,
    plan: &'a Plan,
    weight: &'a W,
    pixels: &'a [T],
    kept: Option<&'a [T]>,
    task: Task<'y, T>,
}

impl<T: Real, W: Fn(usize, usize, usize) -> T> WithSimd for Outputs<'_, '_, '_, T, W> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, plan, weight, mut pixels, mut kept, mut task } = self;
        let padded = plan.tiles.padded;
        let targets = of.targets(task.index);
        let blocks = channel_blocks(targets.len());
        let lines = lines(&blocks);
        let mut sums = Scratch::new(PRODUCTS * lines * padded);
        let scratch_len = if kept.is_some() { 0 } else { PRODUCTS * plan.chunk * lines };
        let mut scratch = Scratch::new(scratch_len);
        for first in (0..of.source_channels).step_by(plan.chunk) {
            let sources = first..(first + plan.chunk).min(of.source_channels);
            let count = sources.len();
            let factors = match &mut kept {
                Some(kept) => {
                    let (now, rest) = kept.split_at(PRODUCTS * count * lines);
                    *kept = rest;
                    now
                }
                None => {
                    let out = &mut scratch[..PRODUCTS * count * lines];
                    Weights { weight, targets: targets.clone(), sources, out }.with_simd(simd);
                    &scratch[..PRODUCTS * count * lines]
                }
            };
            let (now, rest) = pixels.split_at(PRODUCTS * count * padded);
            pixels = rest;
            let products =
                now.chunks_exact(count * padded).zip(factors.chunks_exact(count * lines));
            for ((data, factors), sums) in products.zip(sums.chunks_exact_mut(lines * padded)) {
                for &(at, width) in &blocks {
                    let source = Source { data, channel: padded };
                    let factors = &factors[at * count..][..width * count];
                    let sums = &mut sums[at * padded..][..width * padded];
                    let product = Product {
                        source,
                        shifts: &[0],
                        weights: factors,
                        width,
                        positions: padded,
                        accumulate: first > 0,
                    };
                    product.run(simd, &mut rows_of(sums, padded));
                }
            }
        }
        let mut tile = Scratch::new(OUT * OUT * padded);
        let mut rows = Scratch::new(OUT * (of.target[1] + 1));
        let mut finite = true;
        for k in 0..targets.len() {
            back(simd, &sums, lines * padded, k * padded, padded, &mut tile);
            let bias = of.bias.map_or(T::ZERO, |bias| bias[targets.start + k]);
            let finish = Finish { bias, relu: of.relu };
            let planes = task.planes[k..].iter_mut().step_by(targets.len());
            finite &= write(of, &plan.tiles, task.block, &tile, finish, planes, &mut rows);
        }
        finite
    }
}

/// Transforms the sums of one channel back: out\[row, column of the tile\]\[tile\].
#[inline(always)]
fn back<T: Real, S: Simd>(
    simd: S,
    sums: &[T],
    product: usize,
    from: usize,
    padded: usize,
    out: &mut [T],
) {
    let lanes = T::lanes::<S>();
    for t in (0..padded).step_by(lanes) {
        let mut half = [[T::splat(simd, T::ZERO); SIDE]; OUT];
        for j in 0..SIDE {
            let mut m = [T::splat(simd, T::ZERO); SIDE];
            for i in 0..SIDE {
                let at = (i * SIDE + j) * product + from + t;
                m[i] = T::vectors::<S>(&sums[at..][..lanes]).0[0];
            }
            let column = output::<T, S>(simd, m);
            for i in 0..OUT {
                half[i][j] = column[i];
            }
        }
        for i in 0..OUT {
            let row = output::<T, S>(simd, half[i]);
            for j in 0..OUT {
                let at = (i * OUT + j) * padded + t;
                T::vectors_mut::<S>(&mut out[at..][..lanes]).0[0] = row[j];
            }
        }
    }
}

/// Writes one channel's tiles of a block into its rows of y, of each image. `lines` is memory to work in. Whether all is finite.
#[inline(always)]
fn write<'p, 'y: 'p, T: Real>(
    of: &Winograd<'_, T>,
    tiles: &Tiles,
    block: usize,
    tile: &[T],
    finish: Finish<T>,
    mut planes: impl Iterator<Item = &'p mut Fresh<'y, T>>,
    lines: &mut [T],
) -> bool {
    let [height, width] = of.target;
    let mut finite = true;
    let mut now = None;
    for (index, row) in tiles.block(block).enumerate() {
        let (image, ty) = tiles.place(row);
        if now.as_ref().is_none_or(|&(of, _)| of != image) {
            now = planes.next().map(|plane| (image, plane));
        }
        let Some((_, plane)) = &mut now else { return finite };
        let rows = OUT.min(height - ty * OUT);
        for i in 0..rows {
            let at = |j: usize| {
                let start = (i * OUT + j) * tiles.padded + index * tiles.columns;
                &tile[start..][..tiles.columns]
            };
            // What the last tile has beyond the image is overwritten by the next line.
            let fours = lines[i * width..].as_chunks_mut::<OUT>().0.iter_mut();
            for ((((out, &a), &b), &c), &d) in fours.zip(at(0)).zip(at(1)).zip(at(2)).zip(at(3)) {
                *out = [a, b, c, d];
            }
        }
        finite &= append(plane, &lines[..rows * width], finish);
    }
    finite
}
