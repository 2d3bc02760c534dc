//! Revolve against its formula, against dynamic programming, and against another implementation.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

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

/// t(l, s) = min over m of m + t(m, s) + t(l − m, s − 1), t(1, s) = 0, t(l, 1) = l·(l − 1)/2.
fn optimum(steps: usize, snapshots: usize) -> Vec<Vec<u128>> {
    let mut best = vec![vec![0u128; snapshots + 1]; steps + 1];
    for l in 2..=steps {
        best[l][1] = (l * (l - 1) / 2) as u128;
        for s in 2..=snapshots {
            let after = |m: usize| m as u128 + best[m][s] + best[l - m][s - 1];
            best[l][s] = (1..l).map(after).min().unwrap();
        }
    }
    best
}

#[test]
fn small_schedules_equal_dynamic_programming_and_the_formula() {
    let best = optimum(160, 12);
    for steps in 1..=160 {
        for snapshots in 1..=12 {
            let (forward, most) = run(steps, snapshots);
            assert_eq!(forward, best[steps][snapshots], "{steps} steps, {snapshots} snapshots");
            assert_eq!(advances(steps, snapshots).unwrap(), forward);
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
fn every_length_up_to_ten_to_the_five_has_a_consistent_optimum() {
    // t(l + 1, s) − t(l, s) is the repetition number r of l + 1, which never falls: convex in l.
    for snapshots in [2, 7, 30] {
        let (mut before, mut slope) = (0, 0);
        for steps in 2..=100_000 {
            let now = advances(steps, snapshots).unwrap();
            assert!(slope <= now - before);
            (slope, before) = (now - before, now);
        }
    }
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
