//! Depthwise convolution of stride 1: each channel by a kernel of its own.
//!
//! A channel of the source is copied once between zeros, where each tap is a constant shift of long rows; rows of the result are then
//! computed some registers at a time, the last ones ending with the row and computing some pixels twice.

use std::sync::atomic::{AtomicBool, Ordering};

use pullback_core_graph::{Fresh, Top};
use pulp::{Simd, WithSimd};
use smallvec::SmallVec;

use super::pack::Finish;
use super::shape::Conv2dShape;
use crate::kernel::instructions::dispatch;
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::{Real, Scratch, clear};

/// Sums of weighted source pixels, channel by channel: target pixel i takes source pixels i + offset\[tap\].
pub(super) struct Depthwise<'a, T> {
    pub(super) channels: usize,
    pub(super) source: [usize; 2],
    pub(super) target: [usize; 2],
    /// For each kernel index, along height and width.
    pub(super) offsets: [Vec<isize>; 2],
    /// One value for each channel.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T> Depthwise<'_, T> {
    /// x → y.
    pub(super) fn forward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        let offset = |a: usize, k| (shape.dilation[a] * k) as isize - shape.padding[a] as isize;
        Self {
            channels: shape.in_channels,
            source: shape.size,
            target: output,
            offsets: [0, 1].map(|a| (0..shape.kernel[a]).map(|k| offset(a, k)).collect()),
            bias: None,
            relu: false,
        }
    }

    /// dy → dx.
    pub(super) fn backward(shape: &Conv2dShape, output: [usize; 2]) -> Self {
        let Self { offsets: [down, right], .. } = Self::forward(shape, output);
        let turned = |offsets: Vec<isize>| offsets.into_iter().map(|offset| -offset).collect();
        Self {
            source: output,
            target: shape.size,
            offsets: [turned(down), turned(right)],
            ..Self::forward(shape, output)
        }
    }

    /// Smallest and largest offset along an axis.
    fn reach(&self, axis: usize) -> [isize; 2] {
        let offsets = self.offsets[axis].iter().copied();
        [offsets.clone().min().unwrap_or(0), offsets.max().unwrap_or(0)]
    }

    /// Rows and columns of the padded plane.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let [low, high] = self.reach(axis);
            self.target[axis] + (high - low) as usize
        })
    }

    /// Where each tap reads in the padded plane, for the target's first pixel.
    fn shifts(&self) -> SmallVec<[usize; 9]> {
        let ([[down, _], [right, _]], [_, pitch]) = ([0, 1].map(|a| self.reach(a)), self.padded());
        let rows = self.offsets[0].iter().map(|&i| (i - down) as usize * pitch);
        rows.flat_map(|row| self.offsets[1].iter().map(move |&j| row + (j - right) as usize))
            .collect()
    }
}

impl<T: Real> Depthwise<'_, T> {
    /// Computes all of `target` with the weights \[channel\]\[tap\]; whether it is finite.
    pub(super) fn run(&self, source: &[T], weights: &[T], target: Fresh<'_, T>) -> bool {
        let (of_source, of_target) =
            (self.source[0] * self.source[1], self.target[0] * self.target[1]);
        let (work, shifts) = (target.len() + source.len(), self.shifts());
        let finite = AtomicBool::new(true);
        let targets: Vec<Fresh<'_, T>> = target.chunks(of_target).collect();
        for_each_target(targets.into_iter(), work, |plane, target| {
            let target = target.zeroed();
            let source = &source[plane * of_source..][..of_source];
            let (of, shifts, channel) = (self, &*shifts, plane % self.channels);
            let plane = Plane { of, shifts, channel, source, weights, target };
            if !dispatch(plane) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        finite.into_inner()
    }

    /// The source's pixels between zeros.
    #[inline(always)]
    fn pad(&self, source: &[T], padded: &mut [T]) {
        let ([height, width], [_, pitch]) = (self.source, self.padded());
        let [[down, _], [right, _]] = [0, 1].map(|axis| self.reach(axis));
        let from = right.clamp(0, width as isize) as usize;
        let left = ((-right).max(0) as usize).min(pitch);
        let count = (width - from).min(pitch - left);
        for (row, line) in padded.chunks_exact_mut(pitch).enumerate() {
            match usize::try_from(row as isize + down) {
                Ok(y) if y < height => {
                    let pixels = &source[y * width + from..][..count];
                    clear(&mut line[..left]);
                    line[left..].iter_mut().zip(pixels).for_each(|(to, &pixel)| *to = pixel);
                    clear(&mut line[left + count..]);
                }
                _ => line.fill(T::ZERO),
            }
        }
    }
}

/// One channel of one image.
struct Plane<'a, 'b, T> {
    of: &'a Depthwise<'b, T>,
    shifts: &'a [usize],
    channel: usize,
    source: &'a [T],
    weights: &'a [T],
    target: &'a mut [T],
}

impl<T: Real> WithSimd for Plane<'_, '_, T> {
    /// Is the plane finite?
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { of, shifts, channel, source, weights, target } = self;
        let [rows, pitch] = of.padded();
        let mut padded = Scratch::new(rows * pitch);
        of.pad(source, &mut padded);
        let weights = &weights[channel * shifts.len()..][..shifts.len()];
        let bias = of.bias.map_or(T::ZERO, |bias| bias[channel]);
        let finish = Finish { bias, relu: of.relu };
        let line = Line { shifts, weights, finish };
        match shifts.len() {
            9 => line.rows::<S, 9>(simd, &padded, pitch, of.target[1], target),
            25 => line.rows::<S, 25>(simd, &padded, pitch, of.target[1], target),
            _ => line.rows::<S, 0>(simd, &padded, pitch, of.target[1], target),
        }
        let mut top = Top::new();
        target.iter().for_each(|&value| top.see(value));
        top.finite()
    }
}

