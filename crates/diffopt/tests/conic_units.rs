//! Conic programs in other units: the same solutions, derivatives and certificates at every scale of the data.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::conic_problems::forty;
use common::problems::{apart, dot};
use common::random::Random;
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicTangent, Pattern};
use pullback_diffopt::{Degenerate, Status};

/// min −κ(3x₀ + 4x₁) subject to ‖x‖ ≤ r.
fn disc() -> (Conic, Vec<f64>) {
    let dense = [0.0, 0.0, -1.0, 0.0, 0.0, -1.0];
    let (a, values) = Pattern::of_dense(3, 2, &dense).unwrap();
    let conic = Conic::new(Pattern::empty(2, 2), a, vec![Cone::SecondOrder(3)]).unwrap();
    (conic, values)
}

#[test]
fn a_disc_of_any_size_is_the_same_disc() {
    let (conic, a) = disc();
    for r in [1e-150, 1e-30, 1e-12, 1e-7, 1e-3, 1.0, 1e4, 1e8, 1e12, 1e30, 1e150] {
        for k in [1e-100, 1e-12, 1e-8, 1.0, 1e8, 1e12, 1e100] {
            let (q, b) = ([-3.0 * k, -4.0 * k], [r, 0.0, 0.0]);
            let solution =
                conic.solve(1, &ConicData { p: &[], q: &q, a: &a, b: &b }).map(Arc::new).unwrap();
            let at = format!("r = {r:e}, κ = {k:e}");
            assert!(solution.is_solved(0), "{at}: {}", solution.status(0));
            let x = solution.x(0);
            assert!(apart(&[x[0] / r, x[1] / r], &[0.6, 0.8]) < 1e-12, "{at}: {x:?}");
            // z = 5κ(1, −0.6, −0.8), and s = r(1, 0.6, 0.8).
            let z: Vec<f64> = solution.multipliers(0).iter().map(|z| z / (5.0 * k)).collect();
            assert!(apart(&z, &[1.0, -0.6, -0.8]) < 1e-12, "{at}: {z:?}");
            let s: Vec<f64> = solution.slacks(0).iter().map(|s| s / r).collect();
            assert!(apart(&s, &[1.0, 0.6, 0.8]) < 1e-12, "{at}: {s:?}");
            let certificate = solution.certificate(0).unwrap();
            assert!(certificate.is_differentiable(), "{at}: {certificate:?}");
            let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
            // ∂x/∂r = x/r, and ∂x/∂q = −r/(5κ)·(I − x xᵀ/r²).
            let along = ConicData { p: &[], q: &[], a: &[], b: &[1.0, 0.0, 0.0] };
            let dx = derivative.push(&along).unwrap().x;
            assert!(apart(&dx, &[0.6, 0.8]) < 1e-11, "{at}: {dx:?}");
            let cotangent = ConicTangent { x: vec![1.0, 0.0], z: vec![] };
            let [_, dq, _, db] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
            let dq: Vec<f64> = dq.iter().map(|g| g / r * (5.0 * k)).collect();
            assert!(apart(&dq, &[-0.64, 0.48]) < 1e-11, "{at}: {dq:?}");
            assert!((db[0] - 0.6).abs() < 1e-11, "{at}: {db:?}");
        }
    }
}

/// Factors between 10⁻ᵏ and 10ᵏ.
fn factors(random: &mut Random, count: usize, k: f64) -> Vec<f64> {
    (0..count).map(|_| 10f64.powf(k * (2.0 * random.uniform() - 1.0))).collect()
}

/// D, E, the cost's factor and the unknowns' size: x = size·D·x̂, s = size·E⁻¹·ŝ, z = E·ẑ/(c·size).
struct Units {
    d: Vec<f64>,
    e: Vec<f64>,
    c: f64,
    size: f64,
}

impl Units {
    /// One factor of a cone, or one for each row of a product of half-lines.
    fn random(random: &mut Random, n: usize, cones: &[Cone]) -> Self {
        let d = factors(random, n, 3.0);
        let mut e = Vec::new();
        for cone in cones {
            let rows = factors(random, cone.dimension(), 3.0);
            match cone {
                Cone::Zero(_) | Cone::NonNegative(_) => e.extend(rows),
                _ => e.extend(vec![rows[0]; rows.len()]),
            }
        }
        Units { d, e, c: factors(random, 1, 6.0)[0], size: factors(random, 1, 6.0)[0] }
    }

