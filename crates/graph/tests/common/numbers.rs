//! Tensors of f64 from numbers, numbers that look random, and their comparison.
#![allow(dead_code)] // each user takes a part

use pullback_core_graph::candle::{Device, Tensor};

pub(crate) fn tensor(x: &[f64], dims: &[usize]) -> Tensor {
    Tensor::from_vec(x.to_vec(), dims, &Device::Cpu).unwrap()
}

/// 0.7·sin(1.3·i + phase)
pub(crate) fn wave(n: usize, phase: f64) -> Vec<f64> {
    (0..n).map(|i| 0.7 * (1.3 * i as f64 + phase).sin()).collect()
}

/// Fails where |a − b| is above `tolerance`·max(1, |a|, |b|).
pub(crate) fn near(what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        let scale = 1.0f64.max(a.abs()).max(b.abs());
        assert!((a - b).abs() <= tolerance * scale, "{what}: {a} ≠ {b}");
    }
}
