//! Where conic programs are not differentiable: flags, both one-sided derivatives, policies.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::degenerate::all;
use common::problems::{Problem, apart};
use common::random::Random;
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicSolution, ConicTangent, Pattern};
use pullback_diffopt::{Degenerate, Error};

/// x = the point of the cone next to c, with its values: P = I, A = −I, q = −c, b = 0.
struct Projection {
    conic: Conic,
    identity: Vec<f64>,
    minus: Vec<f64>,
}

impl Projection {
    fn new(cone: Cone) -> Self {
        let k = cone.dimension();
        let eye = |x: f64| -> Vec<f64> {
            (0..k * k).map(|i| if i % (k + 1) == 0 { x } else { 0.0 }).collect()
        };
        let (p, identity) = Pattern::of_dense(k, k, &eye(1.0)).unwrap();
        let (a, minus) = Pattern::of_dense(k, k, &eye(-1.0)).unwrap();
        Projection { conic: Conic::new(p, a, vec![cone]).unwrap(), identity, minus }
    }

    fn solve(&self, c: &[f64]) -> Arc<ConicSolution> {
        let q: Vec<f64> = c.iter().map(|c| -c).collect();
        let b = vec![0.0; c.len()];
        let data = ConicData { p: &self.identity, q: &q, a: &self.minus, b: &b };
        Arc::new(self.conic.solve(1, &data).unwrap())
    }
}

/// Cones with points at a kink of their projection, and the rows that are named.
fn kinks() -> Vec<(Cone, Vec<f64>, usize)> {
    let on_curve = [-0.5, 1.0, (-0.5f64).exp()];
    let polar = [0.5f64.exp(), 0.5 * 0.5f64.exp(), -1.0];
    vec![
        (Cone::NonNegative(3), vec![1.0, 0.0, -1.0], 1),
        (Cone::SecondOrder(3), vec![1.0, 1.0, 0.0], 0),
        (Cone::SecondOrder(3), vec![-1.0, 1.0, 0.0], 0),
        (Cone::SecondOrder(3), vec![0.0; 3], 0),
        (Cone::Semidefinite(2), vec![1.0, 0.0, 0.0], 0),
        (Cone::Semidefinite(3), vec![1.0, 0.0, 0.0, 0.0, 0.0, -2.0], 0),
        (Cone::Exponential, on_curve.to_vec(), 0),
        (Cone::Exponential, polar.to_vec(), 0),
        (Cone::Power(0.3), vec![1.0, 2.0, 2f64.powf(0.7)], 0),
        (Cone::Power(0.3), vec![-0.3, -0.7, 1.0], 0),
    ]
}

#[test]
fn kinks_of_cones_are_flagged_and_have_both_one_sided_derivatives() {
    let mut random = Random::new(1);
    for (cone, c, row) in kinks() {
        let projection = Projection::new(cone);
        let solution = projection.solve(&c);
        assert!(solution.is_solved(0), "{cone:?}: {}", solution.status(0));
        let certificate = solution.certificate(0).unwrap();
        assert_eq!(certificate.weakly_active, [row], "{cone:?} at {c:?}: {certificate:?}");
        assert!(!certificate.is_differentiable() && certificate.unique_multipliers, "{cone:?}");
        assert!(!solution.estimate(0).unwrap().is_differentiable());
        for _ in 0..10 {
            let d = random.normals(c.len());
            let h = 1e-6;
            let moved: Vec<f64> = c.iter().zip(&d).map(|(c, d)| c + h * d).collect();
            let there = projection.solve(&moved);
            let want: Vec<f64> =
                there.x(0).iter().zip(solution.x(0)).map(|(a, b)| (a - b) / h).collect();
            let q: Vec<f64> = d.iter().map(|d| -d).collect();
            let direction = ConicData { q: &q, ..ConicData::default() };
            let got = solution.directional(&direction).unwrap();
            let off = |a: &[f64], b: &[f64]| {
                a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
            };
            assert!(off(&got.x, &want) < 1e-4, "{cone:?} at {c:?} along {d:?}: {got:?} {want:?}");
            // Twice as far is twice as much, and the one-sided policy takes the same side.
            let twice: Vec<f64> = q.iter().map(|q| 2.0 * q).collect();
            let twice = ConicData { q: &twice, ..ConicData::default() };
            let double: Vec<f64> = got.x.iter().map(|x| 2.0 * x).collect();
            assert!(off(&solution.directional(&twice).unwrap().x, &double) < 1e-7);
            let policy = Degenerate::OneSided(vec![vec![], q.clone(), vec![], vec![]]);
            let pushed = solution.derivative(&policy).unwrap().push(&direction).unwrap();
            assert!(off(&pushed.x, &got.x) < 1e-6, "{cone:?} at {c:?}: {pushed:?} {got:?}");
            assert!(off(&pushed.z, &got.z) < 1e-6, "{cone:?} at {c:?}");
        }
    }
}

