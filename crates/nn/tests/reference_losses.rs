//! Every loss against PyTorch's table: values, means, gradients and second derivatives, f64 and f32; and the derivative laws.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/losses.rs"]
mod losses;

use std::sync::Arc;

use losses::{Case, cases};
use pullback_core_graph::candle::DType;
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::{Function, function};

#[test]
fn values_gradients_and_second_derivatives_are_those_of_pytorch() {
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-5)] {
        for case in cases() {
            let error = case.error(dtype).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            assert!(error <= tolerance, "{} in {dtype:?}: {error:e}", case.name);
        }
    }
}

#[test]
fn laws_hold_to_second_order() {
    for case in cases() {
        // There a step of the test does not change the loss by more than rounding.
        if case.name.contains("extreme") {
            continue;
        }
        for (dtype, tolerances) in
            [(DType::F64, Tolerances::default()), (DType::F32, Tolerances::single())]
        {
            let x = case.input(dtype);
            let of: Case = case.clone();
            let f: Arc<dyn Function> =
                function(case.name.clone(), move |_, x| Ok(vec![of.losses(x[0])]));
            let x = [x];
            laws(&f, &x, &tolerances).unwrap_or_else(|e| panic!("{} {dtype:?}: {e}", case.name));
            second_order(&f, &x, &tolerances)
                .unwrap_or_else(|e| panic!("{} {dtype:?}, second order: {e}", case.name));
        }
    }
}
