//! A root as a node: y with F(y, θ) = 0, differentiated by the implicit function theorem.

mod factor;
mod newton;
mod problem;

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Wrt,
    function,
};

use crate::direction::{Spec, check, count, inside, nothing};
use crate::{Error, Result};
use factor::Factors;
pub use newton::Newton;
pub use problem::RootProblem;

/// Something that finds a root from a guess. [`Newton`] is one; so is a closure `Fn(&RootProblem, &Tensor) -> Result<Tensor>`.
pub trait RootSolver: Send + Sync {
    /// y with F(y, θ) = 0, of the guess's shape and element type. The node checks it: an answer that is none is refused there.
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> NetworkResult<Tensor>;
}

impl<F> RootSolver for F
where
    F: Fn(&RootProblem<'_>, &Tensor) -> NetworkResult<Tensor> + Send + Sync,
{
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> NetworkResult<Tensor> {
        self(problem, guess)
    }
}

/// The root of a residual, to be built into one node:
///
/// > (guess, θ…) ↦ y with F(y, θ…) = 0.
///
/// F takes y, of the guess's shape, and the parameters, and gives one tensor of the shape of y. With b leading batch dimensions, F acts on each
/// element of the batch by itself, and its Jacobian is one n×n matrix per element, n being the product of the other dimensions.
/// The guess chooses among roots; the derivative with respect to it is a structural zero.
///
/// Derivatives, with the Jacobian F_y factored once (LU) when the node is linearized, for all pushes and pulls:
///
/// > dy = −F_y⁻¹·F_θ·dθ, and θ̄ = −F_θᵀ·F_y⁻ᵀ·ȳ.
///
/// *Tangent* and *adjoint* are made of implicit nodes again: dy is the root of the residual's tangent, F_y·dy + F_θ·dθ = 0, and λ the root
/// of F_yᵀ·λ + ȳ = 0, both linear. So derivatives are exact to every order that F itself has.
///
/// The root is verified whatever solver found it: |F| above `tolerance` is an error with the numbers. A singular F_y is the
/// error `Matrix` with its reciprocal condition, raised when the node is linearized.
///
/// Source: Krantz and Parks, The Implicit Function Theorem (2003); Griewank and Walther, Evaluating Derivatives, 2nd edition (2008), chapter 15.
///
/// ```
/// use pullback_core_graph::{Graph, function, candle::{Device, Tensor}};
/// use pullback_graph::{Implicit, Newton};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Kepler's equation E − e·sin E = M, for three mean anomalies M at once.
/// let kepler = function("kepler", |_, v| Ok(vec![v[0] - v[1] * v[0].sin() - v[2]]));
/// let node = Implicit::new("anomaly", kepler, Newton::default()).batch(1).build()?;
/// let graph = Graph::new();
/// let mean = graph.input(&Tensor::new(&[0.5f64, 1.5, 3.0], &Device::Cpu)?);
/// let eccentricity = graph.input(&Tensor::new(0.6f64, &Device::Cpu)?);
/// let anomaly = graph.apply(&node, &[mean, eccentricity, mean])?[0]; // the guess is M
/// let gradient = graph.gradient(anomaly.sum(()), &[eccentricity])?; // Σ sin E/(1 − e·cos E)
/// # let e = anomaly.value()?.to_vec1::<f64>()?;
/// # let want: f64 = e.iter().map(|e| e.sin() / (1.0 - 0.6 * e.cos())).sum();
/// # assert!((gradient[0].to_scalar::<f64>()? - want).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Implicit {
    name: String,
    residual: Arc<dyn Function>,
    solver: Solver,
    batch: usize,
    tolerance: Option<f64>,
}

#[derive(Clone)]
enum Solver {
    User(Arc<dyn RootSolver>),
    /// F is affine in y: one Newton step finds the root, another corrects its rounding.
    Linear,
}

impl Implicit {
    /// The root of `residual` as `solver` finds it, without batch dimensions.
    pub fn new(
        name: impl Into<String>,
        residual: Arc<dyn Function>,
        solver: impl RootSolver + 'static,
    ) -> Self {
        let solver = Solver::User(Arc::new(solver));
        Implicit { name: name.into(), residual, solver, batch: 0, tolerance: None }
    }

    /// How many leading dimensions of y are batch dimensions. Default: 0.
    ///
    /// That F does act on each element by itself is tested with one push along a fixed direction when the node is linearized.
    #[must_use]
    pub fn batch(mut self, dimensions: usize) -> Self {
        self.batch = dimensions;
        self
    }

    /// The largest |F| at which an answer is a root. Default: 10⁻⁹ for f64, 10⁻⁴ for f32.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The node. Errors: a tolerance that is not positive and finite.
    pub fn build(self) -> Result<Arc<dyn Function>> {
        if let Some(t) = self.tolerance.filter(|t| !(0.0 < *t && t.is_finite())) {
            return Err(Error::invalid(self.name, format!("tolerance {t:e} is not positive")));
        }
        Ok(Arc::new(self))
    }

