//! Predictions batch by batch, and how often which class is taken for which.

use candle_core::{DType, Tensor};
use pullback_core_graph::Graph;

use crate::error::{Error, Result, check_len, check_positive};
use crate::layer::Layer;
use crate::parameters::Parameters;

/// A layer's outputs (n, …) for inputs (n, …), `batch` of them at a time, with nothing kept for a derivative.
///
/// # Errors
/// [`Error::Argument`] for a batch of 0 or no inputs; those of the layer.
pub fn predict(
    layer: &(impl Layer + ?Sized),
    parameters: &Parameters,
    inputs: &Tensor,
    batch: usize,
) -> Result<Tensor> {
    check_positive("predict", "batch", batch)?;
    let n = inputs.dims().first().copied().unwrap_or(0);
    check_positive("predict", "inputs", n)?;
    let mut outputs = vec![];
    for start in (0..n).step_by(batch) {
        let graph = Graph::new();
        let part = inputs.narrow(0, start, batch.min(n - start))?;
        let y = layer.forward(&parameters.bind_constant(&graph), graph.constant(&part))?;
        outputs.push(y.value()?);
    }
    Ok(Tensor::cat(&outputs, 0)?)
}

/// How often each class was taken for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
    wrong: Vec<usize>,
}

impl ConfusionMatrix {
    /// Of scores (n, classes), the greatest of which is the prediction, the first if there are several, and labels (n).
    ///
    /// # Errors
    /// [`Error::Length`] if their numbers differ, [`Error::Index`] for a label without a class; scores that are no matrix.
    pub fn new(scores: &Tensor, labels: &Tensor) -> Result<Self> {
        let scores: Vec<Vec<f64>> = scores.to_dtype(DType::F64)?.to_vec2()?;
        let labels: Vec<i64> = labels.to_dtype(DType::I64)?.to_vec1()?;
        let operation = "ConfusionMatrix";
        check_len(operation, "labels", labels.len(), scores.len())?;
        let classes = scores.first().map_or(0, Vec::len);
        let mut matrix = Self { classes, counts: vec![0; classes * classes], wrong: vec![] };
        for (position, (row, &label)) in scores.iter().zip(&labels).enumerate() {
            let outside = Error::Index { operation, position, index: label, size: classes };
            let index = usize::try_from(label).ok().filter(|&i| i < classes).ok_or(outside)?;
            let taken = (0..classes).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            matrix.counts[index * classes + taken] += 1;
            if taken != index {
                matrix.wrong.push(position);
            }
        }
        Ok(matrix)
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many examples of class `label` were taken for class `prediction`; 0 for classes that there are not.
    #[must_use]
    pub fn count(&self, label: usize, prediction: usize) -> u64 {
        if label >= self.classes || prediction >= self.classes {
            return 0;
        }
        self.counts[label * self.classes + prediction]
    }

    /// The examples that were taken for another class.
    #[must_use]
    pub fn wrong(&self) -> &[usize] {
        &self.wrong
    }

    /// The part that was taken for what it is; NaN of no examples.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let all: u64 = self.counts.iter().sum();
        1.0 - self.wrong.len() as f64 / all as f64
    }
}
