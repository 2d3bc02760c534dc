//! H = Q + ρ·I + Cᵀ·diag(w)·C, its Cholesky factor, and solves with it.
//!
//! Only the lower triangle of H is made. For W > 1 the work is done in 4×4 register tiles of vectors; for W = 1 by blocked matrix
//! products and `pullback-linalg`'s Cholesky.

use pullback_core_graph::linalg::{Triangle, View, matmul, solve_triangular};
use pulp::Simd;

use super::fixed::{MOST, with_size};
use super::product::four_rows;
use super::{TILE, Task, call};

/// H (lower triangle) = Q + ρ·I + Cᵀ·diag(w)·C, for Q of n×n, C of r×n and w of r; n is a multiple of the tile.
///
/// `scratch`: at least 4·r vectors for W > 1, r·n numbers for W = 1.
#[inline(always)]
pub(crate) fn gram<S: Simd>(
    simd: S,
    (n, r): (usize, usize),
    q: &[f64],
    rho: f64,
    c: &[f64],
    w: &[f64],
    h: &mut [f64],
    scratch: &mut [f64],
) {
    call(simd, Gram { n, r, q, rho, c, w, h, scratch });
}

struct Gram<'a> {
    n: usize,
    r: usize,
    q: &'a [f64],
    rho: f64,
    c: &'a [f64],
    w: &'a [f64],
    h: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl Task for Gram<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Gram { n, r, q, rho, c, w, h, scratch } = self;
        if S::F64_LANES == 1 {
            gram_alone((n, r), q, rho, c, w, h, scratch);
        } else if n <= MOST {
            let (q, c, w) = (S::as_simd_f64s(q).0, S::as_simd_f64s(c).0, S::as_simd_f64s(w).0);
            let (h, rho) = (S::as_mut_simd_f64s(h).0, simd.splat_f64s(rho));
            let w = &w[..r];
            with_size!(n, gram::<S, N>(simd, q, rho, c, w, h));
        } else {
            gram_tiled(simd, (n, r), q, rho, c, w, h, scratch);
        }
    }
}

#[inline(always)]
fn gram_tiled<S: Simd>(
    simd: S,
    (n, r): (usize, usize),
    q: &[f64],
    rho: f64,
    c: &[f64],
    w: &[f64],
    h: &mut [f64],
    scratch: &mut [f64],
) {
    let (q, c, w) = (S::as_simd_f64s(q).0, S::as_simd_f64s(c).0, S::as_simd_f64s(w).0);
    let (h, panel) = (S::as_mut_simd_f64s(h).0, &mut S::as_mut_simd_f64s(scratch).0[..TILE * r]);
    let rho = simd.splat_f64s(rho);
    for i in (0..n).step_by(TILE) {
        for k in 0..r {
            let source = &c[k * n + i..k * n + i + TILE];
            for t in 0..TILE {
                panel[k * TILE + t] = simd.mul_f64s(w[k], source[t]);
            }
        }
        for j in (0..=i).step_by(TILE) {
            let mut sum = [[simd.splat_f64s(0.0); TILE]; TILE];
            for a in 0..TILE {
                sum[a].copy_from_slice(&q[(i + a) * n + j..(i + a) * n + j + TILE]);
            }
            for (left, row) in panel.chunks_exact(TILE).zip(c.chunks_exact(n)) {
                let right = &row[j..j + TILE];
                for b in 0..TILE {
                    for a in 0..TILE {
                        sum[a][b] = simd.mul_add_e_f64s(left[a], right[b], sum[a][b]);
                    }
                }
            }
            for a in 0..TILE {
                if i == j {
                    sum[a][a] = simd.add_f64s(sum[a][a], rho);
                }
                h[(i + a) * n + j..(i + a) * n + j + TILE].copy_from_slice(&sum[a]);
            }
        }
    }
}

/// The same for one problem: column blocks of the lower triangle by matrix products.
fn gram_alone(
    (n, r): (usize, usize),
    q: &[f64],
    rho: f64,
    c: &[f64],
    w: &[f64],
    h: &mut [f64],
    scratch: &mut [f64],
) {
    const BLOCK: usize = 96;
    let (weighted, product) = scratch.split_at_mut(r * n);
    for (row, (source, w)) in weighted.chunks_exact_mut(n).zip(c.chunks_exact(n).zip(w)) {
        for (out, x) in row.iter_mut().zip(source) {
            *out = w * x;
        }
    }
    for i in (0..n).step_by(BLOCK) {
        let (rows, columns) = (BLOCK.min(n - i), n.min(i + BLOCK));
        let product = &mut product[..rows * columns];
        let left = View { data: &weighted[i.min(weighted.len())..], row: 1, column: n };
        let right = View { data: c, row: n, column: 1 };
        // The lengths are right by construction; without rows the product is 0.
        if r == 0 || matmul((rows, columns, r), left, right, product, true).is_err() {
            product.fill(0.0);
        }
        for a in 0..rows {
            let at = (i + a) * n;
            for j in 0..columns {
                h[at + j] = q[at + j] + product[a * columns + j];
            }
            h[at + i + a] += rho;
        }
    }
}

