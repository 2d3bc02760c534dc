//! Long short-term memory.

use pullback_core_graph::{Result, Var};

use super::weights::Weights;
use crate::layer::Layer;
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// The state of a long short-term memory: both (batch, hidden).
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
        Ok(Self(Weights::new(scope, 4, [inputs, hidden], "")?))
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
    let (n, batch) = (weights.hidden, input.dims()?[0]);
    weights.check_state(state.cell, batch)?;
    let all = input + weights.of_state(parameters, state.hidden, batch)?;
    let enter_and_forget = all.narrow(-1, 0, 2 * n).sigmoid();
    let (enter, forget) = (enter_and_forget.narrow(-1, 0, n), enter_and_forget.narrow(-1, n, n));
    let (new, out) = (all.narrow(-1, 2 * n, n).tanh(), all.narrow(-1, 3 * n, n).sigmoid());
    let cell = (forget * state.cell + enter * new).ok()?;
    Ok(LstmState { hidden: (out * cell.tanh()).ok()?, cell })
}

/// A long short-term memory over sequences: (batch, time, inputs) ↦ (batch, time, hidden), from a state of zeros. See [`LstmCell`].
#[derive(Debug, Clone)]
pub struct Lstm(Weights);

impl Lstm {
    /// Makes `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`LstmCell::new`].
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Ok(Self(Weights::new(scope, 4, [inputs, hidden], "_l0")?))
    }

    /// All hidden states (batch, time, hidden) and the last state, from `start` or zeros.
    ///
    /// # Errors
    /// An input of another shape, or without time; parameters that are not bound.
    pub fn run<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        start: Option<LstmState<'g>>,
    ) -> Result<(Var<'g>, LstmState<'g>)> {
        let [batch, time] = self.0.sequence("lstm", x)?;
        let input = self.0.of_input(parameters, x)?;
        let mut state = match start {
            Some(start) => start,
            None => {
                let zeros = self.0.zeros(x, batch)?;
                LstmState { hidden: zeros, cell: zeros }
            }
        };
        let mut states = Vec::with_capacity(time);
        for t in 0..time {
            state = next(&self.0, parameters, input.get(1, t), state)?;
            states.push(state.hidden);
        }
        Ok((x.graph().stack(&states, 1).ok()?, state))
    }
}

impl Layer for Lstm {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        Ok(self.run(parameters, x, None)?.0)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.features("lstm", [self.0.inputs, self.0.hidden], &self.0.names())
    }
}
