//! Values against exact solutions, methods against each other, promises of tolerance, states without a value, bad input.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{Random, Visit, apart, dense, dot, each, grid, sparse};
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec, Walls};
use pullback_vin::policy::{best_actions, occupancy, policy_of, rollout};
use pullback_vin::process::{Backup, Csr, Dense, Outlook, Parametric, Process};
use pullback_vin::solve::{
    Method, Settings, Status, evaluate_policy, solve, solve_all, solve_from,
};
use pullback_vin::{Error, Result};
use rand::SeedableRng;

const METHODS: [Method; 4] = [
    Method::Jacobi,
    Method::GaussSeidel,
    Method::PolicyIteration,
    Method::ModifiedPolicyIteration { sweeps: 10 },
];

/// (I − γ·P_π)·V = r_π by dense LU, with the given policy.
fn by_lu<P: Process>(process: &P, policy: &[usize]) -> Vec<f64> {
    let n = process.states();
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n]);
    for s in 0..n {
        a[s * n + s] = 1.0;
        match process.terminal(s) {
            Some(value) => b[s] = value,
            None => {
                b[s] = process.reward(s, policy[s]).unwrap();
                process
                    .successors(s, policy[s], &mut |t, p| a[s * n + t] -= process.discount() * p);
            }
        }
    }
    let mut x = vec![0.0; n];
    let (mut pivots, mut lu) = (vec![0; n], vec![0.0; n * n]);
    pullback_linalg::solve(1, n, 1, &a, &b, &mut lu, &mut pivots, &mut x).unwrap();
    x
}

struct Exact;

impl Visit for Exact {
    fn visit<P: Parametric>(&mut self, name: &str, process: &P) -> Result<()> {
        let solution = solve(process, &Settings::by(Method::PolicyIteration))?;
        assert!(solution.status.is_solved(), "{name}: {}", solution.status);
        let n = process.states();
        if solution.values.iter().all(|v| v.is_finite()) {
            let policy = policy_of(process, &solution.values, Backup::Hard)?;
            let chosen: Vec<usize> =
                (0..n).map(|s| policy.row(s).iter().position(|p| *p == 1.0).unwrap_or(0)).collect();
            let error = apart(&by_lu(process, &chosen), &solution.values);
            assert!(error < 1e-12, "{name}: {error:e} from LU");
        }
        duality(name, process, &solution.values)?;
        for method in METHODS {
            let settings = Settings { tolerance: 1e-11, ..Settings::by(method) };
            let other = solve(process, &settings)?;
            assert!(other.status.is_solved(), "{name}, {method:?}: {}", other.status);
            let error = apart(&other.values, &solution.values);
            assert!(error < 1e-10, "{name}, {method:?}: {error:e}");
            for s in 0..n {
                assert_eq!(other.value(s).is_some(), solution.value(s).is_some());
            }
        }
        Ok(())
    }
}

/// The linear program min Σ V, V(s) ≥ Q(s, a), and its dual: the flow of the policy satisfies it with the same objective.
fn duality<P: Process>(name: &str, process: &P, values: &[f64]) -> Result<()> {
    let n = process.states();
    let mut q = vec![0.0; process.actions()];
    for s in (0..n).filter(|&s| process.terminal(s).is_none() && values[s].is_finite()) {
        process.action_values(s, values, &mut q);
        let top = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(top <= values[s] + 1e-10, "{name}: V({s}) is not feasible");
    }
    let policy = policy_of(process, values, Backup::Hard)?;
    let start: Vec<f64> = values.iter().map(|v| f64::from(u8::from(v.is_finite()))).collect();
    let flow = occupancy(process, &policy, &start)?;
    let earned: f64 = (0..n)
        .filter(|&s| flow[s] != 0.0)
        .map(|s| match process.terminal(s) {
            Some(value) => flow[s] * value,
            None => {
                let taken = policy.row(s).iter().position(|p| *p == 1.0).unwrap();
                flow[s] * process.reward(s, taken).unwrap()
            }
        })
        .sum();
    let primal: f64 = values.iter().filter(|v| v.is_finite()).sum();
    assert!(
        (primal - earned).abs() < 1e-10 * primal.abs().max(1.0),
        "{name}: gap {}",
        primal - earned
    );
    assert!(flow.iter().all(|f| *f >= -1e-12), "{name}: a negative flow");
    Ok(())
}

#[test]
fn every_method_finds_the_exact_values() -> Result<()> {
    each(&mut Exact)
}