    /// Data (with full patterns, column by column) or directions of them in these units.
    fn data(&self, [p, q, a, b]: [&[f64]; 4]) -> [Vec<f64>; 4] {
        let Units { d, e, c, size } = self;
        let (n, m, cost) = (d.len(), e.len(), 1.0 / (c * size * size));
        let upper = (0..n).flat_map(|j| (0..=j).map(move |i| (i, j)));
        let all = (0..n).flat_map(|j| (0..m).map(move |i| (i, j)));
        let p = upper.zip(p).map(|((i, j), p)| cost * p / (d[i] * d[j])).collect();
        let q = q.iter().zip(d).map(|(q, d)| cost * size * q / d).collect();
        let a = all.zip(a).map(|((i, j), a)| a / (e[i] * d[j])).collect();
        [p, q, a, b.iter().zip(e).map(|(b, e)| size * b / e).collect()]
    }
}

#[test]
fn every_cone_in_other_units_has_the_same_solution_and_derivatives() {
    let mut random = Random::new(7);
    for program in &forty() {
        let name = &program.name;
        let units = Units::random(&mut random, program.conic.sizes().0, &program.cones);
        let Units { d, e, c, size } = &units;
        let given = [&program.p[..], &program.q, &program.a, &program.b];
        let [p, q, a, b] = units.data(given);
        let data = ConicData { p: &p, q: &q, a: &a, b: &b };
        let plain = Arc::new(program.conic.solve(1, &program.data()).unwrap());
        let moved = Arc::new(program.conic.solve(1, &data).unwrap());
        assert!(moved.is_solved(0), "{name}: {}", moved.status(0));
        assert!(moved.residual(0) < 1e-8, "{name}: {:e}", moved.residual(0));
        let x_of =
            |x: &[f64]| -> Vec<f64> { x.iter().zip(d).map(|(x, d)| x / (size * d)).collect() };
        let z_of =
            |z: &[f64]| -> Vec<f64> { z.iter().zip(e).map(|(z, e)| z * c * size / e).collect() };
        let off = apart(&x_of(moved.x(0)), plain.x(0));
        assert!(off < 1e-8, "{name}: {off:e}, residual {:e}", moved.residual(0));
        assert!(apart(&z_of(moved.multipliers(0)), plain.multipliers(0)) < 1e-8, "{name}");
        let certificate = moved.certificate(0).unwrap();
        assert!(certificate.is_differentiable(), "{name}: {certificate:?}");
        // Warm from the solution, nothing is left to do.
        let warm = program.conic.solve_from(&moved, 1, &data).unwrap();
        assert!(warm.is_solved(0) && warm.iterations(0) == 0, "{name}");
        assert!(apart(&x_of(warm.x(0)), plain.x(0)) < 1e-8, "{name}");
        let direction = program.direction(&mut random);
        let [dp, dq, da, db] = units.data([0, 1, 2, 3].map(|k| &direction[k][..]));
        let along = ConicData { p: &dp, q: &dq, a: &da, b: &db };
        let before =
            ConicData { p: &direction[0], q: &direction[1], a: &direction[2], b: &direction[3] };
        for policy in [Degenerate::Refuse, Degenerate::CentralPath(1e-3)] {
            // sᵀz is in units of 1/c.
            let here = match &policy {
                Degenerate::CentralPath(mu) => Degenerate::CentralPath(mu / c),
                other => other.clone(),
            };
            let want = plain.derivative(&policy).unwrap().push(&before).unwrap();
            let derivative = moved.derivative(&here).unwrap();
            let found = derivative.push(&along).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(apart(&x_of(&found.x), &want.x) < 1e-6, "{name}, {policy:?}");
            assert!(apart(&z_of(&found.z), &want.z) < 1e-6, "{name}, {policy:?}");
            let (n, m) = program.conic.sizes();
            let cotangent =
                ConicTangent { x: x_of(&random.normals(n)), z: z_of(&random.normals(m)) };
            let pulled = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
            let left = [dot(&cotangent.x, &found.x), dot(&cotangent.z, &found.z)];
            let right = [
                dot(&pulled[0], &dp),
                dot(&pulled[1], &dq),
                dot(&pulled[2], &da),
                dot(&pulled[3], &db),
            ];
            let most = left.iter().chain(&right).fold(0.0f64, |m, x| m.max(x.abs()));
            let error = (left.iter().sum::<f64>() - right.iter().sum::<f64>()).abs() / most;
            assert!(error < 1e-11, "{name}, {policy:?}: the transpose is off by {error:e}");
        }
        let want = plain.directional(&before).unwrap();
        let found = moved.directional(&along).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(apart(&x_of(&found.x), &want.x) < 1e-6, "{name}: directional");
    }
}

