//! The linear map of a scan: pushed forward beside the values, pulled backward by a schedule of kept states.

use std::iter::Peekable;
use std::sync::{Mutex, PoisonError};

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::ensure_finite;
use pullback_core_graph::{Direction, LinearMap, Phase, Result, Wrt};

use super::revolve::{Action, Schedule, schedule};
use super::trajectory::Trajectory;
use super::{Checkpoints, Scan};
use crate::direction::{Spec, Stack, accumulate, check, count, element, nothing};

/// The values, and the map; what [`Checkpoints`] says is kept on the way.
pub(super) fn linearize(
    trajectory: Trajectory,
    wrt: Wrt<'_>,
) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
    let mut map = Swept::new(trajectory, wrt)?;
    let (mut outputs, mut maps) = (Vec::new(), Vec::new());
    let mut reversal = map.reversal()?;
    let trajectory = &map.trajectory;
    let mut state = trajectory.start.clone();
    for t in 0..trajectory.steps {
        let y = if trajectory.scan.checkpoints == Checkpoints::Maps {
            let (y, step) = trajectory.linearize(t, &state, &map.marks(t))?;
            maps.push(step);
            y
        } else {
            reversal.pass(t, &state);
            trajectory.step(t, &state)?
        };
        state = trajectory.take(t, y, &mut outputs)?;
    }
    let y = trajectory.joined(state, outputs)?;
    map.outputs = Some(Spec::all(&y));
    (map.maps, map.reversal) = (maps, Mutex::new(Some(reversal)));
    Ok((y, Box::new(map)))
}

/// A backward sweep that waits or is under way: the actions to come, the states kept, and the state that is worked on.
struct Reversal {
    actions: Peekable<Schedule>,
    kept: Vec<Vec<Tensor>>,
    state: Vec<Tensor>,
}

impl Reversal {
    /// Tells it, on the first way forward, the state before step t: it is kept if the schedule says so.
    fn pass(&mut self, t: usize, state: &[Tensor]) {
        match self.actions.peek() {
            Some(Action::Store { step }) if *step == t => {
                self.kept.push(state.to_vec());
                self.actions.next();
            }
            Some(Action::Turn { step }) if *step == t => self.state = state.to_vec(),
            _ => {}
        }
        let advances = |a: &Action| matches!(a, Action::Advance { from, .. } if *from == t);
        self.actions.next_if(advances);
    }
}

/// The linear map of a scan at a point.
pub(super) struct Swept {
    pub(super) trajectory: Trajectory,
    wrt: Vec<bool>,
    at: Vec<Spec>,
    /// Known once the values are.
    outputs: Option<Vec<Spec>>,
    maps: Vec<Box<dyn LinearMap>>,
    /// What linearizing kept, until the first pull takes it: that pull overwrites it as it goes.
    reversal: Mutex<Option<Reversal>>,
}

impl Swept {
    /// The map before any step is made.
    pub(super) fn new(trajectory: Trajectory, wrt: Wrt<'_>) -> Result<Self> {
        let at = [&trajectory.start[..], &trajectory.inputs, &trajectory.shared].concat();
        let wrt = (0..at.len()).map(|i| wrt.needs(i)).collect();
        let reversal = Mutex::new(None);
        Ok(Swept { trajectory, wrt, at: Spec::all(&at), outputs: None, maps: Vec::new(), reversal })
    }

    fn scan(&self) -> &Scan {
        &self.trajectory.scan
    }

    /// Which arguments of step t count. A state may depend on what moved before.
    fn marks(&self, t: usize) -> Vec<bool> {
        self.wrt.iter().enumerate().map(|(i, &w)| w || (0 < t && i < self.scan().states)).collect()
    }

    fn reversal(&self) -> Result<Reversal> {
        let steps = self.trajectory.steps;
        let snapshots = match self.scan().checkpoints {
            Checkpoints::Revolve(snapshots) => snapshots,
            Checkpoints::Maps | Checkpoints::States => steps,
        };
        let actions = schedule(steps, snapshots)?.peekable();
        Ok(Reversal { actions, kept: Vec::new(), state: self.trajectory.start.clone() })
    }

    fn check_many(&self, phase: Phase, d: &[Direction], at: &[Spec]) -> Result<()> {
        d.iter().try_for_each(|d| check(&self.scan().name, phase, d, at))
    }