#[test]
fn prioritized_is_exact_where_moves_are_certain() -> Result<()> {
    for (name, spec, open) in common::grids() {
        let process = grid(spec, open)?;
        let settled = solve(&process, &Settings::by(Method::Prioritized));
        if spec.slip + spec.stay > 0.0 || open {
            assert!(matches!(settled, Err(Error::Invalid { .. })), "{name}");
            continue;
        }
        let exact = solve(&process, &Settings::by(Method::PolicyIteration))?;
        let error = apart(&settled?.values, &exact.values);
        assert!(error < 1e-13, "{name}: {error:e}");
        // The same through the table of predecessors.
        let csr = Csr::of(&process);
        if let Ok(csr) = csr {
            let again = solve(&csr, &Settings::by(Method::Prioritized))?;
            assert!(apart(&again.values, &exact.values) < 1e-13, "{name}, sparse");
        }
    }
    Ok(())
}

#[test]
fn forms_of_one_process_agree() -> Result<()> {
    let spec =
        GridSpec { slip: 0.2, stay: 0.1, walls: Walls::Stay, discount: 0.9, ..GridSpec::default() };
    let map = GridMap::new(4, 5, vec![false; 20])?;
    let grid = GridProcess::new(map, spec, &[(7, 1.0)])?;
    let sparse = Csr::of(&grid)?;
    let dense = sparse.to_dense()?;
    let exact = solve(&grid, &Settings::default())?.values;
    assert!(apart(&solve(&sparse, &Settings::default())?.values, &exact) < 1e-13);
    assert!(apart(&solve(&dense, &Settings::default())?.values, &exact) < 1e-13);
    Ok(())
}

