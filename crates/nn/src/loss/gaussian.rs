//! The negative log-likelihood of a normal distribution.

use pullback_core_graph::{Error, Var};

use super::{alike, check_elements, recorded};

/// ½(ln σ² + (x − μ)²/σ²), elementwise, where a network gives μ and σ² (Nix and Weigend 1994, eq. 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianNll {
    /// A variance below this counts as this, with derivative 0: keeps one exact hit from an infinite likelihood.
    pub floor: f64,
    /// Add ½ ln 2π.
    pub full: bool,
}

impl Default for GaussianNll {
    fn default() -> Self {
        Self { floor: 1e-6, full: false }
    }
}

impl GaussianNll {
    /// The loss of targets under means and variances of one shape.
    ///
    /// Unlike here, PyTorch lets the derivative of a variance below the floor through. Errors: shapes that differ, a negative
    /// variance, a floor that is not positive and finite.
    #[must_use]
    pub fn loss<'g>(self, mean: Var<'g>, target: Var<'g>, variance: Var<'g>) -> Var<'g> {
        const NODE: &str = "gaussian_nll";
        recorded(NODE, &[mean, target, variance], || {
            let Self { floor, full } = self;
            if !(floor > 0.0 && floor.is_finite()) {
                let what = format!("the floor must be positive and finite, not {floor}");
                return Err(Error::invalid(NODE, what));
            }
            alike(NODE, mean, target)?;
            alike(NODE, mean, variance)?;
            let what = "a variance must not be negative";
            check_elements(NODE, &variance.value()?, |v| v >= 0.0, what)?;
            let variance = variance.clamp(floor, f64::MAX);
            let loss = 0.5 * (variance.log() + (mean - target).sqr() / variance);
            Ok(if full { loss + 0.5 * std::f64::consts::TAU.ln() } else { loss })
        })
    }
}

/// ½(s + (x − μ)²·e⁻ˢ), elementwise, from s = ln σ²: no variance can be negative or vanish. Errors: shapes that differ, an s so
/// small that e⁻ˢ overflows.
#[must_use]
pub fn gaussian_nll_of_log_variance<'g>(
    mean: Var<'g>,
    target: Var<'g>,
    log_variance: Var<'g>,
) -> Var<'g> {
    const NODE: &str = "gaussian_nll_of_log_variance";
    recorded(NODE, &[mean, target, log_variance], || {
        alike(NODE, mean, target)?;
        alike(NODE, mean, log_variance)?;
        Ok(0.5 * (log_variance + (mean - target).sqr() * (-log_variance).exp()))
    })
}
