//! Landscapes with known answers: each check is a number and the limit it must keep.
#![allow(dead_code)] // each user of this file calls what it needs

#[path = "landscapes/critical.rs"]
pub(crate) mod critical;
#[path = "landscapes/groups.rs"]
pub(crate) mod groups;
#[path = "landscapes/matrices.rs"]
pub(crate) mod matrices;
#[path = "landscapes/networks.rs"]
pub(crate) mod networks;

use pullback_core_graph::candle::{DType, Device, Tensor};

/// A figure and what it may be at most.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) limit: f64,
}

/// Fails with those that do not keep their limit.
pub(crate) fn hold(rows: Vec<Row>) {
    assert!(!rows.is_empty());
    let broken: Vec<String> = rows
        .iter()
        .filter(|r| r.value.is_nan() || r.limit < r.value)
        .map(|r| format!("{}: {:e}, at most {:e}", r.name, r.value, r.limit))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

pub(crate) fn row(name: impl Into<String>, value: f64, limit: f64) -> Row {
    Row { name: name.into(), value, limit }
}

pub(crate) fn tensor(x: &[f64], dims: &[usize], dtype: DType) -> Tensor {
    Tensor::from_vec(x.to_vec(), dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// All checks.
pub(crate) fn all() -> Vec<Row> {
    let groups = [
        matrices::spectra(),
        matrices::traces(),
        networks::products(),
        groups::layers(),
        critical::linear_nets(),
        critical::searches(),
        critical::degenerate(),
    ];
    groups.into_iter().flatten().collect()
}

pub(crate) fn worst(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    pairs.into_iter().fold(0.0, |w: f64, (a, b)| w.max((a - b).abs()))
}