    /// A linear system as a node: the root of a residual that is affine in y.
    fn linear(name: String, residual: Arc<dyn Function>, batch: usize) -> Arc<dyn Function> {
        let solver = Solver::Linear;
        Arc::new(Implicit { name, residual, solver, batch, tolerance: None })
    }

    fn problem<'a>(&'a self, x: &'a [Tensor]) -> NetworkResult<(RootProblem<'a>, &'a Tensor)> {
        let Some((guess, parameters)) = x.split_first() else {
            return Err(NetworkError::Arity {
                node: self.name.clone(),
                what: "inputs or more, the guess first",
                expected: 1,
                got: 0,
            });
        };
        let problem = RootProblem::new(&self.name, &self.residual, parameters, self.batch, guess)?;
        Ok((problem, guess))
    }

    /// The root, and the factors of F_y at it if they were made on the way.
    fn solve(
        &self,
        problem: &RootProblem<'_>,
        guess: &Tensor,
    ) -> NetworkResult<(Tensor, Option<Factors>)> {
        let solver = match &self.solver {
            Solver::User(solver) => solver,
            Solver::Linear => {
                let (r, factors) = problem.factored(guess)?;
                let y = (guess - factors.solve(&r, false)?)?;
                let y = (&y - factors.solve(&problem.residual(&y)?, false)?)?;
                return Ok((y, Some(factors)));
            }
        };
        let y = solver
            .solve(problem, &guess.detach())
            .map_err(|e| inside(&self.name, &self.name, e))?;
        let y = y.detach();
        Spec::of(guess).check(&self.name, "a root like the guess (root, guess)", &y)?;
        let residual = problem::largest(&problem.residual(&y)?)?;
        let default = if y.dtype() == DType::F32 { 1e-4 } else { 1e-9 };
        let tolerance = self.tolerance.unwrap_or(default);
        if residual.is_nan() || tolerance < residual {
            let what =
                format!("the solver's answer is no root: |F| is {residual:e}, above {tolerance:e}");
            return Err(NetworkError::invalid(&self.name, what));
        }
        Ok((y, None))
    }

    /// The marks of F's arguments (y, θ…) from those of the node's (guess, θ…).
    fn marks(wrt: &[bool], y: bool) -> Vec<bool> {
        wrt.iter().enumerate().map(|(i, &w)| if i == 0 { y } else { w }).collect()
    }
}

