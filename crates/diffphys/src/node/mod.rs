//! Steps and rollouts as nodes of a function network: on candle tensors, batched over threads.

mod map;
mod shapes;

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{
    Error as NetworkError, Function, LinearMap, Result as NetworkResult, Wrt,
};
use rayon::prelude::*;

use crate::{Data, Error, Model, Parameter, Result, Rollout};
use map::Map;
use shapes::Call;

/// A model's step or rollout as a [`Function`]: (x, u, parameters…) ↦ x⁺.
///
/// - x […, nq + nv + na]: positions, velocities, activations. Quaternions are four numbers; one that is not of unit length stands for itself
///   divided by its length.
/// - u: controls, […, nu] for a step and […, T, nu] for a rollout; no input if the model has none.
/// - one input for each of `parameters`, shared by the batch, of the parameter's length.
/// - x⁺: the next state, […, nq + nv + na], or the states after each step, […, T, nq + nv + na].
///
/// All f32 or all f64 (computed in f64); batch dimensions lead and are the same for x and u. The batch is spread over threads; the bits
/// do not depend on their number. A rollout keeps its states only: its pull takes every step again. For long closed loops with any `Function` as the
/// controller and a cost at every step, put a step into `pullback_graph::Scan`, which has Revolve's checkpoints.
///
/// Derivatives of the derivative are not offered.
///
/// # Errors
/// Shapes and element types; this crate's errors, to be had back from the network's error by
/// `source.downcast_ref::<pullback_diffphys::Error>()`.
///
/// ```
/// use std::sync::Arc;
/// use pullback_core_graph::{Graph, candle::{Device, Tensor}};
/// use pullback_diffphys::{Simulation, mjcf};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Arc::new(mjcf::parse(r#"<mujoco><worldbody><body><joint name="j" axis="0 1 0"/><geom size="0.1" pos="0 0 -1"/></body>
///     </worldbody><actuator><motor joint="j"/></actuator></mujoco>"#)?);
/// let swing = Simulation::rollout(model, 50).build();
/// let graph = Graph::new();
/// let x = graph.input(&Tensor::new(&[0.3f64, 0.0], &Device::Cpu)?);
/// let u = graph.input(&Tensor::zeros((50, 1), pullback_core_graph::candle::DType::F64, &Device::Cpu)?);
/// let states = graph.apply(&swing, &[x, u])?[0];
/// let last = states.get(0, 49).get(0, 0);
/// let slopes = graph.gradient(last, &[u])?[0].flatten_all()?.to_vec1::<f64>()?;
/// assert!(slopes[0] > slopes[49] && slopes[49] > 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Simulation {
    model: Arc<Model>,
    name: String,
    /// `None` for a single step.
    steps: Option<usize>,
    parameters: Vec<Parameter>,
}

impl Simulation {
    /// One step.
    pub fn step(model: Arc<Model>) -> Self {
        let name = format!("step of {}", model.name);
        Self { model, name, steps: None, parameters: Vec::new() }
    }

    /// `steps` steps.
    pub fn rollout(model: Arc<Model>, steps: usize) -> Self {
        let name = format!("rollout of {}", model.name);
        Self { model, name, steps: Some(steps), parameters: Vec::new() }
    }

    /// Parameters that are inputs, after state and controls.
    #[must_use]
    pub fn parameters(mut self, parameters: &[Parameter]) -> Self {
        self.parameters = parameters.to_vec();
        self
    }

    /// The node.
    pub fn build(self) -> Arc<dyn Function> {
        Arc::new(self)
    }

    /// The model with the parameters of a call.
    fn with_parameters(&self, call: &Call) -> Result<Arc<Model>> {
        if self.parameters.is_empty() {
            return Ok(self.model.clone());
        }
        let mut model = Model::clone(&self.model);
        for (&parameter, values) in self.parameters.iter().zip(&call.parameters) {
            model.set_parameter(parameter, values)?;
        }
        Ok(Arc::new(model))
    }

    fn run(&self, call: &Call) -> NetworkResult<(Arc<Model>, Vec<Rollout>)> {
        let model = self.with_parameters(call).map_err(|e| external(&self.name, e))?;
        let steps = self.steps.unwrap_or(1);
        let runs: Result<Vec<Rollout>> = (0..call.batch)
            .into_par_iter()
            .map(|item| {
                let mut data = Data::new(&model);
                call.state_into(&model, item, &mut data);
                data.check(&model, if self.steps.is_none() { "step" } else { "rollout" })?;
                let mut rollout = Rollout::new(&model);
                if model.nu() == 0 {
                    rollout.run_free(&model, &data, steps)?;
                } else {
                    rollout.run(&model, &data, call.controls_of(item, steps * model.nu()))?;
                }
                Ok(rollout)
            })
            .collect();
        Ok((model, runs.map_err(|e| external(&self.name, e))?))
    }
}

/// This crate's error as the network's.
pub(crate) fn external(node: &str, error: Error) -> NetworkError {
    NetworkError::external(node, error)
}

impl From<Error> for NetworkError {
    fn from(error: Error) -> Self {
        NetworkError::external("diffphys", error)
    }
}

impl Function for Simulation {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let call = Call::new(&self.name, &self.model, self.steps, &self.parameters, x)?;
        let (_, runs) = self.run(&call)?;
        Ok(vec![call.output(&runs)?])
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let call = Call::new(&self.name, &self.model, self.steps, &self.parameters, x)?;
        let (model, runs) = self.run(&call)?;
        let y = call.output(&runs)?;
        let wanted = (0..x.len()).map(|k| wrt.needs(k)).collect();
        let map = Map::new(self.name.clone(), model, self.parameters.clone(), call, runs, wanted);
        Ok((vec![y], Box::new(map)))
    }
}