#[test]
fn policies_of_cones() {
    for (cone, c, _) in kinks() {
        let solution = Projection::new(cone).solve(&c);
        let k = c.len();
        // The whole matrix ∂x/∂(q, b).
        let matrix = |policy: Degenerate| -> Result<Vec<f64>, Error> {
            let derivative = solution.derivative(&policy)?;
            let mut out = Vec::new();
            for i in 0..k {
                let mut x = vec![0.0; k];
                x[i] = 1.0;
                let cotangent = ConicTangent { x, z: vec![] };
                let [_, q, _, b] = derivative.pull(&cotangent, [true; 4], [false; 4])?;
                out.extend(q.into_iter().chain(b));
            }
            Ok(out)
        };
        assert!(matches!(matrix(Degenerate::Refuse), Err(Error::NotDifferentiable { .. })));
        let [up, down, mean, least] = [
            Degenerate::Active,
            Degenerate::Inactive,
            Degenerate::Average,
            Degenerate::MinimumNorm,
        ]
        .map(|p| matrix(p).unwrap());
        assert!(apart(&up, &down) > 1e-2, "{cone:?}");
        let middle: Vec<f64> = up.iter().zip(&down).map(|(a, b)| 0.5 * (a + b)).collect();
        assert!(apart(&middle, &mean) < 1e-12, "{cone:?}");
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        for other in [&up, &down, &mean] {
            assert!(norm(&least) <= norm(other) + 1e-12, "{cone:?} at {c:?}");
        }
        // On the central path the derivative is between the two sides at a kink, and symmetric in them for half-lines.
        let central = matrix(Degenerate::CentralPath(1e-8)).unwrap();
        assert!(central.iter().all(|x| x.is_finite()), "{cone:?}");
        for bad in [
            Degenerate::CentralPath(0.0),
            Degenerate::CentralPath(f64::NAN),
            Degenerate::OneSided(vec![]),
        ] {
            assert!(matches!(matrix(bad), Err(Error::Invalid { .. })), "{cone:?}");
        }
    }
}

#[test]
fn pieces_at_a_kink_are_the_derivatives_on_its_sides() {
    let mut random = Random::new(2);
    // All but the cones' apexes have one axis of kinks, and so two pieces.
    for (cone, c, _) in kinks().into_iter().filter(|(_, c, _)| c.iter().any(|c| *c != 0.0)) {
        let solution = Projection::new(cone).solve(&c);
        let mut seen = [0; 2];
        for _ in 0..20 {
            let q = random.normals(c.len());
            let along = ConicData { q: &q, ..ConicData::default() };
            let want = solution.directional(&along).unwrap();
            let off = |policy: Degenerate| {
                let pushed = solution.derivative(&policy).unwrap().push(&along).unwrap();
                apart(&pushed.x, &want.x).max(apart(&pushed.z, &want.z))
            };
            let [active, inactive] = [Degenerate::Active, Degenerate::Inactive].map(off);
            assert!(
                active.min(inactive) < 1e-6 && 1e-4 < active.max(inactive),
                "{cone:?} at {c:?} along {q:?}: off by {active:e} and {inactive:e}"
            );
            seen[usize::from(inactive < active)] += 1;
        }
        assert!(seen.iter().all(|s| 3 < *s), "{cone:?} at {c:?}: {seen:?}");
    }
    // On the curve of the exponential cone, z = 0: I − nnᵀ with the normal n where multipliers move.
    let growth = (-0.5f64).exp();
    let solution = Projection::new(Cone::Exponential).solve(&[-0.5, 1.0, growth]);
    let normal = [-growth, -1.5 * growth, 1.0];
    let square: f64 = normal.iter().map(|n| n * n).sum();
    for (policy, share) in [(Degenerate::Active, 1.0), (Degenerate::Average, 0.5)] {
        let derivative = solution.derivative(&policy).unwrap();
        for i in 0..3 {
            let mut x = vec![0.0; 3];
            x[i] = 1.0;
            let cotangent = ConicTangent { x, z: vec![] };
            let [_, q, ..] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
            for j in 0..3 {
                let identity = f64::from(u8::from(i == j));
                let want = identity - share * normal[i] * normal[j] / square;
                assert!((-q[j] - want).abs() < 1e-6, "{policy:?} ({i}, {j}): {}, {want}", -q[j]);
            }
        }
    }
}

