//! Policies improved and evaluated in turns.

use super::sweeps::{Ended, State, bound, changes, size, threshold};
use super::{Chain, Direction, Settings, solve_chain};
use crate::Result;
use crate::process::{Backup, Process, Prospects};

/// Free states, the largest value first: what a good policy leads to comes before.
pub(crate) fn by_value(values: &[f64], held: &[bool]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).filter(|&s| !held[s as usize]).collect();
    order.sort_by(|&a, &b| values[b as usize].total_cmp(&values[a as usize]).then(a.cmp(&b)));
    order
}

/// V ← V + (I − γ·P_π)⁻¹·(T(V) − V), where π is the policy of T at V.
///
/// With the hard maximum each step is the exact value of π. It begins, for γ = 1, at the value of a policy that surely ends; an action
/// is changed for a better one only, so that all later policies end, too, and there are finitely many of them.
pub(super) fn solve<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    prospects: &Prospects,
    State { mut values, held }: State,
) -> Result<Ended> {
    let (n, actions, discount) = (process.states(), process.actions(), process.discount());
    let limit = threshold(discount, settings.tolerance);
    let mut policy = vec![0u8; n];
    let hard = settings.backup == Backup::Hard;
    if discount == 1.0 {
        policy.copy_from_slice(prospects.proper_policy());
        let order: Vec<u32> = (0..n as u32).filter(|&s| !held[s as usize]).collect();
        evaluate_pure(process, &policy, &order, &mut values)?;
    } else if hard {
        let mut q = vec![0.0; actions];
        for s in (0..n).filter(|&s| !held[s]) {
            process.action_values(s, &values, &mut q);
            policy[s] = crate::process::first_best(&q) as u8;
        }
    }
    let (mut iterations, mut residual, mut converged) = (0, f64::INFINITY, false);
    while iterations < settings.iterations {
        let mut next = values.clone();
        process.sweep(&values, &held, settings.backup, &mut next, None);
        residual = size(changes(&values, &next, &held));
        if !residual.is_finite() {
            values = next;
            break;
        }
        let order = by_value(&values, &held);
        if hard {
            // The old action stays where it is as good, up to rounding: else rounding could go round in circles.
            let mut changed = false;
            let mut q = vec![0.0; actions];
            for s in (0..n).filter(|&s| !held[s]) {
                process.action_values(s, &values, &mut q);
                let (best, old) = (crate::process::first_best(&q), policy[s] as usize);
                let slack = 16.0 * f64::EPSILON * q[best].abs().max(1.0);
                if q[best] > q[old] + slack {
                    policy[s] = best as u8;
                    changed = true;
                }
            }
            if !changed && iterations > 0 {
                converged = true;
                break;
            }
            evaluate_pure(process, &policy, &order, &mut values)?;
        } else {
            if residual <= limit {
                (values, converged) = (next, true);
                break;
            }
            let mut q = vec![0.0; actions];
            let chain = Chain::new(process, order, |s, pi| {
                process.action_values(s, &values, &mut q);
                settings.backup.weights(&q, pi);
            });
            let gap: Vec<f64> =
                chain.states.iter().map(|&s| next[s as usize] - values[s as usize]).collect();
            let step = solve_chain(process.name(), &chain, Direction::Forward, &gap)?;
            for (&s, step) in chain.states.iter().zip(step) {
                values[s as usize] += step;
            }
        }
        iterations += 1;
    }
    Ok(Ended { values, iterations, residual, converged, bound: bound(discount, residual) })
}

/// V of a policy of one action for each state, into `values` of the states in `order`.
fn evaluate_pure<P: Process + ?Sized>(
    process: &P,
    policy: &[u8],
    order: &[u32],
    values: &mut [f64],
) -> Result<()> {
    let chain = Chain::new(process, order.to_vec(), |s, pi| {
        pi.fill(0.0);
        pi[policy[s] as usize] = 1.0;
    });
    // What is earned where the successors that are to be computed are worth nothing.
    let mut ends = values.to_vec();
    order.iter().for_each(|&s| ends[s as usize] = 0.0);
    let earned = |&s: &u32| process.action_value(s as usize, policy[s as usize] as usize, &ends);
    let b: Vec<f64> = order.iter().map(earned).collect();
    let x = solve_chain(process.name(), &chain, Direction::Forward, &b)?;
    for (&s, x) in order.iter().zip(x) {
        values[s as usize] = x;
    }
    Ok(())
}

/// Improvement by one sweep, then `sweeps` sweeps of the policy's own operator V ← V + γ·P_π·(V − V_before) + …, as rows of a chain.
pub(super) fn modified<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    State { mut values, held }: State,
    sweeps: usize,
) -> Ended {
    let discount = process.discount();
    let limit = threshold(discount, settings.tolerance);
    let order: Vec<u32> = (0..process.states() as u32).filter(|&s| !held[s as usize]).collect();
    let (mut iterations, mut residual, mut converged) = (0, f64::INFINITY, false);
    let mut q = vec![0.0; process.actions()];
    while iterations < settings.iterations {
        let mut next = values.clone();
        process.sweep(&values, &held, settings.backup, &mut next, None);
        residual = size(changes(&values, &next, &held));
        iterations += 1;
        if residual <= limit || !residual.is_finite() {
            values = next;
            converged = residual <= limit;
            break;
        }
        let chain = Chain::new(process, order.clone(), |s, pi| {
            process.action_values(s, &values, &mut q);
            settings.backup.weights(&q, pi);
        });
        // d = γ·P_π·(last change), summed: the operator of a fixed policy is affine.
        let mut change: Vec<f64> =
            chain.states.iter().map(|&s| next[s as usize] - values[s as usize]).collect();
        let mut total = change.clone();
        for _ in 0..sweeps {
            let moved = |row: usize| -> f64 {
                discount * chain.row(row).map(|(to, p)| p * change[to]).sum::<f64>()
            };
            change = (0..chain.len()).map(moved).collect();
            total.iter_mut().zip(&change).for_each(|(t, c)| *t += c);
        }
        for (&s, t) in chain.states.iter().zip(&total) {
            values[s as usize] += t;
        }
    }
    Ended { values, iterations, residual, converged, bound: bound(discount, residual) }
}
