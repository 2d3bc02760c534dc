//! Maximum pooling, and the linear maps that its indices define.

use pulp::{Simd, WithSimd};

use super::shape::Pool2dShape;
use crate::error::{Error, Result, check_len};
use crate::kernel::instructions::dispatch;
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::{Real, Scratch, copy_strided};

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
    let targets = y.chunks_exact_mut(windows).zip(index.chunks_exact_mut(windows));
    for_each_target(targets, x.len(), |plane, (y, index)| {
        let x = &x[plane * pixels..][..pixels];
        dispatch(Plane { shape, output, x, y, index });
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

    /// A register of neighbouring windows is compared at once, tap by tap in row-major order.
    ///
    /// For that each row of pixels is first taken apart by column modulo the stride, with −∞ for the padding: tap l of
    /// window j is then element j + l/stride of line l mod stride. A second register remembers the winning tap.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape, output, x, y, index } = self;
        let (width, stride, padding) = (shape.size[1], shape.stride[1], shape.padding[1]);
        let lanes = T::lanes::<S>();
        let windows = output[1].next_multiple_of(lanes);
        let line = windows + (shape.kernel[1] - 1) / stride;
        // Columns that no tap meets have no line.
        let phases = stride.min(shape.kernel[1]);
        let mut lines = Scratch::<T>::new(shape.size[0] * phases * line);
        // For each line: its first element that is a pixel, which pixel that is, and its end.
        let spans: Vec<(usize, usize, usize)> = (0..phases)
            .map(|phase| {
                let first = padding.saturating_sub(phase).div_ceil(stride).min(line);
                let start = ((first * stride).saturating_add(phase) - padding).min(width);
                (first, start, (first + (width - start).div_ceil(stride)).min(line))
            })
            .collect();
        for (row, lines) in x.chunks_exact(width).zip(lines.chunks_exact_mut(phases * line)) {
            for (line, &(first, start, end)) in lines.chunks_exact_mut(line).zip(&spans) {
                line[..first].fill(T::NEGATIVE_INFINITY);
                copy_strided(&mut line[first..end], &row[start..], stride);
                line[end..].fill(T::NEGATIVE_INFINITY);
            }
        }

        let mut best = Scratch::<T>::new(windows);
        let mut taps = Scratch::<T>::new(windows);
        let rows = y.chunks_exact_mut(output[1]).zip(index.chunks_exact_mut(output[1]));
        for (i, (y, index)) in rows.enumerate() {
            let (top, bottom) = shape.window(0, i);
            let vectors =
                T::vectors_mut::<S>(&mut best).0.iter_mut().zip(T::vectors_mut::<S>(&mut taps).0);
            for (block, (best, taps)) in vectors.enumerate() {
                let nothing = T::splat(simd, T::from_f64(-1.0));
                let mut winner = (T::splat(simd, T::NEGATIVE_INFINITY), nothing);
                for row in top..bottom {
                    // A tap is remembered by its distance from the window's corner, in pixels of the plane.
                    let mut distance = T::from_f64(((row - top) * width) as f64);
                    for tap in 0..shape.kernel[1] {
                        let at =
                            (row * phases + tap % stride) * line + block * lanes + tap / stride;
                        if let Some(&pixels) = T::vectors::<S>(&lines[at..at + lanes]).0.first() {
                            let tap = (pixels, T::splat(simd, distance));
                            winner = T::greater(simd, tap, winner);
                        }
                        distance += T::ONE;
                    }
                }
                (*best, *taps) = winner;
            }
            y.copy_from_slice(&best[..output[1]]);
            let corner = (top * width) as i32 - padding as i32;
            let mut least = 0;
            for (j, (index, &distance)) in index.iter_mut().zip(taps.iter()).enumerate() {
                let distance = distance.to_i32();
                least = distance.min(least);
                *index = (corner + (j * stride) as i32).wrapping_add(distance) as u32;
            }
            if least < 0 {
                // A window of nothing but −∞: its first pixel stands for it.
                for (j, (index, &distance)) in index.iter_mut().zip(taps.iter()).enumerate() {
                    if distance < T::ZERO {
                        *index = (top * width + shape.window(1, j).0) as u32;
                    }
                }
            }
        }
    }
}

/// y\[p, i\] = x\[p, index\[p, i\]\]: the derivative of [`maximum`] applied to a direction, and the transpose of
/// [`scatter_add`].
///
/// # Errors
/// As [`maximum`]; [`Error::Index`] if an index lies outside its plane.
pub fn gather<T: Real>(shape: &Pool2dShape, index: &[u32], x: &[T], y: &mut [T]) -> Result<()> {
    gather_planes(&Planes::of(shape)?, index, x, y)
}

/// [`gather`] of any windows.
///
/// # Errors
/// As [`gather`].
pub(crate) fn gather_planes<T: Real>(
    planes: &Planes,
    index: &[u32],
    x: &[T],
    y: &mut [T],
) -> Result<()> {
    planes.check("pool2d gather", index, ("x", x.len()), ("y", y.len()))?;
    let Planes { pixels, windows, .. } = *planes;
    for_each_target(y.chunks_exact_mut(windows), index.len(), |plane, y| {
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
    scatter_add_planes(&Planes::of(shape)?, index, dy, dx)
}

/// [`scatter_add`] of any windows.
///
/// # Errors
/// As [`gather`].
pub(crate) fn scatter_add_planes<T: Real>(
    planes: &Planes,
    index: &[u32],
    dy: &[T],
    dx: &mut [T],
) -> Result<()> {
    planes.check("pool2d scatter_add", index, ("dx", dx.len()), ("dy", dy.len()))?;
    let Planes { pixels, windows, .. } = *planes;
    let elements = dx.len();
    for_each_target(dx.chunks_exact_mut(pixels), elements, |plane, dx| {
        dx.fill(T::ZERO);
        let index = &index[plane * windows..][..windows];
        for (&index, &dy) in index.iter().zip(&dy[plane * windows..]) {
            dx[index as usize] += dy;
        }
    });
    Ok(())
}

/// How many planes there are, and how many pixels and windows in each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes {
    pub(crate) planes: usize,
    pub(crate) pixels: usize,
    pub(crate) windows: usize,
}

impl Planes {
    fn of(shape: &Pool2dShape) -> Result<Self> {
        let [height, width] = shape.output()?;
        let pixels = shape.size[0] * shape.size[1];
        Ok(Self { planes: shape.planes, pixels, windows: height * width })
    }

    /// Checks lengths and indices.
    fn check(
        &self,
        operation: &'static str,
        index: &[u32],
        (large, large_len): (&'static str, usize),
        (small, small_len): (&'static str, usize),
    ) -> Result<()> {
        check_len(operation, large, large_len, self.planes * self.pixels)?;
        check_len(operation, small, small_len, self.planes * self.windows)?;
        check_len(operation, "index", index.len(), small_len)?;
        let (size, largest) = (self.pixels, index.iter().fold(0, |m: u32, &i| m.max(i)));
        if largest as usize >= size && !index.is_empty() {
            let position = index.iter().position(|&i| i == largest).unwrap_or(0);
            return Err(Error::Index { operation, position, index: i64::from(largest), size });
        }
        Ok(())
    }
}
