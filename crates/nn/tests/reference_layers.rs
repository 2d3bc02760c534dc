//! Values, gradients and running statistics of every layer against PyTorch's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/layers/mod.rs"]
mod layers;

use layers::reference::{self, Worst};
use pullback_core_graph::candle::DType;

fn compare(dtype: DType, limit: f64) {
    let mut compared = 0;
    let failed: Vec<String> = reference::table()
        .iter()
        .filter_map(|case| match case.compare(dtype) {
            Ok(Worst { error, at, compared: n }) => {
                compared += n;
                (error.is_nan() || limit < error)
                    .then(|| format!("{}: {error:e} at {at}", case.name))
            }
            Err(e) => Some(format!("{}: {e}", case.name)),
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(compared > 6000, "only {compared} numbers");
}

#[test]
fn every_layer_agrees_with_pytorch_in_f64() {
    compare(DType::F64, 1e-10);
}

#[test]
fn every_layer_agrees_with_pytorch_in_f32() {
    compare(DType::F32, 1e-5);
}
