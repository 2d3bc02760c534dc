//! Bias and rectifier over NCHW arrays, and the sum over everything but the channels that is the bias's gradient.

use pullback_core_graph::vectorized;
use pulp::{Simd, WithSimd};

use super::parallel::for_each_target;
use super::real::{Real, Scratch};
use crate::error::{Result, check_len};
use crate::kernel::instructions::dispatch;

/// Sizes of a (batch, channels, pixels) array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelShape {
    /// Images in the batch.
    pub batch: usize,
    /// Channels of each image.
    pub channels: usize,
    /// Pixels of each channel.
    pub pixels: usize,
}

impl ChannelShape {
    /// Elements of the array.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Whether there is no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// y\[n, c, i\] += bias\[c\], then max(y, 0) if `relu`; NaN stays NaN.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if a slice has another length than the shape says.
pub fn add_bias<T: Real>(shape: &ChannelShape, bias: &[T], relu: bool, y: &mut [T]) -> Result<()> {
    check_len("add_bias", "y", y.len(), shape.len())?;
    check_len("add_bias", "bias", bias.len(), shape.channels)?;
    let elements = y.len();
    if elements == 0 {
        return Ok(());
    }
    for_each_target(y.chunks_exact_mut(shape.pixels), elements, |plane, y| {
        let bias = bias[plane % shape.channels];
        vectorized(
            #[inline(always)]
            || {
                for y in y.iter_mut() {
                    let value = *y + bias;
                    *y = if relu && value < T::ZERO { T::ZERO } else { value };
                }
            },
        );
    });
    Ok(())
}

/// db\[c\] = Σ over n and i of dy\[n, c, i\]: the bias's gradient, and the transpose of [`add_bias`] without the rectifier.
///
/// Each plane is summed in registers, the planes then in the order of the batch.
///
/// # Errors
/// As [`add_bias`].
pub fn bias_gradient<T: Real>(shape: &ChannelShape, dy: &[T], db: &mut [T]) -> Result<()> {
    check_len("bias_gradient", "dy", dy.len(), shape.len())?;
    check_len("bias_gradient", "db", db.len(), shape.channels)?;
    db.fill(T::ZERO);
    if shape.is_empty() {
        return Ok(());
    }
    let mut sums = Scratch::new(shape.batch * shape.channels);
    for_each_target(sums.iter_mut(), dy.len(), |plane, sum| {
        *sum = dispatch(Sum(&dy[plane * shape.pixels..][..shape.pixels]));
    });
    for image in sums.chunks_exact(shape.channels) {
        for (db, &sum) in db.iter_mut().zip(image) {
            *db += sum;
        }
    }
    Ok(())
}

/// The sum of a slice: four registers of partial sums, so that an addition need not wait for the one before.
struct Sum<'a, T>(&'a [T]);

impl<T: Real> WithSimd for Sum<'_, T> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T {
        let (vectors, tail) = T::vectors::<S>(self.0);
        let (fours, rest) = vectors.as_chunks::<4>();
        let mut sums = [T::splat(simd, T::ZERO); 4];
        for four in fours {
            for (sum, &value) in sums.iter_mut().zip(four) {
                *sum = T::plus(simd, *sum, value);
            }
        }
        for (sum, &value) in sums.iter_mut().zip(rest) {
            *sum = T::plus(simd, *sum, value);
        }
        let pairs = (T::plus(simd, sums[0], sums[1]), T::plus(simd, sums[2], sums[3]));
        let mut total = T::sum_lanes(simd, T::plus(simd, pairs.0, pairs.1));
        for &value in tail {
            total += value;
        }
        total
    }
}

/// y = max(x, 0); the derivative at 0 is 0, see [`relu_gradient`]. NaN stays NaN.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if the slices differ in length.
pub fn relu<T: Real>(x: &[T], y: &mut [T]) -> Result<()> {
    check_len("relu", "y", y.len(), x.len())?;
    let (elements, size) = (x.len(), CHUNK);
    for_each_target(y.chunks_mut(size), elements, |chunk, y| {
        let x = &x[chunk * size..];
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = if x < T::ZERO { T::ZERO } else { x };
                }
            },
        );
    });
    Ok(())
}

/// dx = dy where y > 0, else 0, for the output y of [`relu`] or of a rectified [`add_bias`]: its own transpose, so both
/// push and pull.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) if the slices differ in length.
pub fn relu_gradient<T: Real>(y: &[T], dy: &[T], dx: &mut [T]) -> Result<()> {
    check_len("relu_gradient", "dy", dy.len(), y.len())?;
    check_len("relu_gradient", "dx", dx.len(), y.len())?;
    let (elements, size) = (y.len(), CHUNK);
    for_each_target(dx.chunks_mut(size), elements, |chunk, dx| {
        let (y, dy) = (&y[chunk * size..], &dy[chunk * size..]);
        vectorized(
            #[inline(always)]
            || {
                for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                    *dx = if y > T::ZERO { dy } else { T::ZERO };
                }
            },
        );
    });
    Ok(())
}

/// Elements that one call of an elementwise loop handles.
const CHUNK: usize = 1 << 14;
