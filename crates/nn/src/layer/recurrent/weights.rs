//! The two affine maps of a recurrent cell.

use pullback_core_graph::{Error, Result, Var};

use crate::parameters::{Bound, Initialization, Scope};

/// weight_ih (gates·hidden, inputs), weight_hh (gates·hidden, hidden), and their biases.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    input: Affine,
    state: Affine,
    pub(super) hidden: usize,
}

#[derive(Debug, Clone)]
struct Affine {
    weight: String,
    bias: Option<String>,
}

impl Weights {
    /// Uniform on ±1/√hidden, PyTorch's default; `suffix` follows its names.
    pub(super) fn new(
        scope: &mut Scope<'_>,
        gates: usize,
        [inputs, hidden]: [usize; 2],
        suffix: &str,
        bias: bool,
    ) -> crate::Result<Self> {
        crate::error::check_positive("recurrent cell", "inputs", inputs)?;
        crate::error::check_positive("recurrent cell", "hidden", hidden)?;
        let uniform = Initialization::pytorch_recurrent(hidden)?;
        let rows = hidden.saturating_mul(gates);
        let mut make = |of: &str, columns: usize| -> crate::Result<Affine> {
            let weight = format!("weight_{of}{suffix}");
            let weight = scope.parameter(&weight, &[rows, columns], uniform)?;
            let mut make = || scope.parameter(&format!("bias_{of}{suffix}"), &[rows], uniform);
            Ok(Affine { weight, bias: bias.then(&mut make).transpose()? })
        };
        Ok(Self { input: make("ih", inputs)?, state: make("hh", hidden)?, hidden })
    }

    /// x·W_ihᵀ + b_ih.
    pub(super) fn of_input<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        self.input.apply(parameters, x)
    }

    /// h·W_hhᵀ + b_hh. Errors: a state of another shape than (batch, hidden).
    pub(super) fn of_state<'g>(
        &self,
        parameters: &Bound<'g>,
        h: Var<'g>,
        batch: usize,
    ) -> Result<Var<'g>> {
        // A state of one sample would broadcast.
        self.check_state(h, batch)?;
        self.state.apply(parameters, h)
    }

    /// W_hh and b_hh; zeros for a bias that is not there.
    pub(super) fn state_vars<'g>(
        &self,
        parameters: &Bound<'g>,
        like: Var<'g>,
    ) -> Result<[Var<'g>; 2]> {
        let weight = parameters.get(&self.state.weight)?;
        let bias = match &self.state.bias {
            Some(bias) => parameters.get(bias)?,
            None => {
                let (rows, like) = (weight.dims()?[0], like.value()?);
                let zeros = candle_core::Tensor::zeros(rows, like.dtype(), like.device())?;
                weight.graph().constant(&zeros)
            }
        };
        Ok([weight, bias])
    }

    /// Batch, time and gates of the input's part.
    pub(super) fn sequence(&self, input: Var<'_>) -> Result<[usize; 3]> {
        match *input.dims()? {
            [batch, time, gates] if time > 0 => Ok([batch, time, gates]),
            ref other => Err(Error::shape("recurrent cell", "(batch, time ≥ 1, gates)", &[other])),
        }
    }

    /// Errors: a state of another shape than (batch, hidden).
    pub(super) fn check_state(&self, h: Var<'_>, batch: usize) -> Result<()> {
        let dims = h.dims()?;
        if dims == [batch, self.hidden] {
            return Ok(());
        }
        let what = format!("a state of shape ({batch}, {})", self.hidden);
        Err(Error::shape("recurrent cell", what, &[&dims]))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let parts = [&self.input, &self.state].into_iter();
        parts
            .flat_map(|part| [&part.weight].into_iter().chain(&part.bias))
            .map(String::as_str)
            .collect()
    }
}

impl Affine {
    fn apply<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        let y = x.matmul(parameters.get(&self.weight)?.t());
        match &self.bias {
            Some(bias) => (y + parameters.get(bias)?).ok(),
            None => y.ok(),
        }
    }
}
