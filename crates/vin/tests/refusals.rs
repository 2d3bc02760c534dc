//! What has no answer says so, and why: by a status or by a typed error, never by a wrong number, a panic or a loop without end.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_vin::belief::{
    Particles, Qmdp, RangeScan, Resampling, Sensor, WallSensing, pull_soft, update,
};
use pullback_vin::gradient::{Cotangent, Plan, Tangent, Way};
use pullback_vin::grid::movingai::{parse_map, parse_scenarios};
use pullback_vin::grid::{
    Connectivity, Corners, GridMap, GridProcess, GridSpec, Maze, Meaning, Obstacles, Palette,
    Walls, carved_maze, obstacle_map, random_map, rooms,
};
use pullback_vin::kernel::{LoopShape, PropagationShape, loop_forward, propagation_forward};
use pullback_vin::learn::{ProblemSet, Protocol, Walk, measure, walk};
use pullback_vin::policy::rollout;
use pullback_vin::process::{Backup, Csr, Dense, Process};
use pullback_vin::solve::{
    Method, Policy, Settings, Status, best_way, evaluate_policy, solve, solve_from,
};
use pullback_vin::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const METHODS: [Method; 5] = [
    Method::Jacobi,
    Method::GaussSeidel,
    Method::Prioritized,
    Method::PolicyIteration,
    Method::ModifiedPolicyIteration { sweeps: 5 },
];

fn open(height: usize, width: usize) -> Result<GridMap> {
    GridMap::new(height, width, vec![false; height * width])
}

/// Four by four cells, the goal in the last.
fn grid(spec: GridSpec) -> Result<GridProcess> {
    GridProcess::new(open(4, 4)?, spec, &[(15, 0.0)])
}

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// The error's text has all the parts.
#[track_caller]
fn refused<T>(result: Result<T>, parts: &[&str]) {
    let Err(error) = result else { panic!("no error: {parts:?}") };
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} has no {part:?}");
    }
}

/// The soft backup has a solution with γ = 1 as long as the matrix of exp(r/τ) over the moves has a spectral radius below 1: on a 4×4 grid it is
/// 4·cos(π/5)·exp(−1/τ), less for the goal's cell.
#[test]
fn entropy_without_end_is_divergence() -> Result<()> {
    let octile =
        GridSpec { connectivity: Connectivity::octile(Corners::Keep), ..GridSpec::default() };
    for (spec, temperature) in [
        (GridSpec::default(), 1.0),
        (GridSpec::default(), 10.0),
        (octile, 0.72),
        (octile, 1.0),
        (octile, 10.0),
    ] {
        let process = grid(spec)?;
        let backup = Backup::Soft { temperature };
        let exact = Settings { backup, ..Settings::by(Method::PolicyIteration) };
        let solution = solve(&process, &exact)?;
        assert!(
            matches!(solution.status, Status::Diverged { .. }),
            "{temperature}: {}",
            solution.status
        );
        for method in
            [Method::Jacobi, Method::GaussSeidel, Method::ModifiedPolicyIteration { sweeps: 5 }]
        {
            let settings = Settings { backup, iterations: 300, ..Settings::by(method) };
            assert!(!solve(&process, &settings)?.status.is_solved());
        }
        let plan = Plan { backup, ..Plan::default() }.of(&process, &[]).map(|_| ());
        assert!(matches!(plan, Err(Error::NotSolved { status: Status::Diverged { .. }, .. })));
    }
    // Below the threshold there is one, and both ways find it.
    let process = grid(GridSpec::default())?;
    let backup = Backup::Soft { temperature: 0.7 };
    let exact = solve(&process, &Settings { backup, ..Settings::by(Method::PolicyIteration) })?;
    let swept = solve(&process, &Settings { backup, ..Settings::default() })?;
    assert!(exact.status.is_solved() && swept.status.is_solved());
    for (a, b) in exact.values.iter().zip(&swept.values) {
        assert!((a - b).abs() < 1e-7, "{a} {b}");
    }
    Ok(())
}