    /// The backward sweep, for several cotangents at once.
    pub(super) fn pulled(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        let count_slots = |d: &Direction| {
            count(&self.scan().name, "output cotangents", self.scan().width(), d.len())
        };
        dy.iter().try_for_each(count_slots)?;
        let mut back = Backward::new(self, dy);
        if !self.wrt.contains(&true) || dy.iter().all(|d| nothing(d)) {
            return Ok(vec![vec![None; self.wrt.len()]; dy.len()]);
        }
        if !self.maps.is_empty() {
            for (t, map) in self.maps.iter().enumerate().rev() {
                back.turn(t, &**map)?;
            }
            return back.finish();
        }
        let kept = self.reversal.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Reversal { actions, mut kept, mut state } = match kept {
            Some(reversal) => reversal,
            None => self.reversal()?,
        };
        for action in actions {
            match action {
                Action::Store { .. } => kept.push(state.clone()),
                Action::Advance { from, to } => state = self.trajectory.advance(from, to, state)?,
                Action::Restore { last, .. } => {
                    let top = if last { kept.pop() } else { kept.last().cloned() };
                    state = top.unwrap_or_default();
                }
                Action::Turn { .. } if back.idle() => {}
                Action::Turn { step } => {
                    let (_, map) = self.trajectory.linearize(step, &state, &self.marks(step))?;
                    back.turn(step, &*map)?;
                }
            }
        }
        back.finish()
    }
}

impl LinearMap for Swept {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        Ok(self.push_many(&[dx.to_vec()])?.swap_remove(0))
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        Ok(self.pull_many(&[dy.to_vec()])?.swap_remove(0))
    }

    fn push_many(&self, dx: &[Direction]) -> Result<Vec<Direction>> {
        self.check_many(Phase::Push, dx, &self.at)?;
        let mut ahead = Forward::new(self, dx);
        if ahead.idle() {
            return Ok(vec![vec![None; self.scan().width()]; dx.len()]);
        }
        let mut state = self.trajectory.start.clone();
        for t in 0..self.trajectory.steps {
            if let Some(map) = self.maps.get(t) {
                ahead.step(t, &**map)?;
                continue;
            }
            let (mut y, map) = self.trajectory.linearize(t, &state, &self.marks(t))?;
            ahead.step(t, &*map)?;
            y.truncate(self.scan().states);
            state = y;
        }
        ahead.finish()
    }

    fn pull_many(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        if let Some(outputs) = &self.outputs {
            self.check_many(Phase::Pull, dy, outputs)?;
        }
        self.pulled(dy)
    }
}

/// Tangents on their way forward: for each direction those of the states, and the outputs so far.
struct Forward<'a> {
    map: &'a Swept,
    /// For each direction: states, inputs, parameters; nothing outside `wrt`.
    dx: Vec<Direction>,
    outputs: Vec<Vec<Stack>>,
}

impl<'a> Forward<'a> {
    fn new(map: &'a Swept, dx: &[Direction]) -> Self {
        let masked =
            |d: &Direction| d.iter().zip(&map.wrt).map(|(d, &w)| d.clone().filter(|_| w)).collect();
        let outputs = dx.iter().map(|_| map.trajectory.stacks()).collect();
        Forward { map, dx: dx.iter().map(masked).collect(), outputs }
    }

    fn idle(&self) -> bool {
        self.dx.iter().all(|d| nothing(d))
    }

