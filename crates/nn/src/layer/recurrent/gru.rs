//! The gated recurrent unit.

use pullback_core_graph::{Result, Var};

use super::RecurrentSpec;
use super::stack::{Stack, State};
use super::weights::Weights;
use crate::layer::Layer;
use crate::ops::{gru_sequence, gru_step};
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
        Ok(Self(Weights::new(scope, 3, [inputs, hidden], "", true)?))
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
    let of_state = weights.of_state(p, h, input.dims()?[0])?;
    gru_step(weights.hidden, [input, of_state], h)
}

impl<'g> State<'g> for Var<'g> {
    fn next(self, weights: &Weights, p: &Bound<'g>, input: Var<'g>) -> Result<Self> {
        next(weights, p, input, self)
    }

    fn over(self, weights: &Weights, p: &Bound<'g>, input: Var<'g>) -> Result<(Var<'g>, Self)> {
        let [batch, time, _] = weights.sequence(input)?;
        weights.check_state(self, batch)?;
        let states = gru_sequence(input, weights.state_vars(p, input)?, self)?;
        Ok((states, states.get(1, time - 1).ok()?))
    }

    fn hidden(self) -> Var<'g> {
        self
    }

    fn each(states: &[Self], part: &dyn Fn(&[Var<'g>]) -> Result<Var<'g>>) -> Result<Self> {
        part(states)
    }

    fn all_of(v: Var<'g>) -> Self {
        v
    }
}

/// A gated recurrent unit over sequences: (batch, time, inputs) ↦ (batch, time, hidden), from a state of zeros. See [`GruCell`].
///
/// With other choices of the [`RecurrentSpec`]: (time, batch, …) for both, and 2·hidden features for both ways in time.
#[derive(Debug, Clone)]
pub struct Gru(Stack);

impl Gru {
    /// One layer: makes `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, uniform on ±1/√hidden.
    ///
    /// # Errors
    /// As [`GruCell::new`].
    pub fn new(scope: &mut Scope<'_>, inputs: usize, hidden: usize) -> crate::Result<Self> {
        Self::with_spec(scope, RecurrentSpec::new(inputs, hidden))
    }

    /// As the [`RecurrentSpec`] says. The parameters of layer k end in `_l{k}`, those backwards in time in `_l{k}_reverse`, as
    /// PyTorch's.
    ///
    /// # Errors
    /// As [`GruCell::new`]; no layers; [`Error::Setting`](crate::Error::Setting) for a dropout outside \[0, 1).
    pub fn with_spec(scope: &mut Scope<'_>, spec: RecurrentSpec) -> crate::Result<Self> {
        Ok(Self(Stack::new("gru", 3, scope, spec)?))
    }

    /// All states of the last layer, and the last state of each layer and direction, (layers·directions, batch, hidden). `start` is
    /// of that shape, too, and zeros if it is not given; layer k's states follow those of the layers below, forwards first.
    ///
    /// # Errors
    /// An input or a start of another shape, an input without time; parameters that are not bound.
    pub fn run<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        start: Option<Var<'g>>,
    ) -> Result<(Var<'g>, Var<'g>)> {
        self.0.run(parameters, x, start)
    }
}

impl Layer for Gru {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        Ok(self.run(parameters, x, None)?.0)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        let spec = self.0.spec;
        walk.features("gru", [spec.inputs, spec.directions() * spec.hidden], &self.0.names())
    }
}
