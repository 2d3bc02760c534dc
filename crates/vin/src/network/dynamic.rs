//! Kernels that depend on the place: a learned transition model for every cell.

use pullback_core_graph::{Result as NetworkResult, Var};
use pullback_nn::layer::{Conv2d, Conv2dSpec, Layer};
use pullback_nn::parameters::{Bound, Initialization, Scope};

use crate::node::{dynamic_value_iteration, set_cross_entropy};

/// What a [`DtVin`] is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtVinSpec {
    /// Input channels.
    pub inputs: usize,
    /// Channels between the map and its kernels.
    pub hidden: usize,
    /// K.
    pub iterations: usize,
    /// Actions.
    pub actions: usize,
}

impl Default for DtVinSpec {
    fn default() -> Self {
        Self { inputs: 2, hidden: 50, iterations: 30, actions: 8 }
    }
}

/// V(s) ← maxₐ Σ over the 3×3 neighbours of T(s, a, ·)·(R + V), T a softmax of what the map says at s (Wang and others 2025, eq. 4 and 5).
/// Logits are Q of the last V, by a 1×1 convolution.
pub struct DtVin {
    hidden: Conv2d,
    kernels: Conv2d,
    reward: Conv2d,
    head: Conv2d,
    spec: DtVinSpec,
}

impl DtVin {
    /// Makes the parameters.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(scope: &mut Scope<'_>, spec: DtVinSpec) -> pullback_nn::Result<Self> {
        let hidden = Conv2dSpec::same(spec.inputs, spec.hidden, 3).rectified();
        let hidden = hidden.initialized(Initialization::He);
        let mut conv = |name: &str, layer: Conv2dSpec| Conv2d::new(&mut scope.scope(name), layer);
        Ok(Self {
            hidden: conv("hidden", hidden)?,
            kernels: conv("kernels", Conv2dSpec::same(spec.hidden, 9 * spec.actions, 1))?,
            reward: conv("reward", Conv2dSpec::same(spec.hidden, 1, 1))?,
            head: conv("fc", Conv2dSpec::same(spec.actions, spec.actions, 1))?,
            spec,
        })
    }

    /// The logits after every `every`-th iteration, the last one included: what the adaptive highway loss sums over. A problem of length l has a loss
    /// at the iterations n ≥ l only.
    ///
    /// # Errors
    /// Those of the operations.
    pub fn forward_every<'g>(
        &self,
        parameters: &Bound<'g>,
        x: Var<'g>,
        every: usize,
    ) -> NetworkResult<Vec<(usize, Var<'g>)>> {
        let DtVinSpec { actions, iterations, .. } = self.spec;
        let dims = x.dims()?;
        let (batch, h, w) = (dims[0], dims[2], dims[3]);
        let hidden = self.hidden.forward(parameters, x)?;
        let kernels = self.kernels.forward(parameters, hidden)?;
        let kernels = kernels.reshape(&[batch, actions, 9, h, w]).softmax(2);
        let reward = self.reward.forward(parameters, hidden)?;
        let every = every.max(1);
        let stages: Vec<usize> =
            (1..=iterations).filter(|n| *n == iterations || n.is_multiple_of(every)).collect();
        let all = dynamic_value_iteration(kernels, reward.squeeze(1), &stages)?;
        let head = |(n, q)| Ok((n, self.head.forward(parameters, q)?));
        stages.into_iter().zip(all).map(head).collect()
    }
}

/// The adaptive highway loss (Wang and others 2025, eq. 6): the mean over the stages n of −ln π(right actions) after n iterations, in the cells whose
/// best way has at most n moves; a cell that no iteration could have reached teaches nothing. `stages` as [`DtVin::forward_every`] gives them, `sets` as
/// [`set_cross_entropy`] takes them, `moves` the moves of the best way of each cell. Stages without a cell do not count.
///
/// # Errors
/// No stage with a cell, `moves` of another length, those of [`set_cross_entropy`].
pub fn highway_loss<'g>(
    stages: &[(usize, Var<'g>)],
    sets: &[u8],
    moves: &[f64],
) -> NetworkResult<Var<'g>> {
    const NODE: &str = "highway loss";
    if moves.len() != sets.len() {
        let what = format!("{} moves for {} cells", moves.len(), sets.len());
        return Err(pullback_core_graph::Error::invalid(NODE, what));
    }
    let mut losses = vec![];
    for &(n, logits) in stages {
        let near = |(set, moves): (&u8, &f64)| if *moves <= n as f64 { *set } else { 0 };
        let near: Vec<u8> = sets.iter().zip(moves).map(near).collect();
        if near.iter().any(|set| *set != 0) {
            losses.push(set_cross_entropy(logits, near)?);
        }
    }
    let count = losses.len() as f64;
    let sum = losses.into_iter().reduce(|a, b| a + b);
    let none = || pullback_core_graph::Error::invalid(NODE, "no stage reaches a cell with a label");
    (sum.ok_or_else(none)? / count).ok()
}

impl Layer for DtVin {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> NetworkResult<Var<'g>> {
        let mut all = self.forward_every(parameters, x, usize::MAX)?;
        let none = || pullback_core_graph::Error::invalid("DT-VIN", "needs at least one iteration");
        all.pop().map(|(_, logits)| logits).ok_or_else(none)
    }
}
