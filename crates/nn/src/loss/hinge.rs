//! Losses with a margin: beyond it nothing is left to gain.

use candle_core::Tensor;
use pullback_core_graph::{Error, Var};

use super::cosine::positive;
use super::{alike, constant, integers, positions, recorded};

/// max(0, margin − y·z), elementwise, from scores z and signs y = ±1; derivative 0 at the corner. Errors: shapes that differ, a
/// sign that is not ±1.
#[must_use]
pub fn hinge<'g>(scores: Var<'g>, signs: Var<'g>, margin: f64) -> Var<'g> {
    recorded("hinge", &[scores, signs], || {
        alike("hinge", scores, signs)?;
        positive("hinge", signs)?;
        Ok((margin - signs.detach() * scores).relu())
    })
}

/// x for pairs of sign 1, max(0, margin − x) for pairs of sign −1, elementwise, from distances x. Errors: as [`hinge`].
#[must_use]
pub fn hinge_embedding<'g>(distances: Var<'g>, signs: Var<'g>, margin: f64) -> Var<'g> {
    recorded("hinge_embedding", &[distances, signs], || {
        alike("hinge_embedding", distances, signs)?;
        let similar = positive("hinge_embedding", signs)?;
        Ok(similar.select(distances, (margin - distances).relu()))
    })
}

/// Σ max(0, margin − z\[label\] + z\[c\]) / classes over the other classes c. Shapes: logits (batch, classes, …), labels (batch, …),
/// result (batch, …).
///
/// Errors: labels of another shape, not of integers, or not below the number of classes.
#[must_use]
pub fn multi_margin<'g>(logits: Var<'g>, labels: &Tensor, margin: f64) -> Var<'g> {
    const NODE: &str = "multi_margin";
    recorded(NODE, &[logits], || {
        let (classes, dims) = positions(NODE, logits)?;
        if labels.dims() != dims {
            return Err(Error::shape(NODE, "a label for each position", &[&dims, labels.dims()]));
        }
        let own = logits.gather(&labels.unsqueeze(1)?, 1).ok()?;
        // The label's own term is max(0, margin), for any logits: it goes by a mask.
        let inner: usize = dims[1..].iter().product();
        let mut others = vec![1.0; dims.iter().product::<usize>() * classes];
        for (i, &label) in integers(NODE, labels)?.iter().enumerate() {
            others[(i / inner * classes + label as usize) * inner + i % inner] = 0.0;
        }
        let others = constant(logits, others, &logits.dims()?)?;
        Ok(((logits - own + margin).relu() * others).sum(1) / classes as f64)
    })
}
