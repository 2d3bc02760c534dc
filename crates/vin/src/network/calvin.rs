//! Actions that may not be available: the transition model is learned apart from what the map allows.

use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer};
use pullback_nn::ops::{Conv2dOptions, conv2d};
use pullback_nn::parameters::{Bound, Initialization, Scope};

/// What a [`Calvin`] is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalvinSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the map and what is said of it.
    pub hidden: usize,
    /// K.
    pub iterations: usize,
    /// Actions, each a channel of Q.
    pub actions: usize,
    /// γ.
    pub discount: f64,
}

impl Default for CalvinSpec {
    fn default() -> Self {
        Self { inputs: 2, hidden: 50, iterations: 30, actions: 8, discount: 0.99 }
    }
}

/// Q = R − (1 − A)·softplus(f) + γ·A·(M ⋆ V), V = max Q, K times, where A(s, a) in (0, 1) says whether an action can be taken, M is one
/// 3×3 distribution for each action, R(s, a) the reward and f what a failed attempt costs (Ishida and Henriques 2022, eq. 6 to 9). Q are the
/// logits.
pub struct Calvin {
    hidden: Conv2d,
    maps: Conv2d,
    motion: String,
    failure: String,
    spec: CalvinSpec,
}

impl Calvin {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: CalvinSpec) -> pullback_nn::Result<Self> {
        let hidden = Conv2dSpec::same(spec.inputs, spec.hidden, 3).rectified();
        let hidden = hidden.initialized(Initialization::He);
        let maps = Conv2dSpec::same(spec.hidden, 2 * spec.actions, 1);
        Ok(Self {
            hidden: Conv2d::new(&mut scope.scope("hidden"), hidden)?,
            maps: Conv2d::new(&mut scope.scope("maps"), maps)?,
            motion: scope.parameter("motion", &[spec.actions, 9], Initialization::Xavier)?,
            failure: scope.parameter("failure", &[1], Initialization::Constant(0.0))?,
            spec,
        })
    }
}

impl Layer for Calvin {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let CalvinSpec { actions, iterations, discount, .. } = self.spec;
        let hidden = self.hidden.forward(parameters, x)?;
        let maps = self.maps.forward(parameters, hidden)?;
        let (reward, free) =
            (maps.narrow(1, 0, actions), maps.narrow(1, actions, actions).sigmoid());
        let motion = parameters.get(&self.motion)?.softmax(1).reshape(&[actions, 1, 3, 3]);
        let failure = parameters.get(&self.failure)?.softplus().reshape(&[1, 1, 1, 1]);
        let base = reward - (1.0 - free) * failure;
        let options = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        let mut q = base;
        for _ in 0..iterations {
            let v = q.max([1]).unsqueeze(1);
            q = (base + discount * (free * conv2d(v, motion, options))).ok()?;
        }
        Ok(q)
    }
}