/// One state that leads to itself with `sum`, reward 1, γ = 0.9: V = 1/(1 − 0.9·sum), if that is a limit at all.
#[test]
fn rows_of_other_sums_have_honest_bounds() -> Result<()> {
    let process = |rows: (Vec<usize>, Vec<u32>, Vec<f64>), states: usize| {
        let reward = vec![1.0; states];
        Csr::with_tolerance([states, 1], reward, rows, 0.9, &[], f64::INFINITY)
    };
    for sum in [0.5, 1.05] {
        let process = process((vec![0, 1], vec![0], vec![sum]), 1)?;
        let truth = 1.0 / (1.0 - 0.9 * sum);
        for method in METHODS {
            if method == Method::Prioritized {
                let best_first = solve(&process, &Settings::by(method));
                refused(best_first, &["action 0 of state 0", "one state for certain"]);
                continue;
            }
            let solution = solve(&process, &Settings::by(method))?;
            assert!(solution.status.is_solved(), "{method:?}: {}", solution.status);
            let off = (solution.values[0] - truth).abs();
            assert!(off < 1e-9, "{sum}, {method:?}: {} not {truth}", solution.values[0]);
            assert!(off <= solution.bound.unwrap() + 1e-12, "{method:?}: {:?}", solution.bound);
        }
    }
    // One row of 2, or two rows that share it: the equations have the solution −1.25, which is no limit.
    let alone = process((vec![0, 1], vec![0], vec![2.0]), 1)?;
    let shared = process((vec![0, 2, 4], vec![0, 1, 0, 1], vec![1.0; 4]), 2)?;
    for process in [alone, shared] {
        for method in [METHODS[0], METHODS[1], METHODS[3], METHODS[4]] {
            let solution = solve(&process, &Settings::by(method))?;
            let (status, bound) = (solution.status, solution.bound);
            assert!(matches!(status, Status::Diverged { .. }), "{method:?}: {status}");
            assert_eq!(bound, None, "{method:?}");
        }
        let only = Policy::new(1, vec![1.0; process.states()])?;
        refused(evaluate_policy(&process, &only), &["no solution to trust"]);
    }
    refused(
        Csr::with_tolerance(
            [1, 1],
            vec![0.0],
            (vec![0, 1], vec![0], vec![1.0]),
            0.9,
            &[],
            f64::NAN,
        ),
        &["tolerance of row sums is NaN"],
    );
    Ok(())
}

#[test]
fn walls_do_not_pay() -> Result<()> {
    for penalty in [-5.0, -1.01, -1e-300, f64::NAN] {
        refused(
            grid(GridSpec { walls: Walls::Penalty(penalty), ..GridSpec::default() }),
            &["the penalty of walls is", "≥ 0"],
        );
    }
    // Cells that pay: moves that stay gain, too, and best-first says so.
    let walls = GridSpec { walls: Walls::Stay, ..GridSpec::default() };
    let map = GridMap::from_text("..")?.with_cost(vec![-1.0, 1.0])?;
    let process = GridProcess::new(map, walls, &[(1, 0.0)])?;
    for method in METHODS {
        let settings = Settings { iterations: 1000, ..Settings::by(method) };
        match solve(&process, &settings) {
            Ok(solution) => assert!(!solution.status.is_solved(), "{method:?}"),
            Err(error) => assert!(error.to_string().contains("gains"), "{error}"),
        }
    }
    Ok(())
}