    fn step(&mut self, t: usize, map: &dyn LinearMap) -> Result<()> {
        let (scan, trajectory) = (self.map.scan(), &self.map.trajectory);
        let inputs = scan.states..scan.states + scan.inputs;
        let at_step = |d: &Direction| -> Result<Direction> {
            let slot = |(i, d): (usize, &Option<Tensor>)| match d {
                Some(d) if inputs.contains(&i) => element(&d.contiguous()?, t).map(Some),
                d => Ok(d.clone()),
            };
            d.iter().enumerate().map(slot).collect()
        };
        let dx: Result<Vec<Direction>> = self.dx.iter().map(at_step).collect();
        let dy = map.push_many(&dx?).map_err(|e| trajectory.at(t, e))?;
        count(&trajectory.place(t), "directions pushed at once", self.dx.len(), dy.len())?;
        for ((dx, outputs), mut dy) in self.dx.iter_mut().zip(&mut self.outputs).zip(dy) {
            count(&trajectory.place(t), "derivatives pushed forward", scan.width(), dy.len())?;
            for (stack, d) in outputs.iter_mut().zip(dy.drain(scan.states..)) {
                let Some(d) = d else { continue };
                ensure_finite(&d, "", Phase::Push, 0).map_err(|e| trajectory.at(t, e))?;
                stack.set(&trajectory.place(t), "tangents of one shape", t, &d)?;
            }
            for (i, (dx, d)) in dx.iter_mut().zip(dy).enumerate() {
                if let Some(d) = &d {
                    self.map.at[i].check(
                        &trajectory.place(t),
                        "a tangent like its state (it, the state)",
                        d,
                    )?;
                    ensure_finite(d, "", Phase::Push, i).map_err(|e| trajectory.at(t, e))?;
                }
                *dx = d.map(|d| d.detach());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Direction>> {
        let states = self.map.scan().states;
        let join = |(mut dx, outputs): (Direction, Vec<Stack>)| {
            dx.truncate(states);
            let outputs: Result<Direction> = outputs.into_iter().map(Stack::finish).collect();
            dx.extend(outputs?);
            Ok(dx)
        };
        self.dx.into_iter().zip(self.outputs).map(join).collect()
    }
}

/// Cotangents on their way backward: for each set those of the states, the outputs' to come, the inputs' so far, the parameters' sums.
struct Backward<'a> {
    map: &'a Swept,
    states: Vec<Direction>,
    outputs: Vec<Direction>,
    inputs: Vec<Vec<Stack>>,
    shared: Vec<Direction>,
}

impl<'a> Backward<'a> {
    fn new(map: &'a Swept, dy: &[Direction]) -> Self {
        let scan = map.scan();
        let stacks = || (0..scan.inputs).map(|_| Stack::new(map.trajectory.steps)).collect();
        Backward {
            map,
            states: dy.iter().map(|d| d[..scan.states].to_vec()).collect(),
            outputs: dy.iter().map(|d| d[scan.states..].to_vec()).collect(),
            inputs: dy.iter().map(|_| stacks()).collect(),
            shared: dy.iter().map(|_| vec![None; map.trajectory.shared.len()]).collect(),
        }
    }

    /// Nothing to pull, now and before?
    fn idle(&self) -> bool {
        self.states.iter().chain(&self.outputs).all(|d| nothing(d))
    }

    fn turn(&mut self, t: usize, map: &dyn LinearMap) -> Result<()> {
        let (scan, trajectory) = (self.map.scan(), &self.map.trajectory);
        let at_step = |(states, outputs): (&Direction, &Direction)| -> Result<Direction> {
            let slice =
                |d: &Option<Tensor>| d.as_ref().map(|d| element(&d.contiguous()?, t)).transpose();
            let outputs: Result<Direction> = outputs.iter().map(slice).collect();
            Ok([&states[..], &outputs?].concat())
        };
        let dy: Result<Vec<Direction>> =
            self.states.iter().zip(&self.outputs).map(at_step).collect();
        let dx = map.pull_many(&dy?).map_err(|e| trajectory.at(t, e))?;
        count(&trajectory.place(t), "cotangents pulled at once", self.states.len(), dx.len())?;
        let marks = self.map.marks(t);
        for (k, mut dx) in dx.into_iter().enumerate() {
            count(&trajectory.place(t), "derivatives pulled back", marks.len(), dx.len())?;
            for (i, (d, _)) in dx.iter().zip(&marks).enumerate().filter(|(_, (_, w))| **w) {
                let Some(d) = d else { continue };
                ensure_finite(d, "", Phase::Pull, i).map_err(|e| trajectory.at(t, e))?;
                if !(scan.states..scan.states + scan.inputs).contains(&i) {
                    let what = "a cotangent like its variable (it, the variable)";
                    self.map.at[i].check(&trajectory.place(t), what, d)?;
                }
            }
            dx.iter_mut().zip(&marks).filter(|(_, w)| !**w).for_each(|(d, _)| *d = None);
            for (sum, d) in self.shared[k].iter_mut().zip(dx.drain(scan.states + scan.inputs..)) {
                d.map_or(Ok(()), |d| accumulate(sum, d.detach()))?;
            }
            for (stack, d) in self.inputs[k].iter_mut().zip(dx.drain(scan.states..)) {
                d.map_or(Ok(()), |d| {
                    stack.set(&trajectory.place(t), "slices of one shape", t, &d)
                })?;
            }
            self.states[k] = dx.into_iter().map(|d| d.map(|d| d.detach())).collect();
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Direction>> {
        let (wrt, name) = (&self.map.wrt, &self.map.scan().name);
        let parts = self.states.into_iter().zip(self.inputs).zip(self.shared);
        let join = |((states, inputs), shared): ((Direction, Vec<Stack>), Direction)| {
            let inputs: Result<Direction> = inputs.into_iter().map(Stack::finish).collect();
            let all = states.into_iter().chain(inputs?).chain(shared);
            let masked: Direction = all.zip(wrt).map(|(d, &w)| d.filter(|_| w)).collect();
            for (port, (d, at)) in masked.iter().zip(&self.map.at).enumerate() {
                if let Some(d) = d {
                    at.check(name, "a cotangent like its variable (it, the variable)", d)?;
                    ensure_finite(d, name, Phase::Pull, port)?;
                }
            }
            Ok(masked)
        };
        parts.map(join).collect()
    }
}
