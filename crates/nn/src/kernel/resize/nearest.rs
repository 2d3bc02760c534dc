//! Nearest-neighbour resizing.

use super::ResizeShape;
use crate::error::Result;
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::Real;

/// The input pixel of each output pixel: ⌊i·from/to⌋, in integers, so that no rounding can move it. (PyTorch: `nearest`.)
fn sources(from: usize, to: usize) -> Vec<usize> {
    (0..to).map(|i| i * from / to).collect()
}

/// y\[p, i, j\] = x\[p, ⌊i·from₀/to₀⌋, ⌊j·from₁/to₁⌋\]. Shapes: `x` (planes, from), `y` (planes, to).
///
/// # Errors
/// As [`bilinear`](super::bilinear).
pub fn nearest<T: Real>(shape: &ResizeShape, x: &[T], y: &mut [T]) -> Result<()> {
    shape.check("nearest", ("x", x.len()), ("y", y.len()))?;
    let (rows, columns) =
        (sources(shape.from[0], shape.to[0]), sources(shape.from[1], shape.to[1]));
    let (width, elements) = (shape.from[1], y.len());
    for_each_target(y.chunks_exact_mut(shape.to[0] * shape.to[1]), elements, |plane, y| {
        for (y, &row) in y.chunks_exact_mut(shape.to[1]).zip(&rows) {
            let x = &x[(plane * shape.from[0] + row) * width..][..width];
            for (y, &column) in y.iter_mut().zip(&columns) {
                *y = x[column];
            }
        }
    });
    Ok(())
}

/// dx = the transpose of [`nearest`] applied to dy: each input pixel sums the outputs that copied it. Shapes: `dy` like
/// y, `dx` like x.
///
/// # Errors
/// As [`nearest`].
pub fn nearest_transpose<T: Real>(shape: &ResizeShape, dy: &[T], dx: &mut [T]) -> Result<()> {
    shape.check("nearest_transpose", ("dx", dx.len()), ("dy", dy.len()))?;
    let (rows, columns) =
        (sources(shape.from[0], shape.to[0]), sources(shape.from[1], shape.to[1]));
    let pixels = shape.to[0] * shape.to[1];
    for_each_target(dx.chunks_exact_mut(shape.from[0] * shape.from[1]), dy.len(), |plane, dx| {
        dx.fill(T::ZERO);
        let dy = &dy[plane * pixels..][..pixels];
        for (dy, &row) in dy.chunks_exact(shape.to[1]).zip(&rows) {
            let dx = &mut dx[row * shape.from[1]..][..shape.from[1]];
            for (&dy, &column) in dy.iter().zip(&columns) {
                dx[column] += dy;
            }
        }
    });
    Ok(())
}
