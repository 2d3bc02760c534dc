//! A recurrence as one node: x(t+1), y(t) = step(x(t), u(t), θ), differentiated with few of its states in memory.

mod reverse;
pub mod revolve;
mod sweep;
mod trajectory;

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{
    Error as NetworkError, Function, LinearMap, Result as NetworkResult, Wrt, function,
};

use crate::direction::count;
use crate::{Error, Result};
use reverse::Reverse;
use sweep::linearize;
use trajectory::Trajectory;

/// What a scan keeps for its backward sweep. In every case values and derivatives have the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checkpoints {
    /// The linear map of every step, as an unrolled graph does: no step is made twice, pushes and pulls share what the maps own.
    Maps,
    /// The state before every step: each step is made twice.
    States,
    /// At most so many states at any time, the initial one among them, and the fewest steps made again; see [`revolve`].
    Revolve(usize),
}

impl Default for Checkpoints {
    /// 64 states: up to 65 steps as [`Checkpoints::States`], 2145 steps with two forward steps a step, 47,905 with three.
    fn default() -> Self {
        Checkpoints::Revolve(64)
    }
}

/// A recurrence over a function, to be built into one node:
///
/// > x(t+1)…, y(t)… = step(x(t)…, u(t)…, θ…), t = 0 … l−1.
///
/// `step` takes the state tensors, then one slice of each input, then the parameters θ; it gives the new state tensors, of the
/// shapes and element types of the old ones, then the outputs of this step. The node takes the initial states, the inputs stacked
/// along their first axis, `(l, …)`, and θ; it gives the final states and the stacked outputs, `(l, …)`. States and outputs are f32 or
/// f64; inputs and θ may be integers, which have no derivative.
///
/// - *Push* runs forward beside the values and keeps nothing; all directions go in one pass.
/// - *Pull* runs backward, with the states that [`Checkpoints`] allows; all cotangents go in one pass. The states that linearizing
///   kept serve the first pull; a later pull of the same map starts from the initial state.
/// - *Tangent* is a scan again, of states and tangents together. *Adjoint* is the backward sweep as a function, and its own derivatives
///   are sweeps over the tangent scan, by the symmetry ⟨J·w, v⟩ = ⟨w, Jᵀ·v⟩; so the memory bound holds at every order that the step has.
///
/// Errors name the step: `rollout/step[17]/mul#3`.
///
/// ```
/// use pullback_core_graph::{Graph, function, candle::{Device, Tensor}};
/// use pullback_graph::{Checkpoints, Scan};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // v' = v + h·(u − sin x), x' = x + h·v'
/// let step = function("step", |_, a| {
///     let v = a[1] + 0.01 * (a[2] - a[0].sin());
///     Ok(vec![a[0] + 0.01 * v, v])
/// });
/// let rollout = Scan::new("rollout", step, 2).inputs(1).checkpoints(Checkpoints::Revolve(20)).build()?;
/// let (graph, scalar) = (Graph::new(), |x: f64| Tensor::new(x, &Device::Cpu));
/// let (x, v) = (graph.input(&scalar(1.0)?), graph.input(&scalar(0.0)?));
/// let u = graph.input(&Tensor::zeros(1000, pullback_core_graph::candle::DType::F64, &Device::Cpu)?);
/// let end = graph.apply(&rollout, &[x, v, u])?;
/// assert_eq!(graph.gradient(end[0].sqr(), &[u])?[0].dims(), [1000]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scan {
    name: String,
    step: Arc<dyn Function>,
    states: usize,
    inputs: usize,
    outputs: usize,
    steps: Option<usize>,
    checkpoints: Checkpoints,
}

impl Scan {
    /// A recurrence over `step` with so many state tensors, without inputs and outputs.
    pub fn new(name: impl Into<String>, step: Arc<dyn Function>, states: usize) -> Self {
        let (name, checkpoints) = (name.into(), Checkpoints::default());
        Scan { name, step, states, inputs: 0, outputs: 0, steps: None, checkpoints }
    }

    /// How many of the step's arguments, behind the states, are slices of inputs. Default: 0.
    #[must_use]
    pub fn inputs(mut self, inputs: usize) -> Self {
        self.inputs = inputs;
        self
    }

