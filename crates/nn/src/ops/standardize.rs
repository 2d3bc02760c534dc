//! Mean 0 and variance 1 over some axes.

use pullback_core_graph::{Error, Result, Var};

/// x, its mean and its variance (the population's: divided by n) over the axes, which stay with length 1; and (x − mean)/√(variance + ε).
#[derive(Debug, Clone, Copy)]
pub struct Standardized<'g> {
    /// (x − mean)/√(variance + ε), of x's shape.
    pub value: Var<'g>,
    /// The mean.
    pub mean: Var<'g>,
    /// Σ(x − mean)²/n.
    pub variance: Var<'g>,
}

/// Standardizes over `axes`. The derivative goes through mean and variance too.
///
/// # Errors
/// [`Error::Shape`] for an axis that is not there or no element; [`Error::Invalid`] for an ε that is not positive and finite: a
/// constant input would have no derivative.
pub fn standardize<'g>(x: Var<'g>, axes: &[i32], epsilon: f64) -> Result<Standardized<'g>> {
    check_epsilon("standardize", epsilon)?;
    let mean = x.mean_keepdim(axes).ok()?;
    let centred = x - mean;
    let variance = centred.sqr().mean_keepdim(axes).ok()?;
    let value = (centred * (variance + epsilon).rsqrt()).ok()?;
    Ok(Standardized { value, mean, variance })
}

/// x/√(mean of x² + ε) over `axes` (Zhang and Sennrich 2019).
///
/// # Errors
/// As [`standardize`].
pub fn unit_rms<'g>(x: Var<'g>, axes: &[i32], epsilon: f64) -> Result<Var<'g>> {
    check_epsilon("unit_rms", epsilon)?;
    (x * (x.sqr().mean_keepdim(axes) + epsilon).rsqrt()).ok()
}

pub(super) fn check_epsilon(node: &str, epsilon: f64) -> Result<()> {
    if epsilon > 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(node, format!("ε must be positive and finite, not {epsilon}")))
}
