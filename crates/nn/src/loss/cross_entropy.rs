//! Cross entropy between logits and class labels.

use candle_core::Tensor;
use pullback_core_graph::Var;

use crate::ops;

/// −log softmax(z)\[label\] along axis 1, at every position. Shapes: logits (batch, classes, …), labels (batch, …) of
/// integers, result (batch, …).
///
/// The logarithm of the softmax is computed as z − logsumexp(z), finite for logits of any size. Errors: labels of another
/// shape, not of integers, or not below the number of classes.
#[must_use]
pub fn cross_entropy<'g>(logits: Var<'g>, labels: &Tensor) -> Var<'g> {
    match labels.unsqueeze(1) {
        Ok(index) => {
            let picked = logits.log_softmax(1).gather(&index, 1);
            // A gather may be shorter than what it gathers from; a loss may not.
            match (picked.dims(), logits.dims()) {
                (Ok(got), Ok(all)) if got[0] != all[0] || got[2..] != all[2..] => {
                    let what = "a label for each position (logits, labels)";
                    let error = pullback_core_graph::Error::shape(
                        "cross_entropy",
                        what,
                        &[&all, labels.dims()],
                    );
                    ops::failed(logits.graph(), "cross_entropy", error)
                }
                _ => -picked.squeeze(1),
            }
        }
        Err(error) => ops::failed(logits.graph(), "cross_entropy", error.into()),
    }
}

/// Cross entropy at one pixel of each image, all others without loss: for a map of predictions of which one was tried.
/// Shapes: logits (batch, classes, height, width), one (row, column) and one label for each image, result (batch).
///
/// Errors: as [`cross_entropy`] and [`at_pixels`](ops::at_pixels).
#[must_use]
pub fn cross_entropy_at<'g>(logits: Var<'g>, pixels: &[[usize; 2]], labels: &Tensor) -> Var<'g> {
    cross_entropy(ops::at_pixels(logits, pixels), labels)
}
