//! Value propagation by maxima alone.

use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer};
use pullback_nn::parameters::{Bound, Initialization, Scope};

use crate::node::maximum_propagation;

/// What v counts as nothing beside.
const SMALLEST: f64 = 1e-6;

/// What an [`MvProp`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MvPropSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the map and its r and p.
    pub hidden: usize,
    /// K.
    pub iterations: usize,
    /// Actions.
    pub actions: usize,
}

impl Default for MvPropSpec {
    fn default() -> Self {
        Self { inputs: 2, hidden: 50, iterations: 30, actions: 8 }
    }
}

/// v ← max(v, r + p·(max over the 3×3 neighbours of v − r)) with r and p of each cell in (0, 1), v = r at first (Nardelli and others 2019,
/// eq. 7): p is how well a cell passes value on, near 0 in walls. Logits are a 3×3 convolution of ln(1 + 10⁶·v); the paper's are one of v, which tells
/// neighbours far from the goal apart only with weights in the hundreds.
pub struct MvProp {
    hidden: Conv2d,
    maps: Conv2d,
    head: Conv2d,
    iterations: usize,
}

impl MvProp {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: MvPropSpec) -> pullback_nn::Result<Self> {
        let hidden = Conv2dSpec::same(spec.inputs, spec.hidden, 3).rectified();
        let hidden = hidden.initialized(Initialization::He);
        Ok(Self {
            hidden: Conv2d::new(&mut scope.scope("hidden"), hidden)?,
            maps: Conv2d::new(&mut scope.scope("maps"), Conv2dSpec::same(spec.hidden, 2, 1))?,
            head: Conv2d::new(&mut scope.scope("fc"), Conv2dSpec::same(1, spec.actions, 3))?,
            iterations: spec.iterations,
        })
    }
}

impl Layer for MvProp {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let hidden = self.hidden.forward(parameters, x)?;
        let maps = self.maps.forward(parameters, hidden)?.sigmoid();
        let plane = |k: usize| maps.narrow(1, k, 1).squeeze(1).ok();
        // p ≥ 0, so the best neighbour is the largest v.
        let v = maximum_propagation(plane(0)?, plane(1)?, self.iterations)?.unsqueeze(1);
        // v falls by a factor with every move: its logarithm differs as much between neighbours far from the goal as near it. Off the map it is 0, the least.
        self.head.forward(parameters, (v * (1.0 / SMALLEST) + 1.0).ln())
    }
}
