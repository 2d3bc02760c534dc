//! Methods that need the function: known minima, Wolfe's conditions, resumption, misuse.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/objectives.rs"]
mod objectives;

use objectives::{at, of, parameters, run, set};
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Graph, Result as GraphResult, Var};
use pullback_nn::optimizer::{
    GaussNewton, GaussNewtonOptions, Lbfgs, LbfgsOptions, Minimizer, Newton, NewtonOptions,
    Objective, SaddleFreeNewton, Status,
};
use pullback_nn::{Bound, Checkpoint, Error, Initialization, Parameters};

/// 10(x₂ᵢ − x₂ᵢ₋₁²), 1 − x₂ᵢ₋₁: Rosenbrock's valley, extended.
fn valley<'g>(_: &'g Graph, b: &Bound<'g>) -> GraphResult<Var<'g>> {
    let pairs = b.get("x")?;
    let n = pairs.dims()?[0];
    let pairs = pairs.reshape(&[n / 2, 2]);
    let (x, y) = (pairs.get(1, 0), pairs.get(1, 1));
    pairs.graph().cat(&[10.0 * (y - x.sqr()), 1.0 - x], 0).ok()
}

/// Its half square.
fn half_square<'g>(graph: &'g Graph, b: &Bound<'g>) -> GraphResult<Var<'g>> {
    Ok(0.5 * valley(graph, b)?.sqr().sum(()))
}

fn start(n: usize) -> Vec<f64> {
    (0..n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect()
}

#[test]
fn lbfgs_finds_the_end_of_rosenbrocks_valley() {
    for n in [2, 20] {
        let mut p = parameters(DType::F64, &start(n));
        let f = Objective::new("valley", &p, half_square);
        let mut lbfgs = Lbfgs::new(LbfgsOptions::default()).unwrap();
        let outcome = run(&mut lbfgs, &f, &mut p, 200);
        assert_eq!(outcome.status, Status::Converged, "{outcome:?}");
        assert!(at(&p).iter().all(|x| (x - 1.0).abs() < 1e-7), "{outcome:?}: {:?}", at(&p));
        assert!(outcome.steps < 60, "{outcome:?}");
    }
}

#[test]
fn lbfgs_remembers_no_gradient_of_another_function() {
    let mut p = parameters(DType::F64, &[3.0]);
    let [first, second] = [1.0, 2.0].map(|at| of(&p, move |v| (v - at).sqr().sum(())));
    let mut lbfgs = Lbfgs::new(LbfgsOptions::default()).unwrap();
    run(&mut lbfgs, &first, &mut p, 20);
    assert!((at(&p)[0] - 1.0).abs() < 1e-8);
    run(&mut lbfgs, &second, &mut p, 20);
    assert!((at(&p)[0] - 2.0).abs() < 1e-8);
}

#[test]
fn every_step_of_lbfgs_satisfies_wolfes_conditions() {
    let mut p = parameters(DType::F64, &start(6));
    let f = Objective::new("valley", &p, half_square);
    let mut lbfgs = Lbfgs::new(LbfgsOptions::default()).unwrap();
    let mut moves = 0;
    for _ in 0..40 {
        let before = p.clone();
        let progress = lbfgs.step(&f, &mut p).unwrap();
        if progress.status != Status::Running {
            break;
        }
        let (x, y) = (at(&before), at(&p));
        let slope = |at: &Parameters| -> f64 {
            let g = to_f64(&f.gradient(at).unwrap().1[0]).unwrap();
            g.iter().zip(x.iter().zip(&y)).map(|(g, (x, y))| g * (y - x)).sum()
        };
        let (first, last) = (slope(&before), slope(&p));
        // At the last digits the conditions are met to rounding.
        let rounding = 1e-14;
        assert!(first < 0.0);
        assert!(progress.next_value <= progress.value + 1e-4 * first + rounding, "{progress:?}");
        assert!(last.abs() <= 0.9 * first.abs() + rounding, "{last} {first}");
        moves += 1;
    }
    assert!(moves > 10);
}

#[test]
fn gauss_newton_solves_tall_wide_and_deficient_problems() {
    for damping in [1e-3, 0.0] {
        let mut p = parameters(DType::F64, &start(6));
        let f = Objective::least_squares("valley", &p, valley);
        let options = GaussNewtonOptions { damping, ..Default::default() };
        let outcome = run(&mut GaussNewton::new(options).unwrap(), &f, &mut p, 100);
        assert_eq!(outcome.status, Status::Converged);
        assert!(at(&p).iter().all(|x| (x - 1.0).abs() < 1e-8), "{:?}", at(&p));
    }
    // One residual of four parameters, and it sees three of them.
    let mut p = parameters(DType::F64, &[1.0, 2.0, -1.0, 5.0]);
    let f = Objective::least_squares("wide", &p, |_: &Graph, b: &Bound<'_>| {
        (b.get("x")?.narrow(0, 0, 3).sqr().sum(0) - 3.0).reshape(&[1]).ok()
    });
    let outcome = run(&mut GaussNewton::new(Default::default()).unwrap(), &f, &mut p, 50);
    let x = at(&p);
    let sum: f64 = x[..3].iter().map(|x| x * x).sum();
    assert!(outcome.status == Status::Converged && (sum - 3.0).abs() < 1e-8, "{outcome:?} {x:?}");
    assert_eq!(x[3], 5.0);
    // The same column twice: JᵀJ is singular.
    let mut p = parameters(DType::F64, &[3.0, -1.0]);
    let f = Objective::least_squares("twice", &p, |_: &Graph, b: &Bound<'_>| {
        let s = b.get("x")?.sum(());
        (s - 1.0).exp().broadcast_to(&[3]).ok().map(|r| r - 1.0)
    });
    let options = GaussNewtonOptions { damping: 0.0, ..Default::default() };
    let outcome = run(&mut GaussNewton::new(options).unwrap(), &f, &mut p, 50);
    let sum: f64 = at(&p).iter().sum();
    assert!(outcome.status == Status::Converged && (sum - 1.0).abs() < 1e-8, "{outcome:?} {sum}");
}

