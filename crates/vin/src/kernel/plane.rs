//! Planes with a border, and small correlations over them in vector registers.

use pulp::Simd;

use super::Real;

/// Rows are rounded up to so many cells: a multiple of every register's lanes.
pub(super) const LANES: usize = 16;

/// Height × width cells with a border of `half` cells, rows rounded up to whole vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) half: usize,
    /// Cells of a row without its border, rounded up.
    pub(super) span: usize,
    /// From one row to the next.
    pub(super) stride: usize,
}

impl Layout {
    pub(super) fn new(height: usize, width: usize, kernel: usize) -> Self {
        let (half, span) = (kernel / 2, width.div_ceil(LANES) * LANES);
        Self { height, width, half, span, stride: span + 2 * half }
    }

    /// Elements of a plane.
    pub(super) fn len(&self) -> usize {
        (self.height + 2 * self.half) * self.stride
    }

    /// Where the row y begins, border left out.
    pub(super) fn row(&self, y: usize) -> usize {
        (y + self.half) * self.stride + self.half
    }

    /// Copies a dense plane in.
    pub(super) fn load<T: Real>(&self, dense: &[T], plane: &mut [T]) {
        for (y, row) in dense.chunks_exact(self.width).enumerate() {
            plane[self.row(y)..][..self.width].copy_from_slice(row);
        }
    }
}

/// acc += Σ over the taps of w[tap]·plane[at + tap], where `at` is the top left tap.
#[inline(always)]
pub(super) fn correlate<S: Simd, T: Real, const F: usize>(
    simd: S,
    plane: &[T],
    (at, stride): (usize, usize),
    weights: &[T],
    acc: T::Vector<S>,
) -> T::Vector<S> {
    let (mut acc, weights) = (acc, &weights[..F * F]);
    for dy in 0..F {
        let row = &plane[at + dy * stride..][..T::lanes::<S>() + F - 1];
        for dx in 0..F {
            acc = T::multiply_add(
                simd,
                T::splat(simd, weights[dy * F + dx]),
                T::load::<S>(&row[dx..]),
                acc,
            );
        }
    }
    acc
}

/// What a kernel sees from a block of cells, in registers.
#[inline(always)]
pub(super) fn window<S: Simd, T: Real, const F: usize>(
    plane: &[T],
    at: usize,
    stride: usize,
) -> [[T::Vector<S>; F]; F] {
    std::array::from_fn(
        #[inline(always)]
        |dy| {
            let row = &plane[at + dy * stride..][..T::lanes::<S>() + F - 1];
            std::array::from_fn(
                #[inline(always)]
                |dx| T::load::<S>(&row[dx..]),
            )
        },
    )
}

/// As [`correlate`], of a window.
#[inline(always)]
pub(super) fn correlate_window<S: Simd, T: Real, const F: usize>(
    simd: S,
    window: &[[T::Vector<S>; F]; F],
    weights: &[T],
    acc: T::Vector<S>,
) -> T::Vector<S> {
    let (mut acc, weights) = (acc, &weights[..F * F]);
    for dy in 0..F {
        for dx in 0..F {
            let w = T::splat(simd, weights[dy * F + dx]);
            acc = T::multiply_add(simd, w, window[dy][dx], acc);
        }
    }
    acc
}

/// gradient[tap] += Σ over cells of g·plane shifted by the tap; both planes have the layout's border.
///
/// There are [`LANES`] running sums for each tap, whatever the width of a register is, added in order at the end. `skip(y, x)` may
/// say where g is 0.
#[inline(always)]
pub(super) fn weight_gradient<S: Simd, T: Real, const F: usize>(
    simd: S,
    layout: &Layout,
    (g, plane): (&[T], &[T]),
    skip: impl Fn(usize, usize) -> bool,
    gradient: &mut [T],
) {
    let lanes = T::lanes::<S>();
    let mut sums = [[[T::default(); LANES]; F]; F];
    for from in (0..LANES).step_by(lanes) {
        let mut acc = [[T::splat(simd, T::default()); F]; F];
        for y in 0..layout.height {
            for x in (from..layout.span).step_by(LANES) {
                if skip(y, x) {
                    continue;
                }
                let g = T::load::<S>(&g[layout.row(y) + x..]);
                for dy in 0..F {
                    let row = &plane[(y + dy) * layout.stride + x..][..lanes + F - 1];
                    for dx in 0..F {
                        let p = T::load::<S>(&row[dx..]);
                        acc[dy][dx] = T::multiply_add(simd, g, p, acc[dy][dx]);
                    }
                }
            }
        }
        for dy in 0..F {
            for dx in 0..F {
                T::store::<S>(acc[dy][dx], &mut sums[dy][dx][from..]);
            }
        }
    }
    for dy in 0..F {
        for dx in 0..F {
            let mut sum = T::default();
            sums[dy][dx].iter().for_each(|s| sum += *s);
            gradient[dy * F + dx] += sum;
        }
    }
}

/// The kernel turned by 180°: the transpose of a correlation.
pub(super) fn flipped<T: Real>(weights: &[T]) -> Vec<T> {
    weights.iter().rev().copied().collect()
}
