//! Plans of sparse Jacobians and Hessians against dense derivatives, for every mode and order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed step is a failed test

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Direction, Function, LinearMap, Result, Wrt, function};
use pullback_graph::sparsity::{
    Coloring, HessianPlan, JacobianPlan, Mode, NormalPlan, Order, Pattern, PlanOptions,
};
use pullback_graph::{Error, Real, Tape};

#[path = "common/arm.rs"]
mod arm;
#[path = "common/networks.rs"]
mod networks;
#[path = "common/numbers.rs"]
mod numbers;

use networks::{Random, sparse};
use numbers::near;

const MODES: [Mode; 5] = [Mode::Auto, Mode::Forward, Mode::Reverse, Mode::Mixed, Mode::Symbolic];

#[test]
fn all_modes_and_orders_give_the_dense_jacobian() {
    for seed in 0..12 {
        let n = 5 + seed as usize * 4;
        let tape = Tape::record(n, |x| sparse(seed, x)).unwrap();
        let (entries, places) = tape.jacobian();
        let mut random = Random(seed);
        let batch = 19;
        let x: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.5, 1.5)).collect();
        for mode in MODES {
            for order in Order::ALL {
                let mut plan = JacobianPlan::new(&tape, PlanOptions { mode, order }).unwrap();
                assert_eq!(*plan.pattern(), tape.jacobian_pattern());
                let count = plan.pattern().len();
                let (mut y, mut j) = (vec![0.0; batch * n], vec![f64::NAN; batch * count]);
                plan.run(batch, &x, &mut y, &mut j).unwrap();
                for ((x, y), j) in x.chunks(n).zip(y.chunks(n)).zip(j.chunks(count)) {
                    let what = format!("{plan}");
                    near(&what, y, &tape.eval(x).unwrap(), 1e-13);
                    let dense = places.dense(&entries.eval(x).unwrap());
                    near(&what, &plan.pattern().dense(j), &dense, 1e-9);
                    // One point has the bits of the batch.
                    let mut alone = vec![0.0; count];
                    plan.jacobian(x, &mut alone).unwrap();
                    assert_eq!(alone, j, "{what}");
                }
            }
        }
    }
}

#[test]
fn all_modes_and_orders_give_the_dense_hessian() {
    for seed in 0..12 {
        let n = 5 + seed as usize * 2;
        let tape = Tape::record(n, |x| sparse(seed, x)).unwrap();
        let ((entries, places), reverse) = (tape.hessian(), tape.reverse());
        let mut random = Random(seed);
        let batch = 5;
        let x: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.5, 1.5)).collect();
        let lambda: Vec<f64> = (0..batch * n).map(|_| random.uniform(-1.0, 1.0)).collect();
        for mode in [Mode::Auto, Mode::Forward, Mode::Symbolic] {
            for order in Order::ALL {
                let mut plan = HessianPlan::new(&tape, PlanOptions { mode, order }).unwrap();
                let count = plan.pattern().len();
                let (mut y, mut g) = (vec![0.0; batch * n], vec![0.0; batch * n]);
                let mut h = vec![f64::NAN; batch * count];
                plan.run(batch, &x, &lambda, &mut y, &mut g, &mut h).unwrap();
                for k in 0..batch {
                    let (x, lambda) = (&x[k * n..][..n], &lambda[k * n..][..n]);
                    let both = reverse.eval(&[x, lambda].concat()).unwrap();
                    let what = format!("{plan}");
                    near(&what, &y[k * n..][..n], &both[..n], 1e-13);
                    near(&what, &g[k * n..][..n], &both[n..], 1e-10);
                    let dense = places.dense(&entries.eval(&[x, lambda].concat()).unwrap());
                    let h = &h[k * count..][..count];
                    near(&what, &plan.pattern().dense(h), &dense, 1e-8);
                    let mut alone = vec![0.0; count];
                    plan.hessian(x, lambda, &mut alone).unwrap();
                    assert_eq!(alone, h, "{what}");
                }
            }
        }
    }
}

