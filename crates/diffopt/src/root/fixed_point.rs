//! A fixed point as a node, with the adjoint as an argument.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Direction, Function, LinearMap, Result as NetworkResult, Wrt, function};
use pullback_graph::Implicit;

use super::matrix_free::MatrixFree;
use super::{RootProblem, RootSolver};
use crate::{Error, Result};

/// How a fixed point is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Adjoint {
    /// By the implicit function theorem at the fixed point, from one dense factorization of I − T_y. Exact, to every order of T.
    #[default]
    Implicit,
    /// The same by GMRES on products with T_y, where that matrix is too large.
    MatrixFree,
    /// Through so many plain iterations from the guess, all of them: the value is that of the iterate, and so is the derivative, that by the guess
    /// included. The solver is not used.
    Unrolled(usize),
    /// The solver's fixed point, then so many plain iterations from it, which alone are differentiated: the first terms of the Neumann
    /// series of (I − T_y)⁻¹, off by O(‖T_y‖ᵏ), without any linear system.
    Truncated(usize),
}

/// The node (guess, θ…) ↦ y with y = T(y, θ…).
///
/// ```
/// use pullback_core_graph::{Graph, function, candle::{Device, Tensor}};
/// use pullback_diffopt::root::{Adjoint, Anderson, FixedPoint};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // y = cos(θ·y)
/// let map = function("cosine", |_, v| Ok(vec![(v[1] * v[0]).cos()]));
/// let node = FixedPoint::new("y", map, Anderson::default()).adjoint(Adjoint::Implicit).build()?;
/// let graph = Graph::new();
/// let guess = graph.constant(&Tensor::new(&[0.5f64], &Device::Cpu)?);
/// let theta = graph.input(&Tensor::new(&[1.0f64], &Device::Cpu)?);
/// let y = graph.apply(&node, &[guess, theta])?[0];
/// let slope = graph.gradient(y.sum(()), &[theta])?[0].to_vec1::<f64>()?[0];
/// let y = y.value()?.to_vec1::<f64>()?[0]; // the Dottie number, 0.739…
/// assert!((slope + y * y.sin() / (1.0 + y.sin())).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FixedPoint {
    name: String,
    map: Arc<dyn Function>,
    solver: Arc<dyn RootSolver>,
    adjoint: Adjoint,
    batch: usize,
    tolerance: Option<f64>,
}

impl FixedPoint {
    /// The fixed point of `map` as `solver` finds it; the solver sees the residual T(y) − y.
    pub fn new(
        name: impl Into<String>,
        map: Arc<dyn Function>,
        solver: impl RootSolver + 'static,
    ) -> Self {
        FixedPoint {
            name: name.into(),
            map,
            solver: Arc::new(solver),
            adjoint: Adjoint::default(),
            batch: 0,
            tolerance: None,
        }
    }

    /// How to differentiate.
    #[must_use]
    pub fn adjoint(mut self, adjoint: Adjoint) -> Self {
        self.adjoint = adjoint;
        self
    }

    /// How many leading dimensions of y are batch dimensions, on each element of which T acts by itself. Default 0.
    #[must_use]
    pub fn batch(mut self, dimensions: usize) -> Self {
        self.batch = dimensions;
        self
    }

    /// The largest |T(y) − y| at which an answer is a fixed point. Default: 10⁻⁹ for f64, 10⁻⁴ for f32.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The node.
    ///
    /// # Errors
    /// No iterations to unroll; a tolerance that is not positive.
    pub fn build(self) -> Result<Arc<dyn Function>> {
        if matches!(self.adjoint, Adjoint::Unrolled(0) | Adjoint::Truncated(0)) {
            return Err(Error::invalid(self.name, "no iterations to differentiate"));
        }
        if let Some(t) = self.tolerance.filter(|t| !(*t > 0.0 && t.is_finite())) {
            return Err(Error::invalid(self.name, format!("tolerance {t:e} is not positive")));
        }
        let map = self.map.clone();
        let residual = function(map.name().to_string(), move |g, v| {
            Ok(g.apply(&map, v)?.into_iter().map(|t| t - v[0]).collect())
        });
        let dense = || -> Result<Arc<dyn Function>> {
            let node =
                Implicit::new(self.name.clone(), residual.clone(), Shared(self.solver.clone()))
                    .batch(self.batch);
            let node = match self.tolerance {
                Some(tolerance) => node.tolerance(tolerance),
                None => node,
            };
            node.build().map_err(|e| Error::invalid(&self.name, e.to_string()))
        };
        Ok(match self.adjoint {
            Adjoint::Implicit => dense()?,
            Adjoint::MatrixFree => {
                let node =
                    MatrixFree::new(self.name.clone(), residual, Shared(self.solver.clone()))
                        .batch(self.batch);
                match self.tolerance {
                    Some(tolerance) => node.tolerance(tolerance).build(),
                    None => node.build(),
                }
            }
            Adjoint::Unrolled(k) => unrolled(self.name.clone(), self.map.clone(), None, k),
            Adjoint::Truncated(k) => {
                let solve: Arc<dyn Function> = Arc::new(Frozen(dense()?));
                unrolled(self.name.clone(), self.map.clone(), Some(solve), k)
            }
        })
    }
}

/// T applied k times, from the guess or from what `start` makes of it.
fn unrolled(
    name: String,
    map: Arc<dyn Function>,
    start: Option<Arc<dyn Function>>,
    k: usize,
) -> Arc<dyn Function> {
    function(name, move |g, v| {
        let mut y = match &start {
            Some(start) => g.apply(start, v)?,
            None => v[..1].to_vec(),
        };
        for _ in 0..k {
            y = g.apply(&map, &[&y[..1], &v[1..]].concat())?;
        }
        Ok(y)
    })
}

struct Shared(Arc<dyn RootSolver>);

impl RootSolver for Shared {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> NetworkResult<Tensor> {
        self.0.solve(problem, guess)
    }
}

/// A function whose value counts as constant.
struct Frozen(Arc<dyn Function>);

impl Function for Frozen {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        self.0.eval(x)
    }

    fn linearize(
        &self,
        x: &[Tensor],
        _: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let y = self.0.eval(x)?;
        let map = Nothing { inputs: x.len(), outputs: y.len() };
        Ok((y, Box::new(map)))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let n = wrt.len();
        Ok(function(format!("{}.tangent", self.name()), move |_, v| {
            Ok(v.get(n).map(|y| y.zeros_like()).into_iter().collect())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let marked: Vec<usize> = (0..wrt.len()).filter(|&i| wrt.needs(i)).collect();
        Ok(function(format!("{}.adjoint", self.name()), move |_, v| {
            Ok(marked.iter().filter_map(|&i| v.get(i)).map(|x| x.zeros_like()).collect())
        }))
    }
}

/// The zero map.
struct Nothing {
    inputs: usize,
    outputs: usize,
}

impl LinearMap for Nothing {
    fn push(&self, _: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(vec![None; self.outputs])
    }

    fn pull(&self, _: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(vec![None; self.inputs])
    }
}