#[test]
fn a_kink_is_a_kink_in_every_unit() {
    // min ½(x − θ)² subject to x ≥ 0 at θ = 0, beside a y that says how large numbers are: min ½(y − u)².
    let (p, _) = Pattern::of_dense(2, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let (a, a_values) = Pattern::of_dense(1, 2, &[-1.0, 0.0]).unwrap();
    let conic = Conic::new(p, a, vec![Cone::NonNegative(1)]).unwrap();
    for u in [1e-12, 1e-6, 1.0, 1e6, 1e12] {
        for (theta, weak) in [(0.0, true), (1e-3, false), (-1e-3, false)] {
            let q = [-theta * u, -u];
            let data = ConicData { p: &[1.0, 1.0], q: &q, a: &a_values, b: &[0.0] };
            let solution = Arc::new(conic.solve(1, &data).unwrap());
            let estimate = solution.estimate(0).unwrap();
            assert_eq!(estimate.weakly_active, weak, "θ = {theta}·{u:e}: {estimate:?}");
            let side = |sign: f64| {
                let q = [sign * u, 0.0];
                let along = ConicData { q: &q, ..ConicData::default() };
                solution.directional(&along).unwrap().x[0] / u
            };
            let (one, other) = (side(-1.0), side(1.0));
            let want = match theta {
                0.0 => (1.0, 0.0),
                t if t > 0.0 => (1.0, -1.0),
                _ => (0.0, 0.0),
            };
            assert!(
                (one - want.0).abs() < 1e-9 && (other - want.1).abs() < 1e-9,
                "{u:e}: {one} {other}"
            );
            // ∂x/∂θ at μ = u²: x = ½(θ + √(θ² + 4μ)).
            let smooth = solution.derivative(&Degenerate::CentralPath(u * u)).unwrap();
            let along = ConicData { q: &[-1.0, 0.0], ..ConicData::default() };
            let slope = smooth.push(&along).unwrap().x[0];
            let want = 0.5 * (1.0 + theta / (theta * theta + 4.0f64).sqrt());
            assert!((slope - want).abs() < 1e-9, "θ = {theta}·{u:e}: {slope}, not {want}");
        }
    }
}

#[test]
fn proofs_are_in_the_users_units() {
    // x ≥ 2r and x ≤ r, with rows of very different size.
    let (a, _) = Pattern::of_dense(2, 1, &[-1.0, 1.0]).unwrap();
    let conic = Conic::new(Pattern::empty(1, 1), a, vec![Cone::NonNegative(2)]).unwrap();
    for (r, row) in [(1e-9, 1e6), (1e-6, 1e-6), (1e9, 1e5), (1.0, 1e-8), (1e6, 1.0)] {
        let (a, b) = ([-row, 1.0], [-2.0 * r * row, r]);
        let solution = conic.solve(1, &ConicData { p: &[], q: &[1.0], a: &a, b: &b }).unwrap();
        assert_eq!(*solution.status(0), Status::PrimalInfeasible, "r = {r:e}, row = {row:e}");
        let z = solution.proof(0).unwrap();
        let most = (z[0] * row).max(z[1]);
        assert!(z[0] >= 0.0 && z[1] >= 0.0, "{z:?}");
        assert!((z[1] - row * z[0]).abs() < 1e-6 * most, "Aᵀz at r = {r:e}: {z:?}");
        assert!(b[0] * z[0] + b[1] * z[1] < 0.0, "bᵀz at r = {r:e}: {z:?}");
    }
    // min −κx subject to −ρx ≤ ρ.
    let (a, _) = Pattern::of_dense(1, 1, &[-1.0]).unwrap();
    let conic = Conic::new(Pattern::empty(1, 1), a, vec![Cone::NonNegative(1)]).unwrap();
    for (k, row) in [(1e-9, 1e6), (1e9, 1e-6), (1e-9, 1e-9)] {
        let data = ConicData { p: &[], q: &[-k], a: &[-row], b: &[row] };
        let solution = conic.solve(1, &data).unwrap();
        assert_eq!(*solution.status(0), Status::DualInfeasible, "κ = {k:e}, row = {row:e}");
        assert!(solution.proof(0).unwrap()[0] > 0.0);
    }
}
