//! The Kullback-Leibler divergence.

use pullback_core_graph::Var;

use super::{alike, recorded};

/// p·(ln p − ln q), elementwise, from ln q and p, with 0·ln 0 = 0: their sum is KL(p ‖ q).
///
/// Each element is that of PyTorch's `kl_div`; sum over the classes, or reduce by
/// [`Reduction::BatchMean`](super::Reduction::BatchMean). The derivative by p is 0 where p ≤ 0. Errors: shapes that differ.
#[must_use]
pub fn kl_divergence<'g>(log_q: Var<'g>, p: Var<'g>) -> Var<'g> {
    recorded("kl_divergence", &[log_q, p], || {
        alike("kl_divergence", log_q, p)?;
        Ok(p.log_times(p) - p * log_q)
    })
}

/// p·(ln p − ln q), elementwise, from ln q and ln p: for distributions that are themselves outputs of
/// [`log_softmax`](Var::log_softmax). Errors: shapes that differ.
#[must_use]
pub fn kl_divergence_of_logs<'g>(log_q: Var<'g>, log_p: Var<'g>) -> Var<'g> {
    recorded("kl_divergence_of_logs", &[log_q, log_p], || {
        alike("kl_divergence_of_logs", log_q, log_p)?;
        Ok(log_p.exp() * (log_p - log_q))
    })
}
