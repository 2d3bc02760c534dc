//! A scan at a point: its steps, made one at a time and checked.

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::tensor::{ensure_finite, is_real};
use pullback_core_graph::{Error, LinearMap, Phase, Result, Wrt};

use super::{Scan, invalid};
use crate::direction::{Spec, Stack, count, element, inside};

/// The point: initial states, inputs and parameters, and the number of steps that the inputs give.
pub(super) struct Trajectory {
    pub(super) scan: Scan,
    pub(super) start: Vec<Tensor>,
    pub(super) inputs: Vec<Tensor>,
    pub(super) shared: Vec<Tensor>,
    pub(super) steps: usize,
    states: Vec<Spec>,
}

impl Trajectory {
    /// Errors: too few arguments; states of integers; inputs of different lengths, or of another than the scan was given.
    pub(super) fn new(scan: &Scan, x: &[Tensor]) -> Result<Self> {
        scan.check_arity(x.len())?;
        let detached: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
        let (start, rest) = detached.split_at(scan.states);
        let (inputs, shared) = rest.split_at(scan.inputs);
        if let Some(t) = start.iter().find(|t| !is_real(t)) {
            let what = "a state needs f32 or f64";
            return Err(Error::DType { node: scan.name.clone(), what, got: vec![t.dtype()] });
        }
        let mut steps = scan.steps;
        for (i, u) in inputs.iter().enumerate() {
            let Some(&length) = u.dims().first() else {
                let what = format!("input {i} needs a first axis, one slice for each step");
                return Err(Error::shape(&scan.name, what, &[u.dims()]));
            };
            if *steps.get_or_insert(length) != length {
                let expected = steps.unwrap_or_default();
                let what = format!("input {i} has {length} slices for {expected} steps");
                return Err(Error::shape(&scan.name, what, &[u.dims()]));
            }
        }
        let steps = steps.ok_or_else(|| invalid(&scan.name, "no number of steps".into()))?;
        if steps == 0 && 0 < scan.outputs {
            let what = "0 steps: the shape of the outputs is unknown".to_string();
            return Err(invalid(&scan.name, what));
        }
        // A slice of a contiguous tensor is a view that kernels read in place.
        let inputs: Result<Vec<Tensor>> = inputs.iter().map(|u| Ok(u.contiguous()?)).collect();
        Ok(Trajectory {
            scan: scan.clone(),
            states: Spec::all(start),
            start: start.to_vec(),
            inputs: inputs?,
            shared: shared.to_vec(),
            steps,
        })
    }

    /// The name of a step, as errors show it.
    pub(super) fn place(&self, t: usize) -> String {
        format!("{}/{}[{t}]", self.scan.name, self.scan.step.name())
    }

    /// An error of the step under its name.
    pub(super) fn at(&self, t: usize, e: Error) -> Error {
        inside(&self.place(t), self.scan.step.name(), e)
    }

    fn arguments(&self, t: usize, state: &[Tensor]) -> Result<Vec<Tensor>> {
        let slices: Result<Vec<Tensor>> = self.inputs.iter().map(|u| element(u, t)).collect();
        Ok([state, &slices?, &self.shared].concat())
    }

    /// New states and outputs of a step: as many as declared, states like those before, all finite.
    fn checked(&self, t: usize, y: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if y.len() != self.scan.width() {
            count(&self.place(t), "outputs of the step", self.scan.width(), y.len())?;
        }
        for (i, (y, spec)) in y.iter().zip(&self.states).enumerate() {
            let same = y.dims() == spec.dims && y.dtype() == spec.dtype;
            if !same || !y.device().same_device(&spec.device) {
                let what = format!("state {i} of another shape than before (new, old)");
                spec.check(&self.place(t), &what, y)?;
            }
        }
        for (port, y) in y.iter().enumerate() {
            ensure_finite(y, "", Phase::Eval, port).map_err(|e| e.renamed(|_| self.place(t)))?;
        }
        Ok(y.iter().map(Tensor::detach).collect())
    }

    /// Step t from a state: the new states, then the outputs.
    pub(super) fn step(&self, t: usize, state: &[Tensor]) -> Result<Vec<Tensor>> {
        let arguments = self.arguments(t, state)?;
        let y = self.scan.step.eval(&arguments).map_err(|e| self.at(t, e))?;
        self.checked(t, y)
    }

    /// Step t and its linear map.
    pub(super) fn linearize(
        &self,
        t: usize,
        state: &[Tensor],
        wrt: &[bool],
    ) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let arguments = self.arguments(t, state)?;
        let made = self.scan.step.linearize(&arguments, Wrt(wrt)).map_err(|e| self.at(t, e))?;
        Ok((self.checked(t, made.0)?, made.1))
    }

    /// The steps `from..to`: the state behind them.
    pub(super) fn advance(
        &self,
        from: usize,
        to: usize,
        mut state: Vec<Tensor>,
    ) -> Result<Vec<Tensor>> {
        for t in from..to {
            state = self.step(t, &state)?;
            state.truncate(self.scan.states);
        }
        Ok(state)
    }

    /// The final states and the stacked outputs; nothing is kept.
    pub(super) fn values(&self) -> Result<Vec<Tensor>> {
        let (mut state, mut outputs) = (self.start.clone(), Vec::new());
        for t in 0..self.steps {
            state = self.take(t, self.step(t, &state)?, &mut outputs)?;
        }
        self.joined(state, outputs)
    }

    /// An empty stack for each output.
    pub(super) fn stacks(&self) -> Vec<Stack> {
        (0..self.scan.outputs).map(|_| Stack::new(self.steps)).collect()
    }

    /// Puts the outputs of step t into their stacks, which are made once the first come; the new states are left.
    pub(super) fn take(
        &self,
        t: usize,
        mut y: Vec<Tensor>,
        outputs: &mut Vec<Stack>,
    ) -> Result<Vec<Tensor>> {
        if outputs.is_empty() {
            *outputs = self.stacks();
        }
        for (y, stack) in y.drain(self.scan.states..).zip(outputs) {
            let what = "an output has one shape in all steps (this one, the first)";
            stack.set("", what, t, &y).map_err(|e| e.renamed(|_| self.place(t)))?;
        }
        Ok(y)
    }

    pub(super) fn joined(
        &self,
        mut state: Vec<Tensor>,
        outputs: Vec<Stack>,
    ) -> Result<Vec<Tensor>> {
        for stack in outputs {
            let missing = || invalid(&self.scan.name, "an output without steps".into());
            state.push(stack.finish()?.ok_or_else(missing)?);
        }
        Ok(state)
    }
}
