//! Powers of two that bring a matrix into the middle of the number range, where squares neither overflow nor vanish.

use pulp::bytemuck::cast_slice_mut;

use super::batch::numbers;
use super::lanes::Lanes;
use super::real::Field;

/// max |x| over a slice of vectors, lane by lane.
#[inline(always)]
pub(super) fn largest<C: Lanes>(lanes: C, values: &[C::Vector]) -> C::Vector {
    let mut largest = lanes.splat(C::Scalar::ZERO);
    for &x in values {
        let size = lanes.abs(x);
        largest = lanes.select(lanes.less(largest, size), size, largest);
    }
    largest
}

/// Multiplies all values by a power of two per lane, 2⁻ᵉ, that brings the largest near 1. Returns 2ᵉ.
#[inline(always)]
pub(super) fn normalize<C: Lanes>(lanes: C, values: &mut [C::Vector]) -> C::Vector {
    let largest = largest(lanes, values);
    let (mut down, mut up) = (largest, largest);
    {
        let down = cast_slice_mut::<C::Vector, C::Scalar>(std::slice::from_mut(&mut down));
        let up = cast_slice_mut::<C::Vector, C::Scalar>(std::slice::from_mut(&mut up));
        for lane in 0..C::WIDTH {
            let scale = numbers::<C>(&largest)[lane].power_of_two_scale();
            down[lane] = scale;
            up[lane] = C::Scalar::ONE / scale;
        }
    }
    for x in values {
        *x = lanes.mul(*x, down);
    }
    up
}
