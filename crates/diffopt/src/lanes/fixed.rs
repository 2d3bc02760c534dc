//! Kernels for a few unknowns: what has n or n² numbers stays in registers.

use pulp::Simd;

/// The most unknowns: 21 numbers of a triangle, and what one row needs, are fewer than 32 registers.
pub(super) const MOST: usize = 6;

/// Calls a kernel with n as a constant.
macro_rules! with_size {
    ($n:expr, $kernel:ident::<$s:ty, N>($($argument:expr),*)) => {
        match $n {
            1 => $crate::lanes::fixed::$kernel::<$s, 1>($($argument),*),
            2 => $crate::lanes::fixed::$kernel::<$s, 2>($($argument),*),
            3 => $crate::lanes::fixed::$kernel::<$s, 3>($($argument),*),
            4 => $crate::lanes::fixed::$kernel::<$s, 4>($($argument),*),
            5 => $crate::lanes::fixed::$kernel::<$s, 5>($($argument),*),
            _ => $crate::lanes::fixed::$kernel::<$s, 6>($($argument),*),
        }
    };
}
pub(super) use with_size;

/// The first N numbers.
#[inline(always)]
fn held<V: Copy, const N: usize>(v: &[V], zero: V) -> [V; N] {
    let mut out = [zero; N];
    out.copy_from_slice(&v[..N]);
    out
}

/// out = A·x for A of out.len() × N.
#[inline(always)]
pub(super) fn product<S: Simd, const N: usize>(
    simd: S,
    a: &[S::f64s],
    x: &[S::f64s],
    out: &mut [S::f64s],
) {
    let zero = simd.splat_f64s(0.0);
    let x: [S::f64s; N] = held(x, zero);
    let mut rows = a.chunks_exact(N);
    for out in out {
        let Some(row) = rows.next() else { return };
        let mut sum = [zero; 2];
        for j in 0..N {
            sum[j % 2] = simd.mul_add_e_f64s(row[j], x[j], sum[j % 2]);
        }
        *out = simd.add_f64s(sum[0], sum[1]);
    }
}

/// out += Aᵀ·y for A of y.len() × N.
#[inline(always)]
pub(super) fn add_transposed<S: Simd, const N: usize>(
    simd: S,
    a: &[S::f64s],
    y: &[S::f64s],
    out: &mut [S::f64s],
) {
    let mut sum: [S::f64s; N] = held(out, simd.splat_f64s(0.0));
    let mut rows = a.chunks_exact(N);
    for y in y {
        let Some(row) = rows.next() else { break };
        for j in 0..N {
            sum[j] = simd.mul_add_e_f64s(row[j], *y, sum[j]);
        }
    }
    out[..N].copy_from_slice(&sum);
}

/// H (lower triangle) = Q + ρ·I + Cᵀ·diag(w)·C.
#[inline(always)]
pub(super) fn gram<S: Simd, const N: usize>(
    simd: S,
    q: &[S::f64s],
    rho: S::f64s,
    c: &[S::f64s],
    w: &[S::f64s],
    h: &mut [S::f64s],
) {
    let mut sum = [[simd.splat_f64s(0.0); N]; N];
    for i in 0..N {
        for j in 0..=i {
            sum[i][j] = q[i * N + j];
        }
        sum[i][i] = simd.add_f64s(sum[i][i], rho);
    }
    let mut rows = c.chunks_exact(N);
    for w in w {
        let Some(row) = rows.next() else { break };
        for i in 0..N {
            let left = simd.mul_f64s(*w, row[i]);
            for j in 0..=i {
                sum[i][j] = simd.mul_add_e_f64s(left, row[j], sum[i][j]);
            }
        }
    }
    for i in 0..N {
        for j in 0..=i {
            h[i * N + j] = sum[i][j];
        }
    }
}

/// The Cholesky factor in place, 1/l_jj, and how many pivots were replaced by 10³⁰⁰.
#[inline(always)]
pub(super) fn cholesky<S: Simd, const N: usize>(
    simd: S,
    least: f64,
    h: &mut [S::f64s],
    inverse: &mut [S::f64s],
) -> S::f64s {
    let (one, zero) = (simd.splat_f64s(1.0), simd.splat_f64s(0.0));
    let (least, huge) = (simd.splat_f64s(least), simd.splat_f64s(1e300));
    let mut replaced = zero;
    let mut l = [[zero; N]; N];
    for i in 0..N {
        for j in 0..=i {
            l[i][j] = h[i * N + j];
        }
    }
    for j in 0..N {
        let good = simd.less_than_f64s(least, l[j][j]);
        let pivot = simd.select_f64s(good, l[j][j], huge);
        replaced = simd.select_f64s(good, replaced, simd.add_f64s(replaced, one));
        // Side by side, not one after the other: they are what the factor waits for.
        let root = simd.sqrt_f64s(pivot);
        let scale = simd.mul_f64s(root, simd.div_f64s(one, pivot));
        inverse[j] = scale;
        l[j][j] = root;
        for i in j + 1..N {
            l[i][j] = simd.mul_f64s(l[i][j], scale);
        }
        for i in j + 1..N {
            for k in j + 1..=i {
                l[i][k] = simd.negate_mul_add_e_f64s(l[i][j], l[k][j], l[i][k]);
            }
        }
    }
    for i in 0..N {
        for j in 0..=i {
            h[i * N + j] = l[i][j];
        }
    }
    replaced
}

/// b ← (L·Lᵀ)⁻¹·b.
#[inline(always)]
pub(super) fn substitute<S: Simd, const N: usize>(
    simd: S,
    l: &[S::f64s],
    inverse: &[S::f64s],
    b: &mut [S::f64s],
) {
    let mut x: [S::f64s; N] = held(b, simd.splat_f64s(0.0));
    for j in 0..N {
        x[j] = simd.mul_f64s(x[j], inverse[j]);
        for i in j + 1..N {
            x[i] = simd.negate_mul_add_e_f64s(l[i * N + j], x[j], x[i]);
        }
    }
    for i in (0..N).rev() {
        x[i] = simd.mul_f64s(x[i], inverse[i]);
        for j in 0..i {
            x[j] = simd.negate_mul_add_e_f64s(l[i * N + j], x[i], x[j]);
        }
    }
    b[..N].copy_from_slice(&x);
}
