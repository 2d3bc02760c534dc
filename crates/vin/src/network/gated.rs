//! Gated path planning: the loop as a convolutional LSTM.

use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer};
use pullback_nn::parameters::{Bound, Initialization, Scope};

/// What a [`Gppn`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GppnSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels of the state; the paper's are 150.
    pub hidden: usize,
    /// Side of the kernel that looks at the neighbours.
    pub kernel: usize,
    /// K.
    pub iterations: usize,
    /// Actions.
    pub actions: usize,
}

impl Default for GppnSpec {
    fn default() -> Self {
        Self { inputs: 2, hidden: 150, kernel: 9, iterations: 20, actions: 4 }
    }
}

/// A state of `hidden` numbers in each cell, moved on K times by an LSTM that sees one F×F convolution of its neighbours' states (Lee and
/// others 2018, section 3.2).
pub struct Gppn {
    map: Conv2d,
    state: Conv2d,
    memory: Conv2d,
    look: Conv2d,
    gates: Conv2d,
    head: Conv2d,
    spec: GppnSpec,
}

impl Gppn {
    /// Makes the parameters. The gates are one 1×1 convolution of (look, state), in the order input, forget, cell, output.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: GppnSpec) -> pullback_nn::Result<Self> {
        let l = spec.hidden;
        let mut conv = |name: &str, inputs, outputs, kernel| {
            let layer = Conv2dSpec::same(inputs, outputs, kernel);
            Conv2d::new(&mut scope.scope(name), layer.initialized(Initialization::Pytorch))
        };
        Ok(Self {
            map: conv("map", spec.inputs, l, 3)?,
            state: conv("state", l, l, 3)?,
            memory: conv("memory", l, l, 3)?,
            look: conv("look", l, 1, spec.kernel)?,
            gates: conv("gates", 1 + l, 4 * l, 1)?,
            head: conv("fc", l, spec.actions, 1)?,
            spec,
        })
    }
}

impl Layer for Gppn {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let l = self.spec.hidden;
        let map = self.map.forward(parameters, x)?;
        let mut state = self.state.forward(parameters, map)?;
        let mut memory = self.memory.forward(parameters, map)?;
        for _ in 0..self.spec.iterations {
            let look = self.look.forward(parameters, state)?;
            let seen = x.graph().cat(&[look, state], 1);
            let gates = self.gates.forward(parameters, seen)?;
            let gate = |k: usize| gates.narrow(1, k * l, l);
            memory = gate(1).sigmoid() * memory + gate(0).sigmoid() * gate(2).tanh();
            state = (gate(3).sigmoid() * memory.tanh()).ok()?;
        }
        self.head.forward(parameters, state)
    }
}
