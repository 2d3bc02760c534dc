//! Seconds of the parts of a layer of quadratic programs: `cargo run --release -p pullback-diffopt --example qp_speed -- 10 10 128 [part]`.
//!
//! Arguments: unknowns, inequalities, batch; with a part's name (`solve`, `warm`, `derivative`, `pull`, `pull_into`) only that one runs, for a profiler.
#![allow(clippy::print_stdout, reason = "a program that prints what it measures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant;

use common::problems::Problem;
use pullback_diffopt::Degenerate;
use pullback_diffopt::qp::QpTangent;

type Failure = Box<dyn std::error::Error>;

/// The mean of as many calls as fit into two seconds, after some to warm up.
fn time(part: &str, mut work: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let wanted = std::env::args().nth(4);
    if wanted.is_some_and(|wanted| wanted != part) {
        return Ok(());
    }
    for _ in 0..20 {
        work()?;
    }
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < 2.0 {
        work()?;
        calls += 1;
    }
    println!("{part:>12} {:10.2} µs", start.elapsed().as_secs_f64() / f64::from(calls) * 1e6);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let number = |k: usize, default: usize| {
        std::env::args().nth(k).map_or(Ok(default), |word| word.parse::<usize>())
    };
    let (n, m, batch) = (number(1, 10)?, number(2, 10)?, number(3, 128)?);
    let problem = Problem::random(1, (n, 0, m, batch), 1e-3);
    let (qp, data) = (problem.qp(), problem.data());
    let cotangent = QpTangent { x: vec![1.0; n * batch], ..QpTangent::default() };
    let wrt = [true, true, false, false, true, true];
    let solution = Arc::new(qp.solve(batch, &data)?);
    time("solve", || Ok(qp.solve(batch, &data).map(|_| ())?))?;
    time("warm", || Ok(qp.solve_from(&solution, batch, &data).map(|_| ())?))?;
    time("derivative", || Ok(solution.derivative(&Degenerate::Average).map(|_| ())?))?;
    let derivative = solution.derivative(&Degenerate::Average)?;
    time("pull", || Ok(derivative.pull(&cotangent, wrt, [false; 6]).map(|_| ())?))?;
    let mut gradients = Default::default();
    time("pull_into", || Ok(derivative.pull_into(&cotangent, wrt, [false; 6], &mut gradients)?))
}
