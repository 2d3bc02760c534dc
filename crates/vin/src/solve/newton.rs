//! Policies improved and evaluated in turns.

use super::sweeps::{
    Ended, Stall, State, bound, changes, modulus, rounding, rounding_of, size, threshold,
};
use super::{Chain, Direction, Settings, solve_chain};
use crate::process::{Backup, Process, Prospects};
use crate::{Error, Result};

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
///
/// It ends where the residual keeps the promise of the tolerance or, where that is below what rounding leaves, where no step gets nearer.
pub(super) fn solve<P: Process + ?Sized>(
    process: &P,
    settings: &Settings,
    prospects: &Prospects,
    State { mut values, held }: State,
) -> Result<Ended> {
    let (n, actions, discount) = (process.states(), process.actions(), process.discount());
    let modulus = modulus(process);
    let limit = threshold(modulus, settings.tolerance);
    let mut policy = vec![0u8; n];
    let hard = settings.backup == Backup::Hard;
    if discount == 1.0 {
        policy.copy_from_slice(prospects.proper_policy());
        let order: Vec<u32> = (0..n as u32).filter(|&s| !held[s as usize]).collect();
        let evaluated = evaluate_pure(process, &policy, &order, &mut values);
        if let Err(Error::NotContracting { .. }) = evaluated {
            // Only rows longer than 1 do that to a policy that ends.
            let residual = f64::INFINITY;
            let (iterations, converged, diverged) = (0, false, false);
            return Ok(Ended { values, iterations, residual, converged, bound: None, diverged });
        }
        evaluated?;
    } else if hard {
        let mut q = vec![0.0; actions];
        for s in (0..n).filter(|&s| !held[s]) {
            process.action_values(s, &values, &mut q);
            policy[s] = crate::process::first_best(&q) as u8;
        }
    }
    let (mut iterations, mut residual, mut converged) = (0, f64::INFINITY, false);
    let mut diverged = false;
    // The residual before the equations of the last policy were refined.
    let mut coarse = f64::INFINITY;
    while iterations < settings.iterations {
        let mut next = values.clone();
        process.sweep(&values, &held, settings.backup, &mut next, None);
        let before = std::mem::replace(&mut residual, size(changes(&values, &next, &held)));
        if !residual.is_finite() {
            values = next;
            // With γ < 1 numbers may be too large for their sum; else what grows so far has no end.
            diverged = modulus >= 1.0;
            break;
        }
        let order = by_value(&values, &held);
        if hard {
            // The old action stays where it is as good, up to rounding: else rounding could go round in circles.
            let (mut changed, mut exact) = (false, true);
            let mut q = vec![0.0; actions];
            for s in (0..n).filter(|&s| !held[s]) {
                process.action_values(s, &values, &mut q);
                let (best, old) = (crate::process::first_best(&q), policy[s] as usize);
                let change = (q[best] - values[s]).abs();
                if q[best] <= q[old] && change <= limit {
                    continue;
                }
                let [slack, rest] = slack(process, s, [best, old], &values);
                if q[best] > q[old] + slack {
                    policy[s] = best as u8;
                    changed = true;
                }
                exact &= change <= limit.max(rest);
            }
            let step = if changed || iterations == 0 {
                coarse = f64::INFINITY;
                evaluate_pure(process, &policy, &order, &mut values)
            } else if exact || residual > 0.5 * coarse {
                converged = exact;
                break;
            } else {
                // No action is better; the equations were solved to a residual of their norm: once more, for what is left in single states.
                coarse = residual;
                refine(process, &policy, order, &mut values)
            };
            match step {
                Err(Error::NotContracting { .. }) => {
                    // Each policy is better than the one before: one that never ends gains for ever.
                    diverged = modulus >= 1.0;
                    break;
                }
                step => step?,
            }
        } else {
            let stays = residual > 0.5 * before;
            if residual <= limit || stays && residual <= rounding(process, &values, &held) {
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
            let step = match solve_chain(process.name(), &chain, Direction::Forward, &gap) {
                Err(Error::NotContracting { .. }) => {
                    diverged = modulus >= 1.0;
                    break;
                }
                step => step?,
            };
            for (&s, step) in chain.states.iter().zip(step) {
                values[s as usize] += step;
            }
        }
        iterations += 1;
    }
    // A small residual proves nothing where the values are so large that their rounding hides what a step earns, or where P is longer than 1/γ.
    let hidden = || !hard && rounding(process, &values, &held) > limit;
    if converged && modulus >= 1.0 && (process.row_sums()[1] > 1.0 || hidden()) {
        let mut q = vec![0.0; actions];
        let chain = Chain::new(process, by_value(&values, &held), |s, pi| {
            process.action_values(s, &values, &mut q);
            settings.backup.weights(&q, pi);
        });
        diverged = !ends(process.name(), &chain);
        converged = !diverged;
    }
    let bound = bound(modulus, residual);
    Ok(Ended { values, iterations, residual, converged, bound, diverged })
}

/// Whether every row comes to an end within 10¹² expected steps: N = (I − γ·P)⁻¹·1. For P ≥ 0 an N ≥ 1 exists if and only if γ·P has a spectral radius below 1
/// (Berman and Plemmons 1994, theorem 6.2.3), and N·ε is the relative error that rounding leaves in V.
pub(super) fn ends(node: &str, chain: &Chain) -> bool {
    match solve_chain(node, chain, Direction::Forward, &vec![1.0; chain.len()]) {
        Ok(steps) => steps.iter().all(|n| (0.999..=1e12).contains(n)),
        Err(_) => false,
    }
}

/// The value of a policy that surely ends, into the free values: a lower bound of V* from which sweeps rise to it.
pub(super) fn proper<P: Process + ?Sized>(
    process: &P,
    prospects: &Prospects,
    state: &mut State,
) -> Result<()> {
    let n = process.states() as u32;
    let order: Vec<u32> = (0..n).filter(|&s| !state.held[s as usize]).collect();
    match evaluate_pure(process, prospects.proper_policy(), &order, &mut state.values) {
        // Rows longer than 1 alone can do that; then sweeps begin where they did.
        Err(Error::NotContracting { .. }) => Ok(()),
        evaluated => evaluated,
    }
}

/// By how much rounding may make one of two actions better than the other, and what it may leave of V = Q besides: fractions of the size of what is added
/// up, whatever the sum.
fn slack<P: Process + ?Sized>(
    process: &P,
    s: usize,
    actions: [usize; 2],
    values: &[f64],
) -> [f64; 2] {
    let (mut size, mut parts) = (0.0f64, 0);
    for a in actions {
        let (mut sum, mut count) = (0.0, 0);
        process.successors(s, a, &mut |next, p| {
            count += 1;
            if values[next].is_finite() {
                sum += p * values[next].abs();
            }
        });
        let reward = process.reward(s, a).unwrap_or(0.0).abs();
        size = size.max(reward + process.discount() * sum);
        parts = parts.max(count);
    }
    [16.0 * f64::EPSILON * size, 2.0 * rounding_of(parts) * size]
}

/// The chain of a policy of one action for each state.
fn chain_of<P: Process + ?Sized>(process: &P, policy: &[u8], order: Vec<u32>) -> Chain {
    Chain::new(process, order, |s, pi| {
        pi.fill(0.0);
        pi[policy[s] as usize] = 1.0;
    })
}

/// V ← V + (I − γ·P_π)⁻¹·(T_π(V) − V).
fn refine<P: Process + ?Sized>(
    process: &P,
    policy: &[u8],
    order: Vec<u32>,
    values: &mut [f64],
) -> Result<()> {
    let chain = chain_of(process, policy, order);
    let gap = |&s: &u32| {
        let s = s as usize;
        process.action_value(s, policy[s] as usize, values) - values[s]
    };
    let gap: Vec<f64> = chain.states.iter().map(gap).collect();
    let step = solve_chain(process.name(), &chain, Direction::Forward, &gap)?;
    for (&s, step) in chain.states.iter().zip(step) {
        values[s as usize] += step;
    }
    Ok(())
}

/// V of a policy of one action for each state, into `values` of the states in `order`.
fn evaluate_pure<P: Process + ?Sized>(
    process: &P,
    policy: &[u8],
    order: &[u32],
    values: &mut [f64],
) -> Result<()> {
    let chain = chain_of(process, policy, order.to_vec());
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
    let (discount, modulus) = (process.discount(), modulus(process));
    let limit = threshold(modulus, settings.tolerance);
    let order: Vec<u32> = (0..process.states() as u32).filter(|&s| !held[s as usize]).collect();
    let (mut iterations, mut residual, mut converged) = (0, f64::INFINITY, false);
    let mut stall = Stall::new(modulus);
    let mut q = vec![0.0; process.actions()];
    while iterations < settings.iterations {
        let mut next = values.clone();
        process.sweep(&values, &held, settings.backup, &mut next, None);
        residual = size(changes(&values, &next, &held));
        iterations += 1;
        converged = residual <= limit || stall.seen(residual, process, (&next, &held));
        if converged || !residual.is_finite() {
            values = next;
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
            // What is left of the series cannot be seen any more.
            if change.iter().all(|c| c.abs() <= 1e-20 * limit) {
                break;
            }
        }
        for (&s, t) in chain.states.iter().zip(&total) {
            values[s as usize] += t;
        }
    }
    let bound = bound(modulus, residual);
    Ended { values, iterations, residual, converged, bound, diverged: false }
}