#[test]
fn an_arrow_is_swept_both_ways() {
    let n = 30;
    let tape = Tape::record(n, |x| {
        let all = x.iter().fold(Real::lit(0.0), |sum: pullback_graph::Expr<'_>, x| sum + x.sin());
        std::iter::once(all).chain((1..n).map(|i| x[0] * x[i])).collect()
    });
    let tape = tape.unwrap();
    let options = PlanOptions { mode: Mode::Mixed, ..PlanOptions::default() };
    let mut plan = JacobianPlan::new(&tape, options).unwrap();
    assert_eq!((plan.coloring().pushes(), plan.coloring().pulls()), (2, 1));
    let x: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
    let mut j = vec![0.0; plan.pattern().len()];
    plan.jacobian(&x, &mut j).unwrap();
    let dense = plan.pattern().dense(&j);
    for i in 0..n {
        for k in 0..n {
            let expected = match (i, k) {
                (0, k) => x[k].cos(),
                (i, 0) => x[i],
                (i, k) if i == k => x[0],
                _ => 0.0,
            };
            assert_eq!(dense[i * n + k], expected);
        }
    }
}

#[test]
fn the_path_problem_takes_few_colours_and_its_normal_matrix_is_the_product() {
    let tape = Tape::record(700, |q| arm::path(q)).unwrap();
    let cost =
        Tape::record(700, |q| vec![arm::path(q).iter().fold(Real::lit(0.0), |s, r| s + r.sqr())]);
    let cost = cost.unwrap();
    let pattern = tape.jacobian_pattern();
    assert_eq!((pattern.rows(), pattern.columns(), pattern.len()), (986, 700, 3758));
    let second = cost.hessian_pattern();
    assert_eq!(second.len(), 6458);
    let fewest =
        |color: &dyn Fn(Order) -> usize| Order::ALL.iter().map(|&o| color(o)).min().unwrap();
    assert!(Coloring::columns(&pattern, Order::Natural).colors() <= 8);
    assert!(Coloring::rows(&pattern, Order::Natural).colors() <= 8);
    assert!(fewest(&|o| Coloring::symmetric(&second, o).unwrap().colors()) <= 14);

    let q: Vec<f64> = (0..700).map(|i| (i as f64 * 0.37).sin()).collect();
    let mut results = Vec::new();
    for mode in MODES {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let mut plan = JacobianPlan::new(&tape, options).unwrap();
        let (mut y, mut j) = (vec![0.0; 986], vec![0.0; 3758]);
        plan.value_and_jacobian(&q, &mut y, &mut j).unwrap();
        results.push((y, j));
    }
    let (y, j) = &results[0];
    for (other_y, other_j) in &results {
        near("values", other_y, y, 1e-14);
        near("entries", other_j, j, 1e-12);
    }
    let normal = NormalPlan::new(&pattern).unwrap();
    let (mut product, mut gradient) = (vec![0.0; normal.pattern().len()], vec![0.0; 700]);
    normal.normal(j, &mut product).unwrap();
    normal.gradient(j, y, &mut gradient).unwrap();
    let dense = pattern.dense(j);
    let mut expected = vec![0.0; 700 * 700];
    for row in dense.chunks(700) {
        for a in (0..700).filter(|&a| row[a] != 0.0) {
            (0..=a).for_each(|b| expected[700 * a + b] += row[a] * row[b]);
        }
    }
    near("JᵀJ", &normal.pattern().dense(&product), &expected, 1e-13);
    let pulled = cost.reverse().eval(&[&q[..], &[0.5]].concat()).unwrap();
    near("Jᵀr", &gradient, &pulled[1..], 1e-12);

    let mut exact = Vec::new();
    for mode in [Mode::Forward, Mode::Symbolic] {
        let options = PlanOptions { mode, order: Order::SmallestLast };
        let mut plan = HessianPlan::new(&cost, options).unwrap();
        let mut h = vec![0.0; plan.pattern().len()];
        plan.hessian(&q, &[1.0], &mut h).unwrap();
        exact.push(h);
    }
    near("Hessian", &exact[0], &exact[1], 1e-11);
}

#[test]
fn any_function_is_swept_by_pushes_and_pulls() {
    // yᵢ = sin(xᵢ)·xᵢ₊₁·p, a band; p is not differentiated.
    let n = 12;
    let f = function("band", move |_, v| {
        let (low, high) = (v[0].narrow(0, 0, n - 1), v[0].narrow(0, 1, n - 1));
        Ok(vec![low.sin() * high * v[1]])
    });
    let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).cos()).collect();
    let device = Device::Cpu;
    let point = [Tensor::new(&x[..], &device).unwrap(), Tensor::new(1.5f64, &device).unwrap()];
    let wrt = [true, false];
    let band = Pattern::full(n - 1, n).filtered(|i, j| j == i || j == i + 1);
    let expected: Vec<f64> =
        (0..n - 1).flat_map(|i| [1.5 * x[i].cos() * x[i + 1], 1.5 * x[i].sin()]).collect();
    for mode in [Mode::Auto, Mode::Forward, Mode::Reverse, Mode::Mixed] {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let plan = JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), band.clone(), options);
        let mut plan = plan.unwrap();
        assert!(plan.coloring().colors() <= 2);
        let (mut y, mut j) = (vec![0.0; n - 1], vec![0.0; band.len()]);
        plan.value_and_jacobian(&x, &mut y, &mut j).unwrap();
        near(
            "values",
            &y,
            &(0..n - 1).map(|i| 1.5 * x[i].sin() * x[i + 1]).collect::<Vec<_>>(),
            1e-14,
        );
        near("entries", &j, &expected, 1e-14);
    }
    let sum = {
        let f = f.clone();
        function("cost", move |g, v| Ok(vec![g.apply(&f, v)?[0].sum(())]))
    };
    let square = Pattern::full(n, n).filtered(|i, j| i.abs_diff(j) <= 1);
    let mut plan =
        HessianPlan::of_function(sum, &point, Wrt(&wrt), &square, PlanOptions::default()).unwrap();
    assert_eq!(plan.coloring().colors(), 3);
    let (mut y, mut g) = (vec![0.0; 1], vec![0.0; n]);
    let mut h = vec![0.0; plan.pattern().len()];
    plan.value_gradient_hessian(&x, &[2.0], &mut y, &mut g, &mut h).unwrap();
    for ((i, j), h) in plan.pattern().places().zip(h) {
        let diagonal = x.get(i + 1).map_or(0.0, |next| -3.0 * x[i].sin() * next);
        near("Hessian", &[h], &[if i == j { diagonal } else { 3.0 * x[j].cos() }], 1e-13);
    }
    near("slope", &g[..1], &[3.0 * x[0].cos() * x[1]], 1e-14);

    let wrong = Pattern::full(n, n);
    assert!(
        JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), wrong, PlanOptions::default())
            .is_err()
    );
    let written = PlanOptions { mode: Mode::Symbolic, ..PlanOptions::default() };
    assert!(JacobianPlan::of_function(f.clone(), &point, Wrt(&wrt), band, written).is_err());
    let vector = HessianPlan::of_function(f, &point, Wrt(&wrt), &square, PlanOptions::default());
    assert!(vector.unwrap_err().to_string().contains("not of 11"));
}

