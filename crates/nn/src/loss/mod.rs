//! Losses: one number for each element or example, so that the caller chooses weights and means.
//!
//! Every loss is finite, with finite derivatives, for any finite input that its documentation allows: logits of ±10⁴ give a loss of
//! the order of 10⁴, not infinity. An infinite logit is no number that a graph takes (`Ok` means finite), so a choice that is
//! not allowed is told by a mask, as [`cross_entropy_among`] takes one, not by a logit of −∞.
//!
//! A loss of misfitting arguments gives a variable that stands for its error: see [`Var::ok`](pullback_core_graph::Var::ok).

mod binary;
mod cosine;
mod cross_entropy;
mod distance;
mod divergence;
mod gaussian;
mod hinge;
mod huber;
mod label_set;
mod reduction;
mod weighted_cross_entropy;

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::tensor::{from_vec, is_real, to_f64};
use pullback_core_graph::{Error, Result, Var};

pub use binary::{bce_with_logits, bce_with_logits_weighted};
pub use cosine::{cosine_embedding, cosine_similarity};
pub use cross_entropy::{cross_entropy, cross_entropy_at};
pub use distance::{l1, mse};
pub use divergence::{kl_divergence, kl_divergence_of_logs};
pub use gaussian::{GaussianNll, gaussian_nll_of_log_variance};
pub use hinge::{hinge, hinge_embedding, multi_margin};
pub use huber::{huber, smooth_l1};
pub use label_set::{cross_entropy_among, cross_entropy_of_set};
pub use reduction::{Reduction, reduce, weighted_mean};
pub use weighted_cross_entropy::CrossEntropy;

use crate::ops;

/// What `f` records; an input's error stays the input's, another one becomes a variable that stands for it.
fn recorded<'g>(
    node: &'static str,
    inputs: &[Var<'g>],
    f: impl FnOnce() -> Result<Var<'g>>,
) -> Var<'g> {
    if let Some(failed) = inputs.iter().find(|v| v.ok().is_err()) {
        return *failed;
    }
    f().unwrap_or_else(|error| ops::failed(inputs[0].graph(), node, error))
}

/// The common shape of two variables. A loss stretches nothing: (n, 1) against (n) is a mistake, not n² differences.
fn alike(node: &str, a: Var<'_>, b: Var<'_>) -> Result<Vec<usize>> {
    let (a, b) = (a.dims()?, b.dims()?);
    if a == b { Ok(a) } else { Err(Error::shape(node, "two tensors of one shape", &[&a, &b])) }
}

/// Numbers as a constant of the element type and device of `like`.
fn constant<'g>(like: Var<'g>, values: Vec<f64>, dims: &[usize]) -> Result<Var<'g>> {
    let tensor = from_vec(values, dims, &Device::Cpu)?.to_dtype(like.dtype()?)?;
    Ok(like.graph().constant(&tensor.to_device(&like.device()?)?))
}

/// Integers, in row-major order.
fn integers(node: &str, labels: &Tensor) -> Result<Vec<i64>> {
    if is_real(labels) {
        let (node, got) = (node.into(), vec![labels.dtype()]);
        return Err(Error::DType { node, what: "labels are integers", got });
    }
    Ok(labels.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::I64)?.to_vec1()?)
}

/// Errors unless every element passes; `what` says what was expected.
fn check_elements(
    node: &str,
    x: &Tensor,
    passes: impl Fn(f64) -> bool,
    what: &str,
) -> Result<Vec<f64>> {
    let values = to_f64(x)?;
    match values.iter().position(|&v| !passes(v)) {
        Some(i) => Err(Error::invalid(node, format!("{what}, element {i} is {}", values[i]))),
        None => Ok(values),
    }
}

/// (batch, classes, …) without the classes.
fn positions(node: &str, logits: Var<'_>) -> Result<(usize, Vec<usize>)> {
    let mut dims = logits.dims()?;
    if dims.len() < 2 || dims[1] == 0 {
        return Err(Error::shape(node, "logits (batch, classes, …)", &[&dims]));
    }
    let classes = dims.remove(1);
    Ok((classes, dims))
}
