//! Where rounding, chance and rows that lack something meet the solvers: what they say is right, or they say that it is not.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::Random;
use pullback_vin::gradient::{Cotangent, Plan};
use pullback_vin::grid::{Connectivity, Corners, GridMap, GridProcess, GridSpec};
use pullback_vin::policy::occupancy;
use pullback_vin::process::{Backup, Csr, Outlook, Process, is_deterministic};
use pullback_vin::solve::{Method, Policy, Settings, best_way, evaluate_policy, solve, solve_from};
use pullback_vin::{Error, Result};

/// In f64 a sum of moves divided by the length of one can be a hair below a whole number: 0.6/0.1 = 5.999….
#[test]
fn best_ways_do_not_depend_on_how_costs_are_rounded() -> Result<()> {
    let octile = Connectivity::octile(Corners::Keep);
    for (size, cost, worth) in [
        ([2, 4], 1.0, -0.3),
        ([2, 8], 0.1, 0.0),
        ([12, 12], 0.1, -0.3),
        ([30, 30], 0.1, 0.0),
        ([3, 40], 0.7, 0.1),
        // Numbers so large that a move changes their last bits, or none.
        ([3, 40], 0.1, 1e15),
        ([3, 40], 0.01, -1e15),
    ] {
        for connectivity in [Connectivity::Four, octile] {
            let cells = size[0] * size[1];
            let map = GridMap::new(size[0], size[1], vec![false; cells])?;
            let spec = GridSpec { connectivity, ..GridSpec::default() };
            let map = map.with_cost(vec![cost; cells])?;
            let process = GridProcess::new(map, spec, &[(0, worth)])?;
            let exact = solve(&process, &Settings::by(Method::PolicyIteration))?.values;
            let settled = solve(&process, &Settings::by(Method::Prioritized))?;
            // The best ways themselves, not policy iteration after them.
            assert_eq!(settled.iterations, 1, "{size:?} {cost} {worth}");
            let largest = exact.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            let near = 64.0 * f64::EPSILON * largest;
            let every = if cells > 200 { 7 } else { 1 };
            for from in (0..cells).step_by(every) {
                let (value, truth) = (best_way(&process, from)?, exact[from]);
                let what = format!("{size:?}, {cost}, {worth}, {connectivity:?} from {from}");
                assert!((value - truth).abs() <= near, "{what}: {value} not {truth}");
                assert!((settled.values[from] - truth).abs() <= near, "{what}");
            }
        }
    }
    Ok(())
}

/// A best way is one that is gone for certain. Elsewhere the value of the best outcomes is no value.
#[test]
fn best_ways_need_moves_that_are_certain() -> Result<()> {
    // Action 0 arrives half of the time: V = −2.
    let rows = (vec![0, 2, 3, 3, 3], vec![0, 1, 1], vec![0.5, 0.5, 1.0]);
    let chance = Csr::new([2, 2], vec![-1.0, -3.0, 0.0, 0.0], rows, 1.0, &[(1, 0.0)])?;
    // Action 1 has one successor, but not for certain.
    let rows = (vec![0, 1, 2, 2, 2], vec![1, 1], vec![1.0, 0.5]);
    let reward = vec![-3.0, -1.0, 0.0, 0.0];
    let lossy = Csr::with_tolerance([2, 2], reward, rows, 1.0, &[(1, -4.0)], f64::INFINITY)?;
    for (process, action) in [(chance, 0), (lossy, 1)] {
        assert!(!is_deterministic(&process));
        let prioritized = solve(&process, &Settings::by(Method::Prioritized)).map(|s| s.values[0]);
        for got in [best_way(&process, 0), prioritized] {
            let text = got.unwrap_err().to_string();
            assert!(text.contains(&format!("action {action} of state 0")), "{text}");
            assert!(text.contains("one state for certain"), "{text}");
        }
    }
    let rows = (vec![0, 1, 1], vec![1], vec![1.0]);
    let sure = Csr::new([2, 1], vec![-1.0, 0.0], rows, 1.0, &[(1, 0.5)])?;
    assert!(is_deterministic(&sure));
    assert_eq!(best_way(&sure, 0)?, -0.5);
    Ok(())
}

/// Fifty states in a ring with chance, three actions.
fn ring(discount: f64) -> Result<Csr> {
    let (states, actions) = (50, 3);
    let mut random = Random::new(12);
    let (mut starts, mut next, mut probability) = (vec![0], vec![], vec![]);
    for s in 0..states {
        for a in 0..actions {
            let p = 0.1 + 0.8 * random.uniform();
            next.extend([(s + a) % states, (s + 7 * a + 1) % states].map(|s| s as u32));
            probability.extend([p, 1.0 - p]);
            starts.push(next.len());
        }
    }
    let reward = (0..states * actions).map(|_| random.normal()).collect();
    Csr::new([states, actions], reward, (starts, next, probability), discount, &[])
}