/// H = L·Lᵀ in place of H's lower triangle; `inverse` gets 1/l_jj. A pivot that is not above `least` is replaced by 10³⁰⁰, which
/// makes its unknown 0: refinement then finds the solution of a consistent singular system.
///
/// For W > 1 every lane goes its own way. `failed\[l\]` counts replaced pivots of lane l.
#[inline(always)]
pub(crate) fn cholesky<S: Simd>(
    simd: S,
    n: usize,
    least: f64,
    h: &mut [f64],
    inverse: &mut [f64],
    failed: &mut [usize],
) {
    call(simd, Cholesky { n, least, h, inverse, failed });
}

struct Cholesky<'a> {
    n: usize,
    least: f64,
    h: &'a mut [f64],
    inverse: &'a mut [f64],
    failed: &'a mut [usize],
}

impl Task for Cholesky<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Cholesky { n, least, h, inverse, failed } = self;
        if S::F64_LANES == 1 {
            failed[0] = cholesky_alone(n, least, h, inverse);
            return;
        }
        let replaced = if n <= MOST {
            let (h, inverse) = (S::as_mut_simd_f64s(h).0, S::as_mut_simd_f64s(inverse).0);
            with_size!(n, cholesky::<S, N>(simd, least, h, inverse))
        } else {
            cholesky_tiled(simd, n, least, h, inverse)
        };
        let replaced = pulp::bytemuck::cast_slice::<S::f64s, f64>(std::slice::from_ref(&replaced));
        for (count, x) in failed.iter_mut().zip(replaced) {
            *count = *x as usize;
        }
    }
}

#[inline(always)]
fn cholesky_tiled<S: Simd>(
    simd: S,
    n: usize,
    least: f64,
    h: &mut [f64],
    inverse: &mut [f64],
) -> S::f64s {
    let h = S::as_mut_simd_f64s(h).0;
    let all = &mut S::as_mut_simd_f64s(inverse).0[..n];
    let (one, least, huge) = (simd.splat_f64s(1.0), simd.splat_f64s(least), simd.splat_f64s(1e300));
    let mut replaced = simd.splat_f64s(0.0);
    for i in (0..n).step_by(TILE) {
        for j in (0..=i).step_by(TILE) {
            let mut sum = [[simd.splat_f64s(0.0); TILE]; TILE];
            for a in 0..TILE {
                sum[a].copy_from_slice(&h[(i + a) * n + j..(i + a) * n + j + TILE]);
            }
            let left = four_rows(&h[i * n..(i + TILE) * n], n);
            let right = four_rows(&h[j * n..(j + TILE) * n], n);
            for p in 0..j {
                let l = [left[0][p], left[1][p], left[2][p], left[3][p]];
                let r = [right[0][p], right[1][p], right[2][p], right[3][p]];
                for b in 0..TILE {
                    for a in 0..TILE {
                        sum[a][b] = simd.negate_mul_add_e_f64s(l[a], r[b], sum[a][b]);
                    }
                }
            }
            for c in 0..TILE {
                if i == j {
                    let good = simd.less_than_f64s(least, sum[c][c]);
                    let pivot = simd.select_f64s(good, sum[c][c], huge);
                    replaced = simd.select_f64s(good, replaced, simd.add_f64s(replaced, one));
                    let root = simd.sqrt_f64s(pivot);
                    all[j + c] = simd.div_f64s(one, root);
                    sum[c][c] = root;
                }
                let scale = all[j + c];
                for a in 0..TILE {
                    if i != j || a > c {
                        sum[a][c] = simd.mul_f64s(sum[a][c], scale);
                    }
                }
                for b in c + 1..TILE {
                    let factor = if i == j { sum[b][c] } else { h[(j + b) * n + j + c] };
                    for a in 0..TILE {
                        if i != j || a >= b {
                            sum[a][b] = simd.negate_mul_add_e_f64s(sum[a][c], factor, sum[a][b]);
                        }
                    }
                }
            }
            for a in 0..TILE {
                h[(i + a) * n + j..(i + a) * n + j + TILE].copy_from_slice(&sum[a]);
            }
        }
    }
    replaced
}

