//! Average pooling and its transpose.

use super::shape::Pool2dShape;
use crate::error::{Result, check_len, check_positive};
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::Real;

/// What a window's sum is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Divisor {
    /// The kernel's size: padding counts as zeros. Of a window that reaches beyond the padding, the part up to its end.
    Kernel,
    /// The number of real pixels in the window.
    Pixels,
    /// This number, which must be positive (PyTorch's `divisor_override`).
    Fixed(usize),
}

/// y = the mean of each window. Shapes: `x` (planes, height, width), `y` (planes, output height, output width).
///
/// # Errors
/// As [`Pool2dShape::output`]; [`Error::Argument`](crate::Error::Argument) for a divisor of 0;
/// [`Error::Length`](crate::Error::Length) if a slice has another length than the shape says.
pub fn average<T: Real>(shape: &Pool2dShape, divisor: Divisor, x: &[T], y: &mut [T]) -> Result<()> {
    let (output, factors) = prepare(shape, divisor, ("x", x.len()), ("y", y.len()))?;
    let (pixels, windows) = (shape.size[0] * shape.size[1], output[0] * output[1]);
    for_each_target(y.chunks_exact_mut(windows), x.len(), |plane, y| {
        let x = &x[plane * pixels..][..pixels];
        y.fill(T::ZERO);
        for_each_line(shape, output, |i, row, from, to, column| {
            let line = x[row * shape.size[1] + column..].iter().step_by(shape.stride[1]);
            for (y, &x) in y[i * output[1] + from..i * output[1] + to].iter_mut().zip(line) {
                *y += x;
            }
        });
        for (y, &factor) in y.iter_mut().zip(&factors) {
            *y = *y * factor;
        }
    });
    Ok(())
}

/// dx = the transpose of [`average`] applied to dy. Shapes: `dy` like y, `dx` like x.
///
/// # Errors
/// As [`average`].
pub fn average_transpose<T: Real>(
    shape: &Pool2dShape,
    divisor: Divisor,
    dy: &[T],
    dx: &mut [T],
) -> Result<()> {
    let (output, factors) = prepare(shape, divisor, ("dx", dx.len()), ("dy", dy.len()))?;
    let (pixels, windows) = (shape.size[0] * shape.size[1], output[0] * output[1]);
    let elements = dx.len();
    for_each_target(dx.chunks_exact_mut(pixels), elements, |plane, dx| {
        let dy = &dy[plane * windows..][..windows];
        dx.fill(T::ZERO);
        for_each_line(shape, output, |i, row, from, to, column| {
            let line = dx[row * shape.size[1] + column..].iter_mut().step_by(shape.stride[1]);
            let windows = i * output[1] + from..i * output[1] + to;
            for (dx, (&dy, &factor)) in line.zip(dy[windows.clone()].iter().zip(&factors[windows]))
            {
                *dx += dy * factor;
            }
        });
    });
    Ok(())
}

/// Calls `visit(window row, pixel row, first window, one past the last, first pixel column)` for every line of pixels
/// that one column of the kernel meets.
#[inline(always)]
fn for_each_line(
    shape: &Pool2dShape,
    output: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize, usize, usize),
) {
    for i in 0..output[0] {
        let (top, bottom) = shape.window(0, i);
        for row in top..bottom {
            for tap in 0..shape.kernel[1] {
                let (from, to) = shape.windows_with(1, tap, output[1]);
                if from < to {
                    visit(i, row, from, to, from * shape.stride[1] + tap - shape.padding[1]);
                }
            }
        }
    }
}

/// Checks the lengths; returns the output's size and 1 / divisor of each window of a plane.
fn prepare<T: Real>(
    shape: &Pool2dShape,
    divisor: Divisor,
    (large, large_len): (&'static str, usize),
    (small, small_len): (&'static str, usize),
) -> Result<([usize; 2], Vec<T>)> {
    const OPERATION: &str = "average pool2d";
    let output = shape.output()?;
    if let Divisor::Fixed(number) = divisor {
        check_positive(OPERATION, "divisor", number)?;
    }
    check_len(OPERATION, large, large_len, shape.input_len())?;
    check_len(OPERATION, small, small_len, shape.output_len()?)?;
    let covered = |axis, index| {
        let (start, end) = shape.window(axis, index);
        end - start
    };
    let factors = (0..output[0] * output[1]).map(|window| {
        let count = match divisor {
            Divisor::Kernel => {
                shape.padded(0, window / output[1]) * shape.padded(1, window % output[1])
            }
            Divisor::Fixed(number) => number,
            Divisor::Pixels => covered(0, window / output[1]) * covered(1, window % output[1]),
        };
        T::from_f64(1.0 / count as f64)
    });
    Ok((output, factors.collect()))
}
