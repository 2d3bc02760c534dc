//! How a solution moves: the KKT conditions, one Newton step on them, rows that become active, and what is left of derivatives at kinks.
//!
//! `cargo run --release -p examples --bin 15_sensitivity` (with `-- --quick` for coarser curves) prints what it finds and draws it into
//! `target/figures`.
#![allow(clippy::print_stdout)] // an example talks

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use pullback_core_graph::linalg::solve;
use pullback_diffopt::Degenerate;
use pullback_diffopt::qp::{Qp, QpData, QpSolution, QpTangent};
use pullback_graph::plot::{Plot, grid};

fn main() -> Result<()> {
    let points = if std::env::args().any(|a| a == "--quick") { 61 } else { 401 };
    newton_step()?;
    activity_change()?;
    curves(points)
}

/// min ½‖x‖² s.t. x₀ + x₁ = b, x₀ − 2x₁ ≤ −½, at this b.
fn solve_at(b: f64) -> Result<Arc<QpSolution>> {
    let qp = Qp::new(2).equalities(1).inequalities(1);
    let data = QpData::new(
        &[1.0, 0.0, 0.0, 1.0],
        &[0.0, 0.0],
        (&[1.0, 1.0], std::slice::from_ref(&b)),
        (&[1.0, -2.0], &[-0.5]),
    );
    Ok(Arc::new(qp.solve(1, &data)?))
}

/// The residual of the KKT conditions and its derivative, term by term, and dx/db from both.
fn newton_step() -> Result<()> {
    println!("1. min ½‖x‖² s.t. x₀ + x₁ = b, x₀ − 2x₁ ≤ −½, at b = 0.7\n");
    let solution = solve_at(0.7)?;
    let (x, nu, lambda) =
        (solution.x(0), solution.equality_multipliers(0)[0], solution.inequality_multipliers(0)[0]);
    println!("   x* = ({:.6}, {:.6}), ν = {nu:.6}, λ = {lambda:.6}\n", x[0], x[1]);
    let g = x[0] - 2.0 * x[1] + 0.5;
    println!("   residual r(x, λ, ν; b)                          at the solution");
    println!(
        "   ∇f + λ∇g + ν∇h   = (x₀ + λ + ν, x₁ − 2λ + ν)   ({:+.1e}, {:+.1e})",
        x[0] + lambda + nu,
        x[1] - 2.0 * lambda + nu
    );
    println!("   λ·g(x)           = λ(x₀ − 2x₁ + ½)              {:+.1e}", lambda * g);
    println!("   h(x)             = x₀ + x₁ − b                  {:+.1e}\n", x[0] + x[1] - 0.7);
    // Unknowns (x₀, x₁, λ, ν).
    let k = [
        [1.0, 0.0, 1.0, 1.0],
        [0.0, 1.0, -2.0, 1.0],
        [lambda, -2.0 * lambda, g, 0.0],
        [1.0, 1.0, 0.0, 0.0],
    ];
    println!(
        "   its derivative by (x, λ, ν), rows [∇²L  ∇g  ∇h], [λ∇gᵀ  g  0], [∇hᵀ  0  0], and by b:\n"
    );
    let by_b = [0.0, 0.0, 0.0, -1.0];
    for (row, b) in k.iter().zip(by_b) {
        let cells: Vec<String> = row.iter().map(|v| format!("{v:8.4}")).collect();
        println!("   [{} ]   {b:4.1}", cells.concat());
    }
    let flat: Vec<f64> = k.concat();
    let right: Vec<f64> = by_b.iter().map(|b| -b).collect();
    let (mut packed, mut rows, mut step) = ([0.0; 16], [0; 4], [0.0; 4]);
    solve(1, 4, 1, &flat, &right, &mut packed, &mut rows, &mut step)?;
    println!(
        "\n   one Newton step along b: d(x₀, x₁, λ, ν)/db = ({:.6}, {:.6}, {:.6}, {:.6})",
        step[0], step[1], step[2], step[3]
    );
    let derivative = solution.derivative(&Degenerate::Refuse)?;
    let along = QpData::new(&[], &[], (&[], &[1.0]), (&[], &[]));
    let pushed = derivative.push(&along)?;
    println!(
        "   the library's push:                          ({:.6}, {:.6}, {:.6}, {:.6})",
        pushed.x[0], pushed.x[1], pushed.inequality[0], pushed.equality[0]
    );
    let cotangent = QpTangent { x: vec![1.0, 0.0], ..QpTangent::default() };
    let [_, _, _, by_b, _, by_h] = derivative.pull(&cotangent, [true; 6], [false; 6])?;
    println!("   its pull of (1, 0): ∂x₀/∂b = {:.6}, ∂x₀/∂h = {:.6}\n", by_b[0], by_h[0]);
    Ok(())
}

