//! The weight gradient: inner products of dy with shifted copies of x.

use pullback_core_graph::{Fresh, spread};
use pulp::{Simd, WithSimd};

use super::choice::{self, Method};
use super::depthwise::{self, Depthwise};
use super::microkernel::{BLOCK, interleave, weight_block};
use super::pack::{channel_blocks, pack_grid, pack_source};
use super::plan::{Axis, Layout, TaskLimits, Tiling};
use super::pointwise_gradient::PointwiseGradient;
use super::shape::Conv2dShape;
use super::{overwritten, strassen, winograd};
use crate::error::{Result, check_len};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

/// Larger tasks than in the forward pass: each ends with a sum over the lanes of every weight's register.
const LIMITS: TaskLimits = TaskLimits { bytes: 768 * 1024, flops: 8_000_000 };

/// Partial sums are kept for at most this many chunks of tasks, and this many elements in total.
const MAXIMUM_CHUNKS: usize = 32;
const MAXIMUM_PARTIALS: usize = 1 << 23;

/// dw = the transpose of w ↦ x ⋆ w applied to dy. Shapes: see [`Conv2dShape`]; `dy` like y, `dw` like w.
///
/// # Errors
/// As [`forward`](super::forward).
pub fn weight_gradient<T: Real>(
    shape: &Conv2dShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
) -> Result<()> {
    overwritten(dw, |dw| weight_gradient_seen(shape, x, dy, dw))
}

/// [`weight_gradient`], and whether the loops have seen that all of dw is finite.
pub(crate) fn weight_gradient_seen<T: Real>(
    shape: &Conv2dShape,
    x: &[T],
    dy: &[T],
    dw: Fresh<'_, T>,
) -> Result<bool> {
    const OPERATION: &str = "conv2d weight_gradient";
    let output = shape.output()?;
    check_len(OPERATION, "x", x.len(), shape.input_len())?;
    check_len(OPERATION, "dy", dy.len(), shape.output_len()?)?;
    check_len(OPERATION, "dw", dw.len(), shape.weight_len())?;
    let (batch, pixels) = (shape.batch, output[0] * output[1]);
    let (sources, targets) = (shape.in_channels, shape.out_channels);
    Ok(match choice::weight_gradient(shape, output) {
        Method::Strassen => strassen::Gradient { batch, sources, targets, pixels }.run(x, dy, dw),
        Method::Pointwise => PointwiseGradient { batch, sources, targets, pixels }.run(x, dy, dw),
        Method::Winograd => {
            let winograd = winograd::WeightGradient {
                batch,
                source_channels: sources,
                target_channels: targets,
                source: shape.size,
                target: output,
                padding: shape.padding,
            };
            winograd.run(x, dy, dw.zeroed());
            false
        }
        Method::Depthwise => {
            depthwise::weight_gradient(&Depthwise::forward(shape, output), x, dy, dw.zeroed());
            false
        }
        Method::Direct | Method::Patches | Method::Vertical => {
            direct(shape, output, x, dy, dw.zeroed());
            false
        }
    })
}

