//! The alternating direction method of multipliers, for programs with semidefinite cones (clarabel needs a Fortran LAPACK for those).
//!
//! > (x, ν): [P + σI, Aᵀ; A, −R⁻¹]·(x, ν) = (σx − q, b − s − R⁻¹z),  s ← Π_K(b − Ax̂ − R⁻¹z),  z ← z + R(Ax̂ + s − b)
//!
//! with over-relaxation Ax̂ = αAx + (1 − α)(b − s). One factorization for many iterations; the penalty R = ρI (1000ρ in equalities) follows the
//! ratio of the residuals. Near the solution Newton's method takes over, quadratically.
//!
//! Source: Garstka, Cannon, Goulart, COSMO: a conic operator splitting method for convex conic problems, 2021; Stellato et al., OSQP, 2020.

use clarabel::algebra::CscMatrix;

use super::cone::Cone;
use super::ldl::Ldl;
use super::problem::{Conic, ConicData};
use super::solution::ConicItem;
use super::solve::{Candidate, Claim};
use crate::Status;

const SIGMA: f64 = 1e-6;
const RELAXATION: f64 = 1.6;
/// Iterations between two looks at the residuals.
const LOOK: usize = 25;

/// Iterates until Newton's method can take over.
pub(super) fn split(problem: &Conic, d: &ConicData<'_>) -> Option<Candidate> {
    let (n, m) = problem.sizes();
    let mut rho = 0.1;
    let mut factor = factored(problem, d, rho)?;
    let (mut x, mut s, mut z) = (vec![0.0; n], vec![0.0; m], vec![0.0; m]);
    let most = 100 * problem.settings.iterations;
    for iteration in 1..=most {
        let mut b = vec![0.0; n + m];
        for j in 0..n {
            b[j] = SIGMA * x[j] - d.q[j];
        }
        for i in 0..m {
            b[n + i] = d.b[i] - s[i] - z[i] / factor.penalty[i];
        }
        let mut next = factor.ldl.solve(&b);
        next.truncate(n);
        let mut ax = vec![0.0; m];
        problem.a.add_product(d.a, &next, &mut ax);
        // Π_K(p) = p + Π_{K*}(−p).
        let minus: Vec<f64> = (0..m)
            .map(|i| {
                let relaxed = RELAXATION * ax[i] + (1.0 - RELAXATION) * (d.b[i] - s[i]);
                relaxed - d.b[i] + z[i] / factor.penalty[i]
            })
            .collect();
        let dual = problem.project(&minus);
        let next_z: Vec<f64> = (0..m).map(|i| factor.penalty[i] * dual[i]).collect();
        let (step_x, step_z): (Vec<f64>, Vec<f64>) = (
            next.iter().zip(&x).map(|(a, b)| a - b).collect(),
            next_z.iter().zip(&z).map(|(a, b)| a - b).collect(),
        );
        s = (0..m).map(|i| dual[i] - minus[i]).collect();
        (x, z) = (next, next_z);
        if iteration % LOOK != 0 {
            continue;
        }
        let candidate = |x: &[f64], z: &[f64], claim: Claim| Candidate {
            x: x.to_vec(),
            z: z.to_vec(),
            s: s.clone(),
            claim,
            iterations: iteration,
        };
        let item = item(&x, &z, &s, iteration);
        let (primal, dual) = residuals(problem, d, &item);
        if primal.max(dual) < 1e-2 {
            let mut polished = item.clone();
            polished.residual = problem.residual(d, &polished);
            problem.polish(d, &mut polished);
            if polished.residual <= problem.settings.tolerance {
                return Some(Candidate {
                    x: polished.x,
                    z: polished.z,
                    s: polished.s,
                    claim: Claim::Solution,
                    iterations: iteration,
                });
            }
        }
        if problem.verified_infeasible(d, &step_z).is_some() {
            return Some(candidate(&x, &step_z, Claim::Infeasible));
        }
        if problem.verified_unbounded(d, &step_x).is_some() {
            return Some(candidate(&step_x, &z, Claim::Unbounded));
        }
        let wanted = (rho * (primal / dual.max(1e-300)).sqrt()).clamp(1e-6, 1e6);
        if iteration % (4 * LOOK) == 0 && !(0.2..=5.0).contains(&(wanted / rho)) {
            rho = wanted;
            factor = factored(problem, d, rho)?;
        }
    }
    Some(Candidate { x, z, s, claim: Claim::Solution, iterations: most })
}

fn item(x: &[f64], z: &[f64], s: &[f64], iterations: usize) -> ConicItem {
    ConicItem {
        x: x.to_vec(),
        z: z.to_vec(),
        s: s.to_vec(),
        v: z.iter().zip(s).map(|(z, s)| z - s).collect(),
        status: Status::Solved,
        residual: f64::INFINITY,
        iterations,
        newton: false,
        proof: Vec::new(),
        units: None,
    }
}

/// Relative primal and dual residuals.
fn residuals(problem: &Conic, d: &ConicData<'_>, item: &ConicItem) -> (f64, f64) {
    let (n, m) = problem.sizes();
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |a, x| a.max(x.abs()));
    let (mut px, mut atz, mut ax) = (vec![0.0; n], vec![0.0; n], vec![0.0; m]);
    problem.p.add_symmetric(d.p, &item.x, &mut px);
    problem.a.add_transposed(d.a, &item.z, &mut atz);
    problem.a.add_product(d.a, &item.x, &mut ax);
    let dual: Vec<f64> = (0..n).map(|j| px[j] + d.q[j] + atz[j]).collect();
    let primal: Vec<f64> = (0..m).map(|i| ax[i] + item.s[i] - d.b[i]).collect();
    (
        largest(&primal) / largest(&ax).max(largest(&item.s)).max(1e-12),
        largest(&dual) / largest(&px).max(largest(d.q)).max(largest(&atz)).max(1e-12),
    )
}

struct Factored {
    ldl: Ldl,
    penalty: Vec<f64>,
}

fn factored(problem: &Conic, d: &ConicData<'_>, rho: f64) -> Option<Factored> {
    let (n, m) = problem.sizes();
    let mut penalty = vec![rho; m];
    for (cone, rows) in problem.blocks() {
        if matches!(cone, Cone::Zero(_)) {
            penalty[rows].fill(1e3 * rho);
        }
    }
    let (mut pointers, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for j in 0..n {
        let mut diagonal = SIGMA;
        for k in problem.p.starts[j]..problem.p.starts[j + 1] {
            if problem.p.indices[k] == j {
                diagonal += d.p[k];
            } else {
                indices.push(problem.p.indices[k]);
                values.push(d.p[k]);
            }
        }
        indices.push(j);
        values.push(diagonal);
        pointers.push(indices.len());
    }
    let (starts, by_rows) = problem.a.by_rows();
    for i in 0..m {
        for &(j, k) in &by_rows[starts[i]..starts[i + 1]] {
            indices.push(j);
            values.push(d.a[k]);
        }
        indices.push(n + i);
        values.push(-1.0 / penalty[i]);
        pointers.push(indices.len());
    }
    let matrix = CscMatrix::new(n + m, n + m, pointers, indices, values);
    Some(Factored { ldl: Ldl::new(&matrix, n)?, penalty })
}
