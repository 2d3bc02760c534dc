//! Winograd's minimal filtering F(2, 3) along the height alone: kernels of three rows and stride 1 with two thirds of the
//! multiplications, for few source channels.
//!
//! ```text
//! t₀ = d₀ − d₂    t₁ = d₁ + d₂    t₂ = d₂ − d₁    t₃ = d₁ − d₃         d: four source rows, g: a column of the kernel
//! u₀ = g₀         u₁ = (g₀ + g₁ + g₂)/2    u₂ = (g₀ − g₁ + g₂)/2    u₃ = −g₂
//! mᵢ = Σ uᵢ·tᵢ  over channels and columns of the kernel
//! y₀ = m₀ + m₁ + m₂    y₁ = m₁ − m₂ + m₃                               y: two target rows, a band
//! ```
//! (S. Winograd, Arithmetic complexity of computations, 1980; Lavin and Gray, Fast algorithms for convolutional neural networks,
//! CVPR 2016, §4.1.) The columns of the kernel stay direct, so that rows stay contiguous, and nothing is interleaved: with few source
//! channels the transforms of the two-dimensional method (`winograd`) cost what it saves. Those here are additions, which run beside the
//! multiplications. F(4, 3), with half of the multiplications, was measured too and is slower: a third more sums and twice as many rows
//! at a time.
//!
//! Each dᵢ that enters a y is one that y depends on, so that what is not finite spreads no further than in the direct method; an
//! infinite pixel may make NaN where that gives ∞.
//!
//! # Order of work
//! A strip of whole bands, some hundred positions, is taken apart into lines t, one for each channel, column of the kernel and point i,
//! in the second-level cache. A block of outputs holds the sums of all four points in registers from the first line to the last and
//! leaves its two rows in the first-level cache. They are written to y, with bias and rectifier, row after row while the next block is
//! computed: stores that wait for memory would else stop the multiplications.
//!
//! # Accuracy
//! With n products of uniform random numbers in (−1, 1) for each output, the tests bound the error in `f32` by 6·√n roundings of 1.

mod lines;
mod product;
#[cfg(test)]
mod tests;

use std::ops::Range;

use pullback_core_graph::{Fresh, spread};
use pulp::{Simd, WithSimd};

use self::product::{Call, Held, Product, Rows};
use super::shape::Conv2dShape;
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

/// Target rows of a band.
const OUT: usize = 2;
/// Products for each column of the kernel; also the source rows of a band.
const POINTS: usize = 4;
/// Target channels of a block.
const BLOCK: usize = 4;
/// Bytes of a register, at most.
const REGISTER_BYTES: usize = 64;
/// Bytes of a strip's lines, about, within the bounds of [`POSITIONS`].
const STRIP_BYTES: usize = 112 * 1024;
/// Positions of a strip, but for rows that are longer.
const POSITIONS: Range<usize> = 144..577;
/// Bytes of a strip's lines, at most; more channels than fit are added in a further pass.
const LINE_BYTES: usize = 384 * 1024;
/// Tasks of an image, at most about.
const MOST_TASKS: usize = 32;
/// Weights that one thread packs as fast as several.
const SEQUENTIAL_WEIGHTS: usize = 1 << 14;
/// Operations of a task, counting [`FLOPS_PER_ACCESS`] for each number read or written.
const TASK_FLOPS: usize = 2_000_000;
const FLOPS_PER_ACCESS: usize = 16;

/// Sums of weighted source pixels: target row i takes source rows i + down + (0, 1, 2), columns alike.
pub(super) struct Vertical<'a, T> {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// For each group.
    pub(super) source_channels: usize,
    /// For each group.
    pub(super) target_channels: usize,
    pub(super) source: [usize; 2],
    pub(super) target: [usize; 2],
    /// Source row and column of the first tap of the first target pixel.
    pub(super) offset: [isize; 2],
    /// Columns of the kernel.
    pub(super) across: usize,
    /// One value for each target channel of all groups.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T> Vertical<'_, T> {
    /// x → y.
    pub(super) fn forward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        Self {
            batch: shape.batch,
            groups: shape.groups,
            source_channels: shape.in_channels / shape.groups,
            target_channels: shape.out_channels / shape.groups,
            source: shape.size,
            target: output,
            offset: shape.padding.map(|padding| -(padding as isize)),
            across: shape.kernel[1],
            bias: None,
            relu: false,
        }
    }

    /// dy → dx: the convolution with the kernel turned by 180°.
    pub(super) fn backward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        Self {
            source_channels: shape.out_channels / shape.groups,
            target_channels: shape.in_channels / shape.groups,
            source: output,
            target: shape.size,
            offset: [0, 1].map(|a| shape.padding[a] as isize + 1 - shape.kernel[a] as isize),
            ..Self::forward(shape, output)
        }
    }

    fn bands(&self) -> usize {
        self.target[0].div_ceil(OUT)
    }

    /// Transformed weights of some channels and one output.
    fn depth(&self, channels: usize) -> usize {
        channels * self.across * POINTS
    }
}

