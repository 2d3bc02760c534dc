//! The two losses, each at the one pixel that was executed (TossingBot, section V).
//!
//! ```text
//! L   = L_g + m·L_t
//! L_g = −log softmax(logits at the pixel)[y]                    discriminative: did this grasp lead to a hit?
//! L_t = Huber((δ_θ − δ̄)/u),  δ̄ = v − v̂(p̂; a),  u = 0.1 m/s       hindsight: wherever it landed, the residual that gets there is known
//! ```
//!
//! Every other pixel has no loss. Two choices differ from the printed paper, for reasons that hold at any scale: m is 1 for every throw
//! that landed somewhere (with y, hindsight would be taken from hits alone), and the residual is measured in units u, because residuals
//! of .05–.4 m/s under a Huber corner of 1 m/s give a loss hundreds of times smaller than the cross entropy.

use candle_core::Tensor;
use pullback_core_graph::{Graph, Result, Var};

/// The unit of the residual u in m/s: what the throw network puts out is δ/u.
pub const UNIT: f64 = 0.1;

/// Huber's function with corner 1, elementwise: r²/2 for |r| ≤ 1, |r| − ½ beyond. Its derivative is r clamped to [−1, 1].
pub fn huber(residual: Var<'_>) -> Var<'_> {
    let clamped = residual.clamp(-1.0, 1.0);
    clamped * (residual - 0.5 * clamped)
}

/// Cross entropy of two logits per sample `[B, 2]` (0: miss, 1: hit) against labels: −log softmax(logits)\[y\], `[B]`.
///
/// # Errors
/// Those of the network, out of the variable.
pub fn cross_entropy<'g>(logits: Var<'g>, hits: &[bool]) -> Result<Var<'g>> {
    let other = |hit: bool| if hit { [0.0f32, 1.0] } else { [1.0, 0.0] };
    let labels: Vec<f32> = hits.iter().flat_map(|&hit| other(hit)).collect();
    let graph: &Graph = logits.graph();
    let labels = graph.constant(&Tensor::from_vec(labels, (hits.len(), 2), &logits.device()?)?);
    (-(logits.log_softmax(-1) * labels).sum(-1)).ok()
}