#[test]
fn a_loose_row_makes_no_kink_of_others() {
    // min ½‖x‖² − 2x₀ − ½x₁ − … s.t. 0 ≤ x ≤ 1 in six dimensions, and Σx ≤ 10⁸ or less.
    let n = 6;
    let mut rows = vec![0.0; 13 * n];
    for j in 0..n {
        (rows[j * n + j], rows[(n + j) * n + j], rows[12 * n + j]) = (1.0, -1.0, 1.0);
    }
    let eye: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0))).collect();
    let (p, p_values) = Pattern::of_dense(n, n, &eye).unwrap();
    let (a, a_values) = Pattern::of_dense(13, n, &rows).unwrap();
    let conic = Conic::new(p, a, vec![Cone::NonNegative(13)]).unwrap();
    let q = [-2.0, -0.5, 1.0, -1.0, 0.0, -0.25];
    for far in [10.0, 1e4, 1e8, 1e10] {
        let mut b = [1.0; 13];
        b[n..12].fill(0.0);
        b[12] = far;
        let data = ConicData { p: &p_values, q: &q, a: &a_values, b: &b };
        let solution = Arc::new(conic.solve(1, &data).unwrap());
        assert!(solution.is_solved(0), "{far:e}: {}", solution.status(0));
        assert!(apart(solution.x(0), &[1.0, 0.5, 0.0, 1.0, 0.0, 0.25]) < 1e-9, "{far:e}");
        // x₃ at its bound and x₄ at its own without pressure.
        let certificate = solution.certificate(0).unwrap();
        assert_eq!(certificate.weakly_active, [3, n + 4], "{far:e}: {certificate:?}");
        assert_eq!(certificate.strongly_active, [0, n + 2], "{far:e}: {certificate:?}");
        let derivative = solution.derivative(&Degenerate::Average).unwrap();
        let cotangent = ConicTangent { x: vec![1.0; n], z: vec![] };
        let [_, dq, _, db] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
        assert!(apart(&dq, &[0.0, -1.0, 0.0, -0.5, -0.5, -1.0]) < 1e-9, "{far:e}: {dq:?}");
        assert!((db[0] - 1.0).abs() < 1e-9 && (db[n + 2] + 1.0).abs() < 1e-9, "{far:e}: {db:?}");
        let side = solution.directional(&ConicData { q: &[1.0; 6], ..ConicData::default() });
        let side = side.unwrap().x;
        assert!(apart(&side, &[0.0, -1.0, 0.0, -1.0, 0.0, -1.0]) < 1e-9, "{far:e}: {side:?}");
    }
}

#[test]
fn a_small_direction_has_the_side_of_a_large_one() {
    for (cone, c, _) in kinks() {
        let solution = Projection::new(cone).solve(&c);
        let q: Vec<f64> = (0..c.len()).map(|i| (1.0 + 2.0 * i as f64).sin()).collect();
        let along = |size: f64| {
            let q: Vec<f64> = q.iter().map(|q| size * q).collect();
            let side = solution.directional(&ConicData { q: &q, ..ConicData::default() }).unwrap();
            let policy = Degenerate::OneSided(vec![vec![], q.clone(), vec![], vec![]]);
            let derivative = solution.derivative(&policy).unwrap();
            let pushed = derivative.push(&ConicData { q: &q, ..ConicData::default() }).unwrap();
            [side.x, pushed.x].map(|x| x.iter().map(|x| x / size).collect::<Vec<f64>>())
        };
        let [want, _] = along(1.0);
        for size in [1e-100, 1e-12, 1e-8, 1e4, 1e12] {
            for got in along(size) {
                assert!(apart(&got, &want) < 1e-6, "{cone:?} at {c:?}, {size:e}: {got:?} {want:?}");
            }
        }
    }
}

#[test]
fn what_is_not_differentiable_is_refused() {
    for case in all() {
        let (conic, [p, q, a, b], _) = as_cones(&case.problem, &case.direction);
        let data = ConicData { p: &p, q: &q, a: &a, b: &b };
        let solution = Arc::new(conic.solve(1, &data).unwrap());
        assert!(!solution.certificate(0).unwrap().is_differentiable(), "{}", case.name);
        let derivative = solution.derivative(&Degenerate::Refuse).unwrap();
        let refusal = derivative.refusal(0);
        assert!(matches!(refusal, Some(Error::NotDifferentiable { .. })), "{}", case.name);
    }
}

