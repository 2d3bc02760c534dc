//! Products of a matrix and a vector.

use pulp::Simd;

use super::fixed::{MOST, with_size};
use super::{Task, call};

/// Four rows of n entries, with lengths that the compiler knows to be n. (An array's `map` would be a call, not compiled for the instruction
/// set of its caller.)
#[inline(always)]
pub(super) fn four_rows<V>(rows: &[V], n: usize) -> [&[V]; 4] {
    [&rows[..n], &rows[n..][..n], &rows[2 * n..][..n], &rows[3 * n..][..n]]
}

/// out = A·x for A of rows×n.
#[inline(always)]
pub(crate) fn product<S: Simd>(
    simd: S,
    (rows, n): (usize, usize),
    a: &[f64],
    x: &[f64],
    out: &mut [f64],
) {
    call(simd, Product { rows, n, a, x, out });
}

struct Product<'a> {
    rows: usize,
    n: usize,
    a: &'a [f64],
    x: &'a [f64],
    out: &'a mut [f64],
}

impl Task for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Product { rows, n, a, x, out } = self;
        if S::F64_LANES > 1 && n <= MOST {
            let (a, x) = (S::as_simd_f64s(a).0, S::as_simd_f64s(x).0);
            let out = &mut S::as_mut_simd_f64s(out).0[..rows];
            with_size!(n, product::<S, N>(simd, a, x, out));
        } else {
            product_tiled(simd, (rows, n), a, x, out);
        }
    }
}

#[inline(always)]
fn product_tiled<S: Simd>(
    simd: S,
    (rows, n): (usize, usize),
    a: &[f64],
    x: &[f64],
    out: &mut [f64],
) {
    let (a, x) = (S::as_simd_f64s(a).0, &S::as_simd_f64s(x).0[..n]);
    let out = &mut S::as_mut_simd_f64s(out).0[..rows];
    let zero = simd.splat_f64s(0.0);
    let mut i = 0;
    while i + 4 <= rows {
        let [a, b, c, d] = four_rows(&a[i * n..(i + 4) * n], n);
        let mut sum = [zero; 4];
        for j in 0..n {
            sum[0] = simd.mul_add_e_f64s(a[j], x[j], sum[0]);
            sum[1] = simd.mul_add_e_f64s(b[j], x[j], sum[1]);
            sum[2] = simd.mul_add_e_f64s(c[j], x[j], sum[2]);
            sum[3] = simd.mul_add_e_f64s(d[j], x[j], sum[3]);
        }
        out[i..i + 4].copy_from_slice(&sum);
        i += 4;
    }
    while i < rows {
        let row = &a[i * n..(i + 1) * n];
        let mut sum = zero;
        for j in 0..n {
            sum = simd.mul_add_e_f64s(row[j], x[j], sum);
        }
        out[i] = sum;
        i += 1;
    }
}

/// out += Aᵀ·y for A of rows×n.
#[inline(always)]
pub(crate) fn add_transposed<S: Simd>(
    simd: S,
    (rows, n): (usize, usize),
    a: &[f64],
    y: &[f64],
    out: &mut [f64],
) {
    call(simd, AddTransposed { rows, n, a, y, out });
}

struct AddTransposed<'a> {
    rows: usize,
    n: usize,
    a: &'a [f64],
    y: &'a [f64],
    out: &'a mut [f64],
}

impl Task for AddTransposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let AddTransposed { rows, n, a, y, out } = self;
        if S::F64_LANES > 1 && n <= MOST {
            let (a, y) = (S::as_simd_f64s(a).0, &S::as_simd_f64s(y).0[..rows]);
            let out = S::as_mut_simd_f64s(out).0;
            with_size!(n, add_transposed::<S, N>(simd, a, y, out));
        } else {
            add_transposed_tiled(simd, (rows, n), a, y, out);
        }
    }
}

#[inline(always)]
fn add_transposed_tiled<S: Simd>(
    simd: S,
    (rows, n): (usize, usize),
    a: &[f64],
    y: &[f64],
    out: &mut [f64],
) {
    let (a, y) = (S::as_simd_f64s(a).0, &S::as_simd_f64s(y).0[..rows]);
    let out = &mut S::as_mut_simd_f64s(out).0[..n];
    let mut i = 0;
    while i + 4 <= rows {
        let [a, b, c, d] = four_rows(&a[i * n..(i + 4) * n], n);
        let factor = [y[i], y[i + 1], y[i + 2], y[i + 3]];
        for j in 0..n {
            let mut sum = simd.mul_add_e_f64s(a[j], factor[0], out[j]);
            sum = simd.mul_add_e_f64s(b[j], factor[1], sum);
            sum = simd.mul_add_e_f64s(c[j], factor[2], sum);
            out[j] = simd.mul_add_e_f64s(d[j], factor[3], sum);
        }
        i += 4;
    }
    while i < rows {
        let row = &a[i * n..(i + 1) * n];
        for j in 0..n {
            out[j] = simd.mul_add_e_f64s(row[j], y[i], out[j]);
        }
        i += 1;
    }
}
