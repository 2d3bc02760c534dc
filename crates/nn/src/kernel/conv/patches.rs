//! Convolution as a product of matrices, weights times patches, where only a strip of the patches exists at a time.
//!
//! ```text
//! y[o, p] = Σ_k w[o, k] · patch[k, p]      k = (channel, tap),  p = pixel of the output
//! ```
//! A strip of [`STRIP`] pixels of all patches is built in the second-level cache and multiplied by every block of outputs; the
//! sums stay in registers from the first k to the last and go to y with bias and rectifier. The matrix of all patches, nine
//! times the image for a 3×3 kernel, never exists. A 1×1 convolution with few outputs reads the image itself.
//!
//! A large part of the processor's rate of multiplications is reached when there are many outputs, since a strip costs as much to
//! build as two or three outputs; `choice` has the rule.

use std::ops::Range;

use pullback_core_graph::{Fresh, spread};
use pulp::{Simd, WithSimd};

use super::microkernel::{BLOCK, Product, Rows, Source, rows_of};
use super::pack::{Finish, append, channel_blocks, lines};
use super::shape::Conv2dShape;
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch, clear, copy_strided};

/// Pixels of a strip: whole tiles of the inner loop, for both element types.
const STRIP: usize = 144;
/// Pixels of a strip of the image itself, which costs nothing to begin.
const UNPACKED_STRIP: usize = 7 * STRIP;
/// Pixels that a task is a multiple of: three 64-byte registers of `f32`.
const TILE: usize = 48;
/// Tasks of an image, at most about.
const MOST_TASKS: usize = 32;
/// Bytes of a strip's patches; more channels than fit are added in a further pass.
const PATCH_BYTES: usize = 384 * 1024;
/// Outputs up to which a 1×1 convolution reads the image itself.
const UNPACKED: usize = BLOCK;
/// Weights that one thread packs as fast as several.
const SEQUENTIAL_WEIGHTS: usize = 1 << 14;
/// Operations of a task, counting [`FLOPS_PER_ACCESS`] for each number read or written.
const TASK_FLOPS: usize = 2_000_000;
const FLOPS_PER_ACCESS: usize = 16;

/// Sums of weighted source pixels: target pixel i takes source pixels step·i + offset\[tap\].
pub(super) struct Patches<'a, T> {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// For each group.
    pub(super) source_channels: usize,
    /// For each group.
    pub(super) target_channels: usize,
    pub(super) source: [usize; 2],
    pub(super) target: [usize; 2],
    pub(super) step: [usize; 2],
    /// For each kernel index, along height and width.
    pub(super) offsets: [Vec<isize>; 2],
    /// One value for each target channel of all groups.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T> Patches<'_, T> {
    /// x → y.
    pub(super) fn forward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        let offset = |a: usize, k| (shape.dilation[a] * k) as isize - shape.padding[a] as isize;
        Self {
            batch: shape.batch,
            groups: shape.groups,
            source_channels: shape.in_channels / shape.groups,
            target_channels: shape.out_channels / shape.groups,
            source: shape.size,
            target: output,
            step: shape.stride,
            offsets: [0, 1].map(|a| (0..shape.kernel[a]).map(|k| offset(a, k)).collect()),
            bias: None,
            relu: false,
        }
    }

    /// dy → dx, for a stride of 1.
    pub(super) fn backward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        let offset = |a: usize, k| shape.padding[a] as isize - (shape.dilation[a] * k) as isize;
        Self {
            source_channels: shape.out_channels / shape.groups,
            target_channels: shape.in_channels / shape.groups,
            source: output,
            target: shape.size,
            step: [1, 1],
            offsets: [0, 1].map(|a| (0..shape.kernel[a]).map(|k| offset(a, k)).collect()),
            ..Self::forward(shape, output)
        }
    }

    fn taps(&self) -> usize {
        self.offsets[0].len() * self.offsets[1].len()
    }

    fn target_pixels(&self) -> usize {
        self.target[0] * self.target[1]
    }

    fn source_pixels(&self) -> usize {
        self.source[0] * self.source[1]
    }

    /// Whether target pixels take the source pixels of the same place alone.
    fn is_pointwise(&self) -> bool {
        self.source == self.target && self.step == [1, 1] && self.offsets == [[0], [0]]
    }
}