/// How a row of the target comes from rows of the padded plane.
#[derive(Clone, Copy)]
struct Line<'a, T> {
    shifts: &'a [usize],
    weights: &'a [T],
    finish: Finish<T>,
}

impl<T: Real> Line<'_, T> {
    /// All rows, of `width` ≥ a register, by N taps; 0 stands for any number.
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(
        self,
        simd: S,
        padded: &[T],
        pitch: usize,
        width: usize,
        target: &mut [T],
    ) {
        let taps = if N > 0 { N } else { self.shifts.len() };
        let (shifts, weights) = (&self.shifts[..taps], &self.weights[..taps]);
        let (line, lanes) = (Self { shifts, weights, ..self }, T::lanes::<S>());
        // A register that ends with the row computes some pixels again.
        let (whole, rest, end) = (width / lanes, !width.is_multiple_of(lanes), width - lanes);
        for (y, row) in target.chunks_exact_mut(width).enumerate() {
            let source = &padded[y * pitch..];
            let mut at = 0;
            for _ in 0..whole.saturating_sub(1) / 4 {
                line.registers::<S, 4, 0>(simd, source, at, end, row);
                at += 4 * lanes;
            }
            match ((width - at) / lanes, rest) {
                (1, false) => line.registers::<S, 1, 0>(simd, source, at, end, row),
                (1, true) => line.registers::<S, 1, 1>(simd, source, at, end, row),
                (2, false) => line.registers::<S, 2, 0>(simd, source, at, end, row),
                (2, true) => line.registers::<S, 2, 1>(simd, source, at, end, row),
                (3, false) => line.registers::<S, 3, 0>(simd, source, at, end, row),
                (3, true) => line.registers::<S, 3, 1>(simd, source, at, end, row),
                (_, false) => line.registers::<S, 4, 0>(simd, source, at, end, row),
                (_, true) => line.registers::<S, 4, 1>(simd, source, at, end, row),
            }
        }
    }

    /// V registers of a row from column `at` on, and R ∈ {0, 1} from column `end` on.
    #[inline(always)]
    fn registers<S: Simd, const V: usize, const R: usize>(
        self,
        simd: S,
        source: &[T],
        at: usize,
        end: usize,
        row: &mut [T],
    ) {
        let (lanes, zero) = (T::lanes::<S>(), T::splat(simd, T::ZERO));
        let (mut sums, mut last) = ([zero; V], [zero; R]);
        for (&shift, &weight) in self.shifts.iter().zip(self.weights) {
            let weight = T::splat(simd, weight);
            let source = &source[shift..];
            let vectors = T::vectors::<S>(&source[at..][..V * lanes]).0;
            let Some(pixels) = vectors.first_chunk::<V>() else { return };
            for v in 0..V {
                sums[v] = T::mul_add(simd, weight, pixels[v], sums[v]);
            }
            for last in &mut last {
                let pixels = T::vectors::<S>(&source[end..][..lanes]).0;
                *last = T::mul_add(simd, weight, pixels[0], *last);
            }
        }
        // After the sum, as every other method does: the same bits as the bias added in a pass of its own.
        let bias = T::splat(simd, self.finish.bias);
        let out = T::vectors_mut::<S>(&mut row[at..][..V * lanes]).0;
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = T::plus(simd, sum, bias);
            if self.finish.relu {
                *out = T::rectified(simd, *out);
            }
        }
        for &sum in &last {
            let out = &mut T::vectors_mut::<S>(&mut row[end..][..lanes]).0[0];
            *out = T::plus(simd, sum, bias);
            if self.finish.relu {
                *out = T::rectified(simd, *out);
            }
        }
    }
}