/// Sizes that follow from the convolution's.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Bands of a strip.
    bands: usize,
    /// Elements of a line, which has room for whole registers in every band.
    line: usize,
    /// Elements from one padded source row to the next.
    pitch: usize,
    /// Source channels whose lines exist at a time.
    chunk: usize,
}

impl<T: Real> Vertical<'_, T> {
    fn plan(&self) -> Plan {
        let (lanes, width) = (REGISTER_BYTES / size_of::<T>(), self.target[1]);
        let positions = STRIP_BYTES / (self.depth(self.source_channels) * size_of::<T>());
        let positions = positions.clamp(POSITIONS.start, POSITIONS.end - 1);
        let most = (positions / width).clamp(1, self.bands().max(1));
        // The most positions for each register.
        let registers = |bands: usize| (bands * width).div_ceil(lanes);
        let bands = (1..most).rev().fold(most, |best, bands| {
            match registers(bands) * best < registers(best) * bands {
                true => bands,
                false => best,
            }
        });
        let line = (bands - 1) * width + width.next_multiple_of(lanes);
        // An odd number of registers: lines a power of two apart would share few sets of the caches.
        let line = (line.div_ceil(lanes) | 1) * lanes;
        let pitch = (width + self.across - 1).next_multiple_of(lanes) + lanes;
        let chunk = LINE_BYTES / (self.depth(1) * line * size_of::<T>());
        Plan { bands, line, pitch, chunk: chunk.clamp(1, self.source_channels) }
    }

    /// Computes all of `target`. `weight(group, target, source, tap)` reads the weights. Whether all is finite.
    pub(super) fn run(
        &self,
        source: &[T],
        weight: impl Fn(usize, usize, usize, usize) -> T + Sync,
        target: Fresh<'_, T>,
    ) -> bool {
        self.run_on(source, weight, target, |run| dispatch(run))
    }

    /// The same with the instructions that `dispatch` chooses.
    fn run_on(
        &self,
        source: &[T],
        weight: impl Fn(usize, usize, usize, usize) -> T + Sync,
        target: Fresh<'_, T>,
        dispatch: impl Fn(Run<'_, '_, '_, T>) -> bool + Sync,
    ) -> bool {
        if target.is_empty() {
            return true;
        }
        let plan = self.plan();
        let weights = self.packed(plan.chunk, &weight);
        let (tasks, least) = self.split(plan, target);
        let work =
            |task: Task<'_, T>| dispatch(Run { of: self, plan, source, weights: &weights, task });
        if tasks.len() > least {
            !spread(tasks, |_, task| work(task)).contains(&false)
        } else {
            tasks.into_iter().map(work).fold(true, |a, b| a & b)
        }
    }

    /// The transformed weights in the order in which the inner loop reads them:
    /// \[group\]\[chunk\]\[block\]\[channel\]\[column\]\[point\]\[output of the block\].
    fn packed(
        &self,
        chunk: usize,
        weight: &(impl Fn(usize, usize, usize, usize) -> T + Sync),
    ) -> Scratch<T> {
        let (channels, targets) = (self.source_channels, self.target_channels);
        let mut packed = Scratch::new(self.groups * targets * self.depth(channels));
        let len = packed.len();
        let mut rest = &mut *packed;
        let mut pieces = Vec::new();
        for group in 0..self.groups {
            for first in (0..channels).step_by(chunk) {
                let sources = first..(first + chunk).min(channels);
                for target in (0..targets).step_by(BLOCK) {
                    let width = BLOCK.min(targets - target);
                    let (piece, later) =
                        std::mem::take(&mut rest).split_at_mut(self.depth(sources.len()) * width);
                    pieces.push((group, target, width, sources.clone(), piece));
                    rest = later;
                }
            }
        }
        let fill =
            |(group, target, width, sources, piece): (_, _, usize, Range<usize>, &mut [T])| {
                let columns = sources.flat_map(|s| (0..self.across).map(move |column| (s, column)));
                for ((source, column), out) in columns.zip(piece.chunks_exact_mut(POINTS * width)) {
                    for m in 0..width {
                        let tap = |k| weight(group, target + m, source, k * self.across + column);
                        let u = filter([tap(0), tap(1), tap(2)]);
                        for (out, u) in out.chunks_exact_mut(width).zip(u) {
                            out[m] = u;
                        }
                    }
                }
            };
        match len < SEQUENTIAL_WEIGHTS {
            true => pieces.into_iter().for_each(fill),
            false => drop(spread(pieces, |_, piece| fill(piece))),
        }
        packed
    }

    /// Tasks of about equal size, with the parts of the target that each alone writes; and how many are worth a thread. A fixed
    /// function of the sizes.
    fn split<'t>(&self, plan: Plan, target: Fresh<'t, T>) -> (Vec<Task<'t, T>>, usize) {
        let [height, width] = self.target;
        let (bands, channels) = (self.bands(), self.groups * self.target_channels);
        let reads = self.groups * self.source_channels * self.source[0] * self.source[1];
        let flops = 2 * bands * width * channels * self.depth(self.source_channels)
            + FLOPS_PER_ACCESS * (reads + height * width * channels);
        let parts = (flops / TASK_FLOPS).clamp(1, MOST_TASKS);
        let step = bands.div_ceil(parts).next_multiple_of(plan.bands);
        let parts = bands.div_ceil(step);
        let mut tasks: Vec<_> = (0..self.batch * parts)
            .map(|i| {
                let from = i % parts * step;
                let bands = from..(from + step).min(bands);
                Task { image: i / parts, bands, planes: Vec::with_capacity(channels) }
            })
            .collect();
        for (index, plane) in target.chunks(height * width).enumerate() {
            let tasks = &mut tasks[index / channels * parts..][..parts];
            for (task, part) in tasks.iter_mut().zip(plane.chunks(step * OUT * width)) {
                task.planes.push(part);
            }
        }
        (tasks, (TASK_FLOPS * parts).div_ceil(flops.max(1)).max(1))
    }
}

