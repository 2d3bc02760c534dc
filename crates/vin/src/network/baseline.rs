//! Networks that do not plan: what a value iteration network is measured against.

use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer, Sequential};
use pullback_nn::parameters::{Bound, Initialization, Scope};

/// What a [`Cnn`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CnnSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels of each layer.
    pub channels: usize,
    /// 3×3 layers with rectifiers: a cell sees as many cells in each direction.
    pub layers: usize,
    /// Actions.
    pub actions: usize,
}

impl Default for CnnSpec {
    fn default() -> Self {
        Self { inputs: 2, channels: 50, layers: 5, actions: 8 }
    }
}

/// Convolutions alone. The paper's baseline pools and answers for one position at a time; this one keeps the map's size and answers for every
/// cell, so that it learns from the same labels as the planners do.
pub struct Cnn(Sequential);

impl Cnn {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: CnnSpec) -> pullback_nn::Result<Self> {
        let mut network = Sequential::new();
        let mut from = spec.inputs;
        for k in 0..spec.layers {
            let layer = Conv2dSpec::same(from, spec.channels, 3).rectified();
            let layer = layer.initialized(Initialization::He);
            network = network.then(Conv2d::new(&mut scope.scope(&format!("conv{k}")), layer)?);
            from = spec.channels;
        }
        let head = Conv2dSpec::same(from, spec.actions, 1);
        Ok(Self(network.then(Conv2d::new(&mut scope.scope("fc"), head)?)))
    }
}

impl Layer for Cnn {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        self.0.forward(parameters, x)
    }
}

/// What an [`Fcn`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FcnSpec {
    /// Input channels.
    pub inputs: usize,
    /// The map's side: the first kernel sees all of it from every cell, 2·size − 1 wide.
    pub size: usize,
    /// Channels of the two layers; the paper's are 150 and 100.
    pub channels: [usize; 2],
    /// Actions.
    pub actions: usize,
}

/// One kernel that spans the map, then 1×1 layers (the paper's FCN).
pub struct Fcn(Sequential);

impl Fcn {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: FcnSpec) -> pullback_nn::Result<Self> {
        let [first, second] = spec.channels;
        let he = |spec: Conv2dSpec| spec.rectified().initialized(Initialization::He);
        let span = he(Conv2dSpec::same(spec.inputs, first, 2 * spec.size.max(1) - 1));
        let network = Sequential::new()
            .then(Conv2d::new(&mut scope.scope("span"), span)?)
            .then(Conv2d::new(&mut scope.scope("middle"), he(Conv2dSpec::same(first, second, 1)))?)
            .then(Conv2d::new(&mut scope.scope("fc"), Conv2dSpec::same(second, spec.actions, 1))?);
        Ok(Self(network))
    }
}

impl Layer for Fcn {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        self.0.forward(parameters, x)
    }
}
