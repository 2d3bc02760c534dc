//! Angles between vectors.

use pullback_core_graph::{Error, Result, Var};

use super::{alike, check_elements, recorded};

/// x·y / (‖x‖·‖y‖) along the last axis: (…, n), (…, n) ↦ (…). A zero vector has cosine 0 with everything, with derivative 0.
///
/// Errors: shapes that differ, rank 0.
#[must_use]
pub fn cosine_similarity<'g>(x: Var<'g>, y: Var<'g>) -> Var<'g> {
    recorded("cosine_similarity", &[x, y], || {
        alike("cosine_similarity", x, y)?;
        Ok(x.normalize(-1).dot(y.normalize(-1)))
    })
}

/// 1 − cos for pairs of sign 1, max(0, cos − margin) for pairs of sign −1. Shapes: (…, n), (…, n), signs (…), result (…).
///
/// Errors: shapes that do not fit, a sign that is not ±1, a margin that is not in [−1, 1].
#[must_use]
pub fn cosine_embedding<'g>(x: Var<'g>, y: Var<'g>, signs: Var<'g>, margin: f64) -> Var<'g> {
    const NODE: &str = "cosine_embedding";
    recorded(NODE, &[x, y, signs], || {
        if !(-1.0..=1.0).contains(&margin) {
            return Err(Error::invalid(
                NODE,
                format!("the margin must be in [−1, 1], not {margin}"),
            ));
        }
        let cosine = cosine_similarity(x, y).ok()?;
        alike(NODE, cosine, signs)?;
        let positive = positive(NODE, signs)?;
        Ok(positive.select(1.0 - cosine, (cosine - margin).relu()))
    })
}

/// 1 where the sign is 1, 0 where it is −1.
pub(super) fn positive<'g>(node: &str, signs: Var<'g>) -> Result<Var<'g>> {
    check_elements(node, &signs.value()?, |s| s.abs() == 1.0, "a sign is 1 or −1")?;
    Ok(signs.detach().step())
}
