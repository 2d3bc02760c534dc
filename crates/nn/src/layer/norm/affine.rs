//! The learned scale and shift behind a normalization.

use pullback_core_graph::{Result, Var};

use crate::parameters::{Bound, Initialization, Scope};

/// Fewer numbers for each channel of a sample than this are left to the operations on whole tensors.
pub(super) const PIXELS: usize = 8;

/// y ↦ y·weight + bias, broadcast; either may be absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Affine {
    weight: Option<String>,
    bias: Option<String>,
    /// Axes of length 1 after the parameters' own, for (channels, 1, 1).
    trailing: usize,
}

impl Affine {
    /// A weight of ones and a bias of zeros, of this shape.
    pub(super) fn new(
        scope: &mut Scope<'_>,
        dims: &[usize],
        [weight, bias]: [bool; 2],
        trailing: usize,
    ) -> crate::Result<Self> {
        let mut make = |wanted: bool, name, value| {
            wanted.then(|| scope.parameter(name, dims, Initialization::Constant(value))).transpose()
        };
        Ok(Self { weight: make(weight, "weight", 1.0)?, bias: make(bias, "bias", 0.0)?, trailing })
    }

    pub(super) fn apply<'g>(&self, parameters: &Bound<'g>, y: Var<'g>) -> Result<Var<'g>> {
        let get = |name: &Option<String>| -> Result<Option<Var<'g>>> {
            let Some(name) = name else { return Ok(None) };
            let v = parameters.get(name)?;
            let mut dims = v.dims()?;
            dims.resize(dims.len() + self.trailing, 1);
            Ok(Some(if self.trailing == 0 { v } else { v.reshape(&dims).ok()? }))
        };
        let y = get(&self.weight)?.map_or(y, |weight| y * weight);
        get(&self.bias)?.map_or(y, |bias| y + bias).ok()
    }

    /// Weight and bias as they are.
    pub(super) fn vars<'g>(&self, parameters: &Bound<'g>) -> Result<[Option<Var<'g>>; 2]> {
        let get = |name: &Option<String>| name.as_ref().map(|n| parameters.get(n)).transpose();
        Ok([get(&self.weight)?, get(&self.bias)?])
    }

    /// The same for inputs with this many axes after the parameters' own.
    pub(super) fn trailed(&self, trailing: usize) -> Self {
        Self { trailing, ..self.clone() }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.weight.iter().chain(&self.bias).map(String::as_str).collect()
    }
}
