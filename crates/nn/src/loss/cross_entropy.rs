//! Cross entropy between logits and class labels.

use candle_core::Tensor;
use pullback_core_graph::{Error, Var};

use super::{integers, positions, recorded};
use crate::ops;

/// −log softmax(z)\[label\] along axis 1, at every position. Shapes: logits (batch, classes, …), labels (batch, …) of
/// integers, result (batch, …).
///
/// The logarithm of the softmax is computed as z − logsumexp(z), finite for logits of any size. Errors: labels of another
/// shape, not of integers, or not below the number of classes; each names the loss, the label and its position.
#[must_use]
pub fn cross_entropy<'g>(logits: Var<'g>, labels: &Tensor) -> Var<'g> {
    of_labels("cross_entropy", logits, labels)
}

fn of_labels<'g>(node: &'static str, logits: Var<'g>, labels: &Tensor) -> Var<'g> {
    recorded(node, &[logits], || {
        let (classes, dims) = positions(node, logits)?;
        let all = integers(node, labels)?;
        if labels.dims() != dims {
            let what = "a label for each position (positions, labels)";
            return Err(Error::shape(node, what, &[&dims, labels.dims()]));
        }
        let fits = |label: i64| usize::try_from(label).is_ok_and(|label| label < classes);
        if let Some(i) = all.iter().position(|&label| !fits(label)) {
            let what = format!("label {} at position {i} of {classes} classes", all[i]);
            return Err(Error::invalid(node, what));
        }
        Ok(-logits.log_softmax(1).gather(&labels.unsqueeze(1)?, 1).squeeze(1))
    })
}

/// Cross entropy at one pixel of each image, all others without loss: for a map of predictions of which one was tried.
/// Shapes: logits (batch, classes, height, width), one (row, column) and one label for each image, result (batch).
///
/// Errors: as [`cross_entropy`] and [`at_pixels`](ops::at_pixels).
#[must_use]
pub fn cross_entropy_at<'g>(logits: Var<'g>, pixels: &[[usize; 2]], labels: &Tensor) -> Var<'g> {
    of_labels("cross_entropy_at", ops::at_pixels(logits, pixels), labels)
}
