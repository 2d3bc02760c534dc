//! Revolve against its formula, against dynamic programming, and against another implementation.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/splits.rs"]
mod splits;

use pullback_graph::revolve::{Action, advances, schedule};

/// Runs a schedule over numbers that stand for states: every step is reversed once, last first, from its own state.
/// Gives the forward steps and the most states kept.
fn run(steps: usize, snapshots: usize) -> (u128, usize) {
    let (mut kept, mut state, mut left) = (Vec::new(), Some(0), steps);
    let (mut forward, mut most) = (0, 0);
    for action in schedule(steps, snapshots).unwrap() {
        match action {
            Action::Store { step } => {
                assert_eq!(state, Some(step));
                kept.push(step);
                most = most.max(kept.len());
            }
            Action::Advance { from, to } => {
                assert!(state == Some(from) && from < to && to < left);
                forward += (to - from) as u128;
                state = Some(to);
            }
            Action::Restore { step, last } => {
                assert_eq!(kept.last(), Some(&step));
                if last {
                    kept.pop();
                }
                state = Some(step);
            }
            Action::Turn { step } => {
                assert!(state == Some(step) && step + 1 == left);
                (left, state) = (step, None);
            }
            _ => panic!("an action that is not known here"),
        }
    }
    assert!(left == 0 && kept.is_empty());
    (forward, most)
}

#[test]
fn small_schedules_equal_the_formula_and_keep_no_more_than_allowed() {
    for steps in 1..=160 {
        for snapshots in 1..=12 {
            let (forward, most) = run(steps, snapshots);
            let formula = advances(steps, snapshots).unwrap();
            assert_eq!(forward, formula, "{steps} steps, {snapshots} snapshots");
            assert!(most <= snapshots, "{steps} steps, {snapshots} snapshots: {most} kept");
        }
    }
}

#[test]
fn long_schedules_equal_the_formula() {
    for steps in [1_000, 4_097, 10_000, 31_623, 100_000] {
        for snapshots in [3, 5, 10, 20, 50, 100, 1_000, 200_000] {
            let (forward, most) = run(steps, snapshots);
            assert_eq!(forward, advances(steps, snapshots).unwrap());
            assert!(most <= snapshots);
        }
    }
    // Published ratios, as forward steps for each step.
    for (steps, snapshots, ratio) in [(1_000, 10, 3.64), (10_000, 20, 3.80), (100_000, 50, 3.75)] {
        let extra = advances(steps, snapshots).unwrap() as f64 / steps as f64;
        assert!((extra - ratio).abs() < 0.005, "{extra}");
    }
}

#[test]
fn every_split_up_to_ten_to_the_five_steps_attains_the_recurrence() {
    let snapshots: Vec<usize> = (2..=12).chain([20, 50]).collect();
    let tally = splits::splits(100_000, &snapshots);
    assert_eq!(tally.looked_at, 13 * 99_999);
    assert_eq!((tally.not_attained, tally.not_least), (0, 0));
}

#[test]
fn dynamic_programming_finds_nothing_better() {
    assert_eq!(splits::dynamic_program(400, 14), (0, 400 * 14));
}

#[test]
fn equals_checkpoint_schedules() {
    let text = include_str!("data/revolve.json");
    let table: serde_json::Value = serde_json::from_str(text).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert!(200 < rows.len());
    for row in rows {
        let number = |name: &str| row[name].as_u64().unwrap();
        let (steps, snapshots) = (number("steps") as usize, number("snapshots") as usize);
        assert_eq!(run(steps, snapshots).0, u128::from(number("forward")), "{steps} {snapshots}");
    }
}

#[test]
fn no_place_for_a_state_is_an_error() {
    assert!(schedule(3, 0).is_err() && advances(3, 0).is_err());
    assert_eq!((schedule(0, 0).unwrap().count(), advances(0, 0).unwrap()), (0, 0));
    assert!(0 < advances(usize::MAX, 40).unwrap());
}

/// r is the slope of t(·, s), so that Σ is in closed form for one and for two places.
#[test]
fn few_places_for_as_many_steps_as_there_are() {
    for steps in [1 << 36, usize::MAX] {
        let l = steps as u128;
        assert_eq!(advances(steps, 1).unwrap(), l * (l - 1) / 2);
        for snapshots in [2, 3, 40, steps - 1, steps] {
            let first = schedule(steps, snapshots).unwrap().take(3).collect::<Vec<_>>();
            let Some(Action::Advance { from: 0, to }) = first.get(1) else { panic!("{first:?}") };
            // The optimum is m + t(m, s) + t(l − m, s − 1) at the m that was taken.
            let parts =
                advances(*to, snapshots).unwrap() + advances(steps - to, snapshots - 1).unwrap();
            assert_eq!(*to as u128 + parts, advances(steps, snapshots).unwrap());
        }
    }
}