/// Action 0 stays for nothing, action 1 ends for −1. Every method has the best of the policies that end.
#[test]
fn free_loops_have_one_answer() -> Result<()> {
    let p = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let process = Dense::new([2, 2], vec![0.0, -1.0, 0.0, 0.0], p, 1.0, &[(1, 0.0)])?;
    for method in METHODS {
        for solution in [
            solve(&process, &Settings::by(method))?,
            solve_from(&process, &Settings::by(method), &[5.0, 0.0])?,
        ] {
            assert!(solution.status.is_solved(), "{method:?}: {}", solution.status);
            assert_eq!(solution.value(0), Some(-1.0), "{method:?}");
        }
    }
    // A grid where some cells cost nothing, so that walking about there is free.
    let mut cost = vec![0.0; 16];
    cost[11] = 2.0;
    cost[14] = 3.0;
    cost[15] = 1.0;
    let walls = GridSpec { walls: Walls::Stay, ..GridSpec::default() };
    let process = GridProcess::new(open(4, 4)?.with_cost(cost)?, walls, &[(15, 0.0)])?;
    for method in METHODS {
        let solution = solve(&process, &Settings::by(method))?;
        assert!(solution.status.is_solved(), "{method:?}: {}", solution.status);
        assert_eq!(solution.value(0), Some(-3.0), "{method:?}");
    }
    Ok(())
}

/// A loop that gains is a status of `solve`, not an error about derivatives.
#[test]
fn loops_that_gain_are_a_status() -> Result<()> {
    let p = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let process = Dense::new([2, 2], vec![1.0, 0.0, 0.0, 0.0], p, 1.0, &[(1, 0.0)])?;
    let solution = solve(&process, &Settings::by(Method::PolicyIteration))?;
    assert!(matches!(solution.status, Status::Diverged { .. }), "{}", solution.status);
    let solution = solve(&process, &Settings::by(Method::Prioritized))?;
    assert!(matches!(solution.status, Status::Diverged { .. }), "{}", solution.status);
    let plan = Plan::default().of(&process, &[]).map(|_| ());
    refused(plan, &["the values grow without bound"]);
    Ok(())
}

#[test]
fn tangents_and_policies_of_other_sizes() -> Result<()> {
    let process = grid(GridSpec::default())?;
    let plan = Plan::default().of(&process, &[])?;
    let short = Tangent { parameters: vec![1.0; 3], ..Tangent::default() };
    refused(plan.push_action_values(&short, &[0.0; 16]), &["holds 3 numbers, the sizes say 18"]);
    refused(plan.push_action_values(&Tangent::default(), &[0.0; 3]), &["direction of V holds 3"]);
    let other = Policy::new(4, vec![1.0, 0.0, 0.0, 0.0])?;
    refused(
        rollout(&process, &other, 5, 5, &mut random()),
        &["1 states and 4 actions for 16 and 4"],
    );
    let mut north = vec![0.0; 64];
    (0..16).for_each(|s| north[4 * s] = 1.0);
    let north = Policy::new(4, north)?;
    refused(
        rollout(&process, &north, 0, 5, &mut random()),
        &["action 0 in state 0", "cannot be taken"],
    );
    refused(best_way(&process, 99), &["state 99 is none of 16"]);
    let discounted = grid(GridSpec { discount: 0.9, ..GridSpec::default() })?;
    refused(best_way(&discounted, 1), &["need γ = 1, here it is 0.9"]);
    Ok(())
}

#[test]
fn walks_end() -> Result<()> {
    let process = grid(GridSpec::default())?;
    // East and west in turns.
    let mut circle = vec![1u8; 16];
    circle[1] = 3;
    for limit in [f64::NAN, f64::INFINITY] {
        refused(walk(&process, &circle, 0, limit), &["limit", "finite"]);
    }
    assert_eq!(walk(&process, &circle, 0, 1e300)?, Walk::Lost);
    refused(walk(&process, &circle, 99, 9.0), &["state 99", "16"]);
    refused(walk(&process, &circle[..3], 0, 9.0), &["actions holds 3"]);
    refused(walk(&process, &[77; 16], 0, 9.0), &["action 77 in state 0, there are 4"]);
    assert_eq!(process.reward(0, 77), None);
    // Where chance decides, one walk says nothing.
    let noisy = grid(GridSpec { slip: 0.2, stay: 0.1, ..GridSpec::default() })?;
    refused(walk(&noisy, &circle, 0, 9.0), &["certain: slip is 0.2, stay 0.1"]);
    let doubtful = open(4, 4)?.with_open(vec![0.5; 16])?;
    let doubtful = GridProcess::new(doubtful, GridSpec::default(), &[(15, 0.0)])?;
    refused(walk(&doubtful, &circle, 0, 9.0), &["certain", "cells may not open"]);
    let set = ProblemSet::on_maps(vec![open(3, 2)?], Connectivity::Four, 1, 1)?;
    refused(measure(&set, &[vec![77; 6]], true), &["action 77"]);
    refused(ProblemSet::on_maps(vec![open(3, 2)?], Connectivity::Four, usize::MAX, 1), &["goals"]);
    let sensor = WallSensing::new(process.map().clone(), 0.9)?;
    let qmdp = Qmdp::new(&process, 1.0)?;
    refused(qmdp.run(&process, &sensor, 99, &[1.0 / 16.0; 16], 5, &mut random()), &["state 99"]);
    Ok(())
}

