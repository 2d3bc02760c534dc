//! Nanoseconds per element of each elementary function in a batch of 1024 on one thread, the machine's own cost
//! (the row "none") included, beside the standard library's:
//! `cargo run --release -p pullback-graph --example elementary_speed`.
#![allow(clippy::print_stdout)] // it measures and tells

use std::hint::black_box;
use std::time::Instant;

use pullback_graph::{Expr, Real, Result, Tape, Workspace};

const BATCH: usize = 1024;
/// Copies of the function in one tape, of an argument times 0.90, 0.91, …, so that loads and stores weigh little.
const COPIES: usize = 8;

/// Name, on expressions, on numbers, and the range of the arguments.
type Case = (&'static str, fn(Expr<'_>) -> Expr<'_>, fn(f64) -> f64, f64, f64);

const CASES: [Case; 20] = [
    ("none", |a| a, |a| a, -1.0, 1.0),
    ("exp", |a| a.exp(), f64::exp, -5.0, 5.0),
    ("exp_m1", |a| a.exp_m1(), f64::exp_m1, -5.0, 5.0),
    ("ln", |a| a.ln(), f64::ln, 0.01, 10.0),
    ("ln_1p", |a| a.ln_1p(), f64::ln_1p, -0.9, 10.0),
    ("sin", |a| a.sin(), f64::sin, -4.0, 4.0),
    ("cos", |a| a.cos(), f64::cos, -4.0, 4.0),
    ("tan", |a| a.tan(), f64::tan, -4.0, 4.0),
    ("asin", |a| a.asin(), f64::asin, -1.0, 1.0),
    ("acos", |a| a.acos(), f64::acos, -1.0, 1.0),
    ("atan", |a| a.atan(), f64::atan, -4.0, 4.0),
    ("sinh", |a| a.sinh(), f64::sinh, -5.0, 5.0),
    ("cosh", |a| a.cosh(), f64::cosh, -5.0, 5.0),
    ("tanh", |a| a.tanh(), f64::tanh, -5.0, 5.0),
    ("asinh", |a| a.asinh(), f64::asinh, -5.0, 5.0),
    ("acosh", |a| a.acosh(), f64::acosh, 1.2, 10.0),
    ("atanh", |a| a.atanh(), f64::atanh, -0.99, 0.99),
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
        let factor = |i: usize| 0.9 + 0.01 * i as f64;
        let tape = Tape::record(1, |x| {
            let all = (0..COPIES).map(|i| expression(x[0] * factor(i)));
            all.reduce(|sum, y| sum + y).into_iter().collect()
        })?;
        let part = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract();
        let x: Vec<f64> = (0..BATCH).map(|i| low + (high - low) * part(i)).collect();
        let (mut y, mut workspace) = (vec![0.0; BATCH], Workspace::new(&tape));
        let ours = best(|| tape.run(BATCH, black_box(&x), &mut y, &mut workspace))?;
        let theirs = best(|| {
            for (y, x) in y.iter_mut().zip(black_box(&x)) {
                *y = (0..COPIES).map(|i| number(x * factor(i))).sum();
            }
            black_box(&y);
            Ok(())
        })?;
        println!("{name:9} {ours:8.2} {theirs:7.2} {:6.2}", ours / theirs);
    }
    Ok(())
}
