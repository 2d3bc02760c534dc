//! The sealed half of [`super::Real`]: each kernel's entry point, compiled in this crate for f32 and f64.

use super::error::LinalgError;
use super::real::Field;
use super::triangular::Triangle;
use super::{cholesky, condition, eigen, lu, qr, svd, triangular};

macro_rules! entries {
    ($($(#[$lint:meta])* $name:ident = $path:path, ($($argument:ident: $type:ty),*);)*) => {
        /// The kernels' entry points; documented where they are public.
        #[allow(missing_docs)]
        pub trait Entry: Field {
            $(fn $name($($argument: $type),*) -> Result<(), LinalgError>;)*
        }
        entries!(@implement f32; $($name = $path, ($($argument: $type),*);)*);
        entries!(@implement f64; $($name = $path, ($($argument: $type),*);)*);
    };
    (@implement $t:ty; $($name:ident = $path:path, ($($argument:ident: $type:ty),*);)*) => {
        impl Entry for $t {
            $(
                fn $name($($argument: $type),*) -> Result<(), LinalgError> {
                    $path($($argument),*)
                }
            )*
        }
    };
}

entries! {
    cholesky = cholesky::factor_entry, (batch: usize, n: usize, a: &[Self], l: &mut [Self]);
    cholesky_of_symmetric_part = cholesky::factor_symmetric_entry, (batch: usize, n: usize, a: &[Self], l: &mut [Self]);
    cholesky_solve = cholesky::solve_entry,
        (batch: usize, n: usize, k: usize, l: &[Self], b: &[Self], x: &mut [Self]);
    solve_positive_definite = cholesky::factor_solve_entry,
        (batch: usize, n: usize, k: usize, a: &[Self], b: &[Self], l: &mut [Self], x: &mut [Self]);
    solve_triangular = triangular::entry,
        (batch: usize, n: usize, k: usize, triangle: Triangle, t: &[Self], b: &[Self], x: &mut [Self]);
    lu = lu::factor_entry, (batch: usize, n: usize, a: &[Self], lu: &mut [Self], permutation: &mut [usize]);
    lu_solve = lu::lu_solve_entry,
        (batch: usize, n: usize, k: usize, lu: &[Self], permutation: &[usize], transposed: bool, b: &[Self], x: &mut [Self]);
    solve = lu::solve_entry,
        (batch: usize, n: usize, k: usize, a: &[Self], b: &[Self], lu: &mut [Self], permutation: &mut [usize], x: &mut [Self]);
    inverse = lu::inverse_entry, (batch: usize, n: usize, a: &[Self], x: &mut [Self]);
    slogdet = lu::slogdet_entry, (batch: usize, n: usize, a: &[Self], sign: &mut [Self], logabs: &mut [Self]);
    reciprocal_condition = condition::entry,
        (batch: usize, n: usize, lu: &[Self], permutation: &[usize], norm: &[Self], reciprocal: &mut [Self]);
    qr = qr::entry, (batch: usize, m: usize, n: usize, a: &[Self], q: &mut [Self], r: &mut [Self]);
    symmetric_eigen = eigen::entry, (batch: usize, n: usize, a: &[Self], w: &mut [Self], v: &mut [Self]);
    svd = svd::entry,
        (batch: usize, m: usize, n: usize, a: &[Self], u: &mut [Self], s: &mut [Self], vt: &mut [Self]);
}
