//! Which source pixel each tap reads for each output pixel, along one axis and in the packed buffer.
//!
//! A convolution with stride s reads x at s·o + d·k − p. Writing d·k = s·q + a with 0 ≤ a < s, that is pixel o + q of
//! the *phase image* a, the pixels of the padded x whose index is a modulo s: inside a phase image the stride is gone.
//! The input gradient is the mirror image: output pixel s·m + a − p collects dy at m − q from the taps of phase a.
//! Both are therefore "for each grid position r and tap: source phase, pixel r + offset", and share all code below.

use super::shape::Conv2dShape;

/// One tap of the kernel along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// Grid position r reads pixel r + offset of the source phase.
    pub(super) offset: isize,
    /// Index into [`Phases::starts`] of the source.
    pub(super) source: usize,
    /// Index into [`Phases::starts`] of the target.
    pub(super) target: usize,
}

/// An axis of `size` pixels taken apart into phases: pixel m of phase a is pixel step·m + starts\[a\] of the axis.
#[derive(Debug, Clone)]
pub(super) struct Phases {
    pub(super) size: usize,
    pub(super) step: usize,
    pub(super) starts: Vec<isize>,
}

impl Phases {
    /// The pixels lo ≤ m ≤ hi of a phase that exist, as an inclusive range; empty if the first exceeds the last.
    pub(super) fn existing(&self, phase: usize, lo: isize, hi: isize) -> (isize, isize) {
        let (step, start) = (self.step as isize, self.starts[phase]);
        let first = (-start + step - 1).div_euclid(step);
        let last = (self.size as isize - 1 - start).div_euclid(step);
        (first.max(lo), last.min(hi))
    }
}

/// One axis of a convolution or of its input gradient.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// One entry for each kernel index.
    pub(super) taps: Vec<Tap>,
    /// Grid positions, for each target phase.
    pub(super) grid: usize,
    /// Smallest tap offset.
    pub(super) lo: isize,
    /// Largest tap offset.
    pub(super) hi: isize,
    pub(super) source: Phases,
    pub(super) target: Phases,
}

impl Axis {
    /// x → y along `axis`; `output` is the output's size.
    pub(super) fn forward(shape: &Conv2dShape, axis: usize, output: usize) -> Self {
        let (stride, padding) = (shape.stride[axis], shape.padding[axis] as isize);
        let mut starts = Vec::new();
        let taps = (0..shape.kernel[axis]).map(|k| {
            let reach = k * shape.dilation[axis];
            let start = (reach % stride) as isize - padding;
            // Phases that no tap reads are never packed.
            let source = starts.iter().position(|&s| s == start).unwrap_or_else(|| {
                starts.push(start);
                starts.len() - 1
            });
            Tap { offset: (reach / stride) as isize, source, target: 0 }
        });
        let taps = taps.collect();
        let source = Phases { size: shape.size[axis], step: stride, starts };
        Self::new(taps, output, source, Phases { size: output, step: 1, starts: vec![0] })
    }

    /// dy → dx along `axis`; `output` is the size of dy.
    pub(super) fn backward(shape: &Conv2dShape, axis: usize, output: usize) -> Self {
        let (stride, padding, size) = (shape.stride[axis], shape.padding[axis], shape.size[axis]);
        let base = padding / stride;
        let grid = (size - 1 + padding) / stride - base + 1;
        // A long stride has phases without a pixel: those that have one are at most as many as the pixels.
        let mut phases: Vec<usize> =
            (0..stride.min(size)).map(|i| (i + padding) % stride).collect();
        phases.sort_unstable();
        let start = |phase: &usize| (stride * base + phase) as isize - padding as isize;
        let starts = phases.iter().map(start).collect();
        let taps = (0..shape.kernel[axis]).map(|k| {
            let reach = k * shape.dilation[axis];
            Tap {
                offset: base as isize - (reach / stride) as isize,
                source: 0,
                // A tap without a target writes nothing.
                target: phases.binary_search(&(reach % stride)).unwrap_or(usize::MAX),
            }
        });
        let source = Phases { size: output, step: 1, starts: vec![0] };
        Self::new(taps.collect(), grid, source, Phases { size, step: stride, starts })
    }

    fn new(taps: Vec<Tap>, grid: usize, source: Phases, target: Phases) -> Self {
        let lo = taps.iter().map(|t| t.offset).min().unwrap_or(0);
        let hi = taps.iter().map(|t| t.offset).max().unwrap_or(0);
        Self { taps, grid, lo, hi, source, target }
    }

    /// Distance between consecutive lines (rows of an image, or images of a stack) in the packed buffer.
    ///
    /// A line's right padding may be the next line's left padding, because both are zeros: a 3-tap kernel with padding
    /// 1 costs one zero a line and not two. It suffices that what a tap reads past the line's end is no more than the
    /// zeros that the next line begins with, in every phase.
    pub(super) fn pitch(&self) -> usize {
        let (lo, hi) = (self.lo, self.grid as isize - 1 + self.hi);
        (0..self.source.starts.len()).fold(self.grid, |pitch, phase| {
            let (first, last) = self.source.existing(phase, lo, hi);
            let used = (hi + 1 - first).max(last + 1 - lo);
            if first > last { pitch } else { pitch.max(used as usize) }
        })
    }