/// Blocked by hand, because the pivots that fail are replaced instead of refused.
fn cholesky_alone(n: usize, least: f64, h: &mut [f64], inverse: &mut [f64]) -> usize {
    const BLOCK: usize = 48;
    let mut replaced = 0;
    let mut update = Vec::new();
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        // The diagonal block, left-looking inside the block.
        for j in start..end {
            for i in j..end {
                let (head, tail) = h.split_at_mut(i * n);
                let (left, right) = if i == j {
                    (&tail[start..j], &tail[start..j])
                } else {
                    (&tail[start..j], &head[j * n + start..j * n + j])
                };
                let dot: f64 = left.iter().zip(right).map(|(a, b)| a * b).sum();
                tail[j] -= dot;
                if i == j {
                    if tail[j].is_nan() || tail[j] <= least {
                        tail[j] = 1e300;
                        replaced += 1;
                    }
                    tail[j] = tail[j].sqrt();
                    inverse[j] = 1.0 / tail[j];
                } else {
                    tail[j] *= inverse[j];
                }
            }
        }
        if end == n {
            break;
        }
        // Rows below: L₂₁ = A₂₁·L₁₁⁻ᵀ, row by row.
        let width = end - start;
        let (top, below) = h.split_at_mut(end * n);
        for row in below.chunks_exact_mut(n) {
            for j in start..end {
                let l = &top[j * n + start..j * n + j];
                let dot: f64 = row[start..j].iter().zip(l).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - dot) * inverse[j];
            }
        }
        // What is left: A₂₂ −= L₂₁·L₂₁ᵀ, a block of rows at a time.
        for first in (end..n).step_by(BLOCK) {
            let last = n.min(first + BLOCK);
            let (rows, columns) = (last - first, last - end);
            update.resize(rows * columns, 0.0);
            let left = View { data: &h[first * n + start..], row: n, column: 1 };
            let right = View { data: &h[end * n + start..], row: 1, column: n };
            if matmul((rows, columns, width), left, right, &mut update, true).is_err() {
                update.fill(f64::NAN);
            }
            for a in 0..rows {
                let at = (first + a) * n + end;
                for (out, x) in h[at..at + columns].iter_mut().zip(&update[a * columns..]) {
                    *out -= x;
                }
            }
        }
    }
    replaced
}

/// b ← (L·Lᵀ)⁻¹·b.
#[inline(always)]
pub(crate) fn substitute<S: Simd>(simd: S, n: usize, l: &[f64], inverse: &[f64], b: &mut [f64]) {
    call(simd, Substitute { n, l, inverse, b });
}

struct Substitute<'a> {
    n: usize,
    l: &'a [f64],
    inverse: &'a [f64],
    b: &'a mut [f64],
}

impl Task for Substitute<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Substitute { n, l, inverse, b } = self;
        if S::F64_LANES > 1 && n <= MOST {
            let (l, inverse) = (S::as_simd_f64s(l).0, S::as_simd_f64s(inverse).0);
            let b = S::as_mut_simd_f64s(b).0;
            with_size!(n, substitute::<S, N>(simd, l, inverse, b));
        } else {
            substitute_any(simd, n, l, inverse, b);
        }
    }
}

#[inline(always)]
fn substitute_any<S: Simd>(simd: S, n: usize, l: &[f64], inverse: &[f64], b: &mut [f64]) {
    if S::F64_LANES == 1 && 256 < n {
        let right = b[..n].to_vec();
        let mut middle = vec![0.0; n];
        // A pivot of √10³⁰⁰ is no obstacle; a result that overflows stays as it was and shows in the residual.
        let solved = solve_triangular(1, n, 1, Triangle::LOWER, &l[..n * n], &right, &mut middle)
            .and_then(|()| {
                let upper = Triangle::LOWER.transpose();
                solve_triangular(1, n, 1, upper, &l[..n * n], &middle, &mut b[..n])
            });
        if solved.is_err() {
            b[..n].fill(f64::NAN);
        }
        return;
    }
    let (l, inverse) = (S::as_simd_f64s(l).0, &S::as_simd_f64s(inverse).0[..n]);
    let b = &mut S::as_mut_simd_f64s(b).0[..n];
    let zero = simd.splat_f64s(0.0);
    for i in 0..n {
        let row = &l[i * n..i * n + i];
        let (done, rest) = b.split_at_mut(i);
        let mut sum = [zero; 4];
        let whole = i / 4 * 4;
        let mut p = 0;
        while p < whole {
            for k in 0..4 {
                sum[k] = simd.mul_add_e_f64s(row[p + k], done[p + k], sum[k]);
            }
            p += 4;
        }
        let mut total = simd.add_f64s(simd.add_f64s(sum[0], sum[1]), simd.add_f64s(sum[2], sum[3]));
        while p < i {
            total = simd.mul_add_e_f64s(row[p], done[p], total);
            p += 1;
        }
        rest[0] = simd.mul_f64s(simd.sub_f64s(rest[0], total), inverse[i]);
    }
    for i in (0..n).rev() {
        let row = &l[i * n..i * n + i];
        let (rest, done) = b.split_at_mut(i);
        let x = simd.mul_f64s(done[0], inverse[i]);
        done[0] = x;
        for p in 0..i {
            rest[p] = simd.negate_mul_add_e_f64s(row[p], x, rest[p]);
        }
    }
}
