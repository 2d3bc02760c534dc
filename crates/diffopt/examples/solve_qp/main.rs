//! Solves a quadratic program from a file, and says how its solution moves.
//!
//! `cargo run --release -p pullback-diffopt --example solve_qp -- FILE` reads a QPS file, or an npz archive like those of the Maros–Mészáros
//! problems (P, A in compressed columns, q, l, u, r, shape): min ½xᵀPx + qᵀx + r s.t. l ≤ Ax ≤ u.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program talks

#[path = "../../tests/common/maros_meszaros.rs"]
#[allow(dead_code, unreachable_pub)] // the tests use the rest
mod maros_meszaros;
mod qps;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use maros_meszaros::{Bounded, File};
use pullback_diffopt::Degenerate;
use pullback_diffopt::conic::{ConicData, ConicTangent};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: solve_qp FILE (.qps, or .npz with P, q, A, l, u)");
        return ExitCode::from(2);
    };
    match run(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{path}: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> Result<(), String> {
    let npz = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let file = if npz {
        File::read(path)?
    } else {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        qps::parse(&text)?
    };
    let program = file.conic()?;
    let (n, rows) = program.conic.sizes();
    println!("{}: {n} unknowns, {rows} rows after the bounds were split\n", file.name);
    report(&program)
}

fn report(program: &Bounded) -> Result<(), String> {
    let text = |e: pullback_diffopt::Error| e.to_string();
    let data = ConicData { p: &program.p, q: &program.q, a: &program.a, b: &program.b };
    let solution = Arc::new(program.conic.solve(1, &data).map_err(text)?);
    println!("status       {}", solution.status(0));
    if let Some(proof) = solution.proof(0) {
        println!("proof        {} numbers, verified; largest {:.3e}", proof.len(), largest(proof));
    }
    println!(
        "residual     {:.1e} after {} iterations",
        solution.residual(0),
        solution.iterations(0)
    );
    if !solution.is_solved(0) {
        return Ok(());
    }
    let x = solution.x(0);
    let mut px = vec![0.0; x.len()];
    program.conic.curvature_product(&program.p, x, &mut px);
    let value: f64 = x.iter().zip(&px).zip(&program.q).map(|((x, p), q)| x * (0.5 * p + q)).sum();
    println!("objective    {:.12e}", value + program.constant);
    let certificate = solution.estimate(0).map_err(text)?;
    let active = solution.multipliers(0).iter().filter(|z| 1e-9 < z.abs()).count();
    println!("multipliers  {active} of {} are not 0", solution.multipliers(0).len());
    println!(
        "derivative   {}; relative margin {:.1e}, estimated relative error {:.1e}",
        if certificate.is_differentiable() { "exists" } else { "is one-sided, or not unique" },
        certificate.margin,
        certificate.gradient_error
    );
    // The objective's derivative by the right-hand sides is the multipliers; that of the largest |xᵢ| takes one pull.
    let place = (0..x.len()).max_by(|&a, &b| x[a].abs().total_cmp(&x[b].abs())).unwrap_or(0);
    let mut cotangent = ConicTangent { x: vec![0.0; x.len()], z: vec![] };
    cotangent.x[place] = 1.0;
    let derivative = solution.derivative(&Degenerate::Average).map_err(text)?;
    println!("\nlargest unknown: x[{place}] = {:.6e}; it moves most with", x[place]);
    match derivative.pull(&cotangent, [false, true, false, true], [false; 4]) {
        Ok([_, q, _, b]) => {
            for (name, v) in [("q", &q), ("the right-hand sides", &b)] {
                let mut order: Vec<usize> = (0..v.len()).collect();
                order.sort_by(|&i, &j| v[j].abs().total_cmp(&v[i].abs()));
                let top: Vec<String> =
                    order.iter().take(4).map(|&i| format!("[{i}] {:+.3e}", v[i])).collect();
                println!("  {name}: {}", top.join("  "));
            }
        }
        Err(e) => println!("  no derivative: {e}"),
    }
    Ok(())
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
}
