//! Convolution with a 1×1 kernel and many channels: a product of matrices by Strassen's method, twice applied.
//!
//! ```text
//! y[o, p] = Σ_s w[o, s] · x[s, p]        w: targets × sources,  x: sources × pixels
//! ```
//! Both matrices are cut into 2×2 blocks. The product of two such matrices takes 7 products of blocks in place of 8
//! (V. Strassen, "Gaussian Elimination is not Optimal", Numerische Mathematik 13, 1969), and each of these again 7 in place of
//! 8: 49 products of sixteenths in place of 64. A direct product of matrices at the processor's full rate cannot be faster than
//! its multiplications; this one can.
//!
//! # Method
//! What the sums cost decides whether that pays; they are made near where they are used (for the weight gradient see `gradient`):
//! - The 49 sums of weight blocks are made once, in the order in which the inner loop reads them.
//! - A task has a strip of pixels; its 49 sums of source blocks lie in the second-level cache.
//! - A block of 32 outputs, eight to a quarter, for all pixels of the strip, lie in the first-level cache while all 49 products are added
//!   to them from registers. Where sums of products are needed, the registers go on from the last product (see `form`).
//! - Meanwhile what is read and written next is fetched into the caches.
//!
//! Pixels behind the last whole strip are computed directly; some strips' tasks do that for a share of the targets each.
//!
//! # Rounding
//! The error is bounded by the norms of the matrices instead of by each sum's own terms: small outputs are no more exact than large ones
//! (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", chapter 23). With n sources of uniform random numbers in (−1, 1) the tests
//! bound it by 40·√n roundings of 1. For the same reason an infinity or NaN in x can reach other pixels of its strip.

mod form;
pub(super) mod gradient;
mod levels;
mod run;
mod sums;
#[cfg(test)]
mod tests;

use pullback_core_graph::{Fresh, spread};

use super::microkernel::BLOCK;
use super::pack::Finish;
use crate::kernel::instructions::dispatch;
use crate::kernel::real::{LINE_BYTES, Real, Scratch};
use form::PAIRS;
pub(super) use gradient::Gradient;
use run::Run;
use sums::Prepare;

/// Bytes of a line of a block of outputs, a quarter of a strip's: three registers of the widest kind.
const QUARTER_BYTES: usize = 192;
/// Source channels whose sums are in the second-level cache at a time.
const CHUNK: usize = 256;
/// Tasks of an image that the pixels behind the last strip are shared among, at most.
const TAILS: usize = 4;
/// Targets are a multiple of this: four quarters of whole blocks.
pub(super) const TARGETS: usize = 4 * BLOCK;
/// Sources are a multiple of this: four quarters whose blocks of weights are whole registers.
pub(super) const SOURCES: usize = 16;

/// Elements of a line of a block of outputs.
const fn quarter<T>() -> usize {
    QUARTER_BYTES / size_of::<T>()
}

/// Pixels of a strip.
pub(super) const fn strip<T>() -> usize {
    4 * quarter::<T>()
}

/// Elements from one sum of source blocks to the next, for so many sources: a line of the cache more than a block, so that a row's sums
/// do not all fall into one set of the first-level cache.
const fn pitch<T>(sources: usize) -> usize {
    sources / 4 * quarter::<T>() + LINE_BYTES / size_of::<T>()
}

/// A convolution of 1×1 kernels. `targets` is a multiple of [`TARGETS`], `sources` of [`SOURCES`].
pub(super) struct Strassen<'a, T> {
    pub(super) batch: usize,
    pub(super) sources: usize,
    pub(super) targets: usize,
    /// Of an image.
    pub(super) pixels: usize,
    /// One value for each target.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
}

/// The matrix of weights.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weights<'a, T> {
    /// \[target\]\[source\].
    ByTarget(&'a [T]),
    /// \[source\]\[target\].
    BySource(&'a [T]),
}

impl<T: Real> Strassen<'_, T> {
    /// Computes all of `y`. Whether all is finite.
    pub(super) fn run(&self, x: &[T], weights: Weights<'_, T>, y: Fresh<'_, T>) -> bool {
        let prepare = |prepare: Prepare<'_, '_, T>| dispatch(prepare);
        self.run_on(x, weights, y, prepare, |run| dispatch(run))
    }

    /// The same with the instructions that `prepare` and `work` choose.
    fn run_on(
        &self,
        x: &[T],
        weights: Weights<'_, T>,
        y: Fresh<'_, T>,
        prepare: impl Fn(Prepare<'_, '_, T>) + Sync,
        work: impl Fn(Run<'_, '_, '_, T>) -> bool + Sync,
    ) -> bool {
        if y.is_empty() {
            return true;
        }
        let mut plain = Scratch::new(self.targets * self.sources);
        let mut sums = Scratch::new(PAIRS * self.targets * self.sources / 16);
        let plains = plain.chunks_exact_mut(TARGETS * self.sources);
        let blocks = plains.zip(sums.chunks_exact_mut(self.block_len())).collect();
        spread(blocks, |block, (plain, sums)| {
            prepare(Prepare { of: self, weights, block, plain, sums });
        });
        let (plain, sums) = (&*plain, &*sums);
        let finite = spread(self.split(y), |_, task| work(Run { of: self, x, plain, sums, task }));
        !finite.contains(&false)
    }

    /// Blocks of [`TARGETS`] targets.
    fn blocks(&self) -> usize {
        self.targets / TARGETS
    }

    /// Chunks of sources: (first, how many).
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let sources = self.sources;
        (0..sources).step_by(CHUNK).map(move |first| (first, CHUNK.min(sources - first)))
    }

    /// Elements of all 49 sums of weights of one block.
    fn block_len(&self) -> usize {
        PAIRS * self.sources / 4 * BLOCK
    }

    /// A task for each strip, with the parts of the target that it alone writes. A fixed function of the sizes.
    fn split<'t>(&self, target: Fresh<'t, T>) -> Vec<Task<'t, T>> {
        let strips = self.pixels / strip::<T>();
        let mut tasks: Vec<_> = (0..self.batch * strips)
            .map(|i| Task {
                image: i / strips,
                from: i % strips * strip::<T>(),
                planes: Vec::with_capacity(self.targets),
                tail: Vec::new(),
            })
            .collect();
        for (index, plane) in target.chunks(self.pixels).enumerate() {
            let tasks = &mut tasks[index / self.targets * strips..][..strips];
            let target = index % self.targets;
            for (k, part) in plane.chunks(strip::<T>()).enumerate() {
                match tasks.get_mut(k) {
                    Some(task) => task.planes.push(part),
                    None => {
                        let share = target / BLOCK * TAILS / (self.targets / BLOCK);
                        tasks[share * strips / TAILS].tail.push((target, part));
                    }
                }
            }
        }
        tasks
    }

    fn finish(&self, target: usize) -> Finish<T> {
        Finish { bias: self.bias.map_or(T::ZERO, |bias| bias[target]), relu: self.relu }
    }
}

/// A strip of an image in all targets, and for some of them what is left behind the last strip.
struct Task<'t, T> {
    image: usize,
    from: usize,
    planes: Vec<Fresh<'t, T>>,
    /// Whole blocks of targets.
    tail: Vec<(usize, Fresh<'t, T>)>,
}