    /// How many outputs a step has behind its new states. Default: 0.
    #[must_use]
    pub fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    /// The number of steps. Without inputs it must be given; with inputs it is their length, and checked if given.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = Some(steps);
        self
    }

    /// What is kept for the backward sweep.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = checkpoints;
        self
    }

    /// The node.
    ///
    /// Errors: no state; neither inputs nor a number of steps; no place for a state. Whether as many tensors come as are declared shows
    /// when they do.
    pub fn build(self) -> Result<Arc<dyn Function>> {
        if self.states == 0 {
            return Err(Error::invalid(self.name, "a scan needs a state; without one it is a map"));
        }
        if self.inputs == 0 && self.steps.is_none() {
            return Err(Error::invalid(self.name, "neither inputs nor a number of steps"));
        }
        if self.checkpoints == Checkpoints::Revolve(0) {
            return Err(Error::invalid(self.name, "0 snapshots: the initial state needs a place"));
        }
        Ok(Arc::new(self))
    }

    /// The arguments of the step, and of the node: how many there are if `total` came.
    fn check_arity(&self, total: usize) -> NetworkResult<()> {
        let least = self.states.saturating_add(self.inputs);
        if least <= total { Ok(()) } else { count(&self.name, "inputs or more", least, total) }
    }

    /// What a step gives: states and outputs. What is declared may be any number until it is compared with what comes, so that sums with
    /// it saturate: so many never come.
    fn width(&self) -> usize {
        self.states.saturating_add(self.outputs)
    }

    /// The scan of states and tangents together: (x…, ẋ…), (u…, u̇…), (θ…, θ̇…) ↦ (x…, ẋ…), (y…, ẏ…), with u̇ and θ̇ for the arguments in
    /// `wrt`. Every state has a tangent: what does not move at the start may move later.
    fn with_tangents(&self, wrt: &[bool]) -> NetworkResult<Scan> {
        self.check_arity(wrt.len())?;
        let (n, m, width) = (self.states, self.inputs, self.width());
        let marks: Vec<bool> = wrt.iter().enumerate().map(|(i, &w)| i < n || w).collect();
        let tangent = self.step.tangent(Wrt(&marks))?;
        let (moving_inputs, total) = (Wrt(&marks[n..n + m]).count(), wrt.len());
        let (step, name) = (self.step.clone(), format!("{}.tangent", self.step.name()));
        let body = function(name.clone(), move |g, v| {
            count(&name, "inputs", total + Wrt(&marks).count(), v.len())?;
            let (x, rest) = v.split_at(n);
            let (dx, rest) = rest.split_at(n);
            let (u, rest) = rest.split_at(m);
            let (du, rest) = rest.split_at(moving_inputs);
            let (shared, dshared) = rest.split_at(total - n - m);
            let arguments = [x, u, shared].concat();
            let y = g.apply(&step, &arguments)?;
            count(&name, "outputs of the step", width, y.len())?;
            let dy = g.apply(&tangent, &[&arguments[..], &y, dx, du, dshared].concat())?;
            count(&name, "derivatives pushed forward", width, dy.len())?;
            Ok([&y[..n], &dy[..n], &y[n..], &dy[n..]].concat())
        });
        Ok(Scan {
            name: format!("{}.tangents", self.name),
            step: body,
            states: 2 * n,
            inputs: m + moving_inputs,
            outputs: self.outputs.saturating_mul(2),
            steps: self.steps,
            checkpoints: self.checkpoints,
        })
    }

    /// The arguments of [`Scan::with_tangents`], from those of the scan and the directions that there are, one slot per argument.
    fn interleave<T: Clone>(&self, x: &[T], dx: &[Option<T>]) -> Vec<T> {
        let (n, m) = (self.states, self.inputs);
        let part = |range: std::ops::Range<usize>| {
            x[range.clone()].iter().cloned().chain(dx[range].iter().flatten().cloned())
        };
        part(0..n).chain(part(n..n + m)).chain(part(n + m..x.len())).collect()
    }

    /// Directions of the outputs of [`Scan::with_tangents`] from those of the values and of the tangents.
    fn interleave_outputs<T: Clone>(&self, y: &[T], dy: &[T]) -> Vec<T> {
        let n = self.states;
        [&y[..n], &dy[..n], &y[n..], &dy[n..]].concat()
    }

    /// Of slots that belong to the arguments of [`Scan::with_tangents`], those of the scan's own arguments.
    fn own<T: Clone>(&self, all: &[T], wrt: &[bool]) -> Vec<T> {
        let (n, m) = (self.states, self.inputs);
        let inputs = 2 * n + m + Wrt(&wrt[n..n + m]).count();
        [&all[..n], &all[2 * n..2 * n + m], &all[inputs..inputs + wrt.len() - n - m]].concat()
    }
}

impl Function for Scan {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        Trajectory::new(self, x)?.values()
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        linearize(Trajectory::new(self, x)?, wrt)
    }

    fn tangent(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let wrt = wrt.0.to_vec();
        let (this, both): (Scan, Arc<dyn Function>) =
            (self.clone(), Arc::new(self.with_tangents(&wrt)?));
        let (n, q) = (self.states, self.outputs);
        let name = format!("{}.tangent", self.name);
        Ok(function(name.clone(), move |g, v| {
            let total = wrt.len().saturating_add(this.width());
            count(&name, "inputs", total.saturating_add(Wrt(&wrt).count()), v.len())?;
            let x = &v[..wrt.len()];
            let mut given = v[total..].iter().copied();
            let slot = |(i, &w): (usize, &bool)| match w {
                true => given.next(),
                false => (i < n).then(|| x[i].zeros_like()),
            };
            let dx: Vec<_> = wrt.iter().enumerate().map(slot).collect();
            let out = g.apply(&both, &this.interleave(x, &dx))?;
            Ok([&out[n..2 * n], &out[2 * n + q..]].concat())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        self.check_arity(wrt.len())?;
        let (wrt, y) = (wrt.0.to_vec(), self.width());
        let total = wrt.len();
        let reverse: Arc<dyn Function> = Arc::new(Reverse::new(self.clone(), wrt));
        let name = format!("{}.adjoint", self.name);
        Ok(function(name.clone(), move |g, v| {
            count(&name, "inputs", y.saturating_mul(2).saturating_add(total), v.len())?;
            g.apply(&reverse, &[&v[..total], &v[total + y..]].concat())
        }))
    }
}

/// An argument that does not fit, under the name of the node.
fn invalid(node: &str, what: String) -> NetworkError {
    NetworkError::invalid(node, what)
}
