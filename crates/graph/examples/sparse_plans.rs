//! What a path problem of a 7-joint arm costs, to prepare and to evaluate, on one thread:
//! `cargo run --release -p pullback-graph --example sparse_plans`; with a path, writes the coloured pattern there as SVG.
#![allow(clippy::print_stdout)] // it measures and tells

use std::time::Instant;

use pullback_graph::sparsity::{
    Coloring, HessianPlan, JacobianPlan, Mode, NormalPlan, Order, PlanOptions, svg,
};
use pullback_graph::{Real, Result, Tape};

#[path = "../tests/common/arm.rs"]
mod arm;

/// The best of 40 runs, in µs.
fn time<T>(name: &str, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    let (mut best, mut last) = (f64::INFINITY, None);
    for _ in 0..40 {
        let start = Instant::now();
        last = Some(run()?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<44} {:>9.1} µs", best * 1e6);
    last.map_or_else(run, Ok)
}

/// Σ r² over the residuals.
fn cost_of<T: Real>(q: &[T]) -> T {
    arm::path(q).iter().map(|r| r.sqr()).fold(T::lit(0.0), |sum, r| sum + r)
}

fn main() -> Result<()> {
    let n = 700;
    let tape = Tape::record(n, |q| arm::path(q))?;
    let cost = Tape::record(n, |q| vec![cost_of(q)])?;
    let pattern = time("pattern of the Jacobian", || Ok(tape.jacobian_pattern()))?;
    let second = time("pattern of the Hessian, gradient included", || Ok(cost.hessian_pattern()))?;
    println!("{} and {} entries", pattern.len(), second.len());
    for order in Order::ALL {
        let name = |what: &str| format!("{what} {order:?}");
        let columns = time(&name("columns"), || Ok(Coloring::columns(&pattern, order)))?;
        let rows = time(&name("rows"), || Ok(Coloring::rows(&pattern, order)))?;
        let star = time(&name("star"), || Coloring::symmetric(&second, order))?;
        let both = Coloring::both(&pattern, order);
        println!(
            "colours: columns {}, rows {}, both {} + {}, star {}",
            columns.colors(),
            rows.colors(),
            both.pushes(),
            both.pulls(),
            star.colors()
        );
    }
    let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
    let (mut y, mut j) = (vec![0.0; tape.outputs()], vec![0.0; pattern.len()]);
    time("values alone", || tape.eval(&x))?;
    for mode in [Mode::Auto, Mode::Forward, Mode::Reverse, Mode::Mixed, Mode::Symbolic] {
        let options = PlanOptions { mode, ..PlanOptions::default() };
        let mut plan = time(&format!("prepare {mode:?}"), || JacobianPlan::new(&tape, options))?;
        time(&plan.to_string(), || plan.value_and_jacobian(&x, &mut y, &mut j))?;
    }
    let normal = time("prepare JᵀJ", || NormalPlan::new(&pattern))?;
    let mut product = vec![0.0; normal.pattern().len()];
    time(&format!("JᵀJ, {} products", normal.products()), || normal.normal(&j, &mut product))?;
    for mode in [Mode::Auto, Mode::Forward, Mode::Symbolic] {
        let options = PlanOptions { mode, order: Order::Natural };
        let mut plan = time(&format!("prepare {mode:?}"), || HessianPlan::new(&cost, options))?;
        let mut h = vec![0.0; plan.pattern().len()];
        time(&plan.to_string(), || plan.hessian(&x, &[1.0], &mut h))?;
    }
    if let Some(path) = std::env::args().nth(1) {
        let coloring = Coloring::columns(&pattern, Order::Natural);
        if std::fs::write(&path, svg(&pattern, Some(&coloring))).is_err() {
            println!("cannot write {path}");
        }
    }
    Ok(())
}
