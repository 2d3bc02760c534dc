//! The way into the interleaved form: rows of each lane's numbers, written side by side.

use pulp::Simd;

use super::WIDEST;

/// So many entries of each lane are read before they are written side by side.
const BLOCK: usize = 8;

/// Writes a matrix of `rows` rows of `n` numbers from each lane's source into one whose rows are `padded` vectors long.
#[inline(always)]
pub(crate) fn gather<S: Simd>(
    _: S,
    (rows, n, padded): (usize, usize, usize),
    sources: &[&[f64]; WIDEST],
    target: &mut [f64],
) {
    let width = S::F64_LANES;
    // Rows without padding between them are one row.
    let (rows, n, padded) = if n == padded { (1, rows * n, rows * n) } else { (rows, n, padded) };
    for i in 0..rows {
        let row = &mut target[i * padded * width..(i * padded + n) * width];
        let whole = n / BLOCK * BLOCK;
        let (blocks, rest) = row.split_at_mut(whole * width);
        for (k, out) in blocks.chunks_exact_mut(BLOCK * width).enumerate() {
            let at = i * n + k * BLOCK;
            let mut block = [[0.0; BLOCK]; WIDEST];
            for l in 0..width {
                block[l].copy_from_slice(&sources[l][at..at + BLOCK]);
            }
            transpose(width, block, out);
        }
        for (k, out) in rest.chunks_exact_mut(width).enumerate() {
            for l in 0..width {
                out[l] = sources[l][i * n + whole + k];
            }
        }
    }
}

/// out\[e·width + l\] = block\[l\]\[e\]
#[inline(always)]
fn transpose(width: usize, block: [[f64; BLOCK]; WIDEST], out: &mut [f64]) {
    #[cfg(target_arch = "x86_64")]
    if width == BLOCK
        && let pulp::Arch::V4(v4) = pulp::Arch::new()
        && let Some(out) = out.first_chunk_mut::<{ BLOCK * BLOCK }>()
    {
        *out = pulp::bytemuck::cast(eight(v4, block));
        return;
    }
    for e in 0..BLOCK {
        for l in 0..width {
            out[e * width + l] = block[l][e];
        }
    }
}

/// The transpose of an 8×8 matrix: pairs, then pairs of pairs, then halves change places.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn eight(v4: pulp::x86::V4, rows: [[f64; 8]; 8]) -> [core::arch::x86_64::__m512d; 8] {
    let a = v4.avx512f;
    let r: [core::arch::x86_64::__m512d; 8] = pulp::bytemuck::cast(rows);
    // p[2k] and p[2k + 1]: even and odd columns of rows 2k and 2k + 1.
    let p = [
        a._mm512_unpacklo_pd(r[0], r[1]),
        a._mm512_unpackhi_pd(r[0], r[1]),
        a._mm512_unpacklo_pd(r[2], r[3]),
        a._mm512_unpackhi_pd(r[2], r[3]),
        a._mm512_unpacklo_pd(r[4], r[5]),
        a._mm512_unpackhi_pd(r[4], r[5]),
        a._mm512_unpacklo_pd(r[6], r[7]),
        a._mm512_unpackhi_pd(r[6], r[7]),
    ];
    // The quarters 0 and 2 (columns 0, 4 or 1, 5) of two pairs of rows, and 1 and 3 (columns 2, 6 or 3, 7).
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let q = [
        a._mm512_shuffle_f64x2::<EVEN>(p[0], p[2]),
        a._mm512_shuffle_f64x2::<EVEN>(p[1], p[3]),
        a._mm512_shuffle_f64x2::<ODD>(p[0], p[2]),
        a._mm512_shuffle_f64x2::<ODD>(p[1], p[3]),
        a._mm512_shuffle_f64x2::<EVEN>(p[4], p[6]),
        a._mm512_shuffle_f64x2::<EVEN>(p[5], p[7]),
        a._mm512_shuffle_f64x2::<ODD>(p[4], p[6]),
        a._mm512_shuffle_f64x2::<ODD>(p[5], p[7]),
    ];
    [
        a._mm512_shuffle_f64x2::<EVEN>(q[0], q[4]),
        a._mm512_shuffle_f64x2::<EVEN>(q[1], q[5]),
        a._mm512_shuffle_f64x2::<EVEN>(q[2], q[6]),
        a._mm512_shuffle_f64x2::<EVEN>(q[3], q[7]),
        a._mm512_shuffle_f64x2::<ODD>(q[0], q[4]),
        a._mm512_shuffle_f64x2::<ODD>(q[1], q[5]),
        a._mm512_shuffle_f64x2::<ODD>(q[2], q[6]),
        a._mm512_shuffle_f64x2::<ODD>(q[3], q[7]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_written_side_by_side() {
        let mut block = [[0.0; BLOCK]; WIDEST];
        for (l, row) in block.iter_mut().enumerate() {
            for (e, x) in row.iter_mut().enumerate() {
                *x = (10 * l + e) as f64;
            }
        }
        for width in [1, 4, 8] {
            let mut out = vec![0.0; BLOCK * width];
            transpose(width, block, &mut out);
            for e in 0..BLOCK {
                for l in 0..width {
                    assert_eq!(out[e * width + l], (10 * l + e) as f64, "{width} lanes");
                }
            }
        }
    }
}