/// A function whose linear map gives what `give` makes of the right answer.
struct Wrong(fn(Tensor) -> Vec<Option<Tensor>>);

struct WrongAt(fn(Tensor) -> Vec<Option<Tensor>>);

impl Function for Wrong {
    fn name(&self) -> &str {
        "wrong"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![x[0].clone()])
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(WrongAt(self.0))))
    }
}

impl LinearMap for WrongAt {
    fn push(&self, d: &[Option<Tensor>]) -> Result<Direction> {
        Ok(d[0].clone().map_or(vec![None], self.0))
    }
    fn pull(&self, d: &[Option<Tensor>]) -> Result<Direction> {
        Ok(d[0].clone().map_or(vec![None], self.0))
    }
}

#[test]
fn what_a_linear_map_gives_is_checked() {
    let x = [Tensor::new(&[1.0, 2.0], &Device::Cpu).unwrap()];
    let wrongs: [(&str, fn(Tensor) -> Vec<Option<Tensor>>); 6] = [
        ("nothing", |_| vec![]),
        ("two", |d| vec![Some(d.clone()), Some(d)]),
        ("short", |d| vec![Some(d.narrow(0, 0, 1).unwrap())]),
        ("single precision", |d| vec![Some(d.to_dtype(DType::F32).unwrap())]),
        ("NaN", |d| vec![Some((d * f64::NAN).unwrap())]),
        ("infinite", |d| vec![Some((d * f64::INFINITY).unwrap())]),
    ];
    for (name, wrong) in wrongs {
        for mode in [Mode::Forward, Mode::Reverse, Mode::Mixed] {
            let (f, options) = (Arc::new(Wrong(wrong)), PlanOptions { mode, ..Default::default() });
            let diagonal = Pattern::full(2, 2).filtered(|i, j| i == j);
            let plan = JacobianPlan::of_function(f, &x, Wrt(&[true]), diagonal, options);
            let done = plan.unwrap().jacobian(&[1.0, 2.0], &mut [0.0; 2]);
            let error = done.expect_err(name).to_string();
            assert!(error.contains("wrong"), "{name} {mode:?}: {error}");
        }
    }
    let square = function("square", |_, v| Ok(vec![v[0].sqr().sum(())]));
    let all = Pattern::full(2, 2);
    let options = PlanOptions::default();
    let plan = HessianPlan::of_function(square.clone(), &x, Wrt(&[true]), &all, options);
    let mut plan = plan.unwrap();
    for multiplier in [f64::NAN, f64::INFINITY, 1e308] {
        assert!(plan.hessian(&[1e3, 2e3], &[multiplier], &mut [0.0; 3]).is_err(), "{multiplier}");
    }
    let f = function("root", |_, v| Ok(vec![v[0].sqrt()]));
    let plan = JacobianPlan::of_function(f, &x, Wrt(&[true]), all, options);
    let (mut y, mut j) = ([0.0; 4], [0.0; 8]);
    let error = plan.unwrap().run(2, &[1.0, 2.0, 3.0, -1.0], &mut y, &mut j).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
    // A plan of a function belongs to no tape.
    let plan = HessianPlan::of_function(square, &x, Wrt(&[true]), &Pattern::full(2, 2), options);
    let tape = Tape::record(2, |x| vec![x[0]]).unwrap();
    let plan = plan.unwrap();
    assert_eq!(plan.hash(), None);
    assert!(matches!(plan.check(&tape), Err(Error::Invalid { .. })));
    let own = JacobianPlan::new(&tape, options).unwrap();
    assert_eq!(own.hash(), Some(tape.hash()));
    // Nothing, any number of times, is nothing.
    let nothing = Tape::record(0, |_| vec![]).unwrap();
    let mut plan = JacobianPlan::new(&nothing, options).unwrap();
    plan.run(usize::MAX, &[], &mut [], &mut []).unwrap();
}

