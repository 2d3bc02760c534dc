//! Cells over whole sequences: one layer or several, forwards or both ways in time.

use pullback_core_graph::{Error, Result, Var};

use super::RecurrentSpec;
use super::weights::Weights;
use crate::error::room;
use crate::layer::{Dropout, Layer};
use crate::parameters::{Bound, Scope};

/// What goes from step to step: h (batch, hidden), or h and more of this shape. It also says how.
pub(super) trait State<'g>: Copy {
    /// The next state from the input's part x·W_ihᵀ + b_ih (batch, gates·hidden).
    fn next(self, weights: &Weights, parameters: &Bound<'g>, input: Var<'g>) -> Result<Self>;

    /// All h from the input's parts of all times (batch, time, gates·hidden), and the last state: one operation.
    fn over(
        self,
        weights: &Weights,
        parameters: &Bound<'g>,
        input: Var<'g>,
    ) -> Result<(Var<'g>, Self)>;

    /// h.
    fn hidden(self) -> Var<'g>;

    /// `part` of everything in the states, together: to pick one of a stack, or to make a stack of several.
    fn each(states: &[Self], part: &dyn Fn(&[Var<'g>]) -> Result<Var<'g>>) -> Result<Self>;

    /// The same variable for everything in the state.
    fn all_of(v: Var<'g>) -> Self;
}

/// The weights of all layers and directions, the directions of a layer one after the other.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    weights: Vec<Weights>,
    /// In front of all layers but the first; none where nothing is dropped.
    dropout: Vec<Dropout>,
    pub(super) spec: RecurrentSpec,
    /// The layer's name in errors.
    name: &'static str,
}

impl Stack {
    /// Makes the parameters under PyTorch's names, uniform on ±1/√hidden.
    pub(super) fn new(
        name: &'static str,
        gates: usize,
        scope: &mut Scope<'_>,
        spec: RecurrentSpec,
    ) -> crate::Result<Self> {
        crate::error::check_positive(name, "layers", spec.layers)?;
        // Each layer and direction has a matrix of this size at least; before so many are begun.
        if !room::<f64>(&[spec.layers, spec.directions(), gates, spec.hidden, spec.hidden]) {
            return Err(crate::Error::Argument {
                operation: name,
                argument: "layers",
                value: spec.layers,
                reason: "there is no memory for so many of this size",
            });
        }
        let width = spec.hidden.saturating_mul(spec.directions());
        let mut weights = Vec::new();
        for layer in 0..spec.layers {
            let sizes = [if layer == 0 { spec.inputs } else { width }, spec.hidden];
            for direction in ["", "_reverse"].iter().take(spec.directions()) {
                let suffix = format!("_l{layer}{direction}");
                weights.push(Weights::new(scope, gates, sizes, &suffix, spec.bias)?);
            }
        }
        // Refused even where nothing lies between two layers.
        Dropout::new(scope, spec.dropout)?;
        let drop = |layer| Dropout::new(&scope.scope(&format!("dropout_l{layer}")), spec.dropout);
        let between = if spec.dropout > 0.0 { 1..spec.layers } else { 0..0 };
        let dropout = between.map(drop).collect::<crate::Result<_>>()?;
        Ok(Self { weights, dropout, spec, name })
    }

    /// All states of the last layer, and the last state of each layer and direction (layers·directions, batch, hidden).
    pub(super) fn run<'g, S: State<'g>>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        start: Option<S>,
    ) -> Result<(Var<'g>, S)> {
        let spec = self.spec;
        let turned = |x: Var<'g>| if spec.batch_first { x } else { x.permute(&[1, 0, 2]) };
        self.check_sequence(x)?;
        let mut x = turned(x).ok()?;
        let batch = x.dims()?[0];
        if let Some(start) = &start {
            S::each(&[*start], &|v| self.check_start(v[0], batch))?;
        }
        let zeros = self.zeros(x, batch)?;
        let directions = spec.directions();
        let mut last = Vec::with_capacity(self.weights.len());
        for (layer, weights) in self.weights.chunks(directions).enumerate() {
            if let Some(dropout) = layer.checked_sub(1).and_then(|below| self.dropout.get(below)) {
                x = dropout.forward(parameters, x)?;
            }
            let mut sides = Vec::with_capacity(directions);
            for (direction, weights) in weights.iter().enumerate() {
                let index = layer * directions + direction;
                let state = match &start {
                    Some(start) => S::each(&[*start], &|v| v[0].get(0, index).ok())?,
                    None => S::all_of(zeros),
                };
                let (states, end) = sweep(weights, parameters, x, state, direction == 1)?;
                sides.push(states);
                last.push(end);
            }
            x = match sides[..] {
                [one] => one,
                _ => x.graph().cat(&sides, -1).ok()?,
            };
        }
        let last = S::each(&last, &|v| v[0].graph().stack(v, 0).ok())?;
        Ok((turned(x).ok()?, last))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.weights.iter().flat_map(Weights::names).collect()
    }

    /// Errors: another shape than (batch, time, inputs), or (time, batch, inputs); no time.
    fn check_sequence(&self, x: Var<'_>) -> Result<()> {
        let dims = x.dims()?;
        let inputs = self.spec.inputs;
        let time = if self.spec.batch_first { 1 } else { 0 };
        if dims.len() == 3 && dims[2] == inputs && dims[time] > 0 {
            return Ok(());
        }
        let what = match self.spec.batch_first {
            true => format!("(batch, time ≥ 1, {inputs} inputs)"),
            false => format!("(time ≥ 1, batch, {inputs} inputs)"),
        };
        Err(Error::shape(self.name, what, &[&dims]))
    }

    fn check_start<'g>(&self, state: Var<'g>, batch: usize) -> Result<Var<'g>> {
        let (dims, count, hidden) = (state.dims()?, self.weights.len(), self.spec.hidden);
        if dims == [count, batch, hidden] {
            return Ok(state);
        }
        let what =
            format!("a first state of shape ({count} layers · directions, {batch}, {hidden})");
        Err(Error::shape(self.name, what, &[&dims]))
    }

    /// A state of zeros (batch, hidden).
    fn zeros<'g>(&self, like: Var<'g>, batch: usize) -> Result<Var<'g>> {
        let x = like.value()?;
        let zeros = candle_core::Tensor::zeros((batch, self.spec.hidden), x.dtype(), x.device())?;
        Ok(like.graph().constant(&zeros))
    }
}

/// One layer in one direction: all states (batch, time, hidden) in the order of time, and the last that was computed.
fn sweep<'g, S: State<'g>>(
    weights: &Weights,
    parameters: &Bound<'g>,
    x: Var<'g>,
    mut state: S,
    backwards: bool,
) -> Result<(Var<'g>, S)> {
    let input = weights.of_input(parameters, x)?;
    let [batch, time, _] = weights.sequence(input)?;
    if batch > 0 && x.device()?.is_cpu() {
        let turned = |v: Var<'g>| if backwards { v.flip(1).ok() } else { Ok(v) };
        let (states, end) = state.over(weights, parameters, turned(input)?)?;
        return Ok((turned(states)?, end));
    }
    let mut states = Vec::with_capacity(time);
    for step in 0..time {
        let t = if backwards { time - 1 - step } else { step };
        state = state.next(weights, parameters, input.get(1, t))?;
        states.push(state.hidden());
    }
    if backwards {
        states.reverse();
    }
    Ok((x.graph().stack(&states, 1).ok()?, state))
}
