//! Degenerate quadratic programs: no panic, nothing wrongly solved or proved; those solved by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;
use pullback_diffopt::Status;

use crate::common::degenerate::all;
use crate::common::problems::{Problem, dot};

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let programs = if quick { 500 } else { 10_000 };
    let [mut panics, mut wrong, mut false_proofs, mut open] = [0; 4];
    let [mut solved, mut infeasible, mut unbounded] = [0; 3];
    let mut notes = Vec::new();
    for seed in 0..programs {
        let problem = Problem::degenerate(seed);
        let run = || problem.qp().solve(1, &problem.data());
        let Ok(solution) = catch_unwind(AssertUnwindSafe(run)) else {
            panics += 1;
            continue;
        };
        let solution = solution?;
        match solution.status(0) {
            Status::Solved => {
                solved += 1;
                let (nu, lambda) =
                    (solution.equality_multipliers(0), solution.inequality_multipliers(0));
                let violation = problem.violation(solution.x(0), nu, lambda);
                if violation > 1e-6 || violation.is_nan() {
                    wrong += 1;
                    notes.push(format!("seed {seed}: solved with a violation of {violation:e}"));
                }
            }
            Status::PrimalInfeasible | Status::DualInfeasible => {
                let primal = solution.status(0) == &Status::PrimalInfeasible;
                infeasible += usize::from(primal);
                unbounded += usize::from(!primal);
                let proof = solution.proof(0).unwrap_or_default();
                if !proves(&problem, proof, primal) {
                    false_proofs += 1;
                    notes.push(format!("seed {seed}: {}, not proved", solution.status(0)));
                }
            }
            other => {
                open += 1;
                notes.push(format!("seed {seed}: {other}"));
            }
        }
    }
    explain("degenerate", &notes)?;
    let count = |name: &str, k: usize| {
        Row::new(format!("degenerate QPs, {programs}: {name}"), "programs", k as f64)
    };
    output.push(count("panics", panics).at_most(0.0))?;
    output.push(count("solved wrongly", wrong).at_most(0.0))?;
    output.push(count("false certificates of infeasibility", false_proofs).at_most(0.0))?;
    output.push(count("neither solved nor proved", open))?;
    output.push(count("solved", solved))?;
    output.push(count("proved infeasible", infeasible))?;
    output.push(count("proved unbounded", unbounded))?;
    by_hand(output)
}

/// Is it a proof, in exact terms of the data?
fn proves(problem: &Problem, proof: &[f64], primal: bool) -> bool {
    let [q_matrix, q, a, b, g, h] = &problem.data;
    let n = problem.n;
    let mut defect = 0.0f64;
    let value = if primal {
        let (nu, lambda) = proof.split_at(problem.p.min(proof.len()));
        for j in 0..n {
            let column = |m: &[f64], y: &[f64]| -> f64 {
                y.iter().enumerate().map(|(k, y)| y * m[k * n + j]).sum()
            };
            defect = defect.max((column(a, nu) + column(g, lambda)).abs());
        }
        if lambda.iter().any(|l| *l < 0.0) {
            return false;
        }
        dot(nu, b) + dot(lambda, h)
    } else {
        for row in q_matrix.chunks(n).chain(a.chunks(n)) {
            defect = defect.max(dot(row, proof).abs());
        }
        for row in g.chunks(n) {
            defect = defect.max(dot(row, proof));
        }
        dot(q, proof)
    };
    value < 0.0 && 1e3 * defect <= -value
}

fn by_hand(output: &mut Output) -> Result<()> {
    let cases = all();
    let (mut flagged, mut worst) = (0, 0f64);
    let mut notes = Vec::new();
    for case in &cases {
        let solution = case.problem.qp().solve(1, &case.problem.data())?;
        match solution.certificate(0) {
            Ok(certificate) => flagged += usize::from(!certificate.is_differentiable()),
            Err(e) => notes.push(format!("{}: {e}", case.name)),
        }
        for (sign, want) in [(1.0, &case.plus), (-1.0, &case.minus)] {
            let mut along = case.problem.clone();
            along.data = case.direction.clone().map(|d| d.iter().map(|d| sign * d).collect());
            match solution.directional(&along.data()) {
                Ok(got) => {
                    let off = got.x.iter().zip(want).map(|(a, b)| (a - b).abs());
                    worst = off.fold(worst, crate::worse);
                }
                Err(e) => {
                    worst = f64::INFINITY;
                    notes.push(format!("{}: {e}", case.name));
                }
            }
        }
    }
    explain("by hand", &notes)?;
    let name = format!("degenerate cases by hand, {}: flagged", cases.len());
    output.push(Row::new(name, "cases", flagged as f64).at_least(cases.len() as f64))?;
    let name = "degenerate cases by hand: worst one-sided derivative";
    output.push(Row::new(name, "absolute", worst).at_most(1e-8))
}