#[test]
fn particles_are_checked() -> Result<()> {
    let drawn = || Particles::from_belief(&[0.5, 0.5], 5, &mut random());
    let mut empty = drawn()?;
    empty.weights.clear();
    refused(empty.resample(Resampling::Systematic, &mut random()), &["weights holds 0 numbers"]);
    let mut odd = drawn()?;
    odd.weights.fill(f64::NAN);
    refused(odd.resample(Resampling::Multinomial, &mut random()), &["weight of particle 0 is NaN"]);
    refused(odd.update(&[0.0; 5]), &["NaN"]);
    let mut nothing = drawn()?;
    nothing.weights.fill(0.0);
    refused(nothing.resample(Resampling::Systematic, &mut random()), &["the sum 0"]);
    refused(drawn()?.belief(0), &["none of 0 states"]);
    refused(Particles::from_belief(&[1.0], usize::MAX, &mut random()), &["2²⁸"]);
    refused(pull_soft(&[0.5, 0.5], &[7, 1], 0.5, &[1.0, 1.0]), &["parent 7 is none of 2"]);
    refused(pull_soft(&[0.5, 0.5], &[0, 1], 2.0, &[1.0, 1.0]), &["α is 2"]);
    refused(update(&[-1.0, 2.0], &[0.0, 0.0]), &["the belief is -1 at state 0"]);
    let map = open(2, 2)?;
    let scan = RangeScan::new(&map, 1.0, 5.0)?;
    refused(scan.truth(99), &["cell 99 is none of 4"]);
    assert_eq!(scan.log_likelihood(99, &[0.0; 8]), f64::NEG_INFINITY);
    let walls = WallSensing::new(map, 0.9)?;
    refused(walls.truth(99), &["cell 99 is none of 4"]);
    assert_eq!(walls.log_likelihood(99, &3), f64::NEG_INFINITY);
    Ok(())
}

#[test]
fn sizes_beyond_memory() -> Result<()> {
    const MANY: usize = usize::MAX;
    refused(random_map(MANY, 3, 0.5, 1), &["2²⁸"]);
    refused(rooms([MANY, 2], 5, 0.1, 1), &["2²⁸"]);
    refused(carved_maze(Maze { height: MANY, width: 5, most_open: 0.5 }, 1), &["2²⁸"]);
    refused(obstacle_map(Obstacles { size: MANY, most: 3, side: 2 }, 1), &["2²⁸"]);
    refused(obstacle_map(Obstacles { size: 8, most: MANY, side: 2 }, 1), &["one for each cell"]);
    assert_eq!(obstacle_map(Obstacles { size: 8, most: 5, side: MANY }, 1)?.cells(), 64);
    let shape = |iterations: usize| LoopShape {
        batch: 1,
        height: 8,
        width: 8,
        channels: 2,
        kernel: 3,
        iterations,
        untied: false,
        per_action: false,
    };
    for iterations in [1 << 60, 1 << 46, MANY] {
        let shape = PropagationShape { batch: 1, height: 3, width: 4, iterations };
        let tape = propagation_forward(shape, &[0.0f32; 12], &[0.5; 12]);
        refused(tape.map(|_| ()), &["the tape of", "iterations would take"]);
    }
    for iterations in [1 << 60, 1 << 52, MANY] {
        let tape = loop_forward(shape(iterations), &[0.0f32; 64], &[0.0; 18], &[0.0; 18], 0.0);
        refused(tape.map(|_| ()), &["the tape of", "iterations would take"]);
    }
    Ok(())
}

