//! The fused loops and the planner as nodes of a function network.

mod dynamic;
mod plan;
mod propagation;
mod sets;
mod value_iteration;

use pullback_core_graph::candle::{DType, Device, Tensor, WithDType};
use pullback_core_graph::tensor::{ensure_finite, from_vec, with_slice};
use pullback_core_graph::{Direction, Error as NetworkError, Phase, Result as NetworkResult};

pub use dynamic::dynamic_value_iteration;
pub use plan::PlanNode;
pub use propagation::maximum_propagation;
pub use sets::set_cross_entropy;
pub use value_iteration::{IterationOptions, action_value_iteration, value_iteration};

use crate::Error;

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        Error::Network(Box::new(error))
    }
}

impl From<pullback_nn::Error> for Error {
    fn from(error: pullback_nn::Error) -> Self {
        Error::Network(Box::new(error))
    }
}

/// So that `?` works inside a function network; the typed error stays reachable as the source.
impl From<Error> for NetworkError {
    fn from(error: Error) -> Self {
        match error {
            Error::Network(inner) => match inner.downcast::<NetworkError>() {
                Ok(error) => *error,
                Err(other) => NetworkError::external("vin", Error::Network(other)),
            },
            other => NetworkError::external("vin", other),
        }
    }
}

/// This crate's error under the name of a node.
fn external(node: &str, error: Error) -> NetworkError {
    NetworkError::external(node, error)
}

/// The shape, element type and device of a tensor.
#[derive(Debug, Clone)]
struct Like {
    dims: Vec<usize>,
    dtype: DType,
    device: Device,
}

impl Like {
    fn of(t: &Tensor) -> Self {
        Like { dims: t.dims().to_vec(), dtype: t.dtype(), device: t.device().clone() }
    }

    fn tensor<T: WithDType>(&self, data: Vec<T>) -> NetworkResult<Tensor> {
        Ok(from_vec(data, &self.dims, &self.device)?.to_dtype(self.dtype)?)
    }
}

/// Checks directions or cotangents: their number, shapes, element types, and that they are finite.
fn expect(node: &str, phase: Phase, like: &[Like], got: &[Option<Tensor>]) -> NetworkResult<()> {
    let what = if matches!(phase, Phase::Push) { "directions" } else { "cotangents" };
    if got.len() != like.len() {
        let (expected, got) = (like.len(), got.len());
        return Err(NetworkError::Arity { node: node.into(), what, expected, got });
    }
    for (port, (like, got)) in like.iter().zip(got).enumerate() {
        let Some(got) = got else { continue };
        if got.dims() != like.dims {
            let text = format!("{what} of the shape {:?} at port {port}", like.dims);
            return Err(NetworkError::shape(node, text, &[got.dims()]));
        }
        if got.dtype() != like.dtype {
            let got = vec![got.dtype(), like.dtype];
            return Err(NetworkError::DType { node: node.into(), what, got });
        }
        ensure_finite(got, node, phase, port)?;
    }
    Ok(())
}

/// Borrows two tensors as slices.
fn with_two<T: WithDType, R>(x: &[Tensor], f: impl FnOnce(&[T], &[T]) -> R) -> NetworkResult<R> {
    with_slice::<T, _>(&x[0], |a| with_slice::<T, _>(&x[1], |b| f(a, b)))?
}

/// Directions in the inputs that count, checked, zeros for the others; `None` if there are none.
fn directions(
    node: &str,
    x: &[Tensor],
    wrt: &[bool],
    dx: &[Option<Tensor>],
) -> NetworkResult<Option<Vec<Tensor>>> {
    let like: Vec<Like> = x.iter().map(Like::of).collect();
    expect(node, Phase::Push, &like, dx)?;
    if !dx.iter().zip(wrt).any(|(d, wanted)| *wanted && d.is_some()) {
        return Ok(None);
    }
    let each = dx.iter().zip(x).zip(wrt).map(|((d, x), wanted)| match d {
        Some(d) if *wanted => Ok(d.clone()),
        _ => Ok(x.zeros_like()?),
    });
    each.collect::<NetworkResult<_>>().map(Some)
}

/// The gradients of the inputs that count.
fn gradients<T: WithDType>(
    x: &[Tensor],
    wrt: &[bool],
    all: impl IntoIterator<Item = Vec<T>>,
) -> NetworkResult<Direction> {
    let each = all.into_iter().zip(x).zip(wrt);
    each.map(|((d, x), wanted)| wanted.then(|| Like::of(x).tensor(d)).transpose()).collect()
}

/// Checks that inputs are f32 or f64, all the same.
fn alike(node: &str, x: &[Tensor], expected: usize) -> NetworkResult<DType> {
    if x.len() != expected {
        let got = x.len();
        return Err(NetworkError::Arity { node: node.into(), what: "inputs", expected, got });
    }
    let first = x.first().map_or(DType::F64, Tensor::dtype);
    if x.iter().any(|t| !matches!(t.dtype(), DType::F32 | DType::F64) || t.dtype() != first) {
        let what = "f32 or f64, the same for all inputs";
        let got = x.iter().map(Tensor::dtype).collect();
        return Err(NetworkError::DType { node: node.into(), what, got });
    }
    Ok(first)
}