#[test]
fn the_central_path_of_a_half_line_is_known() {
    // x(x − θ) = μ: x' = x/(2x − θ).
    let projection = Projection::new(Cone::NonNegative(3));
    let theta = [1.0, -1.0, 0.0];
    let solution = projection.solve(&theta);
    let mu = 1e-3f64;
    let derivative = solution.derivative(&Degenerate::CentralPath(mu)).unwrap();
    let cotangent = ConicTangent { x: vec![1.0; 3], z: vec![] };
    let [_, q, ..] = derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap();
    for (q, t) in q.iter().zip(theta) {
        let x = 0.5 * (t + (t * t + 4.0 * mu).sqrt());
        assert!((-q - x / (2.0 * x - t)).abs() < 1e-9, "{q} at {t}");
    }
    // Near a regular solution it is off by O(μ).
    let program = &common::conic_problems::forty()[30];
    let solution = Arc::new(program.conic.solve(1, &program.data()).unwrap());
    let (n, m) = program.conic.sizes();
    let cotangent = ConicTangent { x: vec![1.0; n], z: vec![0.5; m] };
    let pulled = |policy: Degenerate| {
        let derivative = solution.derivative(&policy).unwrap();
        derivative.pull(&cotangent, [true; 4], [false; 4]).unwrap().concat()
    };
    let exact = pulled(Degenerate::Refuse);
    let [far, near] = [1e-5, 1e-7].map(|mu| apart(&pulled(Degenerate::CentralPath(mu)), &exact));
    assert!(near < 1e-4 && near < 0.1 * far, "{}: {far:e}, {near:e}", program.name);
}

/// A quadratic program as a conic one, with its directions.
fn as_cones(problem: &Problem, direction: &[Vec<f64>; 6]) -> (Conic, [Vec<f64>; 4], [Vec<f64>; 4]) {
    let Problem { n, p, m, .. } = *problem;
    let upper = |q: &[f64]| -> Vec<f64> {
        let mean = |i: usize, j: usize| 0.5 * (q[i * n + j] + q[j * n + i]);
        (0..n).flat_map(|j| (0..=j).map(move |i| (i, j))).map(|(i, j)| mean(i, j)).collect()
    };
    let columns = |rows: &[f64]| -> Vec<f64> {
        (0..n).flat_map(|j| (0..p + m).map(move |i| rows[i * n + j])).collect()
    };
    let starts = (0..=n).map(|j| j * (j + 1) / 2).collect();
    let pattern = Pattern::new(n, n, starts, (0..n).flat_map(|j| 0..=j).collect()).unwrap();
    let cones = vec![Cone::Zero(p), Cone::NonNegative(m)];
    let conic = Conic::new(pattern, Pattern::full(p + m, n), cones).unwrap();
    let values = |d: &[Vec<f64>; 6]| {
        let [q_matrix, q, a, b, g, h] = d;
        let full = |v: &[f64], k: usize| if v.is_empty() { vec![0.0; k] } else { v.to_vec() };
        let rows = [full(a, p * n), full(g, m * n)].concat();
        let right = [full(b, p), full(h, m)].concat();
        [upper(&full(q_matrix, n * n)), full(q, n), columns(&rows), right]
    };
    (conic, values(&problem.data), values(direction))
}

#[test]
fn quadratic_programs_solved_by_hand_have_the_same_flags_and_sides_as_cones() {
    let (mut compared, mut refused) = (0, 0);
    // Cones are not scaled: what is weak is measured in the data's units.
    for case in all().into_iter().filter(|c| !c.name.starts_with("badly scaled")) {
        let name = case.name;
        let (conic, [p, q, a, b], direction) = as_cones(&case.problem, &case.direction);
        let data = ConicData { p: &p, q: &q, a: &a, b: &b };
        let solution = conic.solve(1, &data).unwrap();
        assert!(solution.is_solved(0), "{name}: {}", solution.status(0));
        let certificate = solution.certificate(0).unwrap();
        assert!(!certificate.is_differentiable(), "{name}: {certificate:?}");
        for (sign, want) in [(1.0, &case.plus), (-1.0, &case.minus)] {
            let [p, q, a, b] =
                direction.clone().map(|d| d.iter().map(|d| sign * d).collect::<Vec<f64>>());
            match solution.directional(&ConicData { p: &p, q: &q, a: &a, b: &b }) {
                Ok(got) => {
                    compared += 1;
                    let error = got.x.iter().zip(want).map(|(a, b)| (a - b).abs());
                    let error = error.fold(0.0, f64::max);
                    assert!(error < 1e-7, "{name}, side {sign}: {:?}, not {want:?}", got.x);
                }
                // Where multipliers are not unique there is no vertex to choose among cones.
                Err(Error::NotDifferentiable { .. }) if !certificate.unique_multipliers => {
                    refused += 1;
                }
                Err(e) => panic!("{name}: {e}"),
            }
        }
    }
    assert!(30 <= compared && refused < compared, "{compared} compared, {refused} refused");
}
