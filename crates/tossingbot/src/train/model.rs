//! A method's trained part: networks and gravity.

use candle_core::{Device, Tensor};
use pullback_core_graph::tensor::with_slice;
use pullback_core_graph::{Graph, Var};

use crate::agent::Maps;
use crate::error::Result;
use crate::evaluate::Pilot;
use crate::heightmap::ROTATIONS;
use crate::loss::UNIT;
use crate::method::Method;
use crate::net::Network;
use crate::observation::Turner;

/// Networks and gravity of a method.
#[derive(Debug, Clone)]
pub struct Model {
    /// The method.
    pub method: Method,
    /// The networks.
    pub network: Network,
    /// Gravity a in m/s².
    pub gravity: f64,
    /// Turns what it looks at.
    pub turner: Turner,
}

impl Pilot for Model {
    fn method(&self) -> Method {
        self.method
    }

    fn gravity(&self) -> f64 {
        self.gravity
    }

    fn look(&self, heights: &[u8], base: f64) -> Result<Maps> {
        let (rows, columns) = self.turner.size();
        let graph = Graph::new();
        let parameters: Vec<Var<'_>> =
            self.network.values().iter().map(|t| graph.constant(t)).collect();
        let image = graph.constant(&self.turner.all(heights)?);
        let speed = graph.constant(&Tensor::full(base as f32, ROTATIONS, &Device::Cpu)?);
        let output = self.network.record(&parameters, image, speed)?;
        let size = rows * columns;
        // P(hit) = softmax of two logits = 1/(1 + exp(miss − hit)).
        let hit = with_slice::<f32, _>(&output.logits.value()?, |logits| {
            let pair = logits.chunks_exact(2 * size);
            pair.flat_map(|pair| {
                let (miss, hit) = pair.split_at(size);
                miss.iter().zip(hit).map(|(m, h)| 1.0 / (1.0 + (m - h).exp()))
            })
            .collect::<Vec<f32>>()
        })?;
        let residual = match output.residual {
            Some(residual) => with_slice::<f32, _>(&residual.value()?, |units| {
                units.iter().map(|r| r * UNIT as f32).collect::<Vec<f32>>()
            })?,
            None => Vec::new(),
        };
        Ok(Maps { rows, columns, hit, residual })
    }
}
