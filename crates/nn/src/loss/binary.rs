//! Cross entropy of yes-or-no questions.

use pullback_core_graph::{Error, Var};

use super::{alike, check_elements, recorded};

/// −y·ln σ(z) − (1 − y)·ln(1 − σ(z)), elementwise, from logits z and targets y of one shape; 0 ≤ y ≤ 1 is usual.
///
/// It is computed as (1 − y)·softplus(z) + y·softplus(−z), which neither overflows nor cancels. Errors: shapes that differ.
#[must_use]
pub fn bce_with_logits<'g>(logits: Var<'g>, targets: Var<'g>) -> Var<'g> {
    recorded("bce_with_logits", &[logits, targets], || {
        alike("bce_with_logits", logits, targets)?;
        Ok((1.0 - targets) * logits.softplus() + targets * (-logits).softplus())
    })
}

/// The same with the term of y multiplied by `positive`, which stretches to the logits' shape: p = negatives/positives makes rare
/// positives count as much as the rest. It carries no derivative.
///
/// Errors: shapes that differ or do not stretch, a negative factor.
#[must_use]
pub fn bce_with_logits_weighted<'g>(
    logits: Var<'g>,
    targets: Var<'g>,
    positive: Var<'g>,
) -> Var<'g> {
    const NODE: &str = "bce_with_logits_weighted";
    recorded(NODE, &[logits, targets, positive], || {
        let dims = alike(NODE, logits, targets)?;
        check_elements(NODE, &positive.value()?, |p| p >= 0.0, "a weight must not be negative")?;
        let missed = positive.detach() * targets * (-logits).softplus();
        let loss = ((1.0 - targets) * logits.softplus() + missed).ok()?;
        if loss.dims()? == dims {
            return Ok(loss);
        }
        let what = "a weight that stretches to the logits (weight, logits)";
        Err(Error::shape(NODE, what, &[&positive.dims()?, &dims]))
    })
}
