//! What can go wrong in a batched kernel, with the matrix, the place and the number.

/// Why a batched linear algebra kernel gave no result.
///
/// When several matrices of a batch fail, the error is that of the lowest batch index. The contents of the output slices are
/// unspecified after any error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinalgError {
    /// A slice does not have the length that the shapes ask for. `expected` is `usize::MAX` when the product of the dimensions
    /// does not fit into a `usize`.
    #[error("{operation}: `{argument}` holds {found} numbers, the shapes ask for {expected}")]
    Length {
        /// The kernel.
        operation: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// The product of the dimensions.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// An input number is NaN or infinite. Found before any arithmetic.
    #[error("{operation}: `{argument}` is not finite at entry {index} of matrix {batch}")]
    NotFinite {
        /// The kernel.
        operation: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// Which matrix of the batch.
        batch: usize,
        /// Which number of that matrix, row-major.
        index: usize,
    },
    /// Finite input, but the result does not fit into the number type.
    #[error("{operation}: the result overflows at entry {index} of matrix {batch}")]
    Overflow {
        /// The kernel.
        operation: &'static str,
        /// Which matrix of the batch.
        batch: usize,
        /// Which number of that matrix of the output, row-major.
        index: usize,
    },
    /// A Cholesky pivot, a_jj − Σₖ l_jk², is not positive.
    #[error("matrix {batch} is not positive definite: pivot {pivot} is {value:e}")]
    NotPositiveDefinite {
        /// Which matrix of the batch.
        batch: usize,
        /// The row of the first pivot that failed.
        pivot: usize,
        /// The pivot's value before the square root; zero, negative, or not finite after an overflow.
        value: f64,
    },
    /// A pivot of an LU factorization or a diagonal entry of a triangular matrix is zero or negligible.
    #[error(
        "matrix {batch} is singular to working precision: pivot {pivot} is {value:e}, reciprocal condition number about \
         {reciprocal_condition:e}"
    )]
    Singular {
        /// Which matrix of the batch.
        batch: usize,
        /// The row of the first pivot that failed.
        pivot: usize,
        /// The pivot's value.
        value: f64,
        /// An estimate of 1 / (‖A‖₁·‖A⁻¹‖₁); 0 for a pivot that is exactly 0.
        reciprocal_condition: f64,
    },
    /// An iteration did not settle within its limit.
    #[error("{operation}: no convergence for matrix {batch} after {iterations} iterations")]
    NoConvergence {
        /// The kernel.
        operation: &'static str,
        /// Which matrix of the batch.
        batch: usize,
        /// The limit that was reached.
        iterations: usize,
    },
    /// A numeric argument is out of its range.
    #[error("{operation}: {what}")]
    Argument {
        /// The kernel.
        operation: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Checks that `found` is the product of `dimensions`.
pub(super) fn check_length(
    operation: &'static str,
    argument: &'static str,
    dimensions: &[usize],
    found: usize,
) -> Result<(), LinalgError> {
    let product = dimensions.iter().try_fold(1usize, |product, &d| product.checked_mul(d));
    match product {
        Some(expected) if expected == found => Ok(()),
        _ => Err(LinalgError::Length {
            operation,
            argument,
            expected: product.unwrap_or(usize::MAX),
            found,
        }),
    }
}