/// dw\[channel\]\[tap\] = Σ over images and pixels of dy · x at the tap; `of` is the forward pass.
pub(super) fn weight_gradient<T: Real>(of: &Depthwise<'_, T>, x: &[T], dy: &[T], dw: &mut [T]) {
    let (taps, shifts) = (of.offsets[0].len() * of.offsets[1].len(), of.shifts());
    for_each_target(dw.chunks_exact_mut(taps), dy.len() + x.len(), |channel, dw| {
        let gradient = Gradient { of, shifts: &shifts, channel, x, dy, dw };
        match taps {
            9 => dispatch(Taps::<T, 9>(gradient)),
            _ => dispatch(Taps::<T, 25>(gradient)),
        }
    });
}

/// Numbers of taps that [`weight_gradient`] is compiled for: the sums of all taps stay in registers.
pub(super) const TAPS: [usize; 2] = [9, 25];

struct Gradient<'a, 'b, T> {
    of: &'a Depthwise<'b, T>,
    shifts: &'a [usize],
    channel: usize,
    x: &'a [T],
    dy: &'a [T],
    dw: &'a mut [T],
}

/// A gradient with respect to N taps.
struct Taps<'a, 'b, T, const N: usize>(Gradient<'a, 'b, T>);

impl<T: Real, const N: usize> WithSimd for Taps<'_, '_, T, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gradient { of, shifts, channel, x, dy, dw } = self.0;
        let Some(shifts) = shifts.first_chunk::<N>() else { return };
        let ([rows, pitch], lanes) = (of.padded(), T::lanes::<S>());
        let mut padded = Scratch::new(rows * pitch);
        let mut last = Scratch::new(lanes);
        last.fill(T::ZERO);
        dw.fill(T::ZERO);
        let width = of.target[1];
        let (whole, rest) = (width / lanes * lanes, width % lanes);
        let planes = x.chunks_exact(of.source[0] * of.source[1]);
        let planes = planes.zip(dy.chunks_exact(of.target[0] * width));
        for (x, dy) in planes.skip(channel).step_by(of.channels) {
            of.pad(x, &mut padded);
            let mut sums = [T::splat(simd, T::ZERO); N];
            for (y, row) in dy.chunks_exact(width).enumerate() {
                for at in (0..whole).step_by(lanes) {
                    add::<T, S, N>(
                        simd,
                        &mut sums,
                        shifts,
                        &row[at..][..lanes],
                        &padded[y * pitch + at..],
                    );
                }
                if rest > 0 {
                    // A register that ends with the row, zero where the ones before it have been.
                    last[lanes - rest..].copy_from_slice(&row[whole..]);
                    let at = y * pitch + width - lanes;
                    add::<T, S, N>(simd, &mut sums, shifts, &last, &padded[at..]);
                }
            }
            for (dw, sum) in dw.iter_mut().zip(sums) {
                *dw += T::sum_lanes(simd, sum);
            }
        }
    }
}

/// Adds a register of dy times the source at each tap.
#[inline(always)]
fn add<T: Real, S: Simd, const N: usize>(
    simd: S,
    sums: &mut [T::Vector<S>; N],
    shifts: &[usize; N],
    d: &[T],
    source: &[T],
) {
    let d = T::vectors::<S>(d).0[0];
    for n in 0..N {
        let pixels = T::vectors::<S>(&source[shifts[n]..][..T::lanes::<S>()]).0[0];
        sums[n] = T::mul_add(simd, d, pixels, sums[n]);
    }
}
