//! The engine of the forward pass and the input gradient: both are sums of shifted source planes.

use pullback_core_graph::spread;
use pulp::{Simd, WithSimd};

use super::microkernel::{Product, Source, rows_of};
use super::pack::{Finish, channel_blocks, pack_source, pack_weights, unpack_target};
use super::plan::{Axis, Layout, Tap, TaskLimits, Tiling};
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{Real, Scratch};

const LIMITS: TaskLimits = TaskLimits { bytes: 384 * 1024, flops: 2_000_000 };

/// Bounds of a chunk of source channels: its planes fit the first-level cache, and it is long enough to be worth
/// loading and storing the sums.
const CHUNK_BYTES: usize = 24 * 1024;
const LEAST_CHUNK: usize = 8;
const MOST_CHUNK: usize = 64;

/// The taps that write one pair of target phases.
struct PhaseTaps {
    phase: (usize, usize),
    /// Index of each tap in the kernel, row by row.
    kernel_index: Vec<usize>,
    taps: Vec<(Tap, Tap)>,
}

/// One correlation: `groups` times, `source_channels` planes to `target_channels` planes.
pub(super) struct Correlation<'a, T> {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// For each group.
    pub(super) source_channels: usize,
    /// For each group.
    pub(super) target_channels: usize,
    pub(super) flops: usize,
    /// One value for each target channel of all groups.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T: Real> Correlation<'_, T> {
    /// Computes all of `target`. `weight(group, target, source, tap)` reads the weights.
    pub(super) fn run(
        &self,
        source: &[T],
        weight: impl Fn(usize, usize, usize, usize) -> T,
        target: &mut [T],
    ) {
        if target.is_empty() {
            return;
        }
        let phases = self.phase_taps();
        let blocks = channel_blocks(self.target_channels);
        let tiling = self.tiling(source.len() + target.len());
        let chunk = self.channel_chunk(tiling);
        let mut weights = T::take_buffer(0);
        weights.clear();
        for group in 0..self.groups {
            for phase in &phases {
                for first in (0..self.source_channels).step_by(chunk) {
                    let sources = first..(first + chunk).min(self.source_channels);
                    for &block in &blocks {
                        let weight = |t, s, k| weight(group, t, s, k);
                        pack_weights(
                            &mut weights,
                            block,
                            self.target_channels,
                            sources.clone(),
                            &phase.kernel_index,
                            weight,
                        );
                    }
                }
            }
        }
        let tasks = self.split(target, tiling);
        let work = |task: Task<'_, T>| {
            dispatch(Run {
                of: self,
                source,
                phases: &phases,
                blocks: &blocks,
                weights: &weights,
                chunk,
                task,
            });
        };
        if tasks.len() > 1 {
            spread(tasks, |_, task| work(task));
        } else {
            tasks.into_iter().for_each(work);
        }
        T::return_buffer(weights);
    }

    fn phase_taps(&self) -> Vec<PhaseTaps> {
        let (rows, columns) = (&self.rows, &self.columns);
        let mut phases = Vec::new();
        for row_phase in 0..rows.target.starts.len() {
            for column_phase in 0..columns.target.starts.len() {
                let mut entry = PhaseTaps {
                    phase: (row_phase, column_phase),
                    kernel_index: vec![],
                    taps: vec![],
                };
                for (i, &row) in rows.taps.iter().enumerate().filter(|(_, t)| t.target == row_phase)
                {
                    for (j, &column) in
                        columns.taps.iter().enumerate().filter(|(_, t)| t.target == column_phase)
                    {
                        entry.kernel_index.push(i * columns.taps.len() + j);
                        entry.taps.push((row, column));
                    }
                }
                phases.push(entry);
            }
        }
        phases
    }

    fn tiling(&self, accesses: usize) -> Tiling {
        let planes =
            self.rows.source.starts.len() * self.columns.source.starts.len() * self.source_channels;
        let row_bytes = (planes + self.target_channels) * self.columns.pitch() * size_of::<T>();
        Tiling::new(&self.rows, &self.columns, self.batch, row_bytes, self.flops, accesses, LIMITS)
    }

    /// Source channels whose planes stay in the first-level cache together while all target channels pass over them.
    fn channel_chunk(&self, tiling: Tiling) -> usize {
        let layout = self.layout(tiling.images.min(self.batch), 0, tiling.rows);
        (CHUNK_BYTES / (self.channel_elements(&layout) * size_of::<T>()))
            .clamp(LEAST_CHUNK, MOST_CHUNK)
    }

    fn layout(&self, images: usize, from: usize, to: usize) -> Layout {
        Layout::new(&self.rows, &self.columns, images, from, to, 64 / size_of::<T>())
    }

    /// Elements of one channel's packed planes, all phases.
    fn channel_elements(&self, layout: &Layout) -> usize {
        layout.plane * self.rows.source.starts.len() * self.columns.source.starts.len()
    }

    /// Hands every task the rows of the target that it alone writes.
    fn split<'t>(&self, target: &'t mut [T], tiling: Tiling) -> Vec<Task<'t, T>> {
        let channels = self.groups * self.target_channels;
        let (height, width) = (self.rows.target.size, self.columns.target.size);
        let tiles = tiling.row_tiles(self.rows.grid);
        let stacks = self.batch.div_ceil(tiling.images);
        let mut tasks = Vec::with_capacity(stacks * tiles);
        for stack in 0..stacks {
            let images = tiling.images.min(self.batch - stack * tiling.images);
            for tile in 0..tiles {
                let from = tile * tiling.rows;
                let to = (from + tiling.rows).min(self.rows.grid);
                let planes = Vec::with_capacity(images * channels);
                tasks.push(Task { first_image: stack * tiling.images, images, from, to, planes });
            }
        }
        for (index, mut plane) in target.chunks_exact_mut(height * width).enumerate() {
            let stack = index / channels / tiling.images;
            for task in &mut tasks[stack * tiles..(stack + 1) * tiles] {
                let lines = self.rows.target_range(task.from, task.to).len();
                let (mine, rest) = plane.split_at_mut(lines * width);
                task.planes.push(mine);
                plane = rest;
            }
        }
        tasks
    }
}

