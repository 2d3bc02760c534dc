//! Maps against loops, and against the derivative laws; the same bits for any number of threads.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/numbers.rs"]
mod numbers;

use std::sync::Arc;

use numbers::{tensor, wave};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Error, Function, Wrt, function};
use pullback_graph::Map;

/// x (3), θ (3), w () ↦ (3), ().
fn f() -> Arc<dyn Function> {
    function("f", |_, v| Ok(vec![(v[0] * v[1]).sin() * v[2], (v[0] * v[0] * v[1]).sum(()).tanh()]))
}

fn point(n: usize) -> [Tensor; 3] {
    [tensor(&wave(3 * n, 0.2), &[n, 3]), tensor(&wave(3, 1.1), &[3]), tensor(&wave(n, 2.3), &[n])]
}

#[test]
fn laws_hold_with_every_mixture_of_sharing_and_sums() {
    for summed in [&[][..], &[0], &[1], &[0, 1]] {
        for shared in [&[1][..], &[]] {
            let map = Map::new("map", f()).shared(shared).summed(summed).build().unwrap();
            let mut x = point(4);
            if shared.is_empty() {
                x[1] = tensor(&wave(12, 1.1), &[4, 3]);
            }
            laws(&map, &x, &Tolerances::default()).unwrap();
            second_order(&map, &x, &Tolerances::default()).unwrap();
            let y = map.eval(&x).unwrap();
            let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&y).cloned().collect();
            let adjoint = map.adjoint(Wrt(&[true; 3])).unwrap();
            second_order(&adjoint, &arguments, &Tolerances::default()).unwrap();
            let arguments: Vec<Tensor> = x.iter().chain(&y).chain(&x).cloned().collect();
            let tangent = map.tangent(Wrt(&[true; 3])).unwrap();
            second_order(&tangent, &arguments, &Tolerances::default()).unwrap();
        }
    }
}

#[test]
fn equals_a_loop() {
    let (n, x) = (9, point(9));
    let map = Map::new("map", f()).shared(&[1]).summed(&[1]).build().unwrap();
    let y = map.eval(&x).unwrap();
    let mut total = 0.0;
    for i in 0..n {
        let one = [x[0].get(i).unwrap(), x[1].clone(), x[2].get(i).unwrap()];
        let z = f().eval(&one).unwrap();
        assert_eq!(to_f64(&y[0].get(i).unwrap()).unwrap(), to_f64(&z[0]).unwrap());
        total += to_f64(&z[1]).unwrap()[0];
    }
    assert_eq!(to_f64(&y[1]).unwrap(), [total]);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = point(97);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let map = Map::new("map", f()).shared(&[1]).summed(&[1]).build().unwrap();
            let (y, linear) = map.linearize(&x, Wrt(&[true; 3])).unwrap();
            let pulled = linear.pull(&y.iter().cloned().map(Some).collect::<Vec<_>>()).unwrap();
            let all = y.into_iter().chain(pulled.into_iter().flatten());
            all.flat_map(|t| to_f64(&t).unwrap()).map(f64::to_bits).collect::<Vec<u64>>()
        })
    };
    let one = run(1);
    assert!([2, 3, 4, 7, 16].into_iter().all(|threads| run(threads) == one));
}

#[test]
fn integers_pass_through_and_single_precision_works() {
    let pick = function("pick", |_, v| Ok(vec![v[0].index_select(&v[1].value()?, 0).sqr()]));
    let map = Map::new("map", pick).shared(&[0]).build().unwrap();
    let table = tensor(&wave(5, 0.4), &[5]);
    let index = Tensor::from_vec(vec![0u32, 4, 4, 1, 2, 4], (3, 2), &Device::Cpu).unwrap();
    let x = [table.clone(), index.clone()];
    laws(&map, &x, &Tolerances::default()).unwrap();
    second_order(&map, &x, &Tolerances::default()).unwrap();
    let x = [table.to_dtype(DType::F32).unwrap(), index];
    laws(&map, &x, &Tolerances::single()).unwrap();
}

#[test]
fn errors_name_the_first_element_that_fails() {
    let root = function("root", |_, v| Ok(vec![v[0].log()]));
    let map = Map::new("map", root).build().unwrap();
    let mut x = vec![1.0; 40];
    (x[17], x[30]) = (0.0, 0.0);
    let error = map.eval(&[tensor(&x, &[40])]).unwrap_err();
    assert!(error.node().starts_with("map[17]/log#"), "{error}");
}

#[test]
fn bad_arguments_are_errors() {
    let map = || Map::new("map", f()).shared(&[1]).build().unwrap();
    let [a, b, c] = point(4);
    let text = |x: &[Tensor]| map().eval(x).unwrap_err().to_string();
    assert!(text(&[a.clone(), b.clone(), tensor(&[1.0], &[])]).contains("leading axis"));
    assert!(text(&[a.clone(), b.clone(), tensor(&[1.0; 3], &[3])]).contains("3 elements"));
    let none = Tensor::zeros((0, 3), DType::F64, &Device::Cpu).unwrap();
    let also = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
    assert!(text(&[none, b.clone(), also]).contains("no elements"));
    let all = Map::new("map", f()).shared(&[0, 1, 2]).build().unwrap();
    assert!(matches!(all.eval(&[a.clone(), b.clone(), c.clone()]), Err(Error::Invalid { .. })));
    let uneven = function("uneven", |g, v| {
        let n = v[0].to_f64()? as usize;
        Ok(vec![g.constant(&Tensor::ones(n, DType::F64, &Device::Cpu)?)])
    });
    let error = Map::new("map", uneven).build().unwrap().eval(&[tensor(&[1.0, 2.0], &[2])]);
    assert!(matches!(&error, Err(Error::Shape { node, .. }) if node == "map[1]"), "{error:?}");
    let (_, linear) = map().linearize(&[a.clone(), b, c], Wrt(&[true; 3])).unwrap();
    assert!(matches!(linear.pull(&[None]), Err(Error::Arity { .. })));
    assert!(matches!(linear.push(&[None, Some(a), None]), Err(Error::Shape { .. })));
    assert!(matches!(linear.push(&[None, None, None]), Ok(d) if d.iter().all(Option::is_none)));
}