/// With γ near 1 the promise of the tolerance lies below what rounding leaves: every method ends there, and its bound says how near that is.
#[test]
fn promises_end_where_rounding_begins() -> Result<()> {
    let process = ring(0.9999)?;
    let (scale, tolerance) = (1.0 / (1.0 - 0.9999), 1e-12);
    for backup in [Backup::Hard, Backup::Soft { temperature: 0.5 }] {
        let exact = Settings { backup, tolerance, ..Settings::by(Method::PolicyIteration) };
        let best = solve(&process, &exact)?;
        assert!(best.status.is_solved(), "{backup:?}: {}", best.status);
        assert!(best.iterations < 30, "{} improvements", best.iterations);
        let largest = best.values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(largest > 1e3, "{largest}: the test would say nothing");
        let floor = 64.0 * f64::EPSILON * largest * scale;
        assert!(best.bound.unwrap() > tolerance && best.bound.unwrap() <= floor);
        for method in
            [Method::Jacobi, Method::GaussSeidel, Method::ModifiedPolicyIteration { sweeps: 50 }]
        {
            let settings = Settings { iterations: 2_000_000, method, ..exact };
            let other = solve_from(&process, &settings, &best.values)?;
            assert!(other.status.is_solved(), "{method:?}, {backup:?}: {}", other.status);
            for (a, b) in other.values.iter().zip(&best.values) {
                let (apart, bound) = ((a - b).abs(), other.bound.unwrap() + best.bound.unwrap());
                assert!(apart <= bound + floor, "{method:?}, {backup:?}: {apart:e}, {bound:e}");
            }
            assert!(other.bound.unwrap() <= floor, "{method:?}, {backup:?}: {:?}", other.bound);
        }
    }
    // What the README recommends for a γ near 1: the plan, and its derivative by γ's rewards.
    let plan = Plan { backup: Backup::Soft { temperature: 0.5 }, ..Plan::default() };
    let planned = plan.of(&process, &[])?;
    let g = planned.pull(&Cotangent { values: vec![1.0; 50], ..Cotangent::default() })?;
    let total: f64 = g.parameters[..150].iter().sum();
    assert!((total / (50.0 * scale) - 1.0).abs() < 1e-9, "{total}");
    Ok(())
}

/// Small rewards: an action that is better by less than 16·ε is better none the less, where V is 10⁻⁴.
#[test]
fn policy_iteration_keeps_its_promise_where_values_are_small() -> Result<()> {
    let (discount, small) = (0.999_999f64, 1e-10);
    let gain = 1.500_020_5;
    // State 0 stays for 1, or goes to state 1 for 0.5, from where `gain` leads back.
    let rows = (vec![0, 1, 2, 3, 3], vec![0, 1, 0], vec![1.0; 3]);
    let reward = [1.0, 0.5, gain, 0.0].map(|r| r * small).to_vec();
    let process = Csr::new([2, 2], reward, rows, discount, &[])?;
    let truth = small * (0.5 + discount * gain) / (1.0 - discount * discount);
    let settings = Settings::by(Method::PolicyIteration);
    let solution = solve(&process, &settings)?;
    assert!(solution.status.is_solved(), "{}", solution.status);
    let off = (solution.values[0] - truth).abs();
    assert!(off <= settings.tolerance, "{} not {truth}, off by {off:e}", solution.values[0]);
    assert!(solution.bound.unwrap() <= settings.tolerance, "{:?}", solution.bound);
    Ok(())
}

/// The hard maximum at γ = 1 − 10⁻⁶: what remains hidden by rounding is within the bound that comes with the solution.
#[test]
fn the_bound_tells_what_rounding_hides() -> Result<()> {
    let (discount, gain) = (0.999_999f64, 1.500_000_501_971_948);
    let rows = (vec![0, 1, 2, 3, 3], vec![0, 1, 0], vec![1.0; 3]);
    let process = Csr::new([2, 2], vec![1.0, 0.5, gain, 0.0], rows, discount, &[])?;
    let truth = (0.5 + discount * gain) / (1.0 - discount * discount);
    let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    assert!(solution.status.is_solved(), "{}", solution.status);
    let (off, bound) = ((solution.values[0] - truth).abs(), solution.bound.unwrap());
    let rounding = f64::EPSILON * truth / (1.0 - discount);
    assert!(off <= bound + rounding && bound <= 64.0 * rounding, "{off:e} {bound:e} {rounding:e}");
    Ok(())
}

/// The equations of a policy are solved to a residual of their norm, which one dear row of cells makes large: every state is exact none the less.
#[test]
fn policies_are_evaluated_until_each_state_is_exact() -> Result<()> {
    let cost = (0..3600).map(|c| if c < 3540 { 1.0 + (c % 7) as f64 } else { 1e8 }).collect();
    let map = GridMap::new(60, 60, vec![false; 3600])?.with_cost(cost)?;
    for discount in [0.5, 0.9, 0.999, 1.0] {
        let spec = GridSpec { slip: 0.3, stay: 0.1, discount, ..GridSpec::default() };
        let process = GridProcess::new(map.clone(), spec, &[(0, 0.0)])?;
        let settings = Settings { tolerance: 1e-15, ..Settings::by(Method::PolicyIteration) };
        let solution = solve(&process, &settings)?;
        assert!(solution.status.is_solved(), "{discount}: {}", solution.status);
        let mut q = [0.0; 4];
        for s in 1..3600 {
            process.action_values(s, &solution.values, &mut q);
            let top = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (value, off) = (solution.values[s], (top - solution.values[s]).abs());
            // All rewards have one sign: nothing cancels.
            let rounding = 64.0 * f64::EPSILON * value.abs();
            assert!(off <= rounding, "{discount}, state {s} of {value}: {off:e}, {rounding:e}");
        }
    }
    Ok(())
}

