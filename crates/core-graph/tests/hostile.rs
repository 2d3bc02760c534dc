//! Bad inputs give their typed errors; depth and width overflow no stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::chain::{self, MILLION, on_a_small_stack};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Graph, Result};

#[test]
fn every_bad_input_gives_its_typed_error() {
    let tally = common::bad_inputs::try_all();
    let shown = tally.wrong.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        tally.wrong.is_empty(),
        "{} of {} bad inputs, {} by a panic:\n{shown}",
        tally.wrong.len(),
        tally.tried,
        tally.panicked
    );
    assert_eq!(tally.tried, tally.answered);
    assert!(10_000 <= tally.tried, "only {} bad inputs", tally.tried);
}

fn exact(what: &str, run: fn(usize) -> Result<chain::Outcome>, n: usize, limit: f64) {
    let outcome = on_a_small_stack(move || run(n)).unwrap();
    assert!(outcome.worst_relative_error <= limit, "{what}: {outcome:?}");
}

#[test]
fn a_million_operations_in_a_row() {
    exact("chain", chain::chain, MILLION, 1e-9);
}

#[test]
fn a_deep_chain_with_recorded_derivatives() {
    exact("recorded chain", chain::recorded_chain, 100_000, 1e-9);
}

#[test]
fn a_million_uses_of_one_variable() {
    exact("fan-out", chain::fan_out, MILLION, 1e-12);
    exact("fan-in", chain::fan_in, MILLION, 1e-12);
}

#[test]
fn functions_nested_ten_thousand_deep() {
    exact("nesting", chain::nesting, 10_000, 1e-9);
}

/// A batch of no matrices, and matrices of no rows or columns: factors of the right shapes, and derivatives of them.
#[test]
fn no_matrices_have_factors() {
    for dims in [[0, 3, 3], [0, 4, 2], [0, 2, 4], [2, 0, 0], [2, 3, 0], [2, 0, 3]] {
        let [batch, m, n] = dims;
        let p = m.min(n);
        let graph = Graph::new();
        let x = graph.input(&Tensor::zeros(&dims, DType::F64, &Device::Cpu).unwrap());
        let (q, r) = x.qr().unwrap();
        let (u, s, vt) = x.svd().unwrap();
        let shapes = [q, r, u, s, vt].map(|v| v.dims().unwrap());
        let expected = [
            vec![batch, m, p],
            vec![batch, p, n],
            vec![batch, m, p],
            vec![batch, p],
            vec![batch, p, n],
        ];
        assert_eq!(shapes, expected, "{dims:?}");
        for y in [q, r, u, s, vt] {
            let gradient = graph.gradient(y.sum(()), &[x]).unwrap();
            assert_eq!(gradient[0].dims(), dims, "{dims:?}");
        }
    }
}
