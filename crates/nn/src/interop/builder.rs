//! candle's layers over our parameters: a backend of candle's builder.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::init::{FanInOut, NormalOrUniform};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};

use crate::error::{Error, Result};
use crate::parameters::{Fan, Initialization, Parameters};

/// Our parameters as variables of candle: what layers of `candle_nn` are built from, and what candle's optimizers move.
///
/// A parameter or buffer of the name that a layer asks for is used, if its shape is the one asked for. One that is not there is made
/// as candle's layer wants it, but seeded: a function of the parameters' seed, its name and its shape, unlike candle's own random
/// numbers. Clones share all variables.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// use pullback_nn::{Parameters, interop::CandleParameters};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let start = Parameters::new(1, DType::F32, &Device::Cpu);
/// let shared = CandleParameters::new(&start)?;
/// let linear = candle_nn::linear(3, 2, shared.builder().pp("head"))?;
/// let loss = linear.forward(&Tensor::ones((4, 3), DType::F32, &Device::Cpu)?)?.sqr()?.sum_all()?;
/// let gradients = loss.backward()?;
/// assert!(shared.variables().iter().all(|(_, v)| gradients.get(v).is_some()));
/// assert_eq!(shared.parameters()?.get("head.weight")?.dims(), [2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CandleParameters(Arc<Mutex<Shared>>);

struct Shared {
    /// Names, shapes and the seed; the values are those of the variables.
    parameters: Parameters,
    variables: BTreeMap<String, candle_core::Var>,
}

impl CandleParameters {
    /// Variables that start at the values of `parameters`; these are copied, and stay as they are.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        let variable =
            |(name, t): (&str, &Tensor)| Ok((name.to_string(), candle_core::Var::from_tensor(t)?));
        let variables = parameters.iter().map(variable).collect::<Result<_>>()?;
        Ok(Self(Arc::new(Mutex::new(Shared { parameters: parameters.clone(), variables }))))
    }

    /// candle's builder, of the parameters' element type and device.
    #[must_use]
    pub fn builder(&self) -> VarBuilder<'static> {
        let (dtype, device) = {
            let shared = self.shared();
            (shared.parameters.dtype(), shared.parameters.device().clone())
        };
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device)
    }

    /// Names and variables, in the order of the names; buffers are none.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, candle_core::Var)> {
        self.shared().variables.iter().map(|(name, v)| (name.clone(), v.clone())).collect()
    }

    /// All parameters, those that candle's layers have made among them, with the values that the variables have now.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn parameters(&self) -> Result<Parameters> {
        let shared = self.shared();
        let mut now = shared.parameters.clone();
        for (name, variable) in &shared.variables {
            // A copy: the optimizer writes into the variable.
            now.set(name, &variable.as_tensor().copy()?)?;
        }
        Ok(now)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tensor that a layer asks for, or why there is none.
    fn find(&self, name: &str, shape: Option<(&Shape, candle_nn::Init)>) -> Result<Tensor> {
        let shared = &mut *self.shared();
        let buffer = shared.parameters.buffers().find(|(n, _)| *n == name).map(|(_, t)| t.clone());
        let known = shared.variables.get(name).map(|v| v.as_tensor().clone()).or(buffer);
        match (known, shape) {
            (Some(tensor), Some((shape, _))) if tensor.shape() != shape => Err(Error::Parameter {
                name: name.into(),
                what: format!(
                    "has the shape {:?}, candle's layer asks for {shape:?}",
                    tensor.shape()
                ),
            }),
            (Some(tensor), _) => Ok(tensor),
            (None, Some((shape, init))) => {
                let by = initialization(init, shape);
                shared.parameters.root().parameter(name, shape.dims(), by)?;
                let variable = candle_core::Var::from_tensor(shared.parameters.get(name)?)?;
                let tensor = variable.as_tensor().clone();
                shared.variables.insert(name.into(), variable);
                Ok(tensor)
            }
            (None, None) => Err(Error::Parameter {
                name: name.into(),
                what: "there is no parameter of this name, and no shape to make one of".into(),
            }),
        }
    }
}

impl std::fmt::Debug for CandleParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CandleParameters({} variables)", self.shared().variables.len())
    }
}

/// candle's wish in our terms. A vector has the fan_in 1 for candle, as a bias of one input.
fn initialization(init: candle_nn::Init, shape: &Shape) -> Initialization {
    match init {
        candle_nn::Init::Const(value) => Initialization::Constant(value),
        candle_nn::Init::Randn { mean, stdev } => Initialization::Normal { mean, deviation: stdev },
        candle_nn::Init::Uniform { lo, up } => Initialization::Uniform { low: lo, high: up },
        candle_nn::Init::Kaiming { dist, fan, non_linearity } => {
            let gain = non_linearity.gain();
            if shape.rank() < 2 {
                let deviation = gain / (fan.for_shape(shape) as f64).sqrt();
                let bound = 3f64.sqrt() * deviation;
                return match dist {
                    NormalOrUniform::Normal => Initialization::Normal { mean: 0.0, deviation },
                    NormalOrUniform::Uniform => {
                        Initialization::Uniform { low: -bound, high: bound }
                    }
                };
            }
            let fan = match fan {
                FanInOut::FanIn => Fan::In,
                FanInOut::FanOut => Fan::Out,
            };
            match dist {
                NormalOrUniform::Normal => Initialization::HeNormal { gain, fan },
                NormalOrUniform::Uniform => Initialization::HeUniform { gain, fan },
            }
        }
    }
}

impl SimpleBackend for CandleParameters {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let found = self.find(name, Some((&shape, init))).map_err(candle_core::Error::wrap)?;
        // Of the same type on the same device this is the variable itself, else derivatives flow back to it.
        found.to_device(device)?.to_dtype(dtype)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let found = self.find(name, None).map_err(candle_core::Error::wrap)?;
        found.to_device(device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let shared = self.shared();
        shared.variables.contains_key(name) || shared.parameters.buffers().any(|(n, _)| n == name)
    }
}
