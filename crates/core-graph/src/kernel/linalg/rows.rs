//! Loops along rows of numbers or vectors, in a fixed order of summation.

use super::lanes::Lanes;
use super::real::Field;

/// Σ xᵢ·yᵢ, in eight interleaved partial sums, which become one register of a single matrix or eight of a group.
#[inline(always)]
pub(super) fn dot<C: Lanes>(lanes: C, x: &[C::Vector], y: &[C::Vector]) -> C::Vector {
    let zero = lanes.splat(C::Scalar::ZERO);
    let mut sums = [zero; 8];
    let (mut xs, mut ys) = (x.chunks_exact(8), y.chunks_exact(8));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for w in 0..8 {
            sums[w] = lanes.mul_add(x[w], y[w], sums[w]);
        }
    }
    for (w, (&x, &y)) in xs.remainder().iter().zip(ys.remainder()).enumerate() {
        sums[w] = lanes.mul_add(x, y, sums[w]);
    }
    for half in [4, 2, 1] {
        for w in 0..half {
            sums[w] = lanes.add(sums[w], sums[w + half]);
        }
    }
    sums[0]
}

/// y ← y + α·x
#[inline(always)]
pub(super) fn add_multiple<C: Lanes>(lanes: C, alpha: C::Vector, x: &[C::Vector], y: &mut [C::Vector]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = lanes.mul_add(alpha, x, *y);
    }
}
