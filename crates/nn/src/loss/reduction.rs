//! From many losses to one.

use pullback_core_graph::{Error, Var};

use super::{alike, check_elements, recorded};

/// How losses become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// They stay apart.
    None,
    /// Σl / n; where positions are weighted, Σw·l / Σw.
    #[default]
    Mean,
    /// Σl.
    Sum,
    /// Σl over the length of the first axis: what makes a divergence between distributions one per example.
    BatchMean,
}

/// The losses reduced. Errors: a mean of none, a batch mean without an axis.
#[must_use]
pub fn reduce(losses: Var<'_>, reduction: Reduction) -> Var<'_> {
    match reduction {
        Reduction::None => losses,
        Reduction::Mean => losses.mean(()),
        Reduction::Sum => losses.sum(()),
        Reduction::BatchMean => {
            recorded("batch_mean", &[losses], || match losses.dims()?.first() {
                Some(&batch) if batch > 0 => Ok(losses.sum(()) / batch as f64),
                _ => Err(Error::shape("batch_mean", "a batch of one or more", &[&losses.dims()?])),
            })
        }
    }
}

/// Σw·l / Σw. The weights have the losses' shape, are not negative, and carry no derivative; a mask is weights of 0 and 1.
///
/// Errors: another shape, a negative weight, weights that sum to 0 (no loss counts, so there is no mean).
#[must_use]
pub fn weighted_mean<'g>(losses: Var<'g>, weights: Var<'g>) -> Var<'g> {
    recorded("weighted_mean", &[losses, weights], || {
        alike("weighted_mean", losses, weights)?;
        let what = "a weight must not be negative";
        let all = check_elements("weighted_mean", &weights.value()?, |w| w >= 0.0, what)?;
        let total = all.iter().sum::<f64>();
        if total > 0.0 {
            return Ok((losses * weights.detach()).sum(()) / total);
        }
        Err(Error::invalid("weighted_mean", "the weights sum to 0: no loss counts"))
    })
}
