//! The Gauss-Newton matrix of a loss on the outputs of a network.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Direction, Function, LinearMap, Wrt, function};

use super::curvature::{number, scalar};
use super::operator::{Operator, check_length};
use super::parameters::Parameters;
use crate::Result;

/// G = Jᵀ·H·J for a loss L(f(θ)): J the Jacobian of the network f, H the Hessian of L with respect to the network's outputs
/// (Schraudolph 2002, Fast curvature matrix-vector products). Where L is convex, G is positive semidefinite; where f is linear, or L's
/// slope is 0, it is the Hessian.
pub struct GaussNewton {
    /// That of the network.
    name: String,
    parameters: Parameters,
    loss: f64,
    network: Box<dyn LinearMap>,
    /// The recorded gradient of L.
    slope: Box<dyn LinearMap>,
}

impl std::fmt::Debug for GaussNewton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GaussNewton({} parameters, loss {})", self.parameters.len(), self.loss)
    }
}

impl GaussNewton {
    /// `network`: parameters to outputs; `loss`: those outputs to one element. Errors: as of [`super::Curvature::at`].
    pub fn at(
        network: &Arc<dyn Function>,
        loss: &Arc<dyn Function>,
        parameters: &[Tensor],
    ) -> Result<Self> {
        let (name, layout) = (network.name().to_string(), Parameters::of(parameters)?);
        let (outputs, network) =
            network.linearize(parameters, Wrt(&vec![true; parameters.len()]))?;
        let inner = loss.clone();
        let gradient = function(format!("gradient of {}", loss.name()), move |graph, z| {
            let y = scalar(graph.apply(&inner, z)?, inner.name())?;
            let mut all = vec![y];
            all.extend(graph.record_gradient(y, z)?);
            Ok(all)
        });
        let (values, slope) = gradient.linearize(&outputs, Wrt(&vec![true; outputs.len()]))?;
        let loss = number(&values[0])?;
        Ok(GaussNewton { name, parameters: layout, loss, network, slope })
    }

    /// The loss.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// How the parameters lie in the vectors.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

impl Operator for GaussNewton {
    fn dim(&self) -> usize {
        self.parameters.len()
    }

    fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        check_length("direction of a Gauss-Newton product", self.parameters.len(), x.len())?;
        let direction: Direction = self.parameters.unravel(x)?.into_iter().map(Some).collect();
        let pushed = self.network.push(&direction)?;
        let bent = self.slope.push(&pushed)?;
        // The slope's first output is the loss itself.
        let pulled = self.network.pull(bent.get(1..).unwrap_or(&[]))?;
        self.parameters.gathered(&self.name, &pulled)
    }

    fn precision(&self) -> f64 {
        self.parameters.precision()
    }
}
