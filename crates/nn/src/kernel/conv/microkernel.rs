//! The two inner loops, on registers: a block of outputs, and a block of weight derivatives.

use pulp::Simd;

use crate::kernel::real::Real;

/// Widest block of output channels; packed weights come in blocks of at most this many.
pub(super) const BLOCK: usize = 8;

/// A packed source as the kernels read it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    /// Channels one after the other.
    pub(super) data: &'a [T],
    /// Elements from channel to channel.
    pub(super) channel: usize,
}

/// out\[m\]\[i\] = Σ over channels and taps of weights\[channel\]\[tap\]\[m\] · source\[channel\]\[i + shift\[tap\]\],
/// for i < `positions`, a multiple of the register's length, and m < `width` ∈ {1, 2, 4, 8}.
#[inline(always)]
pub(super) fn output_block<T: Real, S: Simd>(
    simd: S,
    source: Source<'_, T>,
    shifts: &[usize],
    weights: &[T],
    width: usize,
    positions: usize,
    out: &mut [T],
) {
    // 32 registers hold 24 sums, the source vectors and a weight; 16 registers hold 12.
    if S::REGISTER_COUNT >= 32 {
        match width {
            1 => sweep::<T, S, 1, 8>(simd, source, shifts, weights, 1, 0, positions, out),
            2 => sweep::<T, S, 2, 8>(simd, source, shifts, weights, 2, 0, positions, out),
            4 => sweep::<T, S, 4, 6>(simd, source, shifts, weights, 4, 0, positions, out),
            _ => sweep::<T, S, 8, 3>(simd, source, shifts, weights, 8, 0, positions, out),
        }
    } else {
        match width {
            1 => sweep::<T, S, 1, 8>(simd, source, shifts, weights, 1, 0, positions, out),
            2 => sweep::<T, S, 2, 6>(simd, source, shifts, weights, 2, 0, positions, out),
            4 => sweep::<T, S, 4, 3>(simd, source, shifts, weights, 4, 0, positions, out),
            _ => {
                sweep::<T, S, 4, 3>(simd, source, shifts, weights, 8, 0, positions, out);
                sweep::<T, S, 4, 3>(simd, source, shifts, weights, 8, 4, positions, out);
            }
        }
    }
}

/// All positions for M channels, V registers at a time, then what is left in smaller steps.
#[inline(always)]
fn sweep<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    source: Source<'_, T>,
    shifts: &[usize],
    weights: &[T],
    width: usize,
    first: usize,
    positions: usize,
    out: &mut [T],
) {
    let lanes = T::lanes::<S>();
    let mut at = 0;
    while at + V * lanes <= positions {
        tile::<T, S, M, V>(simd, source, shifts, weights, width, first, positions, at, out);
        at += V * lanes;
    }
    if V > 4 && at + 4 * lanes <= positions {
        tile::<T, S, M, 4>(simd, source, shifts, weights, width, first, positions, at, out);
        at += 4 * lanes;
    }
    if at + 2 * lanes <= positions {
        tile::<T, S, M, 2>(simd, source, shifts, weights, width, first, positions, at, out);
        at += 2 * lanes;
    }
    if at + lanes <= positions {
        tile::<T, S, M, 1>(simd, source, shifts, weights, width, first, positions, at, out);
    }
}

/// M channels × V registers of positions, held in registers over the whole sum.
#[inline(always)]
fn tile<T: Real, S: Simd, const M: usize, const V: usize>(
    simd: S,
    source: Source<'_, T>,
    shifts: &[usize],
    weights: &[T],
    width: usize,
    first: usize,
    positions: usize,
    at: usize,
    out: &mut [T],
) {
    let span = V * T::lanes::<S>();
    let mut sums = [[T::splat(simd, T::ZERO); V]; M];
    let channels = source.data.chunks_exact(source.channel);
    for (plane, weights) in channels.zip(weights.chunks_exact(shifts.len() * width)) {
        for (&shift, weights) in shifts.iter().zip(weights.chunks_exact(width)) {
            let vectors = T::vectors::<S>(&plane[at + shift..][..span]).0;
            let (Some(x), Some(w)) = (vectors.first_chunk::<V>(), weights[first..].first_chunk::<M>()) else {
                return;
            };
            for m in 0..M {
                let weight = T::splat(simd, w[m]);
                for v in 0..V {
                    sums[m][v] = T::mul_add(simd, weight, x[v], sums[m][v]);
                }
            }
        }
    }
    for m in 0..M {
        let vectors = T::vectors_mut::<S>(&mut out[(first + m) * positions + at..][..span]).0;
        for (out, sum) in vectors.iter_mut().zip(sums[m]) {
            *out = sum;
        }
    }
}