fn direct<T: Real>(shape: &Conv2dShape, output: [usize; 2], x: &[T], dy: &[T], dw: &mut [T]) {
    let rows = Axis::forward(shape, 0, output[0]);
    let columns = Axis::forward(shape, 1, output[1]);
    let (sources, targets) = (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
    let planes = rows.source.starts.len() * columns.source.starts.len() * sources + targets;
    let row_bytes = planes * columns.pitch() * size_of::<T>();
    let accesses = x.len() + dy.len();
    let tiling = Tiling::new(
        &rows,
        &columns,
        shape.batch,
        row_bytes,
        choice::flops(shape, output),
        accesses,
        LIMITS,
    );
    let tiles = tiling.row_tiles(rows.grid);
    let tasks: Vec<Task> = (0..shape.batch.div_ceil(tiling.images) * tiles)
        .map(|task| {
            let first_image = task / tiles * tiling.images;
            let from = task % tiles * tiling.rows;
            Task {
                first_image,
                images: tiling.images.min(shape.batch - first_image),
                from,
                to: (from + tiling.rows).min(rows.grid),
            }
        })
        .collect();

    // A chunk sums its tasks into its own array; the arrays are then added in order.
    let chunks = tasks.len().min(MAXIMUM_CHUNKS).min(MAXIMUM_PARTIALS / dw.len()).max(1);
    let per_chunk = tasks.len().div_ceil(chunks).max(1);
    let work = |tasks: &[Task], sums: &mut [T]| {
        sums.fill(T::ZERO);
        dispatch(Run { shape, rows: &rows, columns: &columns, x, dy, tasks, sums });
    };
    let chunks = tasks.len().div_ceil(per_chunk);
    if chunks <= 1 {
        work(&tasks, dw);
        return;
    }
    let mut partials = Scratch::new(chunks * dw.len());
    let pieces: Vec<_> = tasks.chunks(per_chunk).zip(partials.chunks_exact_mut(dw.len())).collect();
    spread(pieces, |_, (tasks, sums)| work(tasks, sums));
    let mut ordered = partials.chunks_exact(dw.len());
    if let Some(first) = ordered.next() {
        dw.copy_from_slice(first);
    }
    for partial in ordered {
        for (sum, &value) in dw.iter_mut().zip(partial) {
            *sum += value;
        }
    }
}

/// Some images and grid rows.
#[derive(Clone, Copy)]
struct Task {
    first_image: usize,
    images: usize,
    from: usize,
    to: usize,
}

/// A chunk of tasks with all that it reads and its sums.
struct Run<'a, T> {
    shape: &'a Conv2dShape,
    rows: &'a Axis,
    columns: &'a Axis,
    x: &'a [T],
    dy: &'a [T],
    tasks: &'a [Task],
    sums: &'a mut [T],
}

impl<T: Real> WithSimd for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape, rows, columns, x, dy, tasks, sums } = self;
        let register = 64 / size_of::<T>();
        let (sources, targets) =
            (shape.in_channels / shape.groups, shape.out_channels / shape.groups);
        let taps = rows.taps.len() * columns.taps.len();
        let (x_plane, y_plane) = (shape.size[0] * shape.size[1], rows.grid * columns.grid);
        let mut starts = Vec::with_capacity(sources * taps);
        let blocks = channel_blocks(targets);
        for task in tasks {
            let layout = Layout::new(rows, columns, task.images, task.from, task.to, register);
            let channel = layout.plane * rows.source.starts.len() * columns.source.starts.len();
            let mut packed = Scratch::new(channel * sources);
            let mut grid = Scratch::new(layout.positions * targets);
            let mut interleaved = Scratch::new(layout.positions * BLOCK);
            starts.clear();
            for source in 0..sources {
                for &row in &rows.taps {
                    for &column in &columns.taps {
                        starts.push(source * channel + layout.shift(rows, columns, row, column));
                    }
                }
            }
            for group in 0..shape.groups {
                for (c, planes) in packed.chunks_exact_mut(channel).enumerate() {
                    let first = task.first_image * shape.in_channels + group * sources + c;
                    let image =
                        |g: usize| &x[(first + g * shape.in_channels) * x_plane..][..x_plane];
                    pack_source(&layout, rows, columns, image, planes);
                }
                for (c, line) in grid.chunks_exact_mut(layout.positions).enumerate() {
                    let first = task.first_image * shape.out_channels + group * targets + c;
                    let image =
                        |g: usize| &dy[(first + g * shape.out_channels) * y_plane..][..y_plane];
                    pack_grid(&layout, columns, image, line);
                }
                let sums =
                    &mut sums[group * targets * sources * taps..][..targets * sources * taps];
                for &(first, width) in &blocks {
                    let last = (first + width).min(targets);
                    let lines = &grid[first * layout.positions..last * layout.positions];
                    let lines = lines.chunks_exact(layout.positions);
                    let lines_out = &mut interleaved[..layout.positions * width];
                    interleave(simd, lines, width, lines_out);
                    let sums = &mut sums[first * starts.len()..last * starts.len()];
                    weight_block(simd, lines_out, width, layout.positions, &packed, &starts, sums);
                }
            }
        }
    }
}
