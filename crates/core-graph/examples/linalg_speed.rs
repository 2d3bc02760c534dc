//! Times of the batched linear algebra kernels: `cargo run --release -p pullback-core-graph --example linalg_speed`.

#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::time::Instant;

use pullback_core_graph::kernel::linalg;

fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 5 || (start.elapsed().as_millis() < 200 && rounds < 2000) {
        let t = Instant::now();
        work();
        best = best.min(t.elapsed().as_secs_f64());
        rounds += 1;
    }
    best
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| {
        for (batch, n) in
            [(1024, 3), (1024, 6), (1024, 8), (1024, 16), (1024, 32), (256, 64), (4, 128), (4, 512)]
        {
            let mut state = 1u64;
            let mut random = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            };
            let mut a: Vec<f64> = (0..batch * n * n).map(|_| random()).collect();
            for m in 0..batch {
                for i in 0..n {
                    a[m * n * n + i * n + i] += n as f64;
                }
            }
            let b: Vec<f64> = (0..batch * n).map(|_| random()).collect();
            let (mut l, mut x) = (a.clone(), b.clone());
            let seconds = best(|| {
                let _ = linalg::solve_positive_definite(batch, n, 1, &a, &b, &mut l, &mut x);
            });
            let n3 = (n * n * n) as f64;
            let flops = batch as f64 * (n3 / 3.0 + 2.0 * (n * n) as f64);
            println!(
                "cholesky + solve  {batch:5} × {n:3}: {:10.1} µs  {:6.2} GFLOP/s",
                seconds * 1e6,
                flops / seconds / 1e9
            );
        }
    });
    Ok(())
}
