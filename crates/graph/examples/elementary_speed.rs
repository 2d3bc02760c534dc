//! Nanoseconds per element of each elementary function in a batch of 1024 on one thread, beside the standard library's:
//! `cargo run --release -p pullback-graph --example elementary_speed`.
#![allow(clippy::print_stdout)] // it measures and tells

use std::hint::black_box;
use std::time::Instant;

use pullback_graph::{Expr, Real, Result, Tape, Workspace};

const BATCH: usize = 1024;
/// Copies of the function in one tape, so that loads and stores weigh little.
const COPIES: usize = 8;

/// Name, on expressions, on numbers, and the range of the arguments.
type Case = (&'static str, fn(Expr) -> Expr, fn(f64) -> f64, f64, f64);

const CASES: [Case; 20] = [
    ("a + 1", |a| a + 1.0, |a| a + 1.0, -1.0, 1.0),
    ("exp", Real::exp, f64::exp, -5.0, 5.0),
    ("exp_m1", Real::exp_m1, f64::exp_m1, -5.0, 5.0),
    ("ln", Real::ln, f64::ln, 0.01, 10.0),
    ("ln_1p", Real::ln_1p, f64::ln_1p, -0.9, 10.0),
    ("sin", Real::sin, f64::sin, -4.0, 4.0),
    ("cos", Real::cos, f64::cos, -4.0, 4.0),
    ("tan", Real::tan, f64::tan, -4.0, 4.0),
    ("asin", Real::asin, f64::asin, -1.0, 1.0),
    ("acos", Real::acos, f64::acos, -1.0, 1.0),
    ("atan", Real::atan, f64::atan, -4.0, 4.0),
    ("sinh", Real::sinh, f64::sinh, -5.0, 5.0),
    ("cosh", Real::cosh, f64::cosh, -5.0, 5.0),
    ("tanh", Real::tanh, f64::tanh, -5.0, 5.0),
    ("asinh", Real::asinh, f64::asinh, -5.0, 5.0),
    ("acosh", Real::acosh, f64::acosh, 1.0, 10.0),
    ("atanh", Real::atanh, f64::atanh, -0.99, 0.99),
    ("atan2", |a| a.atan2(Expr::lit(0.7)), |a| a.atan2(0.7), -4.0, 4.0),
    ("hypot", |a| a.hypot(Expr::lit(0.7)), |a| a.hypot(0.7), -4.0, 4.0),
    ("pow", |a| a.pow(Expr::lit(1.3)), |a| a.powf(1.3), 0.01, 10.0),
];

/// The best of many, in nanoseconds per function value.
fn best(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..300 {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best * 1e9 / (BATCH * COPIES) as f64)
}

fn main() -> Result<()> {
    println!("function   tape ns  std ns  ratio");
    for (name, expression, number, low, high) in CASES {
        let tape = Tape::record(COPIES, |x| {
            let sum = x.iter().map(|&x| expression(x)).reduce(|sum, y| sum + y);
            sum.into_iter().collect()
        })?;
        let part = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract();
        let x: Vec<f64> = (0..BATCH * COPIES).map(|i| low + (high - low) * part(i)).collect();
        let (mut y, mut workspace) = (vec![0.0; BATCH], Workspace::new(&tape));
        let ours = best(|| tape.run(BATCH, black_box(&x), &mut y, &mut workspace))?;
        let theirs = best(|| {
            for (y, x) in y.iter_mut().zip(black_box(&x).chunks(COPIES)) {
                *y = x.iter().map(|&x| number(x)).sum();
            }
            black_box(&y);
            Ok(())
        })?;
        println!("{name:9} {ours:8.2} {theirs:7.2} {:6.2}", ours / theirs);
    }
    Ok(())
}