/// What a row lacks leads to an end of value 0, with γ = 1, too.
#[test]
fn what_a_row_lacks_is_an_end() -> Result<()> {
    let lossy = |reward: Vec<f64>, rows: (Vec<usize>, Vec<u32>, Vec<f64>), n: usize| {
        let actions = reward.len() / n;
        Csr::with_tolerance([n, actions], reward, rows, 1.0, &[(n - 1, 0.0)], f64::INFINITY)
    };
    let methods = [
        Method::Jacobi,
        Method::GaussSeidel,
        Method::PolicyIteration,
        Method::ModifiedPolicyIteration { sweeps: 5 },
    ];
    // State 0 stays with 1/2: V = −1/(1 − 1/2). States 1 and 2: nothing is left at once, and a way to state 0.
    let rows = (vec![0, 1, 2, 3, 3], vec![0, 0, 0], vec![0.5, 0.0, 1.0]);
    let process = lossy(vec![-1.0, -5.0, -2.0, 0.0], rows, 4)?;
    for method in methods {
        let solution = solve(&process, &Settings::by(method))?;
        assert!(solution.status.is_solved(), "{method:?}: {}", solution.status);
        for (s, truth) in [-2.0, -5.0, -4.0].iter().enumerate() {
            assert_eq!(solution.outlook(s), Outlook::Reaches, "{method:?}, state {s}");
            let value = solution.values[s];
            assert!((value - truth).abs() < 1e-9, "{method:?}, state {s}: {value}");
        }
    }
    let only = Policy::new(1, vec![1.0; 4])?;
    let values = evaluate_policy(&process, &only)?;
    assert!((values[2] + 4.0).abs() < 1e-12, "{values:?}");
    // Σ ½ᵏ visits of state 0.
    assert!((occupancy(&process, &only, &[1.0, 0.0, 0.0, 0.0])?[0] - 2.0).abs() < 1e-12);
    let planned = Plan::default().of(&process, &[])?;
    let of_first = vec![1.0, 0.0, 0.0, 0.0];
    let g = planned.pull(&Cotangent { values: of_first, ..Cotangent::default() })?;
    // V = R/(1 − p): by R 2, by p 4·R.
    assert!((g.parameters[0] - 2.0).abs() < 1e-12 && (g.parameters[4] + 4.0).abs() < 1e-12);
    // Two loops, one of which lacks something: the other has no value.
    let rows = (vec![0, 1, 2, 2], vec![0, 1], vec![1.0, 0.9]);
    let process = lossy(vec![-1.0, -1.0, 0.0], rows, 3)?;
    let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    assert_eq!((solution.outlook(0), solution.value(0)), (Outlook::Unreachable, None));
    assert!((solution.values[1] + 10.0).abs() < 1e-9);
    // A free loop is no way out, a loss is: action 0 stays for nothing, action 1 loses half.
    let rows = (vec![0, 1, 2, 2, 2], vec![0, 0], vec![1.0, 0.5]);
    let process = lossy(vec![0.0, -1.0, 0.0, 0.0], rows, 2)?;
    for method in methods {
        let solution = solve(&process, &Settings::by(method))?;
        assert!((solution.values[0] + 2.0).abs() < 1e-9, "{method:?}: {}", solution.values[0]);
    }
    Ok(())
}

/// A policy that never ends has the value −∞ with γ = 1, and a start there is refused.
#[test]
fn policies_without_end_have_no_value() -> Result<()> {
    let map = GridMap::from_text("...")?;
    let process = GridProcess::new(map, GridSpec::default(), &[(0, 0.0)])?;
    // East and west in turns in cells 1 and 2.
    let mut p = vec![0.0; 12];
    (p[4 + 1], p[8 + 3]) = (1.0, 1.0);
    let circle = Policy::new(4, p)?;
    assert_eq!(evaluate_policy(&process, &circle)?[1..], [f64::NEG_INFINITY; 2]);
    let refused = occupancy(&process, &circle, &[0.0, 1.0, 0.0]);
    assert!(refused.unwrap_err().to_string().contains("state 1, where the policy has no value"));
    let mut p = vec![0.0; 12];
    (p[4 + 3], p[8 + 3]) = (1.0, 1.0);
    let west = Policy::new(4, p)?;
    for odd in [f64::NAN, f64::INFINITY] {
        let error = occupancy(&process, &west, &[0.0, odd, 0.0]);
        assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
        assert!(error.unwrap_err().to_string().contains("entry 1"));
    }
    assert_eq!(occupancy(&process, &west, &[0.0, 0.0, 1.0])?, [1.0, 1.0, 1.0]);
    assert_eq!(process.terminal(0), Some(0.0));
    Ok(())
}
