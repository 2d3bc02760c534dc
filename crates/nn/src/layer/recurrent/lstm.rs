//! Long short-term memory.

use pullback_core_graph::{Result, Var};

use super::RecurrentSpec;
use super::stack::{Stack, State};
use super::weights::Weights;
use crate::layer::Layer;
use crate::ops::{lstm_sequence, lstm_step};
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// The state of a long short-term memory: both (batch, hidden), or (layers·directions, batch, hidden) for a whole [`Lstm`].
#[derive(Debug, Clone, Copy)]
pub struct LstmState<'g> {
    /// h, what goes out.
    pub hidden: Var<'g>,
    /// c, what stays inside.
    pub cell: Var<'g>,
}

/// One step of a long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000):
/// (i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh, c' = σ(f)∘c + σ(i)∘tanh g, h' = σ(o)∘tanh c'.
///
/// Shapes: x (batch, inputs), h and c (batch, hidden). The weights hold the gates i, f, g, o one after the other, as PyTorch's.
#[derive(Debug, Clone)]
pub struct LstmCell(Weights);

impl LstmCell {
    /// Makes `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) for a size of 0.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Ok(Self(Weights::new(scope, 4, [inputs, hidden], "", true)?))
    }

    /// The next state.
    ///
    /// # Errors
    /// Shapes that do not fit; parameters that are not bound.
    pub fn step<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        state: LstmState<'g>,
    ) -> Result<LstmState<'g>> {
        next(&self.0, parameters, self.0.of_input(parameters, x)?, state)
    }
}

fn next<'g>(
    weights: &Weights,
    parameters: &Bound<'g>,
    input: Var<'g>,
    state: LstmState<'g>,
) -> Result<LstmState<'g>> {
    let batch = input.dims()?[0];
    weights.check_state(state.cell, batch)?;
    let of_state = weights.of_state(parameters, state.hidden, batch)?;
    let [hidden, cell] = lstm_step(weights.hidden, [input, of_state], state.cell)?;
    Ok(LstmState { hidden, cell })
}

impl<'g> State<'g> for LstmState<'g> {
    fn next(self, weights: &Weights, p: &Bound<'g>, input: Var<'g>) -> Result<Self> {
        next(weights, p, input, self)
    }

    fn over(self, weights: &Weights, p: &Bound<'g>, input: Var<'g>) -> Result<(Var<'g>, Self)> {
        let [batch, time, _] = weights.sequence(input)?;
        weights.check_state(self.hidden, batch)?;
        weights.check_state(self.cell, batch)?;
        let start = [self.hidden, self.cell];
        let [hidden, cells] = lstm_sequence(input, weights.state_vars(p, input)?, start)?;
        let last = |v: Var<'g>| v.get(1, time - 1).ok();
        Ok((hidden, Self { hidden: last(hidden)?, cell: last(cells)? }))
    }

    fn hidden(self) -> Var<'g> {
        self.hidden
    }

    fn each(states: &[Self], part: &dyn Fn(&[Var<'g>]) -> Result<Var<'g>>) -> Result<Self> {
        let hidden: Vec<_> = states.iter().map(|s| s.hidden).collect();
        let cell: Vec<_> = states.iter().map(|s| s.cell).collect();
        Ok(Self { hidden: part(&hidden)?, cell: part(&cell)? })
    }

    fn all_of(v: Var<'g>) -> Self {
        Self { hidden: v, cell: v }
    }
}

/// A long short-term memory over sequences: (batch, time, inputs) ↦ (batch, time, hidden), from a state of zeros. See [`LstmCell`].
///
/// With other choices of the [`RecurrentSpec`]: (time, batch, …) for both, and 2·hidden features for both ways in time.
#[derive(Debug, Clone)]
pub struct Lstm(Stack);

impl Lstm {
    /// One layer: makes `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`LstmCell::new`].
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Self::with_spec(scope, RecurrentSpec::new(inputs, hidden))
    }

    /// As the [`RecurrentSpec`] says. The parameters of layer k end in `_l{k}`, those backwards in time in `_l{k}_reverse`, as
    /// PyTorch's.
    ///
    /// # Errors
    /// As [`LstmCell::new`]; no layers; [`Error::Setting`](crate::Error::Setting) for a dropout outside \[0, 1).
    pub fn with_spec(scope: &mut Scope<'_>, spec: RecurrentSpec) -> crate::Result<Self> {
        Ok(Self(Stack::new("lstm", 4, scope, spec)?))
    }

    /// All hidden states of the last layer, and the last state of each layer and direction, h and c (layers·directions, batch,
    /// hidden) each. `start` is of that shape, too, and zeros if it is not given; layer k's states follow those of the layers below,
    /// forwards first.
    ///
    /// # Errors
    /// An input or a start of another shape, an input without time; parameters that are not bound.
    pub fn run<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        start: Option<LstmState<'g>>,
    ) -> Result<(Var<'g>, LstmState<'g>)> {
        self.0.run(parameters, x, start)
    }
}

impl Layer for Lstm {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        Ok(self.run(parameters, x, None)?.0)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let spec = self.0.spec;
        walk.features("lstm", [spec.inputs, spec.directions() * spec.hidden], &self.0.names())
    }
}
