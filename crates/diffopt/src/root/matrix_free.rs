//! A root as a node, differentiated without writing down its Jacobian.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Direction, Error, Function, LinearMap, Result, Wrt, function};
use pullback_graph::Implicit;

use super::krylov::Gmres;
use super::{RootProblem, RootSolver, largest, like};
use crate::node::Like;

/// The root (guess, θ…) ↦ y with F(y, θ…) = 0, for y of any shape, whose pushes and pulls solve with ∂F/∂y by GMRES:
///
/// > dy = −F_y⁻¹·F_θ·dθ from pushes, θ̄ = −F_θᵀ·F_y⁻ᵀ·ȳ from pulls through F.
///
/// Like [`Implicit`], which is faster where the dense Jacobian can be afforded, it is differentiable to every order of F, and verifies what the
/// solver says. The guess has no derivative.
///
/// # Errors
/// [`Error::Invalid`] where the solver's answer is no root; [`Error::Matrix`] where GMRES does not reach 10⁶ times its tolerance.
#[derive(Clone)]
pub struct MatrixFree {
    name: String,
    residual: Arc<dyn Function>,
    solver: Option<Arc<dyn RootSolver>>,
    gmres: Gmres,
    batch: usize,
    tolerance: Option<f64>,
}

impl MatrixFree {
    /// The root of `residual` as `solver` finds it.
    pub fn new(
        name: impl Into<String>,
        residual: Arc<dyn Function>,
        solver: impl RootSolver + 'static,
    ) -> Self {
        MatrixFree {
            name: name.into(),
            residual,
            solver: Some(Arc::new(solver)),
            gmres: Gmres::default(),
            batch: 0,
            tolerance: None,
        }
    }

    /// The linear solver.
    #[must_use]
    pub fn gmres(mut self, gmres: Gmres) -> Self {
        self.gmres = gmres;
        self
    }

    /// How many leading dimensions of y are batch dimensions, on each element of which F acts by itself: for the solver. (GMRES takes the whole batch as one
    /// system.) Default 0.
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

    /// The node.
    pub fn build(self) -> Arc<dyn Function> {
        Arc::new(self)
    }

    /// The root of a residual that is affine in y.
    fn linear(&self, name: String, residual: Arc<dyn Function>) -> Arc<dyn Function> {
        let (gmres, batch) = (self.gmres, self.batch);
        Arc::new(MatrixFree { name, residual, solver: None, gmres, batch, tolerance: None })
    }

    fn value(&self, x: &[Tensor]) -> Result<Tensor> {
        let Some((guess, parameters)) = x.split_first() else {
            let (what, node) = ("inputs or more, the guess first", self.name.clone());
            return Err(Error::Arity { node, what, expected: 1, got: 0 });
        };
        let guess = guess.detach();
        match &self.solver {
            Some(solver) => {
                // The problem's checks and its verification are those of the dense node.
                let verified =
                    Implicit::new(self.name.clone(), self.residual.clone(), Shared(solver.clone()))
                        .batch(self.batch);
                let verified = match self.tolerance {
                    Some(tolerance) => verified.tolerance(tolerance),
                    None => verified,
                };
                let node = verified.build().map_err(Error::from)?;
                let all: Vec<Tensor> =
                    std::iter::once(guess).chain(parameters.iter().cloned()).collect();
                node.eval(&all)?
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::invalid(&self.name, "no root"))
            }
            None => {
                let map = Maps::new(self, &guess, parameters, &[])?;
                let r = to_f64(&map.residual)?;
                let minus: Vec<f64> = r.iter().map(|r| -r).collect();
                let step = map.solve(self, &minus, false)?;
                let y = to_f64(&guess)?;
                like(&guess, y.iter().zip(step).map(|(y, d)| y + d).collect())
            }
        }
    }
}

/// A shared solver as a solver.
struct Shared(Arc<dyn RootSolver>);

impl RootSolver for Shared {
    fn solve(&self, problem: &RootProblem<'_>, guess: &Tensor) -> Result<Tensor> {
        self.0.solve(problem, guess)
    }
}

