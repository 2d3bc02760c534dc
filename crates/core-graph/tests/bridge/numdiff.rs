//! The finite-difference twin.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, NumDiff, Wrt, function};

use crate::{A, B, close, mixed, three_outputs, vector};

#[test]
fn finite_differences_agree_with_the_rules() {
    let (a, b) = (vector(&A).reshape((2, 3)).unwrap(), vector(&B).reshape((2, 3)).unwrap());
    for (dtype, step, tolerance) in [(DType::F64, 3e-3, 1e-11), (DType::F32, 0.03, 1e-4)] {
        let cast = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let (a, b) = (cast(&a), cast(&b));
        let x = [a.clone(), b.clone()];
        let (_, want) = three_outputs().linearize(&x, Wrt(&[true, true])).unwrap();
        let twin = NumDiff::new(three_outputs(), step);
        let (_, got) = twin.linearize(&x, Wrt(&[true, true])).unwrap();
        let dy = [Some(b.clone()), None, Some(a.clone())];
        let dx = [Some((&b * 100.0).unwrap()), Some(a.clone())];
        let pairs = [(got.pull(&dy), want.pull(&dy)), (got.push(&dx), want.push(&dx))];
        for (got, want) in pairs {
            for (g, w) in got.unwrap().iter().zip(want.unwrap()) {
                close(g.as_ref().unwrap(), &w.unwrap(), 10.0 * tolerance);
            }
        }
        let (_, masked) = twin.linearize(&x, Wrt(&[false, true])).unwrap();
        assert!(masked.pull(&dy).unwrap()[0].is_none());
        let pushed = masked.push(&[dx[0].clone(), None]).unwrap();
        assert!(pushed.iter().all(Option::is_none));
    }
}

#[test]
fn finite_differences_converge_with_the_fourth_power_of_the_step() {
    let error = |step: f64| {
        let twin = NumDiff::new(function("exp", |_, x| Ok(vec![(2.0 * x[0]).exp()])), step);
        let (_, map) = twin.linearize(&[vector(&[0.3])], Wrt(&[true])).unwrap();
        let dx = map.pull(&[Some(vector(&[1.0]))]).unwrap().swap_remove(0).unwrap();
        (to_f64(&dx).unwrap()[0] - 2.0 * 0.6f64.exp()).abs()
    };
    let order = (error(0.2) / error(0.1)).log2();
    assert!((order - 4.0).abs() < 0.1, "{order}");
    let stated = 0.1f64.powi(4) * 32.0 * 0.6f64.exp() / 480.0;
    assert!((error(0.1) / stated - 1.0).abs() < 0.05);
}

#[test]
fn finite_differences_refuse_what_has_none() {
    let sqrt = function("sqrt", |_, x| Ok(vec![x[0].sqrt()]));
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let e = NumDiff::new(sqrt.clone(), step).linearize(&[vector(&[1.0])], Wrt(&[true]));
        assert!(matches!(e, Err(Error::Invalid { .. })));
    }
    // Outside its domain on one side.
    let (_, map) = NumDiff::new(sqrt, 0.1).linearize(&[vector(&[0.01])], Wrt(&[true])).unwrap();
    assert!(map.pull(&[Some(vector(&[1.0]))]).is_err());
    let integers = Tensor::new(&[1i64], &Device::Cpu).unwrap();
    let e = NumDiff::new(mixed(), 0.1).linearize(&[integers], Wrt(&[true]));
    assert!(matches!(e, Err(Error::DType { .. })));
}
