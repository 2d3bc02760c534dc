//! The three tile transforms of F(4×4, 3×3), one register of tiles (or eight filters) at a time.
//!
//! Interpolation points 0, ±a, ±b, ∞ with a = 5/8, b = 3/2. All coefficients of the input and output transforms are
//! then exact in `f32`, and the rounding error of a convolution is less than half that of the usual points 0, ±1, ±2, ∞.

use pulp::Simd;

use crate::kernel::real::Real;

/// Pixels of a tile's side, and outputs of a tile's side.
pub(super) const SIDE: usize = 6;
pub(super) const OUT: usize = 4;
/// Products of a tile.
pub(super) const PRODUCTS: usize = SIDE * SIDE;

const A: f64 = 0.625;
const B: f64 = 1.5;
/// 1 / Π over finite points k ≠ j of (p_j − p_k), for the points 0, ±a, ±b.
const AT_0: f64 = 1.0 / (A * A * B * B);
const AT_A: f64 = 1.0 / (2.0 * A * A * (A * A - B * B));
const AT_B: f64 = 1.0 / (2.0 * B * B * (B * B - A * A));

/// One axis of the input transform: row j holds the coefficients of Π over points k ≠ j of (x − p_k).
#[inline(always)]
pub(super) fn input<T: Real, S: Simd>(simd: S, d: [T::Vector<S>; SIDE]) -> [T::Vector<S>; SIDE] {
    let c = |value: f64| T::splat(simd, T::from_f64(value));
    let fma = |x, y, z| T::mul_add(simd, x, y, z);
    let (product, sum) = (c(A * A * B * B), c(-(A * A + B * B)));
    let even_a = fma(c(-B * B), d[2], d[4]);
    let odd_a = fma(c(-B * B), d[1], d[3]);
    let even_b = fma(c(-A * A), d[2], d[4]);
    let odd_b = fma(c(-A * A), d[1], d[3]);
    [
        fma(product, d[0], fma(sum, d[2], d[4])),
        fma(c(A), odd_a, even_a),
        fma(c(-A), odd_a, even_a),
        fma(c(B), odd_b, even_b),
        fma(c(-B), odd_b, even_b),
        fma(product, d[1], fma(sum, d[3], d[5])),
    ]
}

/// One axis of the output transform: row i holds the powers p_jⁱ of the points.
#[inline(always)]
pub(super) fn output<T: Real, S: Simd>(simd: S, m: [T::Vector<S>; SIDE]) -> [T::Vector<S>; OUT] {
    let c = |value: f64| T::splat(simd, T::from_f64(value));
    let fma = |x, y, z| T::mul_add(simd, x, y, z);
    let minus = c(-1.0);
    let (even_a, odd_a) = (T::plus(simd, m[1], m[2]), fma(minus, m[2], m[1]));
    let (even_b, odd_b) = (T::plus(simd, m[3], m[4]), fma(minus, m[4], m[3]));
    let zero = T::splat(simd, T::ZERO);
    [
        T::plus(simd, m[0], T::plus(simd, even_a, even_b)),
        fma(c(A), odd_a, fma(c(B), odd_b, zero)),
        fma(c(A * A), even_a, fma(c(B * B), even_b, zero)),
        fma(c(A * A * A), odd_a, fma(c(B * B * B), odd_b, m[5])),
    ]
}

/// Filters transformed together.
pub(super) const FILTERS: usize = 8;

/// One axis of the filter transform: row j is (1, p_j, p_j²) / Π over k ≠ j of (p_j − p_k).
#[inline(always)]
fn filter_axis<T: Real>(g: [[T; FILTERS]; 3]) -> [[T; FILTERS]; SIDE] {
    let c = T::from_f64;
    let mut out = [[T::ZERO; FILTERS]; SIDE];
    for l in 0..FILTERS {
        let [g0, g1, g2] = [g[0][l], g[1][l], g[2][l]];
        let even_a = c(AT_A) * g0 + c(A * A * AT_A) * g2;
        let even_b = c(AT_B) * g0 + c(B * B * AT_B) * g2;
        let (odd_a, odd_b) = (c(A * AT_A) * g1, c(B * AT_B) * g1);
        out[0][l] = c(AT_0) * g0;
        out[1][l] = even_a + odd_a;
        out[2][l] = even_a - odd_a;
        out[3][l] = even_b + odd_b;
        out[4][l] = even_b - odd_b;
        out[5][l] = g2;
    }
    out
}

/// Eight filters, taps row by row, to their 36 products' factors.
#[inline(always)]
pub(super) fn filter<T: Real>(g: &[[T; FILTERS]; 9]) -> [[T; FILTERS]; PRODUCTS] {
    let columns = [0, 1, 2].map(|j| filter_axis([g[j], g[3 + j], g[6 + j]]));
    let mut out = [[T::ZERO; FILTERS]; PRODUCTS];
    for i in 0..SIDE {
        let row = filter_axis([columns[0][i], columns[1][i], columns[2][i]]);
        out[i * SIDE..(i + 1) * SIDE].copy_from_slice(&row);
    }
    out
}

/// The transpose of [`output`]: what each point's product takes from a derivative of the outputs.
#[inline(always)]
pub(super) fn output_transposed<T: Real, S: Simd>(
    simd: S,
    y: [T::Vector<S>; OUT],
) -> [T::Vector<S>; SIDE] {
    let c = |value: f64| T::splat(simd, T::from_f64(value));
    let fma = |x, y, z| T::mul_add(simd, x, y, z);
    let (even_a, even_b) = (fma(c(A * A), y[2], y[0]), fma(c(B * B), y[2], y[0]));
    let (odd_a, odd_b) = (fma(c(A * A), y[3], y[1]), fma(c(B * B), y[3], y[1]));
    [
        y[0],
        fma(c(A), odd_a, even_a),
        fma(c(-A), odd_a, even_a),
        fma(c(B), odd_b, even_b),
        fma(c(-B), odd_b, even_b),
        y[3],
    ]
}

/// The transpose of one axis of the filter transform.
#[inline(always)]
pub(super) fn filter_transposed<T: Real, S: Simd>(
    simd: S,
    u: [T::Vector<S>; SIDE],
) -> [T::Vector<S>; 3] {
    let c = |value: f64| T::splat(simd, T::from_f64(value));
    let fma = |x, y, z| T::mul_add(simd, x, y, z);
    let (even_a, odd_a) = (T::plus(simd, u[1], u[2]), fma(c(-1.0), u[2], u[1]));
    let (even_b, odd_b) = (T::plus(simd, u[3], u[4]), fma(c(-1.0), u[4], u[3]));
    let zero = T::splat(simd, T::ZERO);
    [
        fma(c(AT_0), u[0], fma(c(AT_A), even_a, fma(c(AT_B), even_b, zero))),
        fma(c(A * AT_A), odd_a, fma(c(B * AT_B), odd_b, zero)),
        fma(c(A * A * AT_A), even_a, fma(c(B * B * AT_B), even_b, u[5])),
    ]
}
