//! The two affine maps of a recurrent cell.

use pullback_core_graph::{Error, Result, Var};

use crate::parameters::{Bound, Initialization, Scope};

/// weight_ih (gates·hidden, inputs), weight_hh (gates·hidden, hidden), and their biases.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    input: [String; 2],
    state: [String; 2],
    pub(super) inputs: usize,
    pub(super) hidden: usize,
}

impl Weights {
    /// Uniform on ±1/√hidden, PyTorch's default; `suffix` follows its names.
    pub(super) fn new(
        scope: &mut Scope<'_>,
        gates: usize,
        [inputs, hidden]: [usize; 2],
        suffix: &str,
    ) -> crate::Result<Self> {
        crate::error::check_positive("recurrent cell", "inputs", inputs)?;
        crate::error::check_positive("recurrent cell", "hidden", hidden)?;
        let bound = (hidden as f64).sqrt().recip();
        let uniform = Initialization::Uniform { low: -bound, high: bound };
        let mut make =
            |name: &str, dims: &[usize]| scope.parameter(&format!("{name}{suffix}"), dims, uniform);
        let rows = gates * hidden;
        Ok(Self {
            input: [make("weight_ih", &[rows, inputs])?, make("bias_ih", &[rows])?],
            state: [make("weight_hh", &[rows, hidden])?, make("bias_hh", &[rows])?],
            inputs,
            hidden,
        })
    }

    /// x·W_ihᵀ + b_ih.
    pub(super) fn of_input<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        affine(parameters, &self.input, x)
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
        affine(parameters, &self.state, h)
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
        self.input.iter().chain(&self.state).map(String::as_str).collect()
    }

    /// Batch and time of a sequence. Errors: another shape than (batch, time, inputs); no time.
    pub(super) fn sequence(&self, node: &str, x: Var<'_>) -> Result<[usize; 2]> {
        match *x.dims()? {
            [batch, time, inputs] if inputs == self.inputs && time > 0 => Ok([batch, time]),
            ref other => {
                let what = format!("(batch, time ≥ 1, {} inputs)", self.inputs);
                Err(Error::shape(node, what, &[other]))
            }
        }
    }

    /// A state of zeros.
    pub(super) fn zeros<'g>(&self, like: Var<'g>, batch: usize) -> Result<Var<'g>> {
        let x = like.value()?;
        let zeros = candle_core::Tensor::zeros((batch, self.hidden), x.dtype(), x.device())?;
        Ok(like.graph().constant(&zeros))
    }
}

fn affine<'g>(parameters: &Bound<'g>, names: &[String; 2], x: Var<'g>) -> Result<Var<'g>> {
    let [weight, bias] = [&names[0], &names[1]].map(|name| parameters.get(name));
    (x.matmul(weight?.t()) + bias?).ok()
}
