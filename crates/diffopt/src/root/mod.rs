//! Roots and fixed points as nodes: more solvers, and more ways to differentiate.
//!
//! `pullback-graph`'s [`Implicit`] makes a root a node, differentiated through one dense factorization to every order of the residual; it takes any
//! [`RootSolver`]. Here are three beside its Newton: [`Broyden`] (one Jacobian, then updates of its inverse), [`Anderson`] (no Jacobian at
//! all), [`NewtonKrylov`] (products with the Jacobian only). [`MatrixFree`] is the node for roots whose Jacobian is too large to be
//! written down, and [`FixedPoint`] the node y = T(y, θ), with the adjoint as an argument.

mod anderson;
mod broyden;
mod fixed_point;
mod krylov;
mod matrix_free;
mod newton_krylov;

pub use anderson::Anderson;
pub use broyden::Broyden;
pub use fixed_point::{Adjoint, FixedPoint};
pub use krylov::Gmres;
pub use matrix_free::MatrixFree;
pub use newton_krylov::NewtonKrylov;
pub use pullback_graph::{Implicit, Newton, RootProblem, RootSolver};

use pullback_core_graph::candle::{DType, Tensor};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Error, Result};

/// What an iteration ends at when nothing else was said: the largest |F|.
fn default_tolerance(y: &Tensor) -> f64 {
    if y.dtype() == DType::F32 { 1e-5 } else { 1e-10 }
}

/// Errors: a tolerance that is not above 0, another number that is not finite, no iterations; the setting is named.
fn check_settings(
    problem: &RootProblem<'_>,
    tolerance: f64,
    others: &[(&str, f64)],
    iterations: usize,
) -> Result<()> {
    let fail = |what: String| Err(Error::invalid(problem.name(), what));
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return fail(format!("the setting tolerance is {tolerance:e}, not above 0"));
    }
    if let Some((name, x)) = others.iter().find(|(_, x)| !x.is_finite()) {
        return fail(format!("the setting {name} is {x:e}"));
    }
    if iterations == 0 {
        return fail("the setting iterations is 0".into());
    }
    Ok(())
}

/// A tensor like y.
fn like(y: &Tensor, data: Vec<f64>) -> Result<Tensor> {
    Ok(from_vec(data, y.dims(), y.device())?.to_dtype(y.dtype())?)
}

/// max |v|; NaN where one is NaN.
fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m: f64, x| if x.is_nan() { *x } else { m.max(x.abs()) })
}

/// F at numbers; `None` where F is not defined there.
fn residual_at(problem: &RootProblem<'_>, y: &Tensor, at: &[f64]) -> Result<Option<Vec<f64>>> {
    match problem.residual(&like(y, at.to_vec())?) {
        Ok(r) => to_f64(&r).map(Some),
        Err(Error::NotFinite { .. } | Error::Invalid { .. } | Error::Matrix { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

fn no_convergence(problem: &RootProblem<'_>, iterations: usize, residual: f64) -> Error {
    Error::NoConvergence { node: problem.name().into(), iterations, residual }
}