#[test]
fn counts_without_end() -> Result<()> {
    const MANY: usize = usize::MAX;
    let process = grid(GridSpec::default())?;
    let mut of_first = vec![0.0; 16];
    of_first[0] = 1.0;
    let cotangent = Cotangent { values: of_first, ..Cotangent::default() };
    let by = |way: Way| -> Result<Vec<f64>> {
        Ok(Plan { way, ..Plan::default() }.of(&process, &[])?.pull(&cotangent)?.parameters)
    };
    let whole = by(Way::Implicit)?;
    // The way has six moves: the series ends by itself.
    for terms in [6, 1 << 30, MANY] {
        assert_eq!(by(Way::Truncated { terms })?, whole, "{terms}");
    }
    for sweeps in [MANY, 10_000_000_000] {
        refused(by(Way::Unrolled { sweeps }), &["sweeps, at most"]);
        refused(by(Way::Checkpointed { sweeps }), &["sweeps, at most"]);
        let settings = Settings::by(Method::ModifiedPolicyIteration { sweeps });
        refused(solve(&process, &settings), &["sweeps for each improvement"]);
    }
    // A maze of three by three has one free cell: no goal has a start.
    for connectivity in [Connectivity::Four, Connectivity::Heading] {
        let none = ProblemSet::generate(Protocol::Gppn { size: 3, connectivity }, 1, 1);
        refused(none, &["Gppn", "size: 3", "in 1000 draws of map 0"]);
    }
    let many = Settings::by(Method::ModifiedPolicyIteration { sweeps: 1 << 20 });
    assert_eq!(solve(&process, &many)?.value(0), Some(-6.0));
    Ok(())
}

#[test]
fn files_are_what_they_say() {
    let map = |text: &str| parse_map("x.map", text);
    refused(
        map("type tile\nheight 1\nwidth 2\nmap\n..\n"),
        &["x.map, line 1", "\"tile\"", "octile"],
    );
    refused(
        map("type octile\nheight 1\nwidth 2\nmap\n..\n..\n"),
        &["line 6", "after the last of 1 rows"],
    );
    assert!(map("type octile\nheight 1\nwidth 2\nmap\n..\n\n").is_ok());
    refused(map("type octile\nwidth 2\nmap\n"), &["x.map: the header has no height"]);
    let Err(error) = map(&"\u{1}".repeat(5000)) else { panic!("no map") };
    assert!(error.to_string().len() < 500, "{error}");
    let row = "0\ta\t2\t2\t0\t0\t1\t1\t1.4\n";
    for version in ["version 9", "version", "versions 1"] {
        refused(
            parse_scenarios("x.scen", &format!("{version}\n{row}")),
            &["x.scen, line 1", "`version 1`"],
        );
    }
    for version in ["version 1", "version 1.0"] {
        assert_eq!(parse_scenarios("x.scen", &format!("{version}\n{row}")).unwrap().len(), 1);
    }
    for meaning in [Meaning::Goal(f64::NAN), Meaning::Terrain(f64::INFINITY)] {
        refused(Palette::new(vec![([0; 3], meaning)], 3), &["[0, 0, 0] means", "finite"]);
    }
    refused(Palette::new(vec![([0; 3], Meaning::Wall); 2], 3), &["[0, 0, 0] has two meanings"]);
}

#[test]
fn pictures_in_characters() -> Result<()> {
    refused(
        GridMap::from_text("\n    ...\n  .#.\n"),
        &["row 1 has 5 cells, row 0 has 7", "a space is a cell"],
    );
    let raw = GridMap::from_text(
        "
..█
...
",
    )?;
    assert_eq!((raw.height(), raw.width(), raw.solid()[2]), (2, 3, true));
    Ok(())
}
