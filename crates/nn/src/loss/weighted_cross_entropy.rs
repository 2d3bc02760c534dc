//! Cross entropy with class weights, label smoothing, and positions that do not count.

use candle_core::Tensor;
use pullback_core_graph::tensor::from_vec;
use pullback_core_graph::{Error, Result, Var};

use super::{Reduction, alike, check_elements, constant, integers, positions, recorded, reduce};

/// Options of a cross entropy between logits (batch, classes, …) and labels (batch, …), or probabilities (batch, classes, …).
///
/// With labels y the loss at a position is −(1 − ε)·w\[y\]·ln p\[y\] − ε/C·Σ w\[c\]·ln p\[c\], where p = softmax(z) along axis 1, w are
/// the class weights, ε is the smoothing and C the number of classes; the mean over the positions is weighted by w\[y\]. With
/// probabilities q it is −Σ w\[c\]·q'\[c\]·ln p\[c\] with q' = (1 − ε)·q + ε/C, and the mean is that of all positions. Both are
/// PyTorch's conventions. A position's own weight multiplies its loss and its share in the mean.
#[derive(Debug, Clone, Default)]
pub struct CrossEntropy {
    classes: Option<Vec<f64>>,
    smoothing: f64,
    ignored: Option<i64>,
    weights: Option<Tensor>,
}

const NODE: &str = "cross_entropy";

impl CrossEntropy {
    /// Every class and position counts alike.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A weight w ≥ 0 for each class.
    #[must_use]
    pub fn class_weights(self, weights: &[f64]) -> Self {
        Self { classes: Some(weights.to_vec()), ..self }
    }

    /// 0 ≤ ε ≤ 1: the share of the target that is spread over all classes (Szegedy et al. 2016, section 7).
    #[must_use]
    pub fn label_smoothing(self, share: f64) -> Self {
        Self { smoothing: share, ..self }
    }

    /// Positions with this label have no loss and do not count.
    #[must_use]
    pub fn ignore_label(self, label: i64) -> Self {
        Self { ignored: Some(label), ..self }
    }

    /// A weight ≥ 0 for each position (batch, …); a mask is weights of 0 and 1.
    #[must_use]
    pub fn position_weights(self, weights: &Tensor) -> Self {
        Self { weights: Some(weights.clone()), ..self }
    }

    /// The loss with respect to labels.
    ///
    /// Errors: shapes that do not fit; labels that are not integers below the number of classes; settings outside their range; a mean
    /// where no position counts.
    #[must_use]
    pub fn of_labels<'g>(&self, logits: Var<'g>, labels: &Tensor, reduction: Reduction) -> Var<'g> {
        recorded(NODE, &[logits], || {
            let (classes, dims) = positions(NODE, logits)?;
            let class_weights = self.checked(classes)?;
            let mut labels_here = integers(NODE, labels)?;
            if labels.dims() != dims {
                let what = "a label for each position (positions, labels)";
                return Err(Error::shape(NODE, what, &[&dims, labels.dims()]));
            }
            let mut spread = self.of_positions(&dims)?;
            let mut picked = spread.clone();
            for (i, label) in labels_here.iter_mut().enumerate() {
                if Some(*label) == self.ignored {
                    (*label, spread[i], picked[i]) = (0, 0.0, 0.0);
                } else if let Some(w) =
                    usize::try_from(*label).ok().and_then(|y| class_weights.get(y))
                {
                    picked[i] *= w;
                } else {
                    let what = format!("label {label} at position {i} of {classes} classes");
                    return Err(Error::invalid(NODE, what));
                }
            }
            let total: f64 = picked.iter().sum();
            let log_p = logits.log_softmax(1);
            let index = from_vec(labels_here, &dims, &logits.device()?)?.unsqueeze(1)?;
            let share = picked.into_iter().map(|w| w * (1.0 - self.smoothing)).collect();
            let mut loss = -log_p.gather(&index, 1).squeeze(1) * constant(logits, share, &dims)?;
            if self.smoothing > 0.0 {
                let share = self.smoothing / classes as f64;
                let share = spread.into_iter().map(|w| w * share).collect();
                let all = (log_p * along_classes(logits, class_weights)?).sum(1);
                loss = loss - all * constant(logits, share, &dims)?;
            }
            mean_over(loss, total, reduction)
        })
    }

    /// The loss with respect to probabilities, which may carry derivatives. Labels to ignore have no meaning here.
    ///
    /// Errors: shapes that do not fit, settings outside their range, a mean where no position counts.
    #[must_use]
    pub fn of_probabilities<'g>(
        &self,
        logits: Var<'g>,
        probabilities: Var<'g>,
        reduction: Reduction,
    ) -> Var<'g> {
        recorded(NODE, &[logits, probabilities], || {
            alike(NODE, logits, probabilities)?;
            let (classes, dims) = positions(NODE, logits)?;
            let class_weights = self.checked(classes)?;
            let weights = self.of_positions(&dims)?;
            let total: f64 = weights.iter().sum();
            let smoothed = probabilities * (1.0 - self.smoothing) + self.smoothing / classes as f64;
            let mut loss =
                -(logits.log_softmax(1) * smoothed * along_classes(logits, class_weights)?).sum(1);
            if self.weights.is_some() {
                loss = loss * constant(logits, weights, &dims)?;
            }
            mean_over(loss, total, reduction)
        })
    }

    /// The class weights, after a look at all settings.
    fn checked(&self, classes: usize) -> Result<Vec<f64>> {
        if !(0.0..=1.0).contains(&self.smoothing) {
            let what = format!("label smoothing must be in [0, 1], not {}", self.smoothing);
            return Err(Error::invalid(NODE, what));
        }
        let weights = self.classes.clone().unwrap_or_else(|| vec![1.0; classes]);
        if weights.len() != classes {
            let what = format!("{} class weights for {classes} classes", weights.len());
            return Err(Error::invalid(NODE, what));
        }
        match weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            Some(c) => {
                let what = format!("the weight of class {c} is {}, not ≥ 0 and finite", weights[c]);
                Err(Error::invalid(NODE, what))
            }
            None => Ok(weights),
        }
    }

    fn of_positions(&self, dims: &[usize]) -> Result<Vec<f64>> {
        match &self.weights {
            None => Ok(vec![1.0; dims.iter().product()]),
            Some(w) if w.dims() == dims => {
                let what = "a weight must not be negative";
                check_elements(NODE, w, |w| w >= 0.0 && w.is_finite(), what)
            }
            Some(w) => {
                let what = "a weight for each position (positions, weights)";
                Err(Error::shape(NODE, what, &[dims, w.dims()]))
            }
        }
    }
}

/// The class weights in a shape that stretches to the logits.
fn along_classes<'g>(logits: Var<'g>, weights: Vec<f64>) -> Result<Var<'g>> {
    let mut dims = vec![1; logits.dims()?.len()];
    dims[1] = weights.len();
    constant(logits, weights, &dims)
}

fn mean_over(loss: Var<'_>, total: f64, reduction: Reduction) -> Result<Var<'_>> {
    match reduction {
        Reduction::Mean if total > 0.0 => Ok(loss.sum(()) / total),
        Reduction::Mean => Err(Error::invalid(NODE, "no position counts: there is no mean")),
        other => Ok(reduce(loss, other)),
    }
}
