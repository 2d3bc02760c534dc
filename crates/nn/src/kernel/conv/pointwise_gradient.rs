//! The weight gradient of a 1×1 convolution: a product of matrices, derivatives times pixels transposed.
//!
//! ```text
//! dw[o, c] = Σ_n Σ_p dy[n, o, p] · x[n, c, p]
//! ```
//! Both factors are packed pixel by pixel, a bounded number of pixels at a time; a register then holds channels, and the long sum
//! over pixels stays in registers.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::microkernel::{BLOCK, Product, Rows, Source};
use super::pack::transpose;
use super::patches::whole_and_rest;
use crate::kernel::real::{Real, Scratch};

/// Channels of a task: three 64-byte registers of `f32`.
const CHANNELS: usize = 48;
/// Outputs of a task.
const OUTPUTS: usize = 64;
/// Numbers that are packed at a time.
const PACKED: usize = 1 << 20;
/// Multiplications below which one thread does everything.
const SEQUENTIAL: usize = 1 << 18;

/// The weight gradient of one 1×1 convolution of stride 1 without padding, one group.
pub(super) struct PointwiseGradient {
    pub(super) batch: usize,
    pub(super) source_channels: usize,
    pub(super) target_channels: usize,
    pub(super) pixels: usize,
}

impl PointwiseGradient {
    /// Computes all of `dw`.
    pub(super) fn run<T: Real>(&self, x: &[T], dy: &[T], dw: &mut [T]) {
        let (sources, targets) = (self.source_channels, self.target_channels);
        dw.fill(T::ZERO);
        if x.is_empty() || dy.is_empty() {
            return;
        }
        let (strips, blocks) = (sources.div_ceil(CHANNELS), targets.div_ceil(BLOCK));
        let most = (PACKED / (strips * CHANNELS + blocks * BLOCK)).clamp(16, self.pixels.max(16));
        let mut x_packed = Scratch::new(strips * CHANNELS * most);
        let mut y_packed = Scratch::new(blocks * BLOCK * most);
        let parallel = sources * targets * self.pixels >= SEQUENTIAL;
        for image in 0..self.batch {
            let x = &x[image * sources * self.pixels..][..sources * self.pixels];
            let dy = &dy[image * targets * self.pixels..][..targets * self.pixels];
            for from in (0..self.pixels).step_by(most) {
                let range = from..(from + most).min(self.pixels);
                let x_pieces = x_packed.chunks_mut(CHANNELS * range.len()).take(strips);
                let y_pieces = y_packed.chunks_mut(BLOCK * range.len()).take(blocks);
                let x_lines = x.chunks(CHANNELS * self.pixels).zip(x_pieces);
                let y_lines = dy.chunks(BLOCK * self.pixels).zip(y_pieces);
                let pieces: Vec<_> = x_lines
                    .map(|(lines, out)| (CHANNELS, lines, out))
                    .chain(y_lines.map(|(lines, out)| (BLOCK, lines, out)))
                    .collect();
                each(parallel, pieces, |(width, lines, out)| {
                    let range = range.clone();
                    Arch::new().dispatch(Pack { lines, pixels: self.pixels, range, width, out });
                });
                let (x, dy) = (&*x_packed, &*y_packed);
                each(parallel, self.split(dw), |task: Task<'_, T>| {
                    Arch::new().dispatch(Sums { x, dy, pixels: range.len(), task });
                });
            }
        }
    }

    /// Tasks of some outputs and some channels, with the rows of dw that each alone adds to.
    fn split<'w, T>(&self, dw: &'w mut [T]) -> Vec<Task<'w, T>> {
        let strips = self.source_channels.div_ceil(CHANNELS);
        let groups = self.target_channels.div_ceil(OUTPUTS);
        let mut tasks: Vec<_> = (0..groups * strips)
            .map(|i| Task { first: i / strips * OUTPUTS, strip: i % strips, rows: vec![] })
            .collect();
        for (target, row) in dw.chunks_exact_mut(self.source_channels).enumerate() {
            let tasks = &mut tasks[target / OUTPUTS * strips..][..strips];
            for (task, part) in tasks.iter_mut().zip(row.chunks_mut(CHANNELS)) {
                task.rows.push(part);
            }
        }
        tasks
    }
}

/// Runs `work` on each task, on several threads if `parallel`.
fn each<A: Send>(parallel: bool, tasks: Vec<A>, work: impl Fn(A) + Send + Sync) {
    match parallel && tasks.len() > 1 {
        true => tasks.into_par_iter().with_max_len(1).for_each(work),
        false => tasks.into_iter().for_each(work),
    }
}

/// Some pixels of some lines: out\[pixel\]\[line\], zero for the lines that are missing.
struct Pack<'a, T> {
    lines: &'a [T],
    /// Pixels of a line.
    pixels: usize,
    range: Range<usize>,
    width: usize,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { lines, pixels, range, width, out } = self;
        let lines = lines.chunks_exact(pixels).map(|line| &line[range.clone()]);
        if lines.len() < width {
            out.fill(T::ZERO);
        }
        match width {
            BLOCK => transpose::<T, BLOCK>(lines, out),
            _ => transpose::<T, CHANNELS>(lines, out),
        }
    }
}

struct Task<'w, T> {
    /// The first output.
    first: usize,
    strip: usize,
    rows: Vec<&'w mut [T]>,
}

/// A task with all that it reads.
struct Sums<'a, 'w, T> {
    x: &'a [T],
    dy: &'a [T],
    pixels: usize,
    task: Task<'w, T>,
}

impl<T: Real> WithSimd for Sums<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, dy, pixels, task: Task { first, strip, mut rows } } = self;
        let data = &x[strip * CHANNELS * pixels..][..CHANNELS * pixels];
        let channels = rows.first().map_or(0, |row| row.len());
        let mut spare = Scratch::new(BLOCK * CHANNELS);
        for (block, rows) in rows.chunks_mut(BLOCK).enumerate() {
            let from = (first / BLOCK + block) * BLOCK * pixels;
            let product = Product {
                source: Source { data, channel: CHANNELS },
                shifts: &[0],
                weights: &dy[from..][..BLOCK * pixels],
                width: BLOCK,
                positions: channels,
                accumulate: true,
            };
            let wanted = rows.iter_mut().map(|row| &mut **row);
            let mut rows: Rows<'_, T> =
                wanted.chain(spare.chunks_exact_mut(CHANNELS)).take(BLOCK).collect();
            whole_and_rest(simd, product, &mut rows);
        }
    }
}
