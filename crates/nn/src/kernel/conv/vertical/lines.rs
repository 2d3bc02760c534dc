//! The lines t of a strip, and their transform.

use std::ops::Range;

use pulp::Simd;

use super::{OUT, POINTS, Plan, Vertical};
use crate::kernel::real::{Real, copy_strided};

impl<T: Real> Vertical<'_, T> {
    /// The strip's lines: \[channel\]\[column of the kernel\]\[point\]\[position\].
    #[inline(always)]
    pub(super) fn build<S: Simd>(
        &self,
        simd: S,
        image: &[T],
        bands: &Range<usize>,
        plan: Plan,
        padded: &mut [T],
        lines: &mut [T],
    ) {
        let ([height, width], [down, right]) = (self.source, self.offset);
        let (lanes, columns) = (T::lanes::<S>(), self.target[1]);
        // Columns of a padded row that exist; the others are zero from the start.
        let all = (columns + self.across - 1) as isize;
        let from = (-right).clamp(0, all);
        let to = (width as isize - right).clamp(from, all);
        let (from, to, start) = (from as usize, to as usize, (from + right) as usize);
        let planes = image.chunks_exact(height * width);
        for (lines, plane) in lines.chunks_exact_mut(self.depth(1) * plan.line).zip(planes) {
            let rows = padded.chunks_exact_mut(plan.pitch).take(OUT * bands.len() + POINTS - OUT);
            for (row, y) in rows.zip((bands.start * OUT) as isize + down..) {
                let inner = &mut row[from..to];
                match (0..height as isize).contains(&y) && from < to {
                    true => copy_strided(inner, &plane[y as usize * width + start..], 1),
                    false => inner.fill(T::ZERO),
                }
            }
            for (column, lines) in lines.chunks_exact_mut(POINTS * plan.line).enumerate() {
                for band in 0..bands.len() {
                    let rows = &padded[band * OUT * plan.pitch + column..];
                    // Whole registers: what they write past a band's end, the next band writes again.
                    for at in (0..columns).step_by(lanes) {
                        let row =
                            |i: usize| T::vectors::<S>(&rows[i * plan.pitch + at..][..lanes]).0[0];
                        let t = input::<T, S>(simd, [row(0), row(1), row(2), row(3)]);
                        for (i, t) in t.into_iter().enumerate() {
                            let out = &mut lines[i * plan.line + band * columns + at..][..lanes];
                            T::vectors_mut::<S>(out).0[0] = t;
                        }
                    }
                }
            }
        }
    }
}

/// t of four rows.
#[inline(always)]
fn input<T: Real, S: Simd>(simd: S, d: [T::Vector<S>; POINTS]) -> [T::Vector<S>; POINTS] {
    [
        T::minus(simd, d[0], d[2]),
        T::plus(simd, d[1], d[2]),
        T::minus(simd, d[2], d[1]),
        T::minus(simd, d[1], d[3]),
    ]
}
