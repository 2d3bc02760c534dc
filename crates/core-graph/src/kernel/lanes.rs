//! Folds over what a function of the index gives, in an order that does not wait for the operation before.

use crate::tensor::Real;

/// Running results of a fold: several registers.
const LANES: usize = 64;
/// Those of one register, at most.
const STEP: usize = LANES / 4;

/// f over g(i) for i < n, in a fixed order.
#[inline(always)]
pub(super) fn fold<T: Real>(
    n: usize,
    start: T,
    f: impl Fn(T, T) -> T,
    g: impl Fn(usize) -> T,
) -> T {
    let mut lanes = [start; LANES];
    let whole = n / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            lanes[l] = f(lanes[l], g(i + l));
        }
    }
    // What is left, a register at a time, then one by one.
    let last = n / STEP * STEP;
    for i in (whole..last).step_by(STEP) {
        for l in 0..STEP {
            lanes[l] = f(lanes[l], g(i + l));
        }
    }
    for i in last..n {
        lanes[STEP] = f(lanes[STEP], g(i));
    }
    // In steps of constant length, which become a few vector instructions.
    let mut part = [start; STEP];
    for l in 0..STEP {
        let (low, high) =
            (f(lanes[l], lanes[STEP + l]), f(lanes[2 * STEP + l], lanes[3 * STEP + l]));
        part[l] = f(low, high);
    }
    for l in 0..8 {
        part[l] = f(part[l], part[8 + l]);
    }
    for l in 0..4 {
        part[l] = f(part[l], part[4 + l]);
    }
    f(f(part[0], part[2]), f(part[1], part[3]))
}

/// Σ g(i) for i < n: 64 running sums for each 4096 terms, whose results are added in order. Call it inside
/// [`vectorized`](crate::vectorized), with a closure marked `#[inline(always)]`.
#[inline(always)]
pub fn sum_of<T: Real>(n: usize, g: impl Fn(usize) -> T) -> T {
    const BLOCK: usize = 4096;
    let mut total = T::default();
    for start in (0..n).step_by(BLOCK) {
        total += fold(
            BLOCK.min(n - start),
            T::default(),
            #[inline(always)]
            |a, b| a + b,
            #[inline(always)]
            |i| g(start + i),
        );
    }
    total
}
