//! candle's side: layers as candle modules, candle's layers over our parameters, and weights of candle and PyTorch in our layers.

mod builder;

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Module, Tensor};
use candle_nn::VarBuilder;
use pullback_core_graph::{Function, attach};

pub use builder::CandleParameters;

use crate::error::{Error, Result};
use crate::layer::{Layer, layer_function_in};
use crate::parameters::{Mode, Parameters};

/// A layer with candle variables for its parameters: a candle [`Module`] whose backward pass is ours.
///
/// candle's `loss.backward()` flows through it to the variables and to the input, and candle's optimizers move the variables. First
/// order only, see [`attach`]. Buffers are those of the parameters it was made from, and do not move: train batch normalization with
/// [`Parameters::apply`].
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use pullback_nn::{Initialization, Parameters, interop::CandleLayer, layer::Linear};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut parameters = Parameters::new(1, DType::F32, &Device::Cpu);
/// let linear = Linear::new(&mut parameters.root(), 3, 2, Initialization::Xavier)?;
/// let module = CandleLayer::new(linear, &parameters)?;
/// let loss = module.forward(&Tensor::ones((4, 3), DType::F32, &Device::Cpu)?)?.sqr()?.sum_all()?;
/// let gradients = loss.backward()?;
/// assert!(module.variables().all(|(_, v)| gradients.get(v).is_some()));
/// # Ok(())
/// # }
/// ```
pub struct CandleLayer {
    function: Arc<dyn Function>,
    variables: Vec<(String, candle_core::Var)>,
}

impl CandleLayer {
    /// The layer in evaluation mode, with variables that start at the parameters' values.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(layer: impl Layer + 'static, parameters: &Parameters) -> Result<Self> {
        Self::in_mode(Mode::Evaluation, layer, parameters)
    }

    /// The same in another mode, whose seed does not change.
    ///
    /// # Errors
    /// As [`CandleLayer::new`].
    pub fn in_mode(
        mode: Mode,
        layer: impl Layer + 'static,
        parameters: &Parameters,
    ) -> Result<Self> {
        let function = layer_function_in(mode, "layer", layer, parameters);
        let variable =
            |(name, t): (&str, &Tensor)| Ok((name.to_string(), candle_core::Var::from_tensor(t)?));
        Ok(Self { function, variables: parameters.iter().map(variable).collect::<Result<_>>()? })
    }

    /// Names and variables, in the order of the names.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &candle_core::Var)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// Writes the variables' values back.
    ///
    /// # Errors
    /// As [`Parameters::set`].
    pub fn store(&self, parameters: &mut Parameters) -> Result<()> {
        let mut next = parameters.clone();
        self.variables.iter().try_for_each(|(name, v)| next.set(name, v.as_tensor()))?;
        *parameters = next;
        Ok(())
    }
}

impl std::fmt::Debug for CandleLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CandleLayer({} variables)", self.variables.len())
    }
}

impl Module for CandleLayer {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let variables = self.variables.iter().map(|(_, variable)| variable.as_tensor());
        let inputs: Vec<&Tensor> = variables.chain([x]).collect();
        let mut y = attach(&self.function, &inputs).map_err(candle_core::Error::wrap)?;
        y.pop().ok_or_else(|| candle_core::Error::Msg("a layer without output".into()))
    }
}

/// Takes the values of all parameters and buffers from candle's builder, by their names; on an error nothing has changed.
///
/// Layers name and lay out their parameters as PyTorch and candle do, so weights of either load. Element types are converted.
///
/// # Errors
/// [`Error::Parameter`] for a name that is not there or has another shape.
pub fn load_var_builder(parameters: &mut Parameters, weights: &VarBuilder<'_>) -> Result<()> {
    let mut next = parameters.clone();
    let weights = weights.clone().to_dtype(parameters.dtype());
    let fetch = |name: &str, like: &Tensor| -> Result<Tensor> {
        weights.get(like.shape(), name).map_err(|e| Error::Parameter {
            name: name.into(),
            what: format!("cannot be taken from the builder: {e}"),
        })
    };
    for (name, like) in parameters.iter() {
        next.set(name, &fetch(name, like)?)?;
    }
    for (name, like) in parameters.buffers() {
        next.set_buffer(name, &fetch(name, like)?)?;
    }
    *parameters = next;
    Ok(())
}

/// Takes the values of all parameters and buffers from a safetensors file of candle's or PyTorch's, and returns the names in it that
/// nothing asked for; on an error nothing has changed.
///
/// # Errors
/// [`Error::Checkpoint`] for a file that cannot be read; as [`load_var_builder`] else.
pub fn load_safetensors(parameters: &mut Parameters, path: &Path) -> Result<Vec<String>> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)
        .map_err(|e| Error::Checkpoint { path: path.into(), reason: e.to_string() })?;
    let mut unused: Vec<String> = tensors.keys().cloned().collect();
    let weights = VarBuilder::from_tensors(tensors, parameters.dtype(), parameters.device());
    load_var_builder(parameters, &weights)?;
    let ours = |name: &String| {
        parameters.get(name).is_ok() || parameters.buffers().any(|(buffer, _)| buffer == name)
    };
    unused.retain(|name| !ours(name));
    unused.sort();
    Ok(unused)
}