#[test]
fn the_bound_holds() -> Result<()> {
    for discount in [0.5, 0.9, 0.99] {
        for seed in 0..5 {
            let process = dense(seed, [25, 4], discount, seed % 2 == 0)?;
            let exact = solve(&process, &Settings::by(Method::PolicyIteration))?.values;
            for method in METHODS {
                for tolerance in [1e-1, 1e-3, 1e-6] {
                    let settings = Settings { tolerance, ..Settings::by(method) };
                    let got = solve(&process, &settings)?;
                    let pairs = got.values.iter().zip(&exact);
                    let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    let bound = got.bound.unwrap();
                    assert!(error <= bound + 1e-12 && bound <= tolerance * 1.0001, "{method:?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn states_without_a_value_say_why() -> Result<()> {
    // A closed room on the right, an island of one cell, a wall.
    let map = GridMap::from_text("...#..\n...#..\n...####\n".replace("####", "###").as_str())?;
    let goal = [(0, 0.0)];
    let process = GridProcess::new(map.clone(), GridSpec::default(), &goal)?;
    let room = map.cell(0, 4)?;
    let wall = map.cell(0, 3)?;
    for method in [METHODS[0], METHODS[1], METHODS[2], METHODS[3], Method::Prioritized] {
        let solution = solve(&process, &Settings::by(method))?;
        assert_eq!(solution.outlook(room), Outlook::Unreachable, "{method:?}");
        assert_eq!(solution.outlook(wall), Outlook::DeadEnd);
        assert_eq!(solution.outlook(0), Outlook::Terminal);
        assert_eq!(solution.outlook(2), Outlook::Reaches);
        assert_eq!((solution.value(room), solution.value(2)), (None, Some(-2.0)));
    }
    // With a discount the room has a value: that of walking about for ever.
    let discounted = GridSpec { discount: 0.9, ..GridSpec::default() };
    let process = GridProcess::new(map, discounted, &goal)?;
    for method in [METHODS[0], METHODS[1], METHODS[2], METHODS[3], Method::Prioritized] {
        let solution = solve(&process, &Settings::by(method))?;
        assert_eq!(solution.outlook(room), Outlook::Unreachable);
        assert!((solution.value(room).unwrap() + 10.0).abs() < 1e-8, "{method:?}");
    }
    Ok(())
}

/// From state 0 the safe action goes round for ever, the other may end or may be lost.
#[test]
fn chance_of_being_lost_is_no_way_to_the_goal() -> Result<()> {
    let rows = (vec![0, 1, 3, 4, 4, 4, 4], vec![0, 2, 1, 0], vec![1.0, 0.5, 0.5, 1.0]);
    // State 1 has an action back to 0; state 2 is terminal.
    let process = Csr::new([3, 2], vec![-1.0; 6], rows, 1.0, &[(2, 0.0)])?;
    let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    assert_eq!(solution.outlook(0), Outlook::Reaches); // try again for ever
    assert_eq!(solution.value(0), Some(-3.0));
    let lost = (vec![0, 1, 3, 3, 3, 3, 3], vec![0, 2, 1], vec![1.0, 0.5, 0.5]);
    let process = Csr::new([3, 2], vec![-1.0; 6], lost, 1.0, &[(2, 0.0)])?;
    let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    assert_eq!(solution.outlook(0), Outlook::Unreachable);
    assert_eq!(solution.outlook(1), Outlook::DeadEnd);
    Ok(())
}

#[test]
fn a_loop_that_gains_diverges() -> Result<()> {
    let p = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    let process = Dense::new([2, 2], vec![-1.0, 0.5, 0.0, 0.0], p.to_vec(), 1.0, &[(1, 0.0)])?;
    let settings = Settings { iterations: 500, ..Settings::default() };
    let status = solve(&process, &settings)?.status;
    assert!(matches!(status, Status::NotConverged { iterations: 500, .. }), "{status}");
    let refused = solve(&process, &settings)?.solved(&process);
    assert!(matches!(refused, Err(Error::NotSolved { .. })));
    Ok(())
}

#[test]
fn policies_and_walks() -> Result<()> {
    let process = grid(GridSpec { slip: 0.2, stay: 0.1, ..GridSpec::default() }, false)?;
    let exact = solve(&process, &Settings::by(Method::PolicyIteration))?;
    let policy = policy_of(&process, &exact.values, Backup::Hard)?;
    assert!(apart(&evaluate_policy(&process, &policy)?, &exact.values) < 1e-11);
    // The mean of many walks is the value: the generator is seeded, so the bound is a fact.
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let (start, walks) = (0, 4000);
    let mut total = 0.0;
    for _ in 0..walks {
        let (pairs, end) = rollout(&process, &policy, start, 10_000, &mut random)?;
        total += process.terminal(end).unwrap();
        total += pairs.iter().map(|&(s, a)| process.reward(s, a).unwrap()).sum::<f64>();
    }
    let mean = total / f64::from(walks);
    assert!((mean - exact.values[start]).abs() < 0.25, "{mean} {}", exact.values[start]);
    // ⟨occupancy, r⟩ = ⟨start, V⟩ for a mixed policy, too.
    let soft = policy_of(&process, &exact.values, Backup::Soft { temperature: 0.7 })?;
    let values = evaluate_policy(&process, &soft)?;
    let first: Vec<f64> = values.iter().map(|v| if v.is_finite() { 0.01 } else { 0.0 }).collect();
    let flow = occupancy(&process, &soft, &first)?;
    let mut earned = 0.0;
    for s in 0..process.states() {
        match process.terminal(s) {
            Some(value) => earned += flow[s] * value,
            None => {
                for (a, p) in soft.row(s).iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    earned += flow[s] * p * process.reward(s, a).unwrap();
                }
            }
        }
    }
    let want: f64 =
        first.iter().zip(&values).filter(|(_, v)| v.is_finite()).map(|(a, b)| a * b).sum();
    assert!((earned - want).abs() < 1e-10 * want.abs());
    Ok(())
}

#[test]
fn ties_are_sets() -> Result<()> {
    let map = GridMap::new(3, 3, vec![false; 9])?;
    let process = GridProcess::new(map, GridSpec::default(), &[(8, 0.0)])?;
    let values = solve(&process, &Settings::default())?.values;
    let best = best_actions(&process, &values, 1e-9)?;
    assert_eq!(best[..4], [false, true, true, false]); // east and south from the corner
    assert!(best[32..].iter().all(|b| !b));
    Ok(())
}

#[test]
fn batches_of_maps_of_any_size() -> Result<()> {
    let process = |h: usize, w: usize| {
        let map = GridMap::new(h, w, vec![false; h * w])?;
        GridProcess::new(map, GridSpec::default(), &[(h * w - 1, 0.0)])
    };
    let batch = [process(3, 9)?, process(1, 1)?, process(20, 2)?];
    let solved = solve_all(&batch, &Settings::default());
    for (p, solution) in batch.iter().zip(solved) {
        let solution = solution?;
        let far = p.map().height() + p.map().width() - 2;
        assert_eq!(solution.value(0), Some(-(far as f64)));
        let again = solve_from(p, &Settings::default(), &solution.values)?;
        assert_eq!((again.iterations, again.residual), (1, 0.0));
    }
    Ok(())
}

#[test]
fn bad_input_is_an_error_with_its_place() -> Result<()> {
    let text = |e: Result<()>| e.unwrap_err().to_string();
    let dense = |r: &[f64], p: &[f64], g: f64, t: &[(usize, f64)]| {
        Dense::new([2, 1], r.to_vec(), p.to_vec(), g, t).map(|_| ())
    };
    let (r, p) = ([1.0, 1.0], [0.5, 0.5, 0.0, 1.0]);
    for (error, part) in [
        (dense(&r[..1], &p, 0.9, &[]), "reward holds 1 numbers, the sizes say 2"),
        (dense(&[1.0, f64::NAN], &p, 0.9, &[]), "reward is NaN at entry 1"),
        (dense(&r, &[0.5, 0.6, 0.0, 1.0], 0.9, &[]), "state 0, action 0: their sum is 1.1"),
        (dense(&r, &[0.5, 0.5, -1.0, 2.0], 0.9, &[]), "state 1, action 0: one is -1"),
        (dense(&r, &p, 0.0, &[]), "the discount is 0"),
        (dense(&r, &p, f64::NAN, &[]), "the discount is NaN"),
        (dense(&r, &p, 1.0, &[]), "a discount of 1 needs a terminal state"),
        (dense(&r, &p, 0.9, &[(2, 0.0)]), "terminal state 2"),
    ] {
        let text = text(error);
        assert!(text.contains(part), "{text}");
    }
    let csr = |rows: (Vec<usize>, Vec<u32>, Vec<f64>)| {
        Csr::new([2, 1], vec![0.0; 2], rows, 0.9, &[]).map(|_| ())
    };
    assert!(
        text(csr((vec![0, 1, 2], vec![0, 2], vec![1.0; 2]))).contains("successor 2 at entry 1")
    );
    assert!(text(csr((vec![0, 2, 1], vec![0, 1], vec![1.0; 2]))).contains("end at 1"));
    let map = || GridMap::new(2, 2, vec![false, true, false, false]);
    let spec = GridSpec::default();
    let grid =
        |spec: GridSpec, goals: &[(usize, f64)]| GridProcess::new(map()?, spec, goals).map(|_| ());
    assert!(
        text(grid(spec, &[(1, 0.0)])).contains("a goal at cell 1 with value 0: the cell is a wall")
    );
    assert!(text(grid(GridSpec { slip: 1.5, ..spec }, &[(0, 0.0)])).contains("slip is 1.5"));
    let heading = GridSpec { connectivity: Connectivity::Heading, slip: 0.1, ..spec };
    assert!(text(grid(heading, &[(0, 0.0)])).contains("heading"));
    assert!(text(GridMap::from_text("..\n...").map(|_| ())).contains("row 1 has 3 cells"));
    assert!(map()?.with_cost(vec![0.0; 3]).is_err() && map()?.with_open(vec![1.5; 4]).is_err());
    let settings = Settings { tolerance: -1.0, ..Settings::default() };
    let process = GridProcess::new(map()?, spec, &[(0, 0.0)])?;
    assert!(solve(&process, &settings).is_err());
    let gains = GridProcess::new(map()?.with_cost(vec![-1.0; 4])?, spec, &[(0, 0.0)])?;
    let error = solve(&gains, &Settings::by(Method::Prioritized)).map(|_| ());
    assert!(text(error).contains("gains"));
    Ok(())
}

#[test]
fn occupancy_is_the_adjoint_of_evaluation() -> Result<()> {
    let process = sparse(9, [30, 3], 0.95)?;
    let mut random = Random::new(1);
    let values = random.normals(30);
    let policy = policy_of(&process, &values, Backup::Soft { temperature: 1.0 })?;
    let start: Vec<f64> = (0..30).map(|_| random.uniform()).collect();
    let flow = occupancy(&process, &policy, &start)?;
    let exact = evaluate_policy(&process, &policy)?;
    let reward = |s: usize| -> f64 {
        process.terminal(s).unwrap_or_else(|| {
            let taken = policy.row(s).iter().enumerate().filter(|(_, p)| **p > 0.0);
            taken.map(|(a, p)| p * process.reward(s, a).unwrap()).sum()
        })
    };
    let rewards: Vec<f64> = (0..30).map(reward).collect();
    assert!((dot(&flow, &rewards) - dot(&start, &exact)).abs() < 1e-11);
    Ok(())
}

#[test]
fn corners_are_kept_or_cut() -> Result<()> {
    let map = GridMap::from_text(".#\n..")?;
    let length = |connectivity: Connectivity, from: usize, to: usize| -> Result<Option<f64>> {
        let spec = GridSpec { connectivity, ..GridSpec::default() };
        let process = GridProcess::new(map.clone(), spec, &[(to, 0.0)])?;
        Ok(solve(&process, &Settings::by(Method::Prioritized))?.value(from).map(|v| -v))
    };
    assert_eq!(length(Connectivity::octile(Corners::Cut), 0, 3)?, Some(2f64.sqrt()));
    assert_eq!(length(Connectivity::octile(Corners::Keep), 0, 3)?, Some(2.0));
    assert_eq!(length(Connectivity::moore(Corners::Cut), 0, 3)?, Some(1.0));
    assert_eq!(length(Connectivity::Four, 0, 3)?, Some(2.0));
    Ok(())
}