/// Some bands of an image, in all channels.
struct Task<'t, T> {
    image: usize,
    bands: Range<usize>,
    planes: Vec<Fresh<'t, T>>,
}

/// A task with all that it reads.
struct Run<'a, 'c, 't, T> {
    of: &'a Vertical<'c, T>,
    plan: Plan,
    source: &'a [T],
    weights: &'a [T],
    task: Task<'t, T>,
}

impl<T: Real> WithSimd for Run<'_, '_, '_, T> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, plan, source, weights, task } = self;
        let Task { image, bands: all, mut planes } = task;
        let (plane, channels, targets) =
            (of.source[0] * of.source[1], of.source_channels, of.target_channels);
        let mut lines = Scratch::new(of.depth(plan.chunk) * plan.line);
        let mut padded = Scratch::new((OUT * plan.bands + POINTS - OUT) * plan.pitch);
        padded.fill(T::ZERO);
        // A block's rows now and those before; the rows of all blocks where further channels are added.
        let (size, passes) = (BLOCK * OUT * plan.line, channels > plan.chunk);
        let mut now = Scratch::new(size * if passes { targets.div_ceil(BLOCK) } else { 1 });
        let mut before = Scratch::new(if passes { 0 } else { size });
        let mut held = Held::new(of, plan.line, &mut planes);
        for at in all.clone().step_by(plan.bands) {
            let bands = at..(at + plan.bands).min(all.end);
            let mut weights = weights;
            for group in 0..of.groups {
                let image = &source[(image * of.groups + group) * channels * plane..];
                for first in (0..channels).step_by(plan.chunk) {
                    let count = plan.chunk.min(channels - first);
                    let image = &image[first * plane..][..count * plane];
                    let lines = &mut lines[..of.depth(count) * plan.line];
                    of.build(simd, image, &bands, plan, &mut padded, lines);
                    for block in (0..targets).step_by(BLOCK) {
                        let width = BLOCK.min(targets - block);
                        let (mine, rest) = weights.split_at(of.depth(count) * width);
                        weights = rest;
                        let start = if passes { block * OUT * plan.line } else { 0 };
                        let product = Product {
                            lines,
                            line: plan.line,
                            weights: mine,
                            width,
                            positions: bands.len() * of.target[1],
                            accumulate: first > 0,
                        };
                        let (rows, last) = (&mut now[start..], first + count == channels);
                        let held = &mut held;
                        simd.vectorize(Call { simd, product, rows, held, before: &before });
                        held.write(&before, usize::MAX);
                        if last {
                            held.rows = Rows::new(group * targets + block, width, bands.clone());
                            match passes {
                                true => held.write(&now[start..], usize::MAX),
                                false => std::mem::swap(&mut now, &mut before),
                            }
                        }
                    }
                }
            }
        }
        held.write(&before, usize::MAX);
        held.finite
    }
}

/// u of a column of the kernel.
#[inline(always)]
fn filter<T: Real>(g: [T; 3]) -> [T; POINTS] {
    let (half, even) = (T::from_f64(0.5), g[0] + g[2]);
    [g[0], half * (even + g[1]), half * (even - g[1]), T::ZERO - g[2]]
}