impl<T: Real> Patches<'_, T> {
    /// Source channels whose patches exist at a time.
    fn chunk(&self) -> usize {
        (PATCH_BYTES / (STRIP * self.taps() * size_of::<T>())).clamp(1, self.source_channels)
    }

    /// Computes all of `target`. `weight(group, target, source, tap)` reads the weights. Whether all is finite.
    pub(super) fn run(
        &self,
        source: &[T],
        weight: impl Fn(usize, usize, usize, usize) -> T + Sync,
        target: Fresh<'_, T>,
    ) -> bool {
        if target.is_empty() {
            return true;
        }
        let (blocks, chunk) = (channel_blocks(self.target_channels), self.chunk());
        let weights = self.packed(&blocks, chunk, &weight);
        let (tasks, least) = self.split(target);
        let work = |task: Task<'_, T>| {
            let run = Run { of: self, source, blocks: &blocks, weights: &weights, chunk, task };
            dispatch(run)
        };
        if tasks.len() > least {
            !spread(tasks, |_, task| work(task)).contains(&false)
        } else {
            tasks.into_iter().map(work).fold(true, |a, b| a & b)
        }
    }

    /// The weights in the order in which the inner loop reads them: \[group\]\[chunk\]\[block\]\[channel\]\[tap\]\[output of the block\].
    fn packed(
        &self,
        blocks: &[(usize, usize)],
        chunk: usize,
        weight: &(impl Fn(usize, usize, usize, usize) -> T + Sync),
    ) -> Scratch<T> {
        let (taps, channels) = (self.taps(), self.source_channels);
        let mut packed = Scratch::new(self.groups * channels * taps * lines(blocks));
        let mut rest = &mut *packed;
        let mut pieces = Vec::new();
        for group in 0..self.groups {
            for first in (0..channels).step_by(chunk) {
                let sources = first..(first + chunk).min(channels);
                for &(target, width) in blocks {
                    let len = sources.len() * taps * width;
                    let (piece, later) = std::mem::take(&mut rest).split_at_mut(len);
                    pieces.push((group, target, width, sources.clone(), piece));
                    rest = later;
                }
            }
        }
        let fill =
            |(group, target, width, sources, piece): (_, _, usize, Range<usize>, &mut [T])| {
                let wanted = width.min(self.target_channels - target);
                let mut rows = piece.chunks_exact_mut(width);
                for source in sources {
                    for (tap, row) in (0..taps).zip(&mut rows) {
                        for (k, value) in row.iter_mut().enumerate() {
                            *value = match k < wanted {
                                true => weight(group, target + k, source, tap),
                                false => T::ZERO,
                            };
                        }
                    }
                }
            };
        match self.groups * channels * taps * lines(blocks) < SEQUENTIAL_WEIGHTS {
            true => pieces.into_iter().for_each(fill),
            false => drop(spread(pieces, |_, piece| fill(piece))),
        }
        packed
    }

    /// Tasks of about equal size, with the parts of the target that each alone writes; and how many are worth a thread. A fixed
    /// function of the sizes.
    fn split<'t>(&self, target: Fresh<'t, T>) -> (Vec<Task<'t, T>>, usize) {
        let (pixels, channels) = (self.target_pixels(), self.groups * self.target_channels);
        let reads = self.groups * self.source_channels * self.source_pixels();
        let flops = 2 * pixels * channels * self.source_channels * self.taps()
            + FLOPS_PER_ACCESS * (reads + pixels * channels);
        // Many small tasks share out evenly: with 11 tasks two threads differ by a tenth.
        let parts = (flops / TASK_FLOPS).clamp(1, MOST_TASKS);
        let step = (pixels / parts / TILE * TILE).max(TILE);
        let parts = pixels.div_ceil(step);
        let mut tasks: Vec<_> = (0..self.batch * parts)
            .map(|i| {
                let from = i % parts * step;
                let range = from..(from + step).min(pixels);
                Task { image: i / parts, range, planes: Vec::with_capacity(channels) }
            })
            .collect();
        for (index, plane) in target.chunks(pixels).enumerate() {
            let tasks = &mut tasks[index / channels * parts..][..parts];
            for (task, part) in tasks.iter_mut().zip(plane.chunks(step)) {
                task.planes.push(part);
            }
        }
        (tasks, (TASK_FLOPS * parts).div_ceil(flops.max(1)).max(1))
    }
}

