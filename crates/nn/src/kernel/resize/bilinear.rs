//! Bilinear interpolation: rows first, then columns.

use pulp::{Simd, WithSimd};

use super::ResizeShape;
use crate::error::Result;
use crate::kernel::instructions::dispatch;
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

/// Which points of input and output lie on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Align {
    /// The edges of the first and last pixels: output i of n lies at (i + ½)·m/n − ½. (PyTorch: `align_corners=False`.)
    Edges,
    /// The centres of the first and last pixels: output i of n lies at i·(m − 1)/(n − 1), a single one at 0. (PyTorch:
    /// `align_corners=True`.)
    Corners,
}

/// The blends of one axis. Positions before the first or after the last centre repeat the edge pixel.
fn blends<T: Real>(from: usize, to: usize, align: Align) -> Vec<Blend<T>> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let position = match align {
                Align::Edges => ((i as f64 + 0.5) * scale - 0.5).max(0.0),
                Align::Corners if to == 1 => 0.0,
                Align::Corners => (i * (from - 1)) as f64 / (to - 1) as f64,
            };
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
    bilinear_aligned(shape, Align::Edges, x, y)
}

/// [`bilinear`] with a choice of what lies on each other.
///
/// # Errors
/// As [`bilinear`].
pub fn bilinear_aligned<T: Real>(
    shape: &ResizeShape,
    align: Align,
    x: &[T],
    y: &mut [T],
) -> Result<()> {
    shape.check("bilinear", ("x", x.len()), ("y", y.len()))?;
    let [rows, columns] = [0, 1].map(|i| blends(shape.from[i], shape.to[i], align));
    let doubles = align == Align::Edges && shape.to[1] == 2 * shape.from[1];
    let (pixels, elements) = (shape.from[0] * shape.from[1], y.len());
    for_each_target(y.chunks_exact_mut(shape.to[0] * shape.to[1]), elements, |plane, y| {
        let x = &x[plane * pixels..][..pixels];
        dispatch(Forward { shape, doubles, rows: &rows, columns: &columns, x, y });
    });
    Ok(())
}

/// dx = the transpose of [`bilinear`] applied to dy. Shapes: `dy` like y, `dx` like x.
///
/// # Errors
/// As [`bilinear`].
pub fn bilinear_transpose<T: Real>(shape: &ResizeShape, dy: &[T], dx: &mut [T]) -> Result<()> {
    bilinear_aligned_transpose(shape, Align::Edges, dy, dx)
}

/// The transpose of [`bilinear_aligned`].
///
/// # Errors
/// As [`bilinear`].
pub fn bilinear_aligned_transpose<T: Real>(
    shape: &ResizeShape,
    align: Align,
    dy: &[T],
    dx: &mut [T],
) -> Result<()> {
    shape.check("bilinear_transpose", ("dx", dx.len()), ("dy", dy.len()))?;
    let [rows, columns] = [0, 1].map(|i| blends(shape.from[i], shape.to[i], align));
    let doubles = align == Align::Edges && shape.to[1] == 2 * shape.from[1];
    let (pixels, elements) = (shape.to[0] * shape.to[1], dy.len());
    for_each_target(dx.chunks_exact_mut(shape.from[0] * shape.from[1]), elements, |plane, dx| {
        let dy = &dy[plane * pixels..][..pixels];
        dispatch(Transpose { shape, doubles, rows: &rows, columns: &columns, dy, dx });
    });
    Ok(())
}

/// One plane of [`bilinear`].
struct Forward<'a, T> {
    shape: &'a ResizeShape,
    /// Whether the width is doubled, edges on edges.
    doubles: bool,
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
            if self.doubles {
                double(&line, y);
            } else {
                for (y, column) in y.iter_mut().zip(self.columns) {
                    *y = column.lower * line[column.first] + column.upper * line[column.second];
                }
            }
        }
    }
}

/// One plane of [`bilinear_transpose`]: the steps of [`Forward`] transposed, in reverse order.
struct Transpose<'a, T> {
    shape: &'a ResizeShape,
    /// Whether the width is doubled, edges on edges.
    doubles: bool,
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
            if self.doubles {
                double_transpose(dy, &mut line);
            } else {
                line.fill(T::ZERO);
                for (&dy, column) in dy.iter().zip(self.columns) {
                    line[column.first] += column.lower * dy;
                    line[column.second] += column.upper * dy;
                }
            }
            for (from, weight) in [(row.first, row.lower), (row.second, row.upper)] {
                for (dx, &line) in self.dx[from * width..][..width].iter_mut().zip(line.iter()) {
                    *dx += weight * line;
                }
            }
        }
    }
}

/// A line of twice the length, the common case without the table: y\[2j\] = ¼·x\[j−1\] + ¾·x\[j\] and
/// y\[2j+1\] = ¾·x\[j\] + ¼·x\[j+1\], the ends repeated.
#[inline(always)]
fn double<T: Real>(x: &[T], y: &mut [T]) {
    let (near, far) = (T::from_f64(0.75), T::from_f64(0.25));
    let [start, end] = [x[0], x[x.len() - 1]];
    let last = y.len() - 1;
    y[0] = start;
    y[last] = near * end + far * end;
    for (y, x) in y[1..last].as_chunks_mut::<2>().0.iter_mut().zip(x.windows(2)) {
        *y = [near * x[0] + far * x[1], far * x[0] + near * x[1]];
    }
}

/// The transpose of [`double`]: x\[j\] = ¼·y\[2j−1\] + ¾·y\[2j\] + ¾·y\[2j+1\] + ¼·y\[2j+2\], with the ends repeated.
#[inline(always)]
fn double_transpose<T: Real>(dy: &[T], dx: &mut [T]) {
    let (near, far) = (T::from_f64(0.75), T::from_f64(0.25));
    for (dx, dy) in dx.iter_mut().zip(dy.as_chunks::<2>().0) {
        *dx = near * dy[0] + near * dy[1];
    }
    let (first, last) = (0, dx.len() - 1);
    let inner = dy[1..].as_chunks::<2>().0;
    for (dx, pair) in dx[..last].iter_mut().zip(inner) {
        *dx += far * pair[1];
    }
    for (dx, pair) in dx[1..].iter_mut().zip(inner) {
        *dx += far * pair[0];
    }
    dx[first] += far * dy[0];
    dx[last] += far * dy[dy.len() - 1];
}
