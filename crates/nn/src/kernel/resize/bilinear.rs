//! Bilinear interpolation: rows first, then columns.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ResizeShape;
use crate::error::Result;
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::{Real, Scratch};

/// An output pixel along one axis: lower·x\[first\] + upper·x\[second\].
#[derive(Debug, Clone, Copy)]
struct Blend<T> {
    first: usize,
    second: usize,
    lower: T,
    upper: T,
}

/// The blends of one axis. Positions before the first or after the last centre repeat the edge pixel.
fn blends<T: Real>(from: usize, to: usize) -> Vec<Blend<T>> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let position = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            let first = (position as usize).min(from - 1);
            let upper = (position - first as f64).min(1.0);
            let second = (first + 1).min(from - 1);
            Blend { first, second, lower: T::from_f64(1.0 - upper), upper: T::from_f64(upper) }
        })
        .collect()
}

/// y = x resized by bilinear interpolation. Shapes: `x` (planes, from), `y` (planes, to).
///
/// Shrinking does not average: each output still blends four pixels, as in PyTorch without antialiasing.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if a size is zero, [`Error::Length`](crate::Error::Length) if a slice has
/// another length than the shape says.
pub fn bilinear<T: Real>(shape: &ResizeShape, x: &[T], y: &mut [T]) -> Result<()> {
    shape.check("bilinear", ("x", x.len()), ("y", y.len()))?;
    let (rows, columns) = (blends(shape.from[0], shape.to[0]), blends(shape.from[1], shape.to[1]));
    let (pixels, elements) = (shape.from[0] * shape.from[1], y.len());
    for_each_target(y.par_chunks_exact_mut(shape.to[0] * shape.to[1]), elements, |plane, y| {
        let x = &x[plane * pixels..][..pixels];
        Arch::new().dispatch(Forward { shape, rows: &rows, columns: &columns, x, y });
    });
    Ok(())
}

/// dx = the transpose of [`bilinear`] applied to dy. Shapes: `dy` like y, `dx` like x.
///
/// # Errors
/// As [`bilinear`].
pub fn bilinear_transpose<T: Real>(shape: &ResizeShape, dy: &[T], dx: &mut [T]) -> Result<()> {
    shape.check("bilinear_transpose", ("dx", dx.len()), ("dy", dy.len()))?;
    let (rows, columns) = (blends(shape.from[0], shape.to[0]), blends(shape.from[1], shape.to[1]));
    let (pixels, elements) = (shape.to[0] * shape.to[1], dy.len());
    for_each_target(
        dx.par_chunks_exact_mut(shape.from[0] * shape.from[1]),
        elements,
        |plane, dx| {
            let dy = &dy[plane * pixels..][..pixels];
            Arch::new().dispatch(Transpose { shape, rows: &rows, columns: &columns, dy, dx });
        },
    );
    Ok(())
}

/// One plane of [`bilinear`].
struct Forward<'a, T> {
    shape: &'a ResizeShape,
    rows: &'a [Blend<T>],
    columns: &'a [Blend<T>],
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.from[1];
        let mut line = Scratch::new(width);
        for (y, row) in self.y.chunks_exact_mut(self.shape.to[1]).zip(self.rows) {
            let first = &self.x[row.first * width..][..width];
            let second = &self.x[row.second * width..][..width];
            for ((line, &first), &second) in line.iter_mut().zip(first).zip(second) {
                *line = row.lower * first + row.upper * second;
            }
            for (y, column) in y.iter_mut().zip(self.columns) {
                *y = column.lower * line[column.first] + column.upper * line[column.second];
            }
        }
    }
}

/// One plane of [`bilinear_transpose`]: the steps of [`Forward`] transposed, in reverse order.
struct Transpose<'a, T> {
    shape: &'a ResizeShape,
    rows: &'a [Blend<T>],
    columns: &'a [Blend<T>],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Real> WithSimd for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.shape.from[1];
        let mut line = Scratch::new(width);
        self.dx.fill(T::ZERO);
        for (dy, row) in self.dy.chunks_exact(self.shape.to[1]).zip(self.rows) {
            line.fill(T::ZERO);
            for (&dy, column) in dy.iter().zip(self.columns) {
                line[column.first] += column.lower * dy;
                line[column.second] += column.upper * dy;
            }
            for (from, weight) in [(row.first, row.lower), (row.second, row.upper)] {
                for (dx, &line) in self.dx[from * width..][..width].iter_mut().zip(line.iter()) {
                    *dx += weight * line;
                }
            }
        }
    }
}
