//! The derivative laws, of first and second order, for every layer in one table; f64 and f32.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/layers/mod.rs"]
mod layers;

use pullback_core_graph::candle::DType;

fn every_layer_obeys(dtype: DType) {
    let failed: Vec<String> = layers::all(dtype)
        .iter()
        .filter_map(|case| case.check().err().map(|e| format!("{}: {e}", case.name)))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn laws_hold_in_f64() {
    every_layer_obeys(DType::F64);
}

#[test]
fn laws_hold_in_f32() {
    every_layer_obeys(DType::F32);
}
