//! The Huber loss.

use pullback_core_graph::{Error, Var};

use crate::ops;

/// ½x² for |x| ≤ threshold, else threshold·(|x| − ½·threshold), elementwise (Huber 1964).
///
/// It is computed as c·x − ½c² with c = x clamped to ±threshold, whose derivative is c. At |x| = threshold the first
/// derivative is continuous and the second is taken as 1. Errors: a threshold that is not positive and finite.
#[must_use]
pub fn huber(x: Var<'_>, threshold: f64) -> Var<'_> {
    if !(threshold > 0.0 && threshold.is_finite()) {
        let error = Error::invalid(
            "huber",
            format!("the threshold must be positive and finite, not {threshold}"),
        );
        return ops::failed(x.graph(), "huber", error);
    }
    let c = x.clamp(-threshold, threshold);
    c * x - 0.5 * c.sqr()
}

/// The Huber loss over its threshold β: x²/2β for |x| ≤ β, else |x| − ½β, elementwise (Girshick 2015, eq. 3, with β = 1).
///
/// Errors: a threshold that is not positive and finite.
#[must_use]
pub fn smooth_l1(x: Var<'_>, threshold: f64) -> Var<'_> {
    huber(x, threshold) * threshold.recip()
}
