//! Dense linear algebra on several problems at a time, one per SIMD lane.
//!
//! A matrix of a group of W problems is a slice in which entry e of problem l is number `e·W + l`. A kernel is written once over
//! [`pulp::Simd`] and takes no branch that changes one lane's numbers because of another, so a problem's bits depend neither on its
//! lane nor on its neighbours. Large problems are worked on alone (W = 1), their cubic parts by the kernels of `pullback-linalg`.

mod arena;
mod factor;
mod fixed;
mod interleave;
mod product;
mod reduce;

pub(crate) use arena::{Arena, Pool};
pub(crate) use factor::{cholesky, gram, substitute};
pub(crate) use interleave::gather;
pub(crate) use product::{add_transposed, product};
pub(crate) use reduce::{
    Largest, add, all_finite, largest, load, magnitude, mask, step, store, take,
};

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Tiles are of this many rows and columns; the unknowns of a problem are padded to a multiple of it.
pub(crate) const TILE: usize = 4;

/// The most lanes that any machine has.
pub(crate) const WIDEST: usize = 8;

/// One number for each lane.
pub(crate) type PerLane<T = f64> = [T; WIDEST];

/// Work to be compiled for each instruction set.
pub(crate) trait Task {
    /// What it returns.
    type Output;
    /// Runs on groups of `S::F64_LANES` problems.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

struct Vectorized<K>(K);

impl<K: Task> WithSimd for Vectorized<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        self.0.run(simd)
    }
}

/// A kernel as a function of its own, compiled for the instruction set of its caller: once, not at each place where it is called.
#[inline(always)]
pub(crate) fn call<S: Simd, K: Task>(simd: S, task: K) -> K::Output {
    simd.vectorize(Vectorized(task))
}

/// The unknowns with padding: a multiple of the tile, or as they are where they are few.
pub(crate) fn padded(unknowns: usize) -> usize {
    if unknowns <= fixed::MOST && width() > 1 { unknowns } else { unknowns.next_multiple_of(TILE) }
}

/// How many problems this machine puts side by side.
pub(crate) fn width() -> usize {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => 8,
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => 4,
        _ => 1,
    }
}

/// Runs with the machine's best instruction set if `wide`, else one problem at a time.
#[inline(never)]
pub(crate) fn dispatch<K: Task>(wide: bool, task: K) -> K::Output {
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) if wide => Simd::vectorize(simd, Vectorized(task)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) if wide => Simd::vectorize(simd, Vectorized(task)),
        _ => task.run(Scalar),
    }
}
