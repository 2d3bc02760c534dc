//! Householder reflectors H = I − τ·v·vᵀ with v₀ = 1: making them, applying them.

use std::ops::Range;

use super::lanes::Lanes;
use super::real::Field;

/// One step of a QR factorization of a row-major matrix with `n` columns: the reflector that maps column k, from row k down to
/// row m, to β·e₁. Stores v below the diagonal and β on it, returns τ. A column that is 0 below the diagonal gives H = I.
///
/// The column is divided by its largest magnitude first, so that its norm neither overflows nor vanishes (Golub and Van Loan,
/// Matrix Computations, 4th ed., Algorithm 5.1.1).
#[inline(always)]
pub(super) fn make<C: Lanes>(lanes: C, m: usize, n: usize, k: usize, a: &mut [C::Vector]) -> C::Vector {
    let (zero, one) = (lanes.splat(C::Scalar::ZERO), lanes.splat(C::Scalar::ONE));
    let mut largest = zero;
    for i in k..m {
        let size = lanes.abs(a[i * n + k]);
        largest = lanes.select(lanes.less(largest, size), size, largest);
    }
    let negligible = lanes.less(largest, lanes.splat(C::Scalar::TINY));
    let down = lanes.select(negligible, zero, lanes.div(one, lanes.select(negligible, one, largest)));
    let head = lanes.mul(a[k * n + k], down);
    let mut tail = zero;
    for i in k + 1..m {
        let x = lanes.mul(a[i * n + k], down);
        tail = lanes.mul_add(x, x, tail);
    }
    let nothing = lanes.less(tail, lanes.splat(C::Scalar::TINY));
    let norm = lanes.sqrt(lanes.mul_add(head, head, tail));
    // β has the sign opposite to the head, so that head − β does not cancel.
    let beta = lanes.select(lanes.less(head, zero), norm, lanes.neg(norm));
    let scale = lanes.select(nothing, zero, lanes.div(down, lanes.select(nothing, one, lanes.sub(head, beta))));
    let tau = lanes.select(nothing, zero, lanes.div(lanes.sub(beta, head), lanes.select(nothing, one, beta)));
    for i in k + 1..m {
        a[i * n + k] = lanes.mul(a[i * n + k], scale);
    }
    a[k * n + k] = lanes.select(nothing, a[k * n + k], lanes.mul(beta, largest));
    tau
}

/// Copies the vector of the reflector in column k, without its leading 1, to `v[k+1..m]`.
#[inline(always)]
pub(super) fn vector<V: Copy>(m: usize, n: usize, k: usize, a: &[V], v: &mut [V]) {
    for i in k + 1..m {
        v[i] = a[i * n + k];
    }
}

/// C ← H·C for rows k..m and the given columns of `target` (row-major, `width` columns), with v in `v[k+1..m]`.
#[inline(always)]
pub(super) fn apply<C: Lanes>(
    lanes: C,
    rows: Range<usize>,
    v: &[C::Vector],
    tau: C::Vector,
    target: &mut [C::Vector],
    width: usize,
    columns: Range<usize>,
) {
    let mut j = columns.start;
    // A single matrix takes whole cache lines of a row at a time, groups of matrices as much as the registers hold.
    if C::WIDTH == 1 {
        while j + 32 <= columns.end {
            apply_tile::<C, 32>(lanes, rows.clone(), v, tau, target, width, j);
            j += 32;
        }
    }
    while j + 4 <= columns.end {
        apply_tile::<C, 4>(lanes, rows.clone(), v, tau, target, width, j);
        j += 4;
    }
    while j < columns.end {
        apply_tile::<C, 1>(lanes, rows.clone(), v, tau, target, width, j);
        j += 1;
    }
}

#[inline(always)]
fn apply_tile<C: Lanes, const W: usize>(
    lanes: C,
    rows: Range<usize>,
    v: &[C::Vector],
    tau: C::Vector,
    target: &mut [C::Vector],
    width: usize,
    j: usize,
) {
    let k = rows.start;
    let mut sum = [lanes.splat(C::Scalar::ZERO); W];
    sum.copy_from_slice(&target[k * width + j..][..W]);
    for i in k + 1..rows.end {
        let row = &target[i * width + j..][..W];
        for w in 0..W {
            sum[w] = lanes.mul_add(v[i], row[w], sum[w]);
        }
    }
    let row = &mut target[k * width + j..][..W];
    for w in 0..W {
        sum[w] = lanes.mul(sum[w], tau);
        row[w] = lanes.sub(row[w], sum[w]);
    }
    for i in k + 1..rows.end {
        let row = &mut target[i * width + j..][..W];
        for w in 0..W {
            row[w] = lanes.mul_sub(v[i], sum[w], row[w]);
        }
    }
}
