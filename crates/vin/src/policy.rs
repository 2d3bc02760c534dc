//! What to do: greedy and Boltzmann policies, how often states are visited, how likely a demonstration is.

use rand::Rng;

use crate::error::{check_finite, check_len};
use crate::gradient::{Cotangent, Gradient, Planned};
use crate::process::{Backup, Parametric, Process, Prospects, frame};
use crate::solve::{Chain, Direction, Policy, solve_chain};
use crate::{Error, Result};

/// All best actions of each state: (states, actions), `true` where Q(s, a) ≥ max Q − tolerance. None in terminal states and where there is no
/// value. One label out of a set of equals is noise to whoever learns from it.
///
/// # Errors
/// Values of another length.
pub fn best_actions<P: Process + ?Sized>(
    process: &P,
    values: &[f64],
    tolerance: f64,
) -> Result<Vec<bool>> {
    check_len(process.name(), "values", values.len(), process.states())?;
    let actions = process.actions();
    let mut best = vec![false; process.states() * actions];
    let mut q = vec![0.0; actions];
    for (s, best) in best.chunks_exact_mut(actions).enumerate() {
        if process.terminal(s).is_some() {
            continue;
        }
        process.action_values(s, values, &mut q);
        let top = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top > f64::NEG_INFINITY {
            best.iter_mut().zip(&q).for_each(|(b, q)| *b = *q >= top - tolerance);
        }
    }
    Ok(best)
}

/// The policy of a backup at V: the first best action, or softmax(Q/τ).
///
/// # Errors
/// Values of another length.
pub fn policy_of<P: Process + ?Sized>(
    process: &P,
    values: &[f64],
    backup: Backup,
) -> Result<Policy> {
    check_len(process.name(), "values", values.len(), process.states())?;
    let actions = process.actions();
    let mut all = vec![0.0; process.states() * actions];
    let mut q = vec![0.0; actions];
    for (s, pi) in all.chunks_exact_mut(actions).enumerate() {
        if process.terminal(s).is_none() {
            process.action_values(s, values, &mut q);
            backup.weights(&q, pi);
        }
    }
    Ok(Policy::unchecked(actions, all))
}

/// Σₖ γᵏ·P(sₖ = s) for every state under a policy, from a distribution of first states: the occupancy measure. It is the adjoint of policy
/// evaluation: ⟨occupancy, r_π⟩ = ⟨start, V^π⟩ when terminal values are 0.
///
/// # Errors
/// Wrong lengths; a start that is not finite; mass on a state from which the policy has no value, as where it may never end with γ = 1; those of
/// [`evaluate_policy`](crate::solve::evaluate_policy).
pub fn occupancy<P: Process + ?Sized>(
    process: &P,
    policy: &Policy,
    start: &[f64],
) -> Result<Vec<f64>> {
    let (node, n) = (process.name(), process.states());
    check_len(node, "start", start.len(), n)?;
    check_finite(node, "start", start)?;
    let values = crate::solve::evaluate_policy(process, policy)?;
    if let Some(s) = (0..n).find(|&s| start[s] != 0.0 && !values[s].is_finite()) {
        let what =
            format!("{} of the start is at state {s}, where the policy has no value", start[s]);
        return Err(Error::invalid(node, what));
    }
    let free = |s: &u32| process.terminal(*s as usize).is_none() && values[*s as usize].is_finite();
    let order: Vec<u32> = (0..n as u32).filter(free).collect();
    let chain = Chain::new(process, order, |s, pi| pi.copy_from_slice(policy.row(s)));
    let b = chain.gather(start);
    let flow = solve_chain(node, &chain, Direction::Transposed, &b)?;
    let mut all = chain.scatter(&flow);
    for s in (0..n).filter(|&s| process.terminal(s).is_some()) {
        all[s] += start[s];
    }
    // What flows into the ends.
    let discount = process.discount();
    for (&s, flow) in chain.states.iter().zip(flow) {
        for (a, &pi) in policy.row(s as usize).iter().enumerate().filter(|(_, p)| **p > 0.0) {
            process.successors(s as usize, a, &mut |next, p| {
                if process.terminal(next).is_some() {
                    all[next] += discount * flow * pi * p;
                }
            });
        }
    }
    Ok(all)
}