impl Function for Implicit {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let (problem, guess) = self.problem(x)?;
        Ok(vec![self.solve(&problem, guess)?.0])
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let (problem, guess) = self.problem(x)?;
        let (y, factors) = self.solve(&problem, guess)?;
        let factors = match factors {
            Some(factors) => factors,
            None => {
                let (_, factors) = problem.factored(&y)?;
                problem.check_batch(&y, &factors)?;
                factors
            }
        };
        let wrt: Vec<bool> = (0..x.len()).map(|i| wrt.needs(i)).collect();
        let parameters = problem.linearize(&y, &Implicit::marks(&wrt, false))?;
        let (inputs, root) = (Spec::all(x), Spec::of(&y));
        let (name, residual) = (self.name.clone(), self.residual.name().to_string());
        Ok((vec![y], Box::new(Root { name, residual, factors, parameters, inputs, root, wrt })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let (n, moving) = (wrt.len(), Wrt(wrt.0.get(1..).unwrap_or(&[])).count());
        let guess_moves = wrt.needs(0);
        let (f, name) = (self.residual.clone(), format!("{}.tangent", self.name));
        if moving == 0 {
            return Ok(function(name, move |_, v| {
                Ok(v.get(n).map(|y| y.zeros_like()).into_iter().collect())
            }));
        }
        let tangent = f.tangent(Wrt(&Implicit::marks(wrt.0, true)))?;
        // dy is the root of F_y·dy + F_θ·dθ = 0; arguments: (dy, y, θ…, dθ…).
        let residual = function(tangent.name().to_string(), move |g, v| {
            let (dy, point, dtheta) = (v[0], &v[1..=n], &v[n + 1..]);
            let r = g.apply(&f, point)?;
            g.apply(&tangent, &[point, &r, &[dy], dtheta].concat())
        });
        let node = Implicit::linear(format!("{}.solve", self.name), residual, self.batch);
        Ok(function(name.clone(), move |g, v| {
            // (guess, θ…, y, d guess?, dθ…)
            count(&name, "inputs", n + 1 + moving + usize::from(guess_moves), v.len())?;
            let (theta, y) = (&v[1..n], v[n]);
            let dtheta = &v[v.len() - moving..];
            g.apply(&node, &[&[y.zeros_like(), y], theta, dtheta].concat())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> NetworkResult<Arc<dyn Function>> {
        let (n, name) = (wrt.len(), format!("{}.adjoint", self.name));
        let (f, guess_moves) = (self.residual.clone(), wrt.needs(0));
        let only_y: Vec<bool> = (0..n).map(|i| i == 0).collect();
        let parameters = Implicit::marks(wrt.0, false);
        let moving = parameters.contains(&true);
        let (by_y, by_parameters) = (f.adjoint(Wrt(&only_y))?, f.adjoint(Wrt(&parameters))?);
        // λ is the root of F_yᵀ·λ + ȳ = 0; arguments: (λ, y, θ…, ȳ).
        let inner = f.clone();
        let residual = function(by_y.name().to_string(), move |g, v| {
            let (lambda, point, cotangent) = (v[0], &v[1..=n], v[n + 1]);
            let r = g.apply(&inner, point)?;
            let pulled = g.apply(&by_y, &[point, &r, &[lambda]].concat())?;
            Ok(pulled.into_iter().map(|p| p + cotangent).collect())
        });
        let node = Implicit::linear(format!("{}.solve", self.name), residual, self.batch);
        Ok(function(name.clone(), move |g, v| {
            // (guess, θ…, y, ȳ)
            count(&name, "inputs", n + 2, v.len())?;
            let (theta, y, cotangent) = (&v[1..n], v[n], v[n + 1]);
            let mut out = Vec::new();
            if guess_moves {
                out.push(v[0].zeros_like());
            }
            if moving {
                let point = [&[y], theta].concat();
                let lambda =
                    g.apply(&node, &[&[y.zeros_like()], &point[..], &[cotangent]].concat())?;
                let r = g.apply(&f, &point)?;
                out.extend(g.apply(&by_parameters, &[&point[..], &r, &lambda].concat())?);
            }
            Ok(out)
        }))
    }
}

/// The linear map of a root: the factors of F_y, and the map of F with respect to the parameters.
struct Root {
    name: String,
    residual: String,
    factors: Factors,
    parameters: Box<dyn LinearMap>,
    inputs: Vec<Spec>,
    root: Spec,
    wrt: Vec<bool>,
}

impl Root {
    /// −F_y⁻¹·r, or −F_y⁻ᵀ·r, for those right-hand sides that are there, all in one substitution.
    fn solve(&self, right: Vec<Option<Tensor>>, transposed: bool) -> NetworkResult<Direction> {
        let present: Vec<&Tensor> = right.iter().flatten().collect();
        let mut solved = self.factors.solve_many(&present, transposed)?.into_iter();
        let fill = |r: &Option<Tensor>| match r {
            Some(_) => solved.next().map(|x| Ok(x.neg()?)).transpose(),
            None => Ok(None),
        };
        right.iter().map(fill).collect()
    }
}

impl LinearMap for Root {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(self.push_many(&[dx.to_vec()])?.swap_remove(0))
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        Ok(self.pull_many(&[dy.to_vec()])?.swap_remove(0))
    }

    fn push_many(&self, dx: &[Direction]) -> NetworkResult<Vec<Direction>> {
        dx.iter().try_for_each(|d| check(&self.name, Phase::Push, d, &self.inputs))?;
        let masked = |d: &Direction| -> Direction {
            let used =
                |(i, d): (usize, &Option<Tensor>)| d.clone().filter(|_| 0 < i && self.wrt[i]);
            d.iter().enumerate().map(used).collect()
        };
        let dtheta: Vec<Direction> = dx.iter().map(masked).collect();
        if dtheta.iter().all(|d| nothing(d)) {
            return Ok(vec![vec![None]; dx.len()]);
        }
        let pushed = self
            .parameters
            .push_many(&dtheta)
            .map_err(|e| inside(&self.name, &self.residual, e))?;
        let mut right = Vec::with_capacity(dx.len());
        for d in pushed {
            check(&self.name, Phase::Push, &d, std::slice::from_ref(&self.root))?;
            right.push(d.into_iter().next().flatten());
        }
        Ok(self.solve(right, false)?.into_iter().map(|d| vec![d]).collect())
    }

    fn pull_many(&self, dy: &[Direction]) -> NetworkResult<Vec<Direction>> {
        let root = std::slice::from_ref(&self.root);
        dy.iter().try_for_each(|d| check(&self.name, Phase::Pull, d, root))?;
        let cotangents: Vec<Option<Tensor>> = dy.iter().map(|d| d[0].clone()).collect();
        if nothing(&cotangents) || !self.wrt[1..].contains(&true) {
            return Ok(vec![vec![None; self.wrt.len()]; dy.len()]);
        }
        let lambda = self.solve(cotangents, true)?.into_iter().map(|d| vec![d]).collect::<Vec<_>>();
        let mut pulled = self
            .parameters
            .pull_many(&lambda)
            .map_err(|e| inside(&self.name, &self.residual, e))?;
        for d in &mut pulled {
            count(&self.name, "derivatives pulled back", self.wrt.len(), d.len())?;
            d.iter_mut().zip(&self.wrt).filter(|(_, w)| !**w).for_each(|(d, _)| *d = None);
            d[0] = None; // the guess
            check(&self.name, Phase::Pull, d, &self.inputs)?;
        }
        Ok(pulled)
    }
}