/// The same program where the inequality is about to let go.
fn activity_change() -> Result<()> {
    println!("2. The inequality lets go at b = 1\n");
    println!(
        "   b      x₀       x₁       slack    λ        derivative towards −b        towards +b"
    );
    let one = [1.0];
    let minus = [-1.0];
    for b in [0.6, 0.8, 0.95, 1.0, 1.05, 1.2] {
        let s = solve_at(b)?;
        let side = |d: &[f64]| s.directional(&QpData::new(&[], &[], (&[], d), (&[], &[])));
        let (up, down) = (side(&one)?, side(&minus)?);
        println!(
            "   {b:.2}   {:.4}   {:.4}   {:.4}   {:.4}   ({:+.4}, {:+.4})           ({:+.4}, {:+.4})",
            s.x(0)[0],
            s.x(0)[1],
            s.slacks(0)[0],
            s.inequality_multipliers(0)[0],
            -down.x[0],
            -down.x[1],
            up.x[0],
            up.x[1],
        );
    }
    let certificate = solve_at(1.0)?.certificate(0)?;
    println!("\n   at b = 1: {}", certificate.why_not().unwrap_or_else(|| "differentiable".into()));
    println!(
        "   margin {:.1e}, least singular value of the active rows {:.3}, curvature {:.3}\n",
        certificate.margin, certificate.independence, certificate.curvature
    );
    Ok(())
}

/// S(θ) = argmin ½(x − θ)² s.t. x ≥ 0, and what each policy takes for S′.
fn curves(points: usize) -> Result<()> {
    println!("3. S(θ) = argmin ½(x − θ)² s.t. x ≥ 0, and its derivative by policy\n");
    let theta: Vec<f64> =
        (0..points).map(|i| -1.0 + 2.0 * i as f64 / (points - 1) as f64).collect();
    let minus: Vec<f64> = theta.iter().map(|t| -t).collect();
    let qp = Qp::new(1).inequalities(1);
    let solution =
        Arc::new(qp.solve(points, &QpData::inequalities(&[1.0], &minus, &[-1.0], &[0.0]))?);
    let slopes = |policy: &Degenerate| -> Result<Vec<[f64; 2]>> {
        let cotangent = QpTangent { x: vec![1.0; points], ..QpTangent::default() };
        let wrt = [false, true, false, false, false, false];
        let [_, q, ..] = solution.derivative(policy)?.pull(&cotangent, wrt, [false; 6])?;
        Ok(theta.iter().zip(q).map(|(t, q)| [*t, -q]).collect())
    };
    let middle = points / 2;
    println!("   policy at θ = 0      S′");
    for (name, policy) in [
        ("active", Degenerate::Active),
        ("inactive", Degenerate::Inactive),
        ("average", Degenerate::Average),
        ("minimum norm", Degenerate::MinimumNorm),
        ("central path, 10⁻²", Degenerate::CentralPath(1e-2)),
    ] {
        println!("   {name:<20} {:.4}", slopes(&policy)?[middle][1]);
    }
    match slopes(&Degenerate::Refuse) {
        Err(refusal) => println!("   refuse               {refusal}\n"),
        Ok(_) => println!("   refuse               (no kink on this grid)\n"),
    }
    let values = theta.iter().zip(solution.all_x()).map(|(t, x)| [*t, *x]);
    let values = Plot::new("the solution").axes("θ", "S(θ)").line("max(0, θ)", values);
    let mut derivatives = Plot::new("its derivative")
        .axes("θ", "S′(θ)")
        .line("average at the kink", slopes(&Degenerate::Average)?);
    for mu in [1e-3, 1e-2, 1e-1] {
        derivatives = derivatives
            .dashed(format!("central path, μ = {mu}"), slopes(&Degenerate::CentralPath(mu))?);
    }
    // The two-dimensional program's solution, with its two slopes.
    let path: Vec<(f64, Arc<QpSolution>)> = (0..points)
        .map(|i| 0.4 + 1.2 * i as f64 / (points - 1) as f64)
        .map(|b| Ok((b, solve_at(b)?)))
        .collect::<Result<_>>()?;
    let component = |k: usize| path.iter().map(move |(b, s)| [*b, s.x(0)[k]]);
    let moving = Plot::new("a row lets go at b = 1")
        .axes("b", "x*(b)")
        .line("x₀", component(0))
        .line("x₁", component(1))
        .dashed("λ", path.iter().map(|(b, s)| [*b, s.inequality_multipliers(0)[0]]));
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("15_sensitivity.svg"), grid(3, &[values, derivatives, moving]))?;
    println!("   target/figures/15_sensitivity.svg");
    Ok(())
}