    /// Target pixels that grid positions from..to write, over all target phases: one contiguous range.
    pub(super) fn target_range(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let pixel = |grid: usize| {
            let pixel = (self.target.step * grid) as isize + self.target.starts[0];
            pixel.clamp(0, self.target.size as isize) as usize
        };
        pixel(from)..pixel(to)
    }
}

/// Where the pixels of some images and grid rows lie in the packed buffer.
///
/// Each (channel, source phase) has a plane of [`plane`](Self::plane) elements: the images one above the other, rows of
/// [`pitch`](Self::pitch) elements. Grid position (image g, row r, column c) is at g·image_pitch + (r − from)·pitch + c,
/// and a tap reads the source at that position plus a constant. A convolution is thus a sum of shifted copies of one
/// long vector, whatever the image's width; the positions between the grid's rows are computed and thrown away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Images.
    pub(super) images: usize,
    /// First grid row.
    pub(super) from: usize,
    /// One past the last grid row.
    pub(super) to: usize,
    /// Elements from row to row.
    pub(super) pitch: usize,
    /// Elements from image to image.
    pub(super) image_pitch: usize,
    /// Positions to compute: up to the last grid position, rounded up to whole registers.
    pub(super) positions: usize,
    /// Elements of a plane.
    pub(super) plane: usize,
}

impl Layout {
    /// The layout for `images` whole images, or for grid rows from..to of one image.
    pub(super) fn new(
        rows: &Axis,
        columns: &Axis,
        images: usize,
        from: usize,
        to: usize,
        register: usize,
    ) -> Self {
        let pitch = columns.pitch();
        let window = (to - from) + (rows.hi - rows.lo) as usize;
        let image_pitch = if images > 1 { rows.pitch() * pitch } else { window * pitch };
        let last = (images - 1) * image_pitch;
        let positions = (last + (to - from - 1) * pitch + columns.grid).next_multiple_of(register);
        let reach = (rows.hi - rows.lo) as usize * pitch + (columns.hi - columns.lo) as usize;
        let plane = (last + window * pitch).max(positions + reach);
        Self { images, from, to, pitch, image_pitch, positions, plane }
    }

    /// What to add to a grid position to get the element that a pair of taps reads, within a channel's planes.
    pub(super) fn shift(&self, rows: &Axis, columns: &Axis, row: Tap, column: Tap) -> usize {
        let phase = row.source * columns.source.starts.len() + column.source;
        let down = (row.offset - rows.lo) as usize;
        let right = (column.offset - columns.lo) as usize;
        phase * self.plane + down * self.pitch + right
    }
}

/// How the work is cut into tasks: a fixed function of the sizes, never of the number of threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    /// Images of a task; more than one only if a task covers all rows.
    pub(super) images: usize,
    /// Grid rows of a task.
    pub(super) rows: usize,
}

/// What bounds the size of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskLimits {
    /// The packed buffers should stay in a core's second-level cache.
    pub(super) bytes: usize,
    /// Floating-point operations below which handing a task to another thread costs more than it saves.
    pub(super) flops: usize,
}

/// A memory access counts as this many operations.
const FLOPS_PER_ACCESS: usize = 16;
/// More tasks than this only add overhead.
const MAXIMUM_TASKS: usize = 64;

impl Tiling {
    /// `flops` and `accesses` describe the whole operation, `row_bytes` is what one grid row of one image packs.
    pub(super) fn new(
        rows: &Axis,
        columns: &Axis,
        batch: usize,
        row_bytes: usize,
        flops: usize,
        accesses: usize,
        limits: TaskLimits,
    ) -> Self {
        let wanted = ((flops + FLOPS_PER_ACCESS * accesses) / limits.flops).clamp(1, MAXIMUM_TASKS);
        let halo = (rows.hi - rows.lo) as usize;
        let fitting = (limits.bytes / row_bytes.max(1)).saturating_sub(halo);
        if fitting >= rows.grid && batch >= wanted.min(4) {
            let fitting_images = (limits.bytes / row_bytes.max(1)) / rows.pitch();
            let images = batch.div_ceil(wanted).min(fitting_images).max(1);
            return Self { images, rows: rows.grid };
        }
        let least = (96 / columns.pitch()).max(halo).max(1);
        let fair = (rows.grid * batch).div_ceil(wanted);
        let tiles = rows.grid.div_ceil(fitting.min(fair).max(least));
        Self { images: 1, rows: rows.grid.div_ceil(tiles) }
    }

    /// Tasks for one stack of images.
    pub(super) fn row_tiles(&self, grid: usize) -> usize {
        grid.div_ceil(self.rows)
    }
}