#[test]
fn mistakes_are_named() {
    let tape = Tape::record(2, |x| vec![x[0].ln() * x[1], x[1].sqrt()]).unwrap();
    let other = Tape::record(2, |x| vec![x[0], x[1]]).unwrap();
    for mode in MODES {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let mut plan = JacobianPlan::new(&tape, options).unwrap();
        assert!(plan.check(&tape).is_ok());
        let foreign = plan.check(&other);
        assert!(matches!(foreign, Err(Error::ForeignTape { got, .. }) if got == other.hash()));
        let (mut y, mut j) = ([0.0; 2], [0.0; 3]);
        let short = plan.value_and_jacobian(&[1.0], &mut y, &mut j);
        assert!(matches!(short, Err(Error::Length { what: "inputs", expected: 2, got: 1 })));
        let short = plan.jacobian(&[1.0, 1.0], &mut j[..2]);
        assert!(matches!(
            short,
            Err(Error::Length { what: "Jacobian entries", expected: 3, got: 2 })
        ));
        // The value is finite, its slope is not.
        let kink = plan.jacobian(&[1.0, 0.0], &mut j).unwrap_err().to_string();
        assert!(kink.contains("entry (") && kink.contains(", 1) of sample 0"), "{mode:?}: {kink}");
        if mode == Mode::Symbolic {
            assert!(kink.contains("entry (1, 1)") && kink.contains("inf"), "{kink}");
        }
        let (mut ys, mut js) = ([0.0; 4], [0.0; 6]);
        let value = plan.run(2, &[1.0, 1.0, 0.0, 1.0], &mut ys, &mut js);
        assert!(
            matches!(value, Err(Error::OutputNotFinite { output: 0, sample: 1, .. })),
            "{mode:?}: {value:?}"
        );
        // And the plan is still good.
        plan.jacobian(&[1.0, 4.0], &mut j).unwrap();
        assert_eq!(j, [4.0, 0.0, 0.25]);
    }
    for mode in [Mode::Reverse, Mode::Mixed] {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        assert!(matches!(HessianPlan::new(&tape, options), Err(Error::Invalid { .. })));
    }
    let lopsided = Pattern::new(2, 2, vec![(0, 1)]);
    assert!(matches!(Coloring::symmetric(&lopsided, Order::Natural), Err(Error::Invalid { .. })));
    // A colouring of the diagonal does not do for a full matrix.
    let diagonal = Pattern::new(2, 2, vec![(0, 0), (1, 1)]);
    let wrong = Coloring::columns(&diagonal, Order::Natural).verify(&Pattern::full(2, 2));
    assert!(wrong.unwrap_err().to_string().contains("entry (0, 0)"));
    assert!(NormalPlan::new(&diagonal).unwrap().normal(&[1.0], &mut [0.0; 2]).is_err());
}