#[test]
fn saddle_free_newton_is_newton_at_a_minimum() {
    // A subspace of all dimensions on a quadratic: two steps of light damping, for any condition number.
    let mut p = parameters(DType::F64, &[1.0, -2.0, 3.0, 0.5]);
    let f = of(&p, |v| {
        let scales = Tensor::new(&[1.0, 1e2, 1e4, 1e-2], &Device::Cpu);
        scales.map_or(v, |s| 0.5 * (v.graph().constant(&s) * (v - 1.0).sqr()).sum(()))
    });
    let options = NewtonOptions { damping: 1e-9, ..Default::default() };
    let outcome = run(&mut SaddleFreeNewton::new(options).unwrap(), &f, &mut p, 10);
    assert!(outcome.status == Status::Converged && outcome.steps <= 3, "{outcome:?}");
    // A gradient of 1e-8 over the least curvature, 1e-2.
    assert!(at(&p).iter().all(|x| (x - 1.0).abs() <= 1e-6), "{:?}", at(&p));
}

#[test]
fn nothing_hangs_in_single_precision_or_where_the_function_ends() {
    let methods = || -> Vec<Box<dyn Minimizer>> {
        vec![
            Box::new(Lbfgs::new(Default::default()).unwrap()),
            Box::new(SaddleFreeNewton::new(Default::default()).unwrap()),
            Box::new(GaussNewton::new(Default::default()).unwrap()),
        ]
    };
    for mut method in methods() {
        let mut p = parameters(DType::F32, &start(4));
        let f = Objective::least_squares("valley", &p, valley);
        let outcome = run(&mut *method, &f, &mut p, 300);
        assert!(outcome.status != Status::StepLimit && outcome.value < 1e-9, "{outcome:?}");
    }
    // Bounded steps down a line that never ends, and a function that stops being finite.
    for mut method in methods().into_iter().take(2) {
        let mut p = parameters(DType::F64, &[1.0]);
        let f = of(&p, |v| v.sum(()));
        let outcome = run(&mut *method, &f, &mut p, 20);
        assert!(outcome.steps == 20 || outcome.status == Status::Stalled, "{outcome:?}");
        let mut p = parameters(DType::F64, &[1.0]);
        let f = of(&p, |v| (v - 4.0 * v.sqrt()).sum(()));
        let outcome = run(&mut *method, &f, &mut p, 100);
        assert!((at(&p)[0] - 4.0).abs() < 1e-6, "{outcome:?} {:?}", at(&p));
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_run() {
    let make = || -> Vec<Box<dyn Minimizer>> {
        let options = NewtonOptions { subspace: 3, ..Default::default() };
        vec![
            Box::new(Lbfgs::new(LbfgsOptions { memory: 4, ..Default::default() }).unwrap()),
            Box::new(GaussNewton::new(Default::default()).unwrap()),
            Box::new(SaddleFreeNewton::new(options).unwrap()),
            Box::new(Newton::new(options).unwrap()),
        ]
    };
    for i in 0..make().len() {
        for dtype in [DType::F64, DType::F32] {
            let mut p = parameters(dtype, &start(8));
            let f = Objective::least_squares("valley", &p, valley);
            let mut whole = make().swap_remove(i);
            run(&mut *whole, &f, &mut p, 12);
            for stop in [0, 1, 5, 9] {
                let mut first = make().swap_remove(i);
                let mut q = parameters(dtype, &start(8));
                run(&mut *first, &f, &mut q, stop);
                let mut checkpoint = Checkpoint::new();
                first.store(&mut checkpoint, "o.");
                let mut second = make().swap_remove(i);
                second.restore(&checkpoint, "o.", &q).unwrap();
                run(&mut *second, &f, &mut q, 12 - stop);
                let bits = |p: &Parameters| at(p).into_iter().map(f64::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(&q), bits(&p), "method {i}, {dtype:?}, stopped at {stop}");
            }
        }
    }
}

#[test]
fn misuse_is_a_typed_error() {
    let mut p = parameters(DType::F64, &start(4));
    let two = of(&p, |v| v);
    assert!(matches!(two.value(&p), Err(Error::Graph(_))));
    let mut lbfgs = Lbfgs::new(Default::default()).unwrap();
    assert!(matches!(lbfgs.step(&two, &mut p), Err(Error::Graph(_))));
    let plain = Objective::new("valley", &p, half_square);
    let mut gauss_newton = GaussNewton::new(Default::default()).unwrap();
    assert!(matches!(gauss_newton.step(&plain, &mut p), Err(Error::Graph(_))));
    let infinite = of(&p, |v| v.exp().exp().exp().sum(()));
    set(&mut p, &[9.0; 4]);
    let mut free = SaddleFreeNewton::new(Default::default()).unwrap();
    assert!(matches!(free.step(&infinite, &mut p), Err(Error::NotFinite { .. })));
    assert_eq!(at(&p), [9.0; 4]);

    let setting = |result: Result<(), Error>| match result {
        Err(Error::Setting { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let lbfgs = |options| setting(Lbfgs::new(options).map(drop));
    assert_eq!(lbfgs(LbfgsOptions { memory: 0, ..Default::default() }), "memory");
    assert_eq!(lbfgs(LbfgsOptions { decrease: 0.95, ..Default::default() }), "decrease");
    assert_eq!(lbfgs(LbfgsOptions { curvature: 1.0, ..Default::default() }), "curvature");
    let newton = |options| setting(SaddleFreeNewton::new(options).map(drop));
    assert_eq!(newton(NewtonOptions { subspace: 0, ..Default::default() }), "subspace");
    assert_eq!(newton(NewtonOptions { damping: 0.0, ..Default::default() }), "damping");
    let options = GaussNewtonOptions { damping: f64::NAN, ..Default::default() };
    assert_eq!(setting(GaussNewton::new(options).map(drop)), "damping");

    // State of other parameters.
    let mut p = parameters(DType::F64, &start(8));
    let f = Objective::new("valley", &p, half_square);
    let mut lbfgs = Lbfgs::new(Default::default()).unwrap();
    run(&mut lbfgs, &f, &mut p, 3);
    let mut checkpoint = Checkpoint::new();
    lbfgs.store(&mut checkpoint, "o.");
    let other = parameters(DType::F64, &start(4));
    assert!(matches!(lbfgs.restore(&checkpoint, "o.", &other), Err(Error::Parameter { .. })));
    assert!(matches!(lbfgs.restore(&Checkpoint::new(), "o.", &p), Err(Error::Entry { .. })));
    assert_eq!(lbfgs.steps(), 3);
}

fn methods() -> Vec<Box<dyn Minimizer>> {
    vec![
        Box::new(Lbfgs::new(Default::default()).unwrap()),
        Box::new(GaussNewton::new(Default::default()).unwrap()),
        Box::new(SaddleFreeNewton::new(Default::default()).unwrap()),
        Box::new(Newton::new(Default::default()).unwrap()),
    ]
}

#[test]
fn parameters_of_other_names_or_shapes_are_refused() {
    let p = parameters(DType::F64, &start(4));
    let f = Objective::least_squares("valley", &p, valley);
    let mut longer = parameters(DType::F64, &start(6));
    let mut renamed = Parameters::new(1, DType::F64, &Device::Cpu);
    renamed.root().parameter("z", &[4], Initialization::Constant(0.0)).unwrap();
    let mut more = p.clone();
    more.root().parameter("y", &[1], Initialization::Constant(0.0)).unwrap();
    let mut fewer = Parameters::new(1, DType::F64, &Device::Cpu);
    for mut method in methods() {
        for (other, told) in [
            (&mut longer, "`x`: the objective was made for [4], got [6]"),
            (&mut renamed, "`x`: the objective was made for it, got `z`"),
            (&mut more, "`y`: the objective was made without it"),
            (&mut fewer, "`x`: the objective was made for it, and it is missing"),
        ] {
            let error = method.step(&f, other).unwrap_err();
            assert!(matches!(&error, Error::Parameter { .. }), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
    let none = Objective::new("none", &fewer, |graph: &Graph, _: &Bound<'_>| {
        graph.constant(&Tensor::new(2.5, &Device::Cpu)?).ok()
    });
    let error = none.value(&p).unwrap_err().to_string();
    assert!(error.contains("`x`: the objective was made without it"), "{error}");
}

#[test]
fn without_parameters_or_numbers_there_is_nothing_to_do() {
    let mut none = Parameters::new(1, DType::F64, &Device::Cpu);
    let mut empty = parameters(DType::F64, &[]);
    for p in [&mut none, &mut empty] {
        let f = Objective::least_squares("constant", p, |graph: &Graph, b: &Bound<'_>| {
            let two = graph.constant(&Tensor::new(&[2.0], &Device::Cpu)?);
            match b.get("x") {
                Ok(x) => (two + x.sum(())).ok(),
                Err(_) => two.ok(),
            }
        });
        for mut method in methods() {
            let outcome = run(&mut *method, &f, p, 5);
            assert!(outcome.steps == 0 && outcome.value == 2.0, "{outcome:?}");
            assert!(matches!(outcome.status, Status::Converged | Status::Flat), "{outcome:?}");
        }
    }
    // Residuals without an element have nothing to say either.
    let mut p = parameters(DType::F64, &start(4));
    let f = Objective::least_squares("nothing", &p, |_: &Graph, b: &Bound<'_>| {
        b.get("x")?.narrow(0, 0, 0).ok()
    });
    for mut method in methods() {
        let outcome = run(&mut *method, &f, &mut p, 5);
        assert!(outcome.steps == 0 && outcome.value == 0.0, "{outcome:?}");
    }
}

#[test]
fn what_is_not_finite_is_named_with_its_step() {
    let names = ["lbfgs", "gauss_newton", "saddle_free_newton", "newton"];
    for (name, mut method) in names.into_iter().zip(methods()) {
        let mut p = parameters(DType::F64, &[1.0, 4.0]);
        p.root().parameter("a", &[1], Initialization::Constant(1.0)).unwrap();
        let f = Objective::least_squares("roots", &p, |graph: &Graph, b: &Bound<'_>| {
            graph.cat(&[b.get("a")? - 0.5, b.get("x")?.sqrt() + 1.0], 0).ok()
        });
        method.step(&f, &mut p).unwrap();
        let mut told = |x: &[f64], what: &str| {
            set(&mut p, x);
            let error = method.step(&f, &mut p).unwrap_err();
            assert!(matches!(&error, Error::NotFinite { index: 1, .. }), "{error}");
            let error = error.to_string();
            assert!(error.starts_with(&format!("{name}, step 2: {what}")), "{error}");
            assert_eq!(at(&p)[0], 1.0);
        };
        told(&[1.0, 0.0], "the gradient of `x`, at ");
        told(&[1.0, -1.0], "the value at ");
        told(&[1.0, f64::NAN], "the parameter `x` is NaN");
    }
}

#[test]
fn a_spoiled_state_is_refused() {
    let mut p = parameters(DType::F64, &start(4));
    let f = Objective::least_squares("valley", &p, valley);
    let mut all = methods();
    for (i, method) in all.iter_mut().enumerate() {
        run(&mut **method, &f, &mut p, 2);
        let mut whole = Checkpoint::new();
        method.store(&mut whole, "o.");
        let steps = whole.metadata["o.steps"].clone();
        let mut entries = vec![("gradient_tolerance", "NaN"), ("steps", "-1")];
        entries.extend(match i {
            0 => vec![("pairs", "11"), ("pairs", "99999999999999999999")],
            1 => vec![("current_damping", "NaN"), ("growth", "0"), ("floor", "NaN")],
            2 => vec![("current_damping", "NaN"), ("current_damping", "-1"), ("radius", "NaN")],
            _ => vec![("damping", "0"), ("subspace", "0")],
        });
        for (name, text) in entries {
            let mut spoiled = whole.clone();
            spoiled.metadata.insert(format!("o.{name}"), text.into());
            let error = method.restore(&spoiled, "o.", &p).unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        for name in whole.tensors.keys() {
            let mut spoiled = whole.clone();
            let bad = Tensor::new(&[0.0, f64::NAN, 0.0, 0.0], &Device::Cpu).unwrap();
            spoiled.tensors.insert(name.clone(), bad);
            let error = method.restore(&spoiled, "o.", &p).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("is NaN at index 1"), "{error}");
        }
        let mut after = Checkpoint::new();
        method.store(&mut after, "o.");
        assert_eq!((&after.metadata, &after.metadata["o.steps"]), (&whole.metadata, &steps));
    }
}