/// F linearized at (y, θ), once by y and once by the parameters.
struct Maps {
    residual: Tensor,
    by_y: Box<dyn LinearMap>,
    by_parameters: Option<Box<dyn LinearMap>>,
    y: Tensor,
    slots: usize,
}

impl Maps {
    fn new(node: &MatrixFree, y: &Tensor, parameters: &[Tensor], wrt: &[bool]) -> Result<Self> {
        let x: Vec<Tensor> = std::iter::once(y.clone()).chain(parameters.iter().cloned()).collect();
        let only: Vec<bool> = (0..x.len()).map(|i| i == 0).collect();
        let (r, by_y) = node.residual.linearize(&x, Wrt(&only))?;
        let residual =
            r.into_iter().next().ok_or_else(|| Error::invalid(&node.name, "no residual"))?;
        if residual.dims() != y.dims() {
            let what = "a residual of the shape of y (residual, y)";
            return Err(Error::shape(&node.name, what, &[residual.dims(), y.dims()]));
        }
        let by_parameters = match wrt.contains(&true) {
            true => Some(node.residual.linearize(&x, Wrt(wrt))?.1),
            false => None,
        };
        Ok(Maps { residual, by_y, by_parameters, y: y.clone(), slots: x.len() })
    }

    /// F_y⁻¹·b, or F_y⁻ᵀ·b.
    fn solve(&self, node: &MatrixFree, b: &[f64], transposed: bool) -> Result<Vec<f64>> {
        let apply = |d: &[f64]| -> Result<Vec<f64>> {
            let d = like(&self.y, d.to_vec())?;
            let image = if transposed {
                self.by_y.pull(&[Some(d)])?
            } else {
                let mut direction = vec![None; self.slots];
                direction[0] = Some(d);
                self.by_y.push(&direction)?
            };
            match image.into_iter().next().flatten() {
                Some(image) => to_f64(&image),
                None => Ok(vec![0.0; b.len()]),
            }
        };
        let single = self.y.dtype() == DType::F32;
        let least = if single { 1e-6 } else { node.gmres.tolerance };
        let gmres = Gmres { tolerance: node.gmres.tolerance.max(least), ..node.gmres };
        let (x, error) = gmres.solve(b, &apply)?;
        if error.is_nan() || 1e6 * gmres.tolerance.min(1e-9) < error && gmres.tolerance < error {
            return Err(Error::Matrix {
                node: node.name.clone(),
                what: "singular: GMRES does not solve with ∂F/∂y, relative residual",
                batch: 0,
                pivot: 0,
                value: error,
                rcond: f64::NAN,
            });
        }
        Ok(x)
    }
}