/// Some pixels of an image, in all channels.
struct Task<'t, T> {
    image: usize,
    range: Range<usize>,
    planes: Vec<Fresh<'t, T>>,
}

/// A task with all that it reads.
struct Run<'a, 'c, 't, T> {
    of: &'a Patches<'c, T>,
    source: &'a [T],
    blocks: &'a [(usize, usize)],
    weights: &'a [T],
    chunk: usize,
    task: Task<'t, T>,
}

impl<T: Real> WithSimd for Run<'_, '_, '_, T> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, source, blocks, weights, chunk, mut task } = self;
        let (taps, plane, channels) = (of.taps(), of.source_pixels(), of.source_channels);
        let unpacked = of.is_pointwise() && of.target_channels <= UNPACKED;
        let step = task.range.len().min(if unpacked { UNPACKED_STRIP } else { STRIP });
        let mut patches = Scratch::new(if unpacked { 0 } else { chunk * taps * STRIP });
        // A block's sums, in the first-level cache until they are written; those of all blocks where further channels are added.
        let passes = channels > chunk;
        let mut sums =
            Scratch::new(step * lines(blocks).min(if passes { usize::MAX } else { BLOCK }));
        let (mut segments, mut finite) = (Vec::new(), true);
        for at in task.range.clone().step_by(step) {
            let pixels = at..(at + step).min(task.range.end);
            of.segments(&pixels, &mut segments);
            let mut weights = weights;
            for group in 0..of.groups {
                let image = &source[(task.image * of.groups + group) * channels * plane..];
                for first in (0..channels).step_by(chunk) {
                    let count = chunk.min(channels - first);
                    let image = &image[first * plane..][..count * plane];
                    let (source, shift) = if unpacked {
                        (Source { data: image, channel: plane }, at)
                    } else {
                        let patches = &mut patches[..count * taps * STRIP];
                        of.build(image, &segments, &pixels, patches);
                        (Source { data: patches, channel: STRIP }, 0)
                    };
                    for &(target, width) in blocks {
                        let (now, rest) = weights.split_at(count * taps * width);
                        weights = rest;
                        let product = Product {
                            source,
                            shifts: &[shift],
                            weights: now,
                            width,
                            positions: pixels.len(),
                            accumulate: first > 0,
                        };
                        let start = if passes { target * step } else { 0 };
                        let sums = &mut sums[start..][..width * step];
                        whole_and_rest(simd, product, &mut rows_of(sums, step));
                        if first + count < channels {
                            continue;
                        }
                        let targets = group * of.target_channels + target..;
                        let wanted = width.min(of.target_channels - target);
                        for (row, target) in sums.chunks_exact(step).zip(targets).take(wanted) {
                            let bias = of.bias.map_or(T::ZERO, |bias| bias[target]);
                            let finish = Finish { bias, relu: of.relu };
                            finite &=
                                append(&mut task.planes[target], &row[..pixels.len()], finish);
                        }
                    }
                }
            }
        }
        finite
    }
}

