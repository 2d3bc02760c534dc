//! Planes with a border, and small correlations over them in vector registers.

use super::Real;

/// Cells that are computed at a time.
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

/// One vector.
#[inline(always)]
pub(super) fn lanes<T: Real>(x: &[T]) -> [T; LANES] {
    let mut out = [T::default(); LANES];
    out.copy_from_slice(&x[..LANES]);
    out
}

/// acc += Σ over the taps of w[tap]·plane[at + tap], where `at` is the top left tap.
#[inline(always)]
pub(super) fn correlate<T: Real, const F: usize>(
    plane: &[T],
    at: usize,
    stride: usize,
    weights: &[T],
    acc: [T; LANES],
) -> [T; LANES] {
    let mut acc = acc;
    for dy in 0..F {
        let row = &plane[at + dy * stride..][..LANES + F - 1];
        for dx in 0..F {
            let (w, x) = (weights[dy * F + dx], lanes(&row[dx..]));
            for l in 0..LANES {
                acc[l] = w.fused(x[l], acc[l]);
            }
        }
    }
    acc
}

/// gradient[tap] += Σ over cells of g·plane shifted by the tap; both planes have the layout's border.
#[inline(always)]
pub(super) fn weight_gradient<T: Real, const F: usize>(
    layout: &Layout,
    g: &[T],
    plane: &[T],
    gradient: &mut [T],
) {
    let mut acc = [[[T::default(); LANES]; F]; F];
    for y in 0..layout.height {
        for x in (0..layout.span).step_by(LANES) {
            let g = lanes(&g[layout.row(y) + x..]);
            for dy in 0..F {
                let row = &plane[y * layout.stride + dy * layout.stride + x..][..LANES + F - 1];
                for dx in 0..F {
                    let p = lanes(&row[dx..]);
                    for l in 0..LANES {
                        acc[dy][dx][l] = g[l].fused(p[l], acc[dy][dx][l]);
                    }
                }
            }
        }
    }
    for dy in 0..F {
        for dx in 0..F {
            let mut sum = T::default();
            for l in 0..LANES {
                sum += acc[dy][dx][l];
            }
            gradient[dy * F + dx] += sum;
        }
    }
}

/// The kernel turned by 180°: the transpose of a correlation.
pub(super) fn flipped<T: Real>(weights: &[T]) -> Vec<T> {
    weights.iter().rev().copied().collect()
}
