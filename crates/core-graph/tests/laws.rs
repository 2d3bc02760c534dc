//! Laws × operations: every operation obeys the derivative laws, its derivative functions too, in f64 and f32.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::operations::{Case, cases};
use pullback_core_graph::Wrt;
use pullback_core_graph::candle::DType;
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::is_real;

fn each(what: &str, f: impl Fn(&Case) -> pullback_core_graph::Result<()>) {
    let cases = cases();
    assert!(100 < cases.len(), "the table of operations shrank to {}", cases.len());
    let failed: Vec<String> =
        cases.iter().filter_map(|c| f(c).err().map(|e| format!("{}: {e}", c.name))).collect();
    assert!(
        failed.is_empty(),
        "{what}: {} of {} failed:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

#[test]
fn first_order_in_double() {
    each("first order, f64", |c| {
        laws(&c.function, &c.inputs(DType::F64), &Tolerances::default()).map(|_| ())
    });
}

#[test]
fn first_order_in_single() {
    each("first order, f32", |c| {
        laws(&c.function, &c.inputs(DType::F32), &Tolerances::single()).map(|_| ())
    });
}

#[test]
fn second_order_in_double() {
    each("second order, f64", |c| {
        second_order(&c.function, &c.inputs(DType::F64), &Tolerances::default())
    });
}

#[test]
fn third_order_in_double() {
    // The Hessian's linearization is checked through the adjoint of the adjoint.
    let loose = Tolerances { difference: 1e-5, dot: 1e-9, ..Tolerances::default() };
    each("third order, f64", |c| {
        let x = c.inputs(DType::F64);
        let wrt: Vec<bool> = x.iter().map(is_real).collect();
        let y = c.function.eval(&x)?;
        let f = c.function.clone();
        let adjoint = f.adjoint(Wrt(&wrt))?;
        let n = x.len();
        let gradient =
            pullback_core_graph::function(format!("{}.gradient", c.name), move |g, v| {
                let (x, dy) = v.split_at(n);
                let y = g.apply(&f, x)?;
                let all: Vec<_> = x.iter().chain(&y).chain(dy).copied().collect();
                g.apply(&adjoint, &all)
            });
        let point: Vec<_> =
            x.iter().cloned().chain(y.iter().map(|y| y.affine(0.5, 0.25).unwrap())).collect();
        second_order(&gradient, &point, &loose)
    });
}
