//! Maximum pooling to a given size.

use crate::error::{Error, Result, check_len, check_positive};
use crate::kernel::parallel::for_each_target;
use crate::kernel::real::Real;

/// The pixels of window `index` of `to` along an axis of `from`: ⌊index·from/to⌋ up to ⌈(index + 1)·from/to⌉.
pub(crate) fn adaptive_window(index: usize, from: usize, to: usize) -> std::ops::Range<usize> {
    index * from / to..((index + 1) * from).div_ceil(to)
}

/// The pixels of the longest window along an axis; neither size is 0.
///
/// In lowest terms from/to = a/b. Windows begin at all multiples of 1/b behind a whole pixel, at most (b − 1)/b of one, and are a/b long:
/// ⌈(a + b − 1)/b⌉ pixels.
pub(crate) fn longest_adaptive_window(from: usize, to: usize) -> usize {
    let (mut divisor, mut rest) = (from, to);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let (a, b) = (from / divisor, to / divisor);
    // ⌈(a + b − 1)/b⌉ without the sum, which may be too long.
    1 + (a - 1).div_ceil(b)
}

/// y = the largest pixel of each of `to` windows that cover the image evenly, `index` = where in its plane. Window i of m along an
/// axis of n pixels has those from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉.
///
/// **Ties** and NaN as [`maximum`](super::maximum). Shapes: `x` (planes, height, width); `y`, `index` (planes, output height, output
/// width).
///
/// # Errors
/// [`Error::Argument`] for a size of 0, and a plane of 2³¹ pixels or more; [`Error::Length`] if a slice has another length than the
/// sizes say.
pub fn adaptive_maximum<T: Real>(
    planes: usize,
    from: [usize; 2],
    to: [usize; 2],
    x: &[T],
    y: &mut [T],
    index: &mut [u32],
) -> Result<()> {
    const OPERATION: &str = "adaptive maximum pool2d";
    for axis in 0..2 {
        check_positive(OPERATION, ["height", "width"][axis], from[axis])?;
        check_positive(OPERATION, ["output height", "output width"][axis], to[axis])?;
    }
    let pixels = from[0].saturating_mul(from[1]);
    if i32::try_from(pixels).is_err() {
        let (argument, reason) = ("size", "a plane's pixels are counted in 31 bits");
        return Err(Error::Argument { operation: OPERATION, argument, value: pixels, reason });
    }
    let windows = to[0].saturating_mul(to[1]);
    let is_nan = |v: T| v.partial_cmp(&v).is_none();
    check_len(OPERATION, "x", x.len(), planes.saturating_mul(pixels))?;
    check_len(OPERATION, "y", y.len(), planes.saturating_mul(windows))?;
    check_len(OPERATION, "index", index.len(), y.len())?;
    let targets = y.chunks_exact_mut(windows).zip(index.chunks_exact_mut(windows));
    for_each_target(targets, x.len(), |plane, (y, index)| {
        let x = &x[plane * pixels..][..pixels];
        for (window, (y, index)) in y.iter_mut().zip(index).enumerate() {
            let rows = adaptive_window(window / to[1], from[0], to[0]);
            let columns = adaptive_window(window % to[1], from[1], to[1]);
            let mut best = rows.start * from[1] + columns.start;
            for row in rows {
                for at in row * from[1] + columns.start..row * from[1] + columns.end {
                    if x[best] < x[at] || (is_nan(x[at]) && !is_nan(x[best])) {
                        best = at;
                    }
                }
            }
            (*y, *index) = (x[best], best as u32);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_is_longer_than_the_longest() {
        for from in 1..40 {
            for to in 1..40 {
                let longest = (0..to).map(|i| adaptive_window(i, from, to).len()).max();
                assert_eq!(longest, Some(longest_adaptive_window(from, to)), "{from} to {to}");
            }
        }
        assert_eq!(longest_adaptive_window(usize::MAX, 1), usize::MAX);
        assert_eq!(longest_adaptive_window(usize::MAX, usize::MAX), 1);
        assert_eq!(longest_adaptive_window(1, usize::MAX), 1);
    }
}
