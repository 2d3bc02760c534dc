//! The table of losses that PyTorch computed, and the same losses here. The report reads it too.
#![allow(dead_code)] // each reader uses a part

use std::collections::BTreeMap;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Graph, Result, Var};
use pullback_nn::loss::{self, CrossEntropy, GaussianNll, Reduction};
use serde::Deserialize;

#[derive(Clone, Deserialize)]
struct Array {
    dims: Vec<usize>,
    values: Vec<f64>,
}

/// One loss at one point.
#[derive(Clone, Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    x: Array,
    data: BTreeMap<String, Array>,
    losses: Vec<f64>,
    mean: f64,
    gradient: Vec<f64>,
    product: Vec<f64>,
}

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str::<Table>(include_str!("../data/losses.json")).unwrap().cases
}

impl Array {
    fn tensor(&self, dtype: DType) -> Tensor {
        let tensor = Tensor::from_vec(self.values.clone(), self.dims.as_slice(), &Device::Cpu);
        tensor.unwrap().to_dtype(dtype).unwrap()
    }
}

impl Case {
    pub(crate) fn input(&self, dtype: DType) -> Tensor {
        self.x.tensor(dtype)
    }

    fn data<'g>(&self, like: Var<'g>, name: &str) -> Var<'g> {
        like.graph().constant(&self.data[name].tensor(like.dtype().unwrap()))
    }

    fn integers(&self, name: &str) -> Tensor {
        self.data[name].tensor(DType::I64)
    }

    /// The losses without reduction.
    pub(crate) fn losses<'g>(&self, x: Var<'g>) -> Var<'g> {
        self.reduced(x, Reduction::None)
    }

    /// The number that ends a name.
    fn setting(&self) -> f64 {
        self.words().0.rsplit(' ').next().and_then(|s| s.parse().ok()).unwrap()
    }

    /// The name without what says which logits.
    fn words(&self) -> (&str, &str) {
        let end = self.name.find(" of maps").or(self.name.find(" extreme"));
        self.name.split_at(end.unwrap_or(self.name.len()))
    }

    fn cross_entropy(&self) -> CrossEntropy {
        let mut options = CrossEntropy::new();
        if let Some(weights) = self.data.get("cw") {
            options = options.class_weights(&weights.values);
        }
        if let Some(weights) = self.data.get("pw") {
            options = options.position_weights(&weights.tensor(DType::F64));
        }
        if self.name.contains("0.15") {
            options = options.label_smoothing(self.setting());
        }
        if self.name.contains("ignored") {
            options = options.ignore_label(-100);
        }
        options
    }

    fn reduced<'g>(&self, x: Var<'g>, reduction: Reduction) -> Var<'g> {
        let data = |name| self.data(x, name);
        let losses = match self.words().0 {
            "mse" => loss::mse(x, data("y")),
            "l1" => loss::l1(x, data("y")),
            "huber 0.7" => loss::huber(x - data("y"), self.setting()),
            "smooth_l1 1.3" => loss::smooth_l1(x - data("y"), self.setting()),
            "cross_entropy" => loss::cross_entropy(x, &self.integers("label")),
            "class weights"
            | "smoothing 0.15"
            | "smoothed, weighted, ignored 0.15"
            | "ignored"
            | "position weights" => {
                let options = self.cross_entropy();
                return options.of_labels(x, &self.integers("label"), reduction);
            }
            "probabilities 0.15" => {
                return self.cross_entropy().of_probabilities(x, data("q"), reduction);
            }
            "label set" => loss::cross_entropy_of_set(x, &self.integers("set")),
            "allowed" => {
                loss::cross_entropy_among(x, &self.integers("label"), &self.integers("set"))
            }
            "multi_margin 0.8" => loss::multi_margin(x, &self.integers("label"), self.setting()),
            "bce" => loss::bce_with_logits(x, data("t")),
            "bce weighted" => loss::bce_with_logits_weighted(x, data("t"), data("p")),
            "kl" => {
                let losses = loss::kl_divergence(x, data("p"));
                let batch = matches!(reduction, Reduction::Mean);
                return if batch {
                    loss::reduce(losses, Reduction::BatchMean)
                } else {
                    loss::reduce(losses, reduction)
                };
            }
            "kl of logs" => loss::kl_divergence_of_logs(x, data("p")),
            "cosine 0.1" => loss::cosine_embedding(x, data("b"), data("s"), self.setting()),
            "hinge embedding 1" => loss::hinge_embedding(x, data("s"), self.setting()),
            "hinge 1" => loss::hinge(x, data("s"), self.setting()),
            "gaussian mean" => GaussianNll::default().loss(x, data("t"), data("var")),
            "gaussian variance" => {
                GaussianNll { full: true, ..Default::default() }.loss(data("m"), data("t"), x)
            }
            "gaussian log variance" => loss::gaussian_nll_of_log_variance(data("m"), data("t"), x),
            other => panic!("no loss for {other:?}"),
        };
        loss::reduce(losses, reduction)
    }

    /// The largest deviation from the table, relative to the largest number of its kind (but at least 1).
    pub(crate) fn error(&self, dtype: DType) -> Result<f64> {
        let graph = Graph::new();
        let x = graph.input(&self.input(dtype));
        let losses = self.losses(x).ok()?;
        let mean = self.reduced(x, Reduction::Mean).to_f64()?;
        let total = self.reduced(x, Reduction::Sum).to_f64()?;
        let tensor = |f: fn(f64) -> f64, n: usize, dims: &[usize]| -> Result<Tensor> {
            let values: Vec<f64> = (0..n).map(|i| f(i as f64)).collect();
            Ok(Tensor::from_vec(values, dims, &Device::Cpu)?.to_dtype(dtype)?)
        };
        let weights = tensor(f64::cos, self.losses.len(), &losses.dims()?)?;
        let sum = (losses * graph.constant(&weights)).sum(());
        let gradient = graph.record_gradient(sum, &[x])?[0];
        let direction = tensor(|i| (1.0 + i).sin(), self.x.values.len(), &self.x.dims)?;
        let product = graph.pull(&[(gradient, direction)], &[x])?.swap_remove(0);
        let product = product.map_or_else(|| Ok(vec![0.0; self.product.len()]), |p| to_f64(&p))?;
        let pairs = [
            (to_f64(&losses.value()?)?, &self.losses),
            (vec![mean], &vec![self.mean]),
            (vec![total], &vec![self.losses.iter().sum()]),
            (to_f64(&gradient.value()?)?, &self.gradient),
            (product, &self.product),
        ];
        let mut worst = 0f64;
        for (found, expected) in pairs {
            if found.len() != expected.len() {
                return Err(Error::invalid(&self.name, "another number of losses"));
            }
            let scale = expected.iter().fold(1.0f64, |s, e| s.max(e.abs()));
            for (f, e) in found.iter().zip(expected) {
                worst = larger(worst, (f - e).abs() / scale);
            }
        }
        Ok(worst)
    }
}

/// The larger of two, or what is no number.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}
