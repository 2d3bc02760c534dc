//! Quadratic programs: gradients against differences of the solution map, the transpose law, polish, isolation of failures.

use std::sync::Arc;

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;
use pullback_diffopt::qp::{QpTangent, Settings};
use pullback_diffopt::{Degenerate, Status};

use crate::common::problems::{Problem, apart, dot};
use crate::common::random::Random;
use crate::worse;

const SIZES: [(usize, usize, usize); 7] =
    [(2, 0, 3), (6, 0, 12), (10, 0, 10), (10, 3, 8), (20, 5, 30), (40, 10, 40), (100, 0, 100)];

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let batch = if quick { 12 } else { 96 };
    let mut random = Random::new(1);
    let (mut worst, mut law, mut programs, mut polished) = (0f64, 0f64, 0, 0);
    let mut failed = Vec::new();
    for (k, (n, p, m)) in SIZES.into_iter().enumerate() {
        let problem = Problem::random(k as u64, (n, p, m, batch), 1e-1);
        let qp = problem.qp();
        let solution = Arc::new(qp.solve(batch, &problem.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        let direction = problem.direction(&mut random);
        let along = Problem { data: direction.clone(), ..problem.clone() };
        let pushed = derivative.push(&along.data())?;
        // Fourth-order differences; shorter steps where a row changes sides in between.
        let steps = [1e-4, 1e-5, 1e-6];
        let differences: Vec<Vec<f64>> = steps
            .iter()
            .map(|h| -> Result<Vec<f64>> {
                let at = |t: f64| -> Result<Vec<f64>> {
                    let moved = problem.moved(&direction, t * h);
                    Ok(qp.solve(batch, &moved.data())?.all_x().to_vec())
                };
                let [a, b, c, d] = [at(-2.0)?, at(-1.0)?, at(1.0)?, at(2.0)?];
                let one = |i: usize| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h);
                Ok((0..a.len()).map(one).collect())
            })
            .collect::<Result<_>>()?;
        for i in 0..batch {
            let rows = i * n..(i + 1) * n;
            let errors =
                differences.iter().map(|d| apart(&d[rows.clone()], &pushed.x[rows.clone()]));
            let error = errors.fold(f64::INFINITY, f64::min);
            if error > 1e-7 || error.is_nan() {
                failed.push(format!("n = {n}, p = {p}, m = {m}, item {i}: {error:e}"));
            }
            worst = worse(worst, error);
            programs += 1;
            polished += usize::from(solution.stats(i).polished);
        }
        let cotangent = QpTangent {
            x: random.normals(batch * n),
            equality: random.normals(batch * p),
            inequality: random.normals(batch * m),
        };
        let pulled = derivative.pull(&cotangent, [true; 6], [false; 6])?;
        let left = dot(&cotangent.x, &pushed.x)
            + dot(&cotangent.equality, &pushed.equality)
            + dot(&cotangent.inequality, &pushed.inequality);
        let right: f64 = pulled.iter().zip(&direction).map(|(a, b)| dot(a, b)).sum();
        law = worse(law, (left - right).abs() / left.abs().max(right.abs()));
    }
    explain("gradients", &failed)?;
    let row = Row::new("QP: programs differentiated", "programs", programs as f64);
    output.push(if quick { row } else { row.at_least(500.0) })?;
    output.push(Row::new("QP: of these polished to rounding", "programs", polished as f64))?;
    let row =
        Row::new("QP: worst derivative against differences of the solution map", "relative", worst);
    output.push(row.at_most(1e-7))?;
    let row = Row::new("QP: ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩", "relative", law);
    output.push(row.at_most(1e-12))?;
    coarse(output)?;
    isolation(output)
}

/// A forward solve at 10⁻⁴ and the polish, against one at 10⁻¹².
fn coarse(output: &mut Output) -> Result<()> {
    let problem = Problem::random(90, (20, 5, 30, 64), 1e-2);
    let cotangent = QpTangent { x: Random::new(2).normals(20 * 64), ..QpTangent::default() };
    let gradients = |tolerance: f64| -> Result<[Vec<f64>; 6]> {
        let qp = problem.qp().settings(Settings { tolerance, ..Settings::default() });
        let solution = Arc::new(qp.solve(64, &problem.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        Ok(derivative.pull(&cotangent, [true; 6], [false; 6])?)
    };
    let (coarse, fine) = (gradients(1e-4)?, gradients(1e-12)?);
    let worst = coarse.iter().zip(&fine).map(|(a, b)| apart(a, b)).fold(0.0, worse);
    let row = Row::new("QP: gradients after a solve at 10⁻⁴ and the polish", "relative", worst);
    output.push(row.at_most(1e-8))
}

fn isolation(output: &mut Output) -> Result<()> {
    let problem = Problem::random(70, (10, 2, 12, 128), 1e-2);
    let before = problem.qp().solve(128, &problem.data())?;
    let mut broken = problem.clone();
    for j in 0..10 {
        broken.data[4][(37 * 12 + 1) * 10 + j] = -broken.data[4][37 * 12 * 10 + j];
    }
    broken.data[5][37 * 12 + 1] = -broken.data[5][37 * 12] - 1.0;
    let after = problem.qp().solve(128, &broken.data())?;
    let told = after.status(37) == &Status::PrimalInfeasible;
    let same = (0..128).filter(|&i| i != 37 && before.x(i) == after.x(i)).count();
    let row = Row::new(
        "QP: items of 128 with the same bits beside an infeasible one",
        "items",
        same as f64,
    );
    output.push(row.at_least(127.0))?;
    let row =
        Row::new("QP: the infeasible one is proved to be so", "items", f64::from(u8::from(told)));
    output.push(row.at_least(1.0))
}
