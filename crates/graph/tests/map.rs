//! Maps against loops, and against the derivative laws; the same bits for any number of threads.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/numbers.rs"]
mod numbers;

use std::sync::Arc;

use numbers::{tensor, wave};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{
    Direction, Error, Function, Graph, LinearMap, Phase, Result, Wrt, function,
};
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

#[test]
fn sums_that_overflow_are_errors() {
    let huge = tensor(&[1e308, 1e308], &[2]);
    let double = function("same", |_, v| Ok(vec![v[0] * 1.0]));
    let sum = Map::new("sum", double).summed(&[0]).build().unwrap();
    let error = sum.eval(std::slice::from_ref(&huge)).unwrap_err();
    assert!(
        matches!(&error, Error::NotFinite { node, phase: Phase::Eval, port: 0, .. } if node == "sum"),
        "{error}"
    );
    let (_, linear) = sum.linearize(&[tensor(&[1.0, 2.0], &[2])], Wrt(&[true])).unwrap();
    let error = linear.push(&[Some(huge.clone())]).unwrap_err();
    assert!(matches!(&error, Error::NotFinite { phase: Phase::Push, .. }), "{error}");
    let product = function("product", |_, v| Ok(vec![v[0] * v[1]]));
    let each = Map::new("each", product).shared(&[1]).build().unwrap();
    let (_, linear) = each.linearize(&[huge, tensor(&[1.0], &[])], Wrt(&[true; 2])).unwrap();
    let error = linear.pull(&[Some(tensor(&[1.0, 1.0], &[2]))]).unwrap_err();
    assert!(
        matches!(&error, Error::NotFinite { node, phase: Phase::Pull, port: 1, .. } if node == "each"),
        "{error}"
    );
}

/// y = x, and dy = dx, but for one number; no second derivative.
#[derive(Clone, Copy)]
struct Broken {
    value: f64,
    slope: f64,
}

impl Broken {
    fn times(x: &Tensor, scale: f64) -> Result<Tensor> {
        let odd = to_f64(x)?.contains(&3.0);
        Ok((x * if odd { scale } else { 1.0 })?)
    }
}

impl Function for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![Broken::times(&x[0], self.value)?])
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(*self)))
    }
}

impl LinearMap for Broken {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        dx.iter().map(|d| d.as_ref().map(|d| Broken::times(d, self.slope)).transpose()).collect()
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        self.push(dy)
    }
}

#[test]
fn what_a_function_gets_wrong_is_named_by_its_element() {
    let x = tensor(&[1.0, 2.0, 3.0, 4.0], &[4]);
    for summed in [&[][..], &[0]] {
        for bad in [f64::NAN, f64::INFINITY] {
            let build =
                |broken: Broken| Map::new("map", Arc::new(broken)).summed(summed).build().unwrap();
            let error = build(Broken { value: bad, slope: 1.0 }).eval(std::slice::from_ref(&x));
            assert!(
                matches!(&error, Err(Error::NotFinite { node, .. }) if node == "map[2]"),
                "{error:?}"
            );
            let map = build(Broken { value: 1.0, slope: bad });
            let (y, linear) = map.linearize(std::slice::from_ref(&x), Wrt(&[true])).unwrap();
            let error = linear.push(&[Some(x.clone())]).unwrap_err();
            assert!(matches!(&error, Error::NotFinite { node, .. } if node == "map[2]"), "{error}");
            let dy = if summed.is_empty() { x.clone() } else { (&y[0] * 0.0).unwrap() };
            let pulled = linear.pull(&[Some(dy)]);
            assert_eq!(pulled.is_err(), summed.is_empty(), "{pulled:?}");
        }
    }
}

#[test]
fn ports_that_are_not_there_are_errors() {
    let product = || function("product", |_, v| Ok(vec![v[0] * v[1]]));
    let x = [tensor(&[1.0, 2.0], &[2]), tensor(&[1.0, 2.0], &[2])];
    for port in [2, 7, 1 << 40, usize::MAX] {
        let map = Map::new("map", product()).shared(&[port]).build().unwrap();
        let text = map.eval(&x).unwrap_err().to_string();
        assert_eq!(text, format!("map: shared input {port} of 2"));
        assert!(map.linearize(&x, Wrt(&[true; 2])).is_err());
        assert!(map.tangent(Wrt(&[true; 2])).is_err() && map.adjoint(Wrt(&[true; 2])).is_err());
    }
    for port in [1, 3, usize::MAX] {
        let map = Map::new("map", product()).summed(&[port]).build().unwrap();
        let text = map.eval(&x).unwrap_err().to_string();
        assert_eq!(text, format!("map: summed output {port} of 1"));
        assert!(map.linearize(&x, Wrt(&[true; 2])).is_err());
        let adjoint = map.adjoint(Wrt(&[true; 2])).unwrap();
        assert!(adjoint.eval(&[&x[..], &x].concat()).is_err());
    }
}

#[test]
fn no_second_order_is_told_of_the_function_inside() {
    let broken = Arc::new(Broken { value: 1.0, slope: 1.0 });
    let map = Map::new("map", broken).build().unwrap();
    let graph = Graph::new();
    let x = graph.input(&tensor(&[1.0, 2.0], &[2]));
    let y = graph.apply(&map, &[x]).unwrap()[0].sum(());
    let error = graph.record_gradient(y, &[x]).unwrap_err();
    assert!(matches!(&error, Error::NoHigherOrder { node } if node == "map#1/broken"), "{error}");
}