impl Function for MatrixFree {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![self.value(x)?])
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let y = self.value(x)?;
        let marks: Vec<bool> = (0..x.len()).map(|i| 0 < i && wrt.needs(i)).collect();
        let maps = Maps::new(self, &y, &x[1..], &marks)?;
        let (inputs, output) = (Like::all(x), Like::all(std::slice::from_ref(&y)));
        Ok((vec![y], Box::new(Map { node: self.clone(), maps, inputs, output })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (n, guess_moves) = (wrt.len(), wrt.needs(0));
        let moving = (1..n).filter(|&i| wrt.needs(i)).count();
        let name = format!("{}.tangent", self.name);
        if moving == 0 {
            return Ok(function(name, move |_, v| {
                Ok(v.get(n).map(|y| y.zeros_like()).into_iter().collect())
            }));
        }
        let marks: Vec<bool> = (0..n).map(|i| i == 0 || wrt.needs(i)).collect();
        let (f, tangent) = (self.residual.clone(), self.residual.tangent(Wrt(&marks))?);
        // dy is the root of F_y·dy + F_θ·dθ = 0; arguments: (dy, y, θ…, dθ…).
        let residual = function(tangent.name().to_string(), move |g, v| {
            let (dy, point, dtheta) = (v[0], &v[1..=n], &v[n + 1..]);
            let r = g.apply(&f, point)?;
            g.apply(&tangent, &[point, &r, &[dy], dtheta].concat())
        });
        let node = self.linear(format!("{}.solve", self.name), residual);
        let expected = n + 1 + moving + usize::from(guess_moves);
        Ok(function(name.clone(), move |g, v| {
            if v.len() != expected {
                let node = name.clone();
                return Err(Error::Arity { node, what: "inputs", expected, got: v.len() });
            }
            let (theta, y, dtheta) = (&v[1..n], v[n], &v[v.len() - moving..]);
            g.apply(&node, &[&[y.zeros_like(), y], theta, dtheta].concat())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (n, guess_moves) = (wrt.len(), wrt.needs(0));
        let name = format!("{}.adjoint", self.name);
        let only: Vec<bool> = (0..n).map(|i| i == 0).collect();
        let marks: Vec<bool> = (0..n).map(|i| 0 < i && wrt.needs(i)).collect();
        let moving = marks.contains(&true);
        let (f, by_y) = (self.residual.clone(), self.residual.adjoint(Wrt(&only))?);
        let by_parameters = self.residual.adjoint(Wrt(&marks))?;
        // λ is the root of F_yᵀ·λ + ȳ = 0; arguments: (λ, y, θ…, ȳ).
        let inner = f.clone();
        let residual = function(by_y.name().to_string(), move |g, v| {
            let (lambda, point, cotangent) = (v[0], &v[1..=n], v[n + 1]);
            let r = g.apply(&inner, point)?;
            let pulled = g.apply(&by_y, &[point, &r, &[lambda]].concat())?;
            Ok(pulled.into_iter().map(|p| p + cotangent).collect())
        });
        let node = self.linear(format!("{}.solve", self.name), residual);
        Ok(function(name.clone(), move |g, v| {
            if v.len() != n + 2 {
                let (node, expected) = (name.clone(), n + 2);
                return Err(Error::Arity { node, what: "inputs", expected, got: v.len() });
            }
            let (theta, y, cotangent) = (&v[1..n], v[n], v[n + 1]);
            let mut out = Vec::new();
            if guess_moves {
                out.push(v[0].zeros_like());
            }
            if moving {
                let point = [&[y], theta].concat();
                let start = [&[y.zeros_like()], &point[..], &[cotangent]].concat();
                let lambda = g.apply(&node, &start)?;
                let r = g.apply(&f, &point)?;
                out.extend(g.apply(&by_parameters, &[&point[..], &r, &lambda].concat())?);
            }
            Ok(out)
        }))
    }
}

struct Map {
    node: MatrixFree,
    maps: Maps,
    inputs: Vec<Like>,
    output: Vec<Like>,
}

impl LinearMap for Map {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        Like::expect(&self.node.name, "directions", &self.inputs, dx)?;
        let Some(by_parameters) = &self.maps.by_parameters else { return Ok(vec![None]) };
        let mut dtheta = dx.to_vec();
        dtheta[0] = None;
        let pushed = by_parameters.push(&dtheta)?.into_iter().next().flatten();
        let Some(pushed) = pushed else { return Ok(vec![None]) };
        let minus: Vec<f64> = to_f64(&pushed)?.into_iter().map(|x| -x).collect();
        Ok(vec![Some(like(&self.maps.y, self.maps.solve(&self.node, &minus, false)?)?)])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        Like::expect(&self.node.name, "cotangents", &self.output, dy)?;
        let nothing = vec![None; self.inputs.len()];
        let (Some(by_parameters), Some(Some(dy))) = (&self.maps.by_parameters, dy.first()) else {
            return Ok(nothing);
        };
        let dy = to_f64(dy)?;
        if largest(&dy) == 0.0 {
            return Ok(nothing);
        }
        let minus: Vec<f64> = dy.iter().map(|x| -x).collect();
        let lambda = like(&self.maps.y, self.maps.solve(&self.node, &minus, true)?)?;
        let mut out = by_parameters.pull(&[Some(lambda)])?;
        out[0] = None;
        Ok(out)
    }
}
