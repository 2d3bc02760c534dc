//! Times of the batched linear algebra kernels on one thread, beside nalgebra's for the same matrices:
//! `cargo run --release -p pullback-core-graph --example linalg_speed`. GFLOP/s count the textbook number of operations.

#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::hint::black_box;
use std::time::Instant;

use nalgebra::DMatrix;
use pullback_linalg::{self as linalg, LinalgError};

type Work<'a> = Box<dyn FnMut() -> Result<(), LinalgError> + 'a>;

/// The least time of many rounds, in seconds.
fn best(mut work: impl FnMut() -> Result<(), LinalgError>) -> Result<f64, LinalgError> {
    let (mut best, mut rounds, start) = (f64::MAX, 0, Instant::now());
    while rounds < 3 || (start.elapsed().as_millis() < 150 && rounds < 2000) {
        let t = Instant::now();
        work()?;
        best = best.min(t.elapsed().as_secs_f64());
        rounds += 1;
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    println!(
        "{:24} {:>12} {:>12} {:>9} {:>12}",
        "kernel", "matrices", "µs", "GFLOP/s", "nalgebra µs"
    );
    for (batch, n) in
        [(1024, 3), (1024, 6), (1024, 12), (1024, 16), (1024, 32), (64, 64), (2, 128), (1, 512)]
    {
        pool.install(|| compare(batch, n))?;
    }
    Ok(())
}

fn compare(batch: usize, n: usize) -> Result<(), LinalgError> {
    let mut state = 1u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let mut a: Vec<f64> = (0..batch * n * n).map(|_| random()).collect();
    for (index, x) in a.iter_mut().enumerate() {
        *x += if (index % (n * n)).is_multiple_of(n + 1) { n as f64 } else { 0.0 };
    }
    let b: Vec<f64> = (0..batch * n).map(|_| random()).collect();
    let matrices: Vec<_> =
        a.chunks_exact(n * n).map(|a| DMatrix::from_row_slice(n, n, a)).collect();
    let symmetric: Vec<_> =
        matrices.iter().map(|a| a.lower_triangle() + a.lower_triangle().transpose()).collect();
    let (mut p, mut q, mut x, mut rows) = (a.clone(), a.clone(), b.clone(), vec![0; batch * n]);
    let n3 = (n * n * n) as f64;
    let n2 = (n * n) as f64;

    let peer = |work: &dyn Fn(usize)| {
        best(|| {
            (0..batch).for_each(work);
            Ok(())
        })
    };
    let each: [(&str, f64, f64); 6] = [
        ("cholesky + solve", n3 / 3.0 + 2.0 * n2, {
            peer(&|m| {
                drop(black_box(
                    symmetric[m].clone().cholesky().map(|c| c.solve(&matrices[m].column(0))),
                ))
            })?
        }),
        ("lu + solve", n3 * 2.0 / 3.0 + 2.0 * n2, {
            peer(&|m| drop(black_box(matrices[m].clone().lu().solve(&matrices[m].column(0)))))?
        }),
        ("inverse", n3 * 2.0, peer(&|m| drop(black_box(matrices[m].clone().try_inverse())))?),
        ("qr", n3 * 8.0 / 3.0, {
            peer(&|m| {
                let qr = matrices[m].clone().qr();
                drop(black_box((qr.q(), qr.r())));
            })?
        }),
        (
            "symmetric eigen",
            n3 * 9.0,
            peer(&|m| drop(black_box(symmetric[m].clone().symmetric_eigen())))?,
        ),
        ("svd", n3 * 22.0, peer(&|m| drop(black_box(matrices[m].clone().svd(true, true))))?),
    ];
    for (name, flops, other) in each {
        let work: Work<'_> = match name {
            "cholesky + solve" => {
                Box::new(|| linalg::solve_positive_definite(batch, n, 1, &a, &b, &mut p, &mut x))
            }
            "lu + solve" => {
                Box::new(|| linalg::solve(batch, n, 1, &a, &b, &mut p, &mut rows, &mut x))
            }
            "inverse" => Box::new(|| linalg::inverse(batch, n, &a, &mut p)),
            "qr" => Box::new(|| linalg::qr(batch, n, n, &a, &mut p, &mut q)),
            "symmetric eigen" => Box::new(|| linalg::symmetric_eigen(batch, n, &a, &mut x, &mut p)),
            _ => Box::new(|| linalg::svd(batch, n, n, &a, &mut p, &mut x, &mut q)),
        };
        let seconds = best(work)?;
        println!(
            "{name:24} {:>12} {:12.1} {:9.2} {:12.1}",
            format!("{batch}×{n}×{n}"),
            seconds * 1e6,
            batch as f64 * flops / seconds / 1e9,
            other * 1e6
        );
    }
    Ok(())
}
