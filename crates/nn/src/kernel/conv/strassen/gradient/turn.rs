//! Lines of pixels turned into lines of sources.

use super::strip;
use crate::kernel::real::Real;

/// A block of x of so many sources ...
const SIDE: usize = 16;
/// ... and pixels is turned in registers.
const TURNED: usize = 8;

/// turned\[pixel\]\[source\] of a strip's lines, for as many pixels from `from` on as `turned` has room for.
#[inline(always)]
pub(super) fn turn<T: Real>(x: &[T], pixels: usize, from: usize, turned: &mut [T]) {
    let strip = strip::<T>();
    for (k, lines) in x.chunks_exact(SIDE * pixels).enumerate() {
        let line = |r: usize| &lines[r * pixels + from..];
        let mut blocks = turned.chunks_exact_mut(TURNED * strip);
        for (i, out) in blocks.by_ref().enumerate() {
            let mut block = [[T::ZERO; TURNED]; SIDE];
            for (r, block) in block.iter_mut().enumerate() {
                block.copy_from_slice(&line(r)[i * TURNED..][..TURNED]);
            }
            for (p, out) in out.chunks_exact_mut(strip).enumerate().take(TURNED) {
                let mut column = [T::ZERO; SIDE];
                for r in 0..SIDE {
                    column[r] = block[r][p];
                }
                out[k * SIDE..][..SIDE].copy_from_slice(&column);
            }
        }
        let done = turned.len() / strip / TURNED * TURNED;
        for (p, out) in turned.chunks_exact_mut(strip).enumerate().skip(done) {
            for (r, out) in out[k * SIDE..][..SIDE].iter_mut().enumerate() {
                *out = line(r)[p];
            }
        }
    }
}