/// Some images and grid rows, and the target rows that they write: one slice for each (image, channel).
struct Task<'t, T> {
    first_image: usize,
    images: usize,
    from: usize,
    to: usize,
    planes: Vec<&'t mut [T]>,
}

/// A task with all that it reads, ready for the processor's widest instructions.
struct Run<'a, 'c, 't, T> {
    of: &'a Correlation<'c, T>,
    source: &'a [T],
    phases: &'a [PhaseTaps],
    blocks: &'a [(usize, usize)],
    weights: &'a [T],
    /// Source channels between two stores of the sums.
    chunk: usize,
    task: Task<'t, T>,
}

impl<T: Real> WithSimd for Run<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, source, phases, blocks, mut weights, chunk, mut task } = self;
        let (rows, columns) = (&of.rows, &of.columns);
        let layout = of.layout(task.images, task.from, task.to);
        let channel = of.channel_elements(&layout);
        let mut packed = Scratch::new(channel * of.source_channels);
        let lines = blocks.last().map_or(0, |&(first, width)| first + width);
        let mut out = Scratch::new(layout.positions * lines);
        let mut shifts = Vec::with_capacity(rows.taps.len() * columns.taps.len());
        let plane = rows.source.size * columns.source.size;
        let target_from = rows.target_range(task.from, task.to).start;
        let (all_sources, all_targets) =
            (of.groups * of.source_channels, of.groups * of.target_channels);

        for group in 0..of.groups {
            for (c, planes) in packed.chunks_exact_mut(channel).enumerate() {
                let first = task.first_image * all_sources + group * of.source_channels + c;
                let image = |g: usize| &source[(first + g * all_sources) * plane..][..plane];
                pack_source(&layout, rows, columns, image, planes);
            }
            for phase in phases {
                shifts.clear();
                shifts.extend(
                    phase
                        .taps
                        .iter()
                        .map(|&(row, column)| layout.shift(rows, columns, row, column)),
                );
                if shifts.is_empty() {
                    out.fill(T::ZERO);
                }
                for (index, sources) in packed.chunks(channel * chunk).enumerate() {
                    for &(first, width) in blocks {
                        let (block, rest) =
                            weights.split_at(sources.len() / channel * shifts.len() * width);
                        weights = rest;
                        if !shifts.is_empty() {
                            let source = Source { data: sources, channel };
                            let out =
                                &mut out[first * layout.positions..][..width * layout.positions];
                            let product = Product {
                                source,
                                shifts: &shifts,
                                weights: block,
                                width,
                                positions: layout.positions,
                                accumulate: index > 0,
                            };
                            product.run(simd, &mut rows_of(out, layout.positions));
                        }
                    }
                }
                for (target, line) in
                    out.chunks_exact(layout.positions).take(of.target_channels).enumerate()
                {
                    let target = group * of.target_channels + target;
                    let bias = of.bias.map_or(T::ZERO, |bias| bias[target]);
                    let finish = Finish { bias, relu: of.relu };
                    for g in 0..layout.images {
                        let line = &line[g * layout.image_pitch..];
                        let plane = &mut *task.planes[g * all_targets + target];
                        unpack_target(
                            &layout,
                            rows,
                            columns,
                            phase.phase,
                            line,
                            finish,
                            target_from,
                            plane,
                        );
                    }
                }
            }
        }
    }
}
