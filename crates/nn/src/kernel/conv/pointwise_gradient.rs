//! The weight gradient of a 1×1 convolution: dot products of lines of derivatives and lines of pixels.
//!
//! ```text
//! dw[o, c] = Σ_n Σ_p dy[n, o, p] · x[n, c, p]
//! ```
//! A register holds neighbouring pixels, as they lie in memory, so that x is read in place; eight lines of dy are interleaved, and
//! three lines of x pass over them. Some pixels at a time, so that the lines of a task stay in the second-level cache.

use std::ops::Range;

use pullback_core_graph::{Fresh, spread};
use pulp::{Simd, WithSimd};

use super::microkernel::{BLOCK, interleave, weight_block};
use super::pack::{Finish, append, channel_blocks};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

/// Channels of a task, at most.
const CHANNELS: usize = 96;
/// Channels that the inner loop takes at a time.
const TOGETHER: usize = 3;
/// Outputs of a task.
const OUTPUTS: usize = 32;
/// Bytes of a line that a task goes through at a time.
const LINE_BYTES: usize = 8192;
/// Multiplications below which one thread does everything.
const SEQUENTIAL: usize = 1 << 18;

/// The weight gradient of one 1×1 convolution of stride 1 without padding, one group.
pub(super) struct PointwiseGradient {
    pub(super) batch: usize,
    pub(super) sources: usize,
    pub(super) targets: usize,
    pub(super) pixels: usize,
}

impl PointwiseGradient {
    /// Computes all of `dw`. Whether all is finite.
    pub(super) fn run<T: Real>(&self, x: &[T], dy: &[T], dw: Fresh<'_, T>) -> bool {
        if x.is_empty() || dy.is_empty() {
            let _zeros = dw.zeroed();
            return true;
        }
        let tasks = self.split(dw);
        let work = |task| dispatch(Sums { of: self, x, dy, task });
        let products = self.batch * self.sources * self.targets * self.pixels;
        match products >= SEQUENTIAL && tasks.len() > 1 {
            true => !spread(tasks, |_, task| work(task)).contains(&false),
            false => tasks.into_iter().fold(true, |finite, task| finite & work(task)),
        }
    }

    /// Tasks of some outputs and some channels, with the parts of the rows of dw that each alone writes.
    fn split<'w, T: Real>(&self, dw: Fresh<'w, T>) -> Vec<Task<'w, T>> {
        let sources = self.sources;
        let even = sources.div_ceil(sources.div_ceil(CHANNELS));
        let width = even.next_multiple_of(TOGETHER);
        let strips = sources.div_ceil(width);
        let mut tasks: Vec<_> = (0..self.targets.div_ceil(OUTPUTS) * strips)
            .map(|i| {
                let from = i % strips * width;
                let channels = from..(from + width).min(sources);
                Task { first: i / strips * OUTPUTS, channels, rows: Vec::with_capacity(OUTPUTS) }
            })
            .collect();
        for (target, row) in dw.chunks(sources).enumerate() {
            let tasks = &mut tasks[target / OUTPUTS * strips..][..strips];
            for (task, part) in tasks.iter_mut().zip(row.chunks(width)) {
                task.rows.push(part);
            }
        }
        tasks
    }
}

struct Task<'w, T> {
    /// The first output.
    first: usize,
    channels: Range<usize>,
    rows: Vec<Fresh<'w, T>>,
}

/// A task with all that it reads.
struct Sums<'a, 'w, T> {
    of: &'a PointwiseGradient,
    x: &'a [T],
    dy: &'a [T],
    task: Task<'w, T>,
}

impl<T: Real> WithSimd for Sums<'_, '_, T> {
    /// Is all that it writes finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, x, dy, task: Task { first, channels, rows } } = self;
        let (pixels, lanes, step) = (of.pixels, T::lanes::<S>(), LINE_BYTES / size_of::<T>());
        let (outputs, count, rest) = (rows.len(), channels.len(), pixels % lanes);
        let whole = pixels - rest;
        let blocks = channel_blocks(outputs);
        let mut sums = Scratch::new(outputs * count);
        sums.fill(T::ZERO);
        let mut lines = Scratch::new(BLOCK * step.max(lanes));
        let mut last = Scratch::new(if rest > 0 { (count + BLOCK) * lanes } else { 0 });
        let mut starts = Vec::with_capacity(count);
        for image in 0..of.batch {
            let x = &x[(image * of.sources + channels.start) * pixels..][..count * pixels];
            let dy = &dy[(image * of.targets + first) * pixels..][..outputs * pixels];
            for from in (0..whole).step_by(step) {
                let range = from..(from + step).min(whole);
                starts.clear();
                starts.extend((0..count).map(|c| c * pixels + from));
                for &(output, width) in &blocks {
                    let some =
                        dy.chunks_exact(pixels).skip(output).map(|line| &line[range.clone()]);
                    let lines = &mut lines[..width * range.len()];
                    interleave(simd, some, width, lines);
                    let end = (output + width).min(outputs);
                    let sums = &mut sums[output * count..end * count];
                    weight_block(simd, lines, width, range.len(), x, &starts, sums);
                }
            }
            if rest == 0 {
                continue;
            }
            // The last pixels, fewer than a register holds, with zeros behind them.
            let (x_last, y_last) = last.split_at_mut(count * lanes);
            starts.clear();
            starts.extend((0..count).map(|c| c * lanes));
            let pad = |padded: &mut [T], lines: &[T]| {
                for (padded, line) in padded.chunks_exact_mut(lanes).zip(lines.chunks_exact(pixels))
                {
                    padded[..rest].copy_from_slice(&line[whole..]);
                    padded[rest..].fill(T::ZERO);
                }
            };
            pad(&mut *x_last, x);
            for &(output, width) in &blocks {
                let end = (output + width).min(outputs);
                let y_last = &mut y_last[..(end - output) * lanes];
                pad(&mut *y_last, &dy[output * pixels..end * pixels]);
                let lines = &mut lines[..width * lanes];
                interleave(simd, y_last.chunks_exact(lanes), width, lines);
                let sums = &mut sums[output * count..end * count];
                weight_block(simd, lines, width, lanes, x_last, &starts, sums);
            }
        }
        let finish = Finish { bias: T::ZERO, relu: false };
        let lines = rows.into_iter().zip(sums.chunks_exact(count));
        lines.fold(true, |finite, (mut row, line)| finite & append(&mut row, line, finish))
    }
}
