//! The gated recurrent unit.

use pullback_core_graph::{Result, Var};

use super::weights::Weights;
use crate::layer::Layer;
use crate::parameters::{Bound, Scope};
use crate::summary::Walk;

/// One step of a gated recurrent unit (Cho et al. 2014), in PyTorch's form:
/// r = σ(W_ir x + b_ir + W_hr h + b_hr), z = σ(W_iz x + b_iz + W_hz h + b_hz), n = tanh(W_in x + b_in + r∘(W_hn h + b_hn)),
/// h' = (1 − z)∘n + z∘h.
///
/// Shapes: x (batch, inputs), h (batch, hidden). The weights hold the gates r, z, n one after the other.
#[derive(Debug, Clone)]
pub struct GruCell(Weights);

impl GruCell {
    /// Makes `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`Scope::parameter`]; [`Error::Argument`](crate::Error::Argument) for a size of 0.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Ok(Self(Weights::new(scope, 3, [inputs, hidden], "")?))
    }

    /// h' from x and h.
    ///
    /// # Errors
    /// Shapes that do not fit; parameters that are not bound.
    pub fn step<'g>(&self, parameters: &Bound<'g>, x: Var<'g>, state: Var<'g>) -> Result<Var<'g>> {
        next(&self.0, parameters, self.0.of_input(parameters, x)?, state)
    }
}

/// h' from the input's part and h.
fn next<'g>(weights: &Weights, p: &Bound<'g>, input: Var<'g>, h: Var<'g>) -> Result<Var<'g>> {
    let batch = input.dims()?[0];
    let (n, of_state) = (weights.hidden, weights.of_state(p, h, batch)?);
    let gates = (input.narrow(-1, 0, 2 * n) + of_state.narrow(-1, 0, 2 * n)).sigmoid();
    let (reset, update) = (gates.narrow(-1, 0, n), gates.narrow(-1, n, n));
    let new = (input.narrow(-1, 2 * n, n) + reset * of_state.narrow(-1, 2 * n, n)).tanh();
    (new + update * (h - new)).ok()
}

/// A gated recurrent unit over sequences: (batch, time, inputs) ↦ (batch, time, hidden), from a state of zeros. See [`GruCell`].
#[derive(Debug, Clone)]
pub struct Gru(Weights);

impl Gru {
    /// Makes `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`GruCell::new`].
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Ok(Self(Weights::new(scope, 3, [inputs, hidden], "_l0")?))
    }

    /// All states (batch, time, hidden) and the last (batch, hidden), from the state `start` (batch, hidden) or zeros.
    ///
    /// # Errors
    /// An input of another shape, or without time; parameters that are not bound.
    pub fn run<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        start: Option<Var<'g>>,
    ) -> Result<(Var<'g>, Var<'g>)> {
        let [batch, time] = self.0.sequence("gru", x)?;
        let input = self.0.of_input(parameters, x)?;
        let mut state = start.map_or_else(|| self.0.zeros(x, batch), Ok)?;
        let mut states = Vec::with_capacity(time);
        for t in 0..time {
            state = next(&self.0, parameters, input.get(1, t), state)?;
            states.push(state);
        }
        Ok((x.graph().stack(&states, 1).ok()?, state))
    }
}

impl Layer for Gru {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        Ok(self.run(parameters, x, None)?.0)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        walk.features("gru", [self.0.inputs, self.0.hidden], &self.0.names())
    }
}
