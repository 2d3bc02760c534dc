//! What methods with second derivatives do at saddles, and what they say of critical points.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/objectives.rs"]
mod objectives;

use objectives::{of, parameters, run, set};
use pullback_core_graph::Var;
use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_nn::Parameters;
use pullback_nn::optimizer::{
    Minimizer as _, Newton, NewtonOptions, Objective, SaddleFreeNewton, Status,
};

/// x² − y² + ¼y⁴: a saddle at the origin, minima of −1 at y = ±√2.
fn saddle(v: Var<'_>) -> Var<'_> {
    let (x, y) = (v.get(0, 0), v.get(0, 1));
    x.sqr() - y.sqr() + 0.25 * y.sqr().sqr()
}

/// x³ − 3xy² + ¼(x² + y²)²: a saddle with three ways down, without curvature at the origin; minima of −6.75.
fn monkey(v: Var<'_>) -> Var<'_> {
    let (x, y) = (v.get(0, 0), v.get(0, 1));
    x.cube() - 3.0 * x * y.sqr() + 0.25 * (x.sqr() + y.sqr()).sqr()
}

#[test]
fn newton_stops_at_saddles_and_saddle_free_newton_leaves_them() {
    let options = NewtonOptions::default();
    // On the ridge the gradient never points off it, near it hardly.
    for y in [0.0, 1e-6, 0.1] {
        let mut p = parameters(DType::F64, &[0.5, y]);
        let f = of(&p, saddle);
        let newton = run(&mut Newton::new(options).unwrap(), &f, &mut p, 100);
        assert!(newton.status == Status::Converged && newton.value.abs() < 1e-12, "{newton:?}");
        set(&mut p, &[0.5, y]);
        let free = run(&mut SaddleFreeNewton::new(options).unwrap(), &f, &mut p, 100);
        assert_eq!(free.status, Status::Converged);
        assert!((free.value + 1.0).abs() < 1e-12, "{free:?}");
    }
    let mut p = parameters(DType::F64, &[0.3, 0.003]);
    let f = of(&p, monkey);
    let newton = run(&mut Newton::new(options).unwrap(), &f, &mut p, 100);
    assert!(newton.value.abs() < 1e-9, "{newton:?}");
    set(&mut p, &[0.3, 0.003]);
    let free = run(&mut SaddleFreeNewton::new(options).unwrap(), &f, &mut p, 100);
    assert!((free.value + 6.75).abs() < 1e-10, "{free:?}");
}

#[test]
fn a_point_without_slope_and_curvature_is_reported_not_invented() {
    let mut p = parameters(DType::F64, &[0.0, 0.0]);
    let f = of(&p, monkey);
    let outcome = run(&mut SaddleFreeNewton::new(Default::default()).unwrap(), &f, &mut p, 10);
    assert_eq!((outcome.status, outcome.steps), (Status::Flat, 0));
}

/// ½Σdᵢxᵢ² + ¼Σxᵢ⁴ with d from 0 to 1 evenly and one −3·10⁻³ among a thousand: a saddle at the origin that few directions show.
fn hidden_saddle() -> (Parameters, Objective) {
    let p = parameters(DType::F64, &[0.0; 1000]);
    let mut d: Vec<f64> = (0..1000).map(|i| f64::from(i) / 999.0).collect();
    d[0] = -3e-3;
    let f = of(&p, move |v| {
        let d = v.graph().constant(&Tensor::new(d.as_slice(), &Device::Cpu).unwrap());
        (0.5 * d * v.sqr() + 0.25 * v.sqr().sqr()).sum(())
    });
    (p, f)
}

#[test]
fn a_way_down_that_the_first_subspace_misses_is_found_before_convergence_is_said() {
    let mut missed = 0;
    for seed in 0..4 {
        let options = NewtonOptions { seed, ..Default::default() };
        let (mut p, f) = hidden_saddle();
        let seen = Newton::new(options).unwrap().step(&f, &mut p).unwrap();
        let unseen = seen.curvature.unwrap()[0] > 0.0;
        missed += usize::from(unseen);
        let mut free = SaddleFreeNewton::new(options).unwrap();
        let first = free.step(&f, &mut p).unwrap();
        assert_eq!(first.status, Status::Running, "{first:?}");
        let most = if unseen { -2.9e-3 } else { 0.0 };
        assert!(first.curvature.unwrap()[0] < most && first.next_value < 0.0, "{first:?}");
        let end = run(&mut free, &f, &mut p, 100);
        // x₀² = 3·10⁻³, all others 0.
        let minimum = -0.25 * 3e-3f64.powi(2);
        assert_eq!(end.status, Status::Converged);
        assert!((end.value - minimum).abs() < 1e-10, "{end:?}");
    }
    assert!(missed >= 2, "twenty directions saw it all but {missed} times");
}

#[test]
fn newton_says_what_curvature_it_stopped_at() {
    let mut p = parameters(DType::F64, &[0.0, 0.0]);
    let f = of(&p, saddle);
    let stopped = Newton::new(Default::default()).unwrap().step(&f, &mut p).unwrap();
    assert_eq!(stopped.status, Status::Converged);
    let [low, high] = stopped.curvature.unwrap();
    assert!((low + 2.0).abs() < 1e-12 && (high - 2.0).abs() < 1e-12, "{stopped:?}");
}
