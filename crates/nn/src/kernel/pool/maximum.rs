//! Maximum pooling, and the linear maps that its indices define.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::shape::Pool2dShape;
use crate::error::{Error, Result, check_len};
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::Real;

/// y = the largest pixel of each window; `index` = where in its plane, row·width + column.
///
/// Padding never wins. **Ties**: the first of the largest in row-major order wins, and with it the whole derivative.
/// NaN counts as largest, the first one wins. Shapes: `x` (planes, height, width); `y`, `index` (planes, output height,
/// output width).
///
/// # Errors
/// As [`Pool2dShape::output`]; [`Error::Length`] if a slice has another length than the shape says.
pub fn maximum<T: Real>(
    shape: &Pool2dShape,
    x: &[T],
    y: &mut [T],
    index: &mut [u32],
) -> Result<()> {
    const OPERATION: &str = "maximum pool2d";
    let output = shape.output()?;
    check_len(OPERATION, "x", x.len(), shape.input_len())?;
    check_len(OPERATION, "y", y.len(), shape.output_len()?)?;
    check_len(OPERATION, "index", index.len(), y.len())?;
    let (pixels, windows) = (shape.size[0] * shape.size[1], output[0] * output[1]);
    let targets = y.par_chunks_exact_mut(windows).zip(index.par_chunks_exact_mut(windows));
    for_each_target(targets, x.len(), |plane, (y, index)| {
        let x = &x[plane * pixels..][..pixels];
        Arch::new().dispatch(Plane { shape, output, x, y, index });
    });
    Ok(())
}

/// One plane of a maximum pooling.
struct Plane<'a, T> {
    shape: &'a Pool2dShape,
    output: [usize; 2],
    x: &'a [T],
    y: &'a mut [T],
    index: &'a mut [u32],
}

impl<T: Real> WithSimd for Plane<'_, T> {
    type Output = ();

    /// Tap by tap over a whole row of windows, so that neighbouring windows are compared at once.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shape, output, x, y, index } = self;
        let width = shape.size[1];
        let rows = y.chunks_exact_mut(output[1]).zip(index.chunks_exact_mut(output[1]));
        for (i, (best, place)) in rows.enumerate() {
            best.fill(T::NEGATIVE_INFINITY);
            let (top, bottom) = shape.window(0, i);
            // Every window is first given its own first pixel: a window of nothing but −∞ has an index too.
            for (j, place) in place.iter_mut().enumerate() {
                *place = (top * width + shape.window(1, j).0) as u32;
            }
            for row in top..bottom {
                for tap in 0..shape.kernel[1] {
                    let (from, to) = shape.windows_with(1, tap, output[1]);
                    if from < to {
                        let start = row * width + from * shape.stride[1] + tap - shape.padding[1];
                        let pixels = &x[start..(row + 1) * width];
                        compare(
                            pixels,
                            shape.stride[1],
                            start,
                            &mut best[from..to],
                            &mut place[from..to],
                        );
                    }
                }
            }
        }
    }
}

/// best\[j\] = max(best\[j\], pixels\[stride·j\]), and where it came from.
#[inline(always)]
fn compare<T: Real>(pixels: &[T], stride: usize, start: usize, best: &mut [T], place: &mut [u32]) {
    let take = |value: T, at: u32, best: &mut T, place: &mut u32| {
        let unordered = value != value && *best == *best;
        let better = value > *best || unordered;
        *best = if better { value } else { *best };
        *place = if better { at } else { *place };
    };
    let start = start as u32;
    // The constant strides let the compiler compare several windows in one instruction.
    if stride == 2 {
        let pairs = pixels.as_chunks::<2>().0;
        let whole = pairs.len().min(best.len());
        for (j, ((best, place), pair)) in
            best.iter_mut().zip(place.iter_mut()).zip(pairs).enumerate()
        {
            take(pair[0], start + 2 * j as u32, best, place);
        }
        if let (Some(best), Some(place)) = (best.get_mut(whole), place.get_mut(whole)) {
            take(pixels[2 * whole], start + 2 * whole as u32, best, place);
        }
    } else {
        let pixels = pixels.iter().step_by(stride);
        for (j, ((best, place), &value)) in
            best.iter_mut().zip(place.iter_mut()).zip(pixels).enumerate()
        {
            take(value, start + (stride * j) as u32, best, place);
        }
    }
}

/// y\[p, i\] = x\[p, index\[p, i\]\]: the derivative of [`maximum`] applied to a direction, and the transpose of
/// [`scatter_add`].
///
/// # Errors
/// As [`maximum`]; [`Error::Index`] if an index lies outside its plane.
pub fn gather<T: Real>(shape: &Pool2dShape, index: &[u32], x: &[T], y: &mut [T]) -> Result<()> {
    const OPERATION: &str = "pool2d gather";
    let windows = check(OPERATION, shape, index, ("x", x.len()), ("y", y.len()))?;
    let pixels = shape.size[0] * shape.size[1];
    for_each_target(y.par_chunks_exact_mut(windows), index.len(), |plane, y| {
        let x = &x[plane * pixels..][..pixels];
        for (y, &index) in y.iter_mut().zip(&index[plane * windows..]) {
            *y = x[index as usize];
        }
    });
    Ok(())
}

/// dx\[p, k\] = the sum of dy\[p, i\] over all windows i with index\[p, i\] = k, in the order of the windows: the transpose
/// of [`gather`], hence the derivative of [`maximum`] pulled back.
///
/// # Errors
/// As [`gather`].
pub fn scatter_add<T: Real>(
    shape: &Pool2dShape,
    index: &[u32],
    dy: &[T],
    dx: &mut [T],
) -> Result<()> {
    const OPERATION: &str = "pool2d scatter_add";
    let windows = check(OPERATION, shape, index, ("dx", dx.len()), ("dy", dy.len()))?;
    let pixels = shape.size[0] * shape.size[1];
    let elements = dx.len();
    for_each_target(dx.par_chunks_exact_mut(pixels), elements, |plane, dx| {
        dx.fill(T::ZERO);
        let index = &index[plane * windows..][..windows];
        for (&index, &dy) in index.iter().zip(&dy[plane * windows..]) {
            dx[index as usize] += dy;
        }
    });
    Ok(())
}

/// Checks lengths and indices; returns the windows of a plane.
fn check(
    operation: &'static str,
    shape: &Pool2dShape,
    index: &[u32],
    (large, large_len): (&'static str, usize),
    (small, small_len): (&'static str, usize),
) -> Result<usize> {
    let output = shape.output()?;
    check_len(operation, large, large_len, shape.input_len())?;
    check_len(operation, small, small_len, shape.output_len()?)?;
    check_len(operation, "index", index.len(), small_len)?;
    let size = shape.size[0] * shape.size[1];
    let largest = index.iter().fold(0, |m: u32, &i| m.max(i));
    if largest as usize >= size && !index.is_empty() {
        let position = index.iter().position(|&i| i == largest).unwrap_or(0);
        return Err(Error::Index { operation, position, index: largest as usize, size });
    }
    Ok(output[0] * output[1])
}
