//! K sweeps, kept whole or at checkpoints.

use super::plan::{Gradient, Handle, Planned, Tangent, Trace, start};
use crate::error::check_room;
use crate::process::{Backup, Parametric};
use crate::{Error, Result};

/// Sweeps at most: further ones only cost time, and the fixed point has ways of its own.
const MOST: usize = 1 << 24;

/// Values at the beginning of each segment of sweeps; within a segment they are computed again when they are needed.
pub(super) struct Tape {
    /// First sweep of each segment, and V before it.
    kept: Vec<(usize, Vec<f64>)>,
    sweeps: usize,
    /// With the hard maximum and one sweep a segment: the actions taken, one byte each.
    actions: Vec<Vec<u8>>,
}

/// Sweeps `sweeps` times; values are kept at the beginning of each of `segments` segments.
pub(super) fn plan<'p, P: Parametric>(
    process: Handle<'p, P>,
    backup: Backup,
    initial: &[f64],
    sweeps: usize,
    segments: usize,
) -> Result<Planned<'p, P>> {
    if sweeps > MOST {
        let what =
            format!("{sweeps} sweeps, at most {MOST}: the implicit way is the limit of them");
        return Err(Error::invalid(process.name(), what));
    }
    let kept = segments.min(sweeps).checked_mul(process.states());
    check_room::<f64>(process.name(), "the values of the sweeps", kept)?;
    let (mut values, held) = start(&*process, initial)?;
    let length = sweeps.div_ceil(segments).max(1);
    let whole = length == 1 && backup == Backup::Hard;
    let (mut kept, mut actions) = (vec![], vec![]);
    for k in 0..sweeps {
        if k % length == 0 {
            kept.push((k, values.clone()));
        }
        let mut next = values.clone();
        let mut tape = if whole { vec![0u8; values.len()] } else { vec![] };
        let marks = whole.then_some(&mut tape[..]);
        process.sweep(&values, &held, backup, &mut next, marks);
        values = next;
        if whole {
            actions.push(tape);
        }
    }
    let trace = Trace::Unrolled(Tape { kept, sweeps, actions });
    Ok(Planned { process, backup, values, solution: None, held, trace })
}

impl Tape {
    pub(super) fn bytes(&self) -> usize {
        let values: usize = self.kept.iter().map(|(_, v)| 8 * v.len()).sum();
        values + self.actions.iter().map(Vec::len).sum::<usize>()
    }

    /// V before each sweep of a segment.
    fn segment<P: Parametric>(&self, plan: &Planned<'_, P>, segment: usize) -> Vec<Vec<f64>> {
        let (from, first) = &self.kept[segment];
        let to = self.kept.get(segment + 1).map_or(self.sweeps, |(k, _)| *k);
        let mut all = vec![first.clone()];
        for i in 1..to - from {
            let mut next = all[i - 1].clone();
            plan.process.sweep(&all[i - 1], &plan.held, plan.backup, &mut next, None);
            all.push(next);
        }
        all
    }

    /// π of a state before sweep k.
    fn policy<P: Parametric>(
        &self,
        plan: &Planned<'_, P>,
        (k, s): (usize, usize),
        values: &[f64],
        q: &mut [f64],
        pi: &mut [f64],
    ) -> f64 {
        match self.actions.get(k) {
            Some(tape) => {
                pi.fill(0.0);
                pi[tape[s] as usize] = 1.0;
                0.0
            }
            None => plan.policy_at(s, values, q, pi),
        }
    }

    pub(super) fn pull<P: Parametric>(
        &self,
        plan: &Planned<'_, P>,
        mut cotangent: Vec<f64>,
        gradient: &mut Gradient,
    ) {
        let actions = plan.process.actions();
        let (mut q, mut pi) = (vec![0.0; actions], vec![0.0; actions]);
        for segment in (0..self.kept.len()).rev() {
            let values = self.segment(plan, segment);
            for (i, values) in values.iter().enumerate().rev() {
                let k = self.kept[segment].0 + i;
                // Held states pass their cotangent on.
                let keeps = |s: usize| if plan.held[s] { cotangent[s] } else { 0.0 };
                let mut before: Vec<f64> = (0..cotangent.len()).map(keeps).collect();
                for s in (0..cotangent.len()).filter(|&s| !plan.held[s] && cotangent[s] != 0.0) {
                    let slope = self.policy(plan, (k, s), values, &mut q, &mut pi);
                    gradient.temperature += cotangent[s] * slope;
                    for (a, &w) in pi.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                        plan.flow(s, a, cotangent[s] * w, values, &mut before, gradient);
                    }
                }
                cotangent = before;
            }
        }
        plan.settle(&cotangent, gradient);
        for s in (0..cotangent.len()).filter(|&s| !plan.held[s]) {
            gradient.initial[s] += cotangent[s];
        }
    }

    pub(super) fn push<P: Parametric>(&self, plan: &Planned<'_, P>, tangent: &Tangent) -> Vec<f64> {
        let (n, actions) = (plan.process.states(), plan.process.actions());
        let (mut q, mut pi) = (vec![0.0; actions], vec![0.0; actions]);
        let begin = |s: usize| match (plan.held[s], plan.process.terminal(s)) {
            (false, _) => tangent.initial[s],
            (true, Some(_)) => tangent.terminal[s],
            (true, None) => 0.0,
        };
        let mut along: Vec<f64> = (0..n).map(begin).collect();
        for segment in 0..self.kept.len() {
            for (i, values) in self.segment(plan, segment).iter().enumerate() {
                let k = self.kept[segment].0 + i;
                let mut next = along.clone();
                for s in (0..n).filter(|&s| !plan.held[s]) {
                    let slope = self.policy(plan, (k, s), values, &mut q, &mut pi);
                    next[s] = plan.moved(s, &pi, slope, values, &along, tangent);
                }
                along = next;
            }
        }
        along
    }
}