/// A walk under a policy: (state, action) pairs until an end, a state where nothing is done, or `limit` steps; and where it ended.
///
/// # Errors
/// A first state that there is not; a policy for another number of states or actions, or with an action that cannot be taken.
pub fn rollout<P: Process + ?Sized>(
    process: &P,
    policy: &Policy,
    start: usize,
    limit: usize,
    random: &mut impl Rng,
) -> Result<(Vec<(usize, usize)>, usize)> {
    if start >= process.states() {
        let what = format!("a walk from state {start}, which is none of {}", process.states());
        return Err(Error::invalid(process.name(), what));
    }
    if (policy.states(), policy.actions()) != (process.states(), process.actions()) {
        let what = format!(
            "a policy of {} states and {} actions for {} and {}",
            policy.states(),
            policy.actions(),
            process.states(),
            process.actions()
        );
        return Err(Error::invalid(process.name(), what));
    }
    let (mut pairs, mut state) = (vec![], start);
    while pairs.len() < limit && process.terminal(state).is_none() {
        let row = policy.row(state);
        let Some(action) = draw(random, row.iter().copied().enumerate()) else { break };
        if process.reward(state, action).is_none() {
            let what = format!(
                "the policy takes action {action} in state {state}, where it cannot be taken"
            );
            return Err(Error::invalid(process.name(), what));
        }
        let mut next = vec![];
        process.successors(state, action, &mut |to, p| next.push((to, p)));
        pairs.push((state, action));
        let Some(to) = draw(random, next.into_iter()) else { break };
        state = to;
    }
    Ok((pairs, state))
}

/// One of the items by its probability; the last one of positive probability takes what rounding leaves.
fn draw(random: &mut impl Rng, items: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    let mut left: f64 = random.random();
    let mut last = None;
    for (item, p) in items.filter(|(_, p)| *p > 0.0) {
        last = Some(item);
        left -= p;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Σ ln π(a | s) over demonstrated (state, action) pairs, π = exp((Q − V)/τ) of a plan with [`Backup::Soft`]; and its gradient: that of
/// maximum-entropy inverse reinforcement learning, (demonstrated − expected feature counts)/τ (Ziebart 2010, eq. 9.15), by every
/// number of the process.
///
/// # Errors
/// Another backup; a pair without a value; as [`Planned::pull`].
pub fn log_likelihood<P: Parametric>(
    plan: &Planned<'_, P>,
    pairs: &[(usize, usize)],
) -> Result<(f64, Gradient)> {
    let process = &*plan.process;
    let node = process.name();
    let Backup::Soft { temperature } = plan.backup else {
        return Err(Error::invalid(node, "likelihoods need the soft backup"));
    };
    let (n, actions) = (process.states(), process.actions());
    let mut cotangent = Cotangent { values: vec![0.0; n], action_values: vec![0.0; n * actions] };
    // V of one more backup, so that π sums to 1 also before convergence: its derivative is that of Q.
    let (mut total, mut explicit) = (0.0, 0.0);
    let (mut q, mut pi) = (vec![0.0; actions], vec![0.0; actions]);
    for &(s, a) in pairs {
        let known = s < n && a < actions && process.terminal(s).is_none();
        if known {
            process.action_values(s, &plan.values, &mut q);
        }
        if !known || !q[a].is_finite() {
            return Err(Error::invalid(node, format!("action {a} of state {s} has no value")));
        }
        plan.backup.weights(&q, &mut pi);
        let value = plan.backup.value(&q);
        let advantage = q[a] - value;
        total += advantage / temperature;
        // ∂/∂τ of (Q(a) − τ·ln Σ exp(Q/τ))/τ with Q held.
        let slope = plan.backup.temperature_slope(&q, &pi);
        explicit += -advantage / (temperature * temperature) - slope / temperature;
        for (b, &p) in pi.iter().enumerate() {
            let hit = f64::from(u8::from(a == b));
            if q[b].is_finite() {
                cotangent.action_values[s * actions + b] += (hit - p) / temperature;
            }
        }
    }
    let mut gradient = plan.pull(&cotangent)?;
    gradient.temperature += explicit;
    Ok((total, gradient))
}

/// Which states a belief or a start may put mass on: those that have a value.
#[must_use]
pub fn valued<P: Process + ?Sized>(process: &P) -> Vec<bool> {
    let (values, _) = frame(process, &Prospects::of(process), |_| 0.0);
    values.iter().map(|v| v.is_finite()).collect()
}