/// sums\[m\]\[k\] += Σᵢ rows\[m\]\[i\] · source\[columns\[k\] + i\], where `rows` are M lines of `positions` elements and
/// `sums` are M lines of `columns.len()`.
#[inline(always)]
pub(super) fn weight_block<T: Real, S: Simd>(
    simd: S,
    rows: &[T],
    positions: usize,
    source: &[T],
    columns: &[usize],
    sums: &mut [T],
) {
    let width = columns.len();
    let wide = S::REGISTER_COUNT >= 32;
    let mut rows = rows;
    let mut sums = sums;
    while !rows.is_empty() {
        let left = rows.len() / positions;
        let take = match (wide, left) {
            (true, 4..) => 4,
            (_, 2..) => 2,
            _ => 1,
        };
        let (block, rest) = rows.split_at(take * positions);
        let (block_sums, rest_sums) = std::mem::take(&mut sums).split_at_mut(take * width);
        match take {
            4 => across::<T, S, 4>(simd, block, positions, source, columns, block_sums),
            2 => across::<T, S, 2>(simd, block, positions, source, columns, block_sums),
            _ => across::<T, S, 1>(simd, block, positions, source, columns, block_sums),
        }
        (rows, sums) = (rest, rest_sums);
    }
}

/// M rows against all columns, six at a time, then three, then one.
#[inline(always)]
fn across<T: Real, S: Simd, const M: usize>(
    simd: S,
    rows: &[T],
    positions: usize,
    source: &[T],
    columns: &[usize],
    sums: &mut [T],
) {
    let width = columns.len();
    let mut at = 0;
    while let Some(columns) = columns[at..].first_chunk::<6>() {
        dot::<T, S, M, 6>(simd, rows, positions, source, columns, &mut sums[at..], width);
        at += 6;
    }
    if let Some(columns) = columns[at..].first_chunk::<3>() {
        dot::<T, S, M, 3>(simd, rows, positions, source, columns, &mut sums[at..], width);
        at += 3;
    }
    while let Some(columns) = columns[at..].first_chunk::<1>() {
        dot::<T, S, M, 1>(simd, rows, positions, source, columns, &mut sums[at..], width);
        at += 1;
    }
}

/// M × K inner products of long vectors at once: M + K loads for M·K multiplications.
#[inline(always)]
fn dot<T: Real, S: Simd, const M: usize, const K: usize>(
    simd: S,
    rows: &[T],
    positions: usize,
    source: &[T],
    columns: &[usize; K],
    sums: &mut [T],
    width: usize,
) {
    let registers = positions / T::lanes::<S>();
    let a: [&[T::Vector<S>]; M] =
        std::array::from_fn(|m| &T::vectors::<S>(&rows[m * positions..][..positions]).0[..registers]);
    let b: [&[T::Vector<S>]; K] =
        std::array::from_fn(|k| &T::vectors::<S>(&source[columns[k]..][..positions]).0[..registers]);
    let mut products = [[T::splat(simd, T::ZERO); K]; M];
    for i in 0..registers {
        let row: [T::Vector<S>; M] = std::array::from_fn(|m| a[m][i]);
        for k in 0..K {
            let column = b[k][i];
            for m in 0..M {
                products[m][k] = T::mul_add(simd, row[m], column, products[m][k]);
            }
        }
    }
    for m in 0..M {
        for k in 0..K {
            sums[m * width + k] += T::sum_lanes(simd, products[m][k]);
        }
    }
}
