//! Copies between NCHW arrays and the padded, phase-separated buffers that the inner loops read.

use pullback_core_graph::{Fresh, Top};

use super::microkernel::BLOCK;
use super::plan::{Axis, Layout};
use crate::kernel::real::{Real, clear, copy_strided};

/// Copies one channel of `layout.images` consecutive images into its planes, one for each pair of source phases,
/// and writes zeros wherever the image has no pixel.
///
/// `image(g)` is the channel's plane of image g: rows.source.size × columns.source.size elements.
#[inline(always)]
pub(super) fn pack_source<'a, T: Real>(
    layout: &Layout,
    rows: &Axis,
    columns: &Axis,
    image: impl Fn(usize) -> &'a [T],
    planes: &mut [T],
) {
    let (down, right) = (columns.source.starts.len(), layout.plane);
    let lo = layout.from as isize + rows.lo;
    let hi = layout.to as isize - 1 + rows.hi;
    let column_hi = columns.grid as isize - 1 + columns.hi;
    for (index, plane) in planes.chunks_exact_mut(right).enumerate() {
        let (row_phase, column_phase) = (index / down, index % down);
        let (first_row, last_row) = rows.source.existing(row_phase, lo, hi);
        let (first, last) = columns.source.existing(column_phase, columns.lo, column_hi);
        if first > last || first_row > last_row {
            plane.fill(T::ZERO);
            continue;
        }
        let (left, width) = ((first - columns.lo) as usize, (last - first + 1) as usize);
        let step = columns.source.step;
        let start = (first * step as isize + columns.source.starts[column_phase]) as usize;
        let mut written = 0;
        for g in 0..layout.images {
            let pixels = image(g);
            let mut at = g * layout.image_pitch + (first_row - lo) as usize * layout.pitch + left;
            for m in first_row..=last_row {
                let y = (m * rows.source.step as isize + rows.source.starts[row_phase]) as usize;
                let line = &pixels[y * columns.source.size..][..columns.source.size];
                clear(&mut plane[written..at]);
                copy_strided(&mut plane[at..at + width], &line[start..], step);
                written = at + width;
                at += layout.pitch;
            }
        }
        plane[written..].fill(T::ZERO);
    }
}

/// Copies the grid of `layout.images` images of dy into `line`, with zeros between the rows, so that a sum over all
/// positions is a sum over the grid.
#[inline(always)]
pub(super) fn pack_grid<'a, T: Real>(
    layout: &Layout,
    columns: &Axis,
    image: impl Fn(usize) -> &'a [T],
    line: &mut [T],
) {
    let width = columns.grid;
    let mut written = 0;
    for g in 0..layout.images {
        let pixels = image(g);
        for r in layout.from..layout.to {
            let at = g * layout.image_pitch + (r - layout.from) * layout.pitch;
            clear(&mut line[written..at]);
            copy_strided(&mut line[at..at + width], &pixels[r * width..][..width], 1);
            written = at + width;
        }
    }
    line[written..].fill(T::ZERO);
}

/// What happens to an output on its way to memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<T> {
    /// Added to every output of the channel.
    pub(super) bias: T,
    /// Negative outputs become 0.
    pub(super) relu: bool,
}

/// Writes the grid positions of one target phase and one image from `line` into the target's rows.
///
/// `target` holds the target rows `target_from..` of one channel.
#[inline(always)]
pub(super) fn unpack_target<T: Real>(
    layout: &Layout,
    rows: &Axis,
    columns: &Axis,
    (row_phase, column_phase): (usize, usize),
    line: &[T],
    finish: Finish<T>,
    target_from: usize,
    target: &mut [T],
) {
    let (first_row, last_row) =
        rows.target.existing(row_phase, layout.from as isize, layout.to as isize - 1);
    let (first, last) = columns.target.existing(column_phase, 0, columns.grid as isize - 1);
    if first > last {
        return;
    }
    let (first, width) = (first as usize, (last - first + 1) as usize);
    let step = columns.target.step;
    let start = ((first * step) as isize + columns.target.starts[column_phase]) as usize;
    for r in first_row..=last_row {
        let y =
            (r * rows.target.step as isize + rows.target.starts[row_phase]) as usize - target_from;
        let values = &line[(r as usize - layout.from) * layout.pitch + first..][..width];
        let target = &mut target[y * columns.target.size..][..columns.target.size][start..];
        if step == 1 {
            for (target, &value) in target[..width].iter_mut().zip(values) {
                *target = finished(value, finish);
            }
        } else {
            for (target, &value) in target.iter_mut().step_by(step).zip(values) {
                *target = finished(value, finish);
            }
        }
    }
}

/// value + bias, and its positive part if asked. NaN stays NaN, so that a fault upstream is not hidden.
#[inline(always)]
pub(super) fn finished<T: Real>(value: T, finish: Finish<T>) -> T {
    rectified(value + finish.bias, finish)
}

#[inline(always)]
fn rectified<T: Real>(value: T, finish: Finish<T>) -> T {
    if finish.relu && value < T::ZERO { T::ZERO } else { value }
}

/// Finished values at the end of what `y` holds. Whether all are finite, also before the positive part is taken.
#[inline(always)]
pub(super) fn append<T: Real>(y: &mut Fresh<'_, T>, values: &[T], finish: Finish<T>) -> bool {
    let mut top = Top::new();
    y.append(
        values,
        #[inline(always)]
        |value| {
            let value = value + finish.bias;
            top.see(value);
            rectified(value, finish)
        },
    );
    top.finite()
}

/// Output channels of one group, cut into blocks of a width that the inner loop has: (first channel, width).
pub(super) fn channel_blocks(channels: usize) -> Vec<(usize, usize)> {
    let mut blocks = Vec::with_capacity(channels.div_ceil(BLOCK));
    let mut first = 0;
    while first < channels {
        let width = match channels - first {
            1 => 1,
            2 => 2,
            3 | 4 => 4,
            _ => BLOCK,
        };
        blocks.push((first, width));
        first += width;
    }
    blocks
}

/// Lines that the inner loop computes for these blocks of channels.
pub(super) fn lines(blocks: &[(usize, usize)]) -> usize {
    blocks.last().map_or(0, |&(first, width)| first + width)
}

/// Appends the weights of one block in the order in which the inner loop reads them: \[source channel\]\[tap\]\[width\],
/// with zeros for channels past the last.
pub(super) fn pack_weights<T: Real>(
    packed: &mut Vec<T>,
    (first, width): (usize, usize),
    target_channels: usize,
    sources: std::ops::Range<usize>,
    taps: &[usize],
    weight: impl Fn(usize, usize, usize) -> T,
) {
    for source in sources {
        for &tap in taps {
            for target in first..first + width {
                packed.push(if target < target_channels {
                    weight(target, source, tap)
                } else {
                    T::ZERO
                });
            }
        }
    }
}