/// The product's whole registers straight into the rows, the rest by way of a register's copy.
#[inline(always)]
fn whole_and_rest<T: Real, S: Simd>(simd: S, mut product: Product<'_, T>, rows: &mut Rows<'_, T>) {
    let lanes = T::lanes::<S>();
    let (all, Source { data, channel }) = (product.positions, product.source);
    let whole = all / lanes * lanes;
    if whole > 0 {
        product.positions = whole;
        product.run(simd, rows);
    }
    let rest = all - whole;
    if rest == 0 {
        return;
    }
    // A short source line has no whole register behind its last pixel.
    let start = product.shifts[0] + whole;
    let fits = start + lanes <= channel;
    let mut short = Scratch::new(if fits { 0 } else { data.len() / channel * lanes });
    for (short, line) in short.chunks_exact_mut(lanes).zip(data.chunks_exact(channel)) {
        short[..rest].copy_from_slice(&line[start..start + rest]);
        short[rest..].fill(T::ZERO);
    }
    let (source, shift) = match fits {
        true => (product.source, start),
        false => (Source { data: &short, channel: lanes }, 0),
    };
    let mut last = Scratch::new(BLOCK * lanes);
    for (line, row) in last.chunks_exact_mut(lanes).zip(&*rows) {
        line[..rest].copy_from_slice(&row[whole..all]);
        line[rest..].fill(T::ZERO);
    }
    let product = Product { source, shifts: &[shift], positions: lanes, ..product };
    product.run(simd, &mut rows_of(&mut last[..product.width * lanes], lanes));
    for (line, row) in last.chunks_exact(lanes).zip(rows) {
        row[whole..all].copy_from_slice(&line[..rest]);
    }
}

/// Pixels of a target row: the row, its columns, and where the first stands in the strip.
type Segment = (usize, Range<usize>, usize);

impl<T: Real> Patches<'_, T> {
    /// The rows that consecutive target pixels lie in.
    fn segments(&self, pixels: &Range<usize>, segments: &mut Vec<Segment>) {
        segments.clear();
        let width = self.target[1];
        let mut at = pixels.start;
        while at < pixels.end {
            let (row, column) = (at / width, at % width);
            let end = (column + pixels.end - at).min(width);
            segments.push((row, column..end, at - pixels.start));
            at += end - column;
        }
    }

    /// The strip of patches: \[channel\]\[tap\]\[pixel\], zero where a tap lies outside the image.
    #[inline(always)]
    fn build(&self, image: &[T], segments: &[Segment], pixels: &Range<usize>, patches: &mut [T]) {
        let ([height, width], taps) = (self.source, self.taps());
        let planes = image.chunks_exact(height * width);
        if self.is_pointwise() {
            for (line, plane) in patches.chunks_exact_mut(STRIP).zip(planes) {
                copy_strided(&mut line[..pixels.len()], &plane[pixels.clone()], 1);
            }
            return;
        }
        for (lines, plane) in patches.chunks_exact_mut(taps * STRIP).zip(planes) {
            let mut lines = lines.chunks_exact_mut(STRIP);
            for &down in &self.offsets[0] {
                for (&right, line) in self.offsets[1].iter().zip(&mut lines) {
                    let exist = existing(right, self.step[1], width);
                    for (row, columns, at) in segments {
                        let line = &mut line[*at..][..columns.len()];
                        let y = (self.step[0] * row) as isize + down;
                        let from = exist.start.clamp(columns.start, columns.end);
                        let to = exist.end.clamp(from, columns.end);
                        if y < 0 || y >= height as isize || from == to {
                            line.fill(T::ZERO);
                            continue;
                        }
                        let (left, inner) = line.split_at_mut(from - columns.start);
                        let (inner, after) = inner.split_at_mut(to - from);
                        clear(left);
                        clear(after);
                        let x = (self.step[1] * from) as isize + right;
                        let start = y as usize * width + x as usize;
                        copy_strided(inner, &plane[start..(y as usize + 1) * width], self.step[1]);
                    }
                }
            }
        }
    }
}

/// Target columns whose source column step·column + offset exists.
fn existing(offset: isize, step: usize, width: usize) -> Range<usize> {
    let step = step as isize;
    let first = (-offset).max(0).div_euclid(step) + isize::from((-offset).max(0) % step > 0);
    let last = (width as isize - 1 - offset).div_euclid(step) + 1;
    first as usize..last.max(first) as usize
}
