//! The input transform: pixels of a block of tiles and a chunk of channels to their factors.

use pulp::{Simd, WithSimd};

use super::transform::{OUT, PRODUCTS, SIDE, input};
use super::{Plan, Winograd};
use crate::kernel::real::{Real, Scratch};

/// The transformed pixels of a block and a chunk of channels: \[product\]\[channel\]\[tile\].
pub(super) struct Pixels<'a, 'c, T> {
    pub(super) of: &'a Winograd<'c, T>,
    pub(super) plan: &'a Plan,
    pub(super) x: &'a [T],
    pub(super) block: usize,
    pub(super) chunk: usize,
    pub(super) out: &'a mut [T],
}

impl<T: Real> WithSimd for Pixels<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, plan, x, block, chunk, out } = self;
        let tiles = &plan.tiles;
        let lanes = T::lanes::<S>();
        let [height, width] = of.source;
        // Four phases of a row, each with the pixel after its last tile and room for a whole register there.
        let phase = (tiles.columns + 1).next_multiple_of(lanes) + lanes;
        let pitch = OUT * phase;
        let mut rows = Scratch::new(SIDE * pitch);
        let mut phases = Scratch::new(SIDE * pitch);
        let line = tiles.padded + lanes;
        let mut lines = Scratch::new(PRODUCTS * line);
        lines.fill(T::ZERO);
        // Whole registers, and whole fours for the phases: registers may be shorter.
        let used = (OUT * tiles.columns + SIDE - OUT).next_multiple_of(lanes.max(OUT));
        let channels = out.len() / (PRODUCTS * tiles.padded);
        let (left, first) = (of.padding[1], chunk * plan.chunk);
        rows.fill(T::ZERO);
        for c in 0..channels {
            for (index, row) in tiles.block(block).enumerate() {
                let (image, ty) = tiles.place(row);
                let plane = (image * of.source_channels + first + c) * height * width;
                for (i, line) in rows.chunks_exact_mut(pitch).enumerate() {
                    let line = &mut line[..used];
                    match (ty * OUT + i).checked_sub(of.padding[0]).filter(|&y| y < height) {
                        Some(y) if left < used => {
                            let n = width.min(used - left);
                            line[left..left + n].copy_from_slice(&x[plane + y * width..][..n]);
                        }
                        _ => line.fill(T::ZERO),
                    }
                }
                for at in (0..used).step_by(lanes) {
                    let mut d = [T::splat(simd, T::ZERO); SIDE];
                    for i in 0..SIDE {
                        d[i] = T::vectors::<S>(&rows[i * pitch + at..][..lanes]).0[0];
                    }
                    let d = input::<T, S>(simd, d);
                    for i in 0..SIDE {
                        T::vectors_mut::<S>(&mut rows[i * pitch + at..][..lanes]).0[0] = d[i];
                    }
                }
                for (row, phases) in rows.chunks_exact(pitch).zip(phases.chunks_exact_mut(pitch)) {
                    deinterleave(&row[..used], phases, phase);
                }
                // The rows are zero beyond the image again for the next tile row.
                for line in rows.chunks_exact_mut(pitch) {
                    line[..left.min(used)].fill(T::ZERO);
                    line[(left + width).min(used)..used].fill(T::ZERO);
                }
                for t in (0..tiles.columns).step_by(lanes) {
                    for i in 0..SIDE {
                        let mut d = [T::splat(simd, T::ZERO); SIDE];
                        for j in 0..SIDE {
                            let at = i * pitch + j % OUT * phase + t + j / OUT;
                            d[j] = T::vectors::<S>(&phases[at..][..lanes]).0[0];
                        }
                        let d = input::<T, S>(simd, d);
                        for j in 0..SIDE {
                            let at = (i * SIDE + j) * line + index * tiles.columns + t;
                            T::vectors_mut::<S>(&mut lines[at..][..lanes]).0[0] = d[j];
                        }
                    }
                }
            }
            for (p, line) in lines.chunks_exact(line).enumerate() {
                let out = &mut out[(p * channels + c) * tiles.padded..][..tiles.padded];
                out.copy_from_slice(&line[..tiles.padded]);
            }
        }
    }
}

/// Element 4·t + j of the row to element t of phase j.
#[inline(always)]
fn deinterleave<T: Real>(row: &[T], phases: &mut [T], phase: usize) {
    let (p0, rest) = phases.split_at_mut(phase);
    let (p1, rest) = rest.split_at_mut(phase);
    let (p2, p3) = rest.split_at_mut(phase);
    let fours = row.as_chunks::<OUT>().0;
    for ((((&[a, b, c, d], p0), p1), p2), p3) in fours.iter().zip(p0).zip(p1).zip(p2).zip(p3) {
        (*p0, *p1, *p2, *p3) = (a, b, c, d);
    }
}
