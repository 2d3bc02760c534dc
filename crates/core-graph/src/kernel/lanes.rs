//! Folds over what a function of the index gives, in an order that does not wait for the operation before.

use crate::tensor::Real;

/// Running results of a fold: several registers.
const LANES: usize = 64;

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
    for i in whole..n {
        lanes[i - whole] = f(lanes[i - whole], g(i));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            let upper = lanes[l + width];
            lanes[l] = f(lanes[l], upper);
        }
        width /= 2;
    }
    lanes[0]
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
