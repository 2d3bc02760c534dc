//! The bridge from tensors to the kernels' slices.

use candle_core::{DType, Tensor};
use pullback_core_graph::tensor::{from_vec, with_slice};
use pullback_core_graph::{Error, Result, with_real};

use crate::error::room;
use crate::kernel::Real;

/// A kernel with some input slices and one output slice, for either element type.
pub(super) trait Kernel {
    /// Fills `y`, which arrives as zeros.
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()>;
}

/// Runs a kernel on tensors; the output has the element type and device of the first input.
pub(super) fn run(
    node: &str,
    kernel: &impl Kernel,
    x: &[&Tensor],
    dims: &[usize],
) -> Result<Tensor> {
    let first = x.first().ok_or_else(|| Error::invalid(node, "needs an input"))?;
    check_alike(node, x)?;
    with_real!(node, first.dtype(), T => {
        check_room::<T>(node, dims)?;
        let mut y = vec![0 as T; dims.iter().product()];
        with_slices::<T, _>(x, &mut Vec::new(), &mut |x| kernel.run::<T>(x, &mut y))?
            .map_err(|e| Error::external(node, e))?;
        from_vec(y, dims, first.device())
    })
}

/// Borrows all tensors as slices at once.
fn with_slices<T: Real + candle_core::WithDType, R>(
    tensors: &[&Tensor],
    slices: &mut Vec<&[T]>,
    f: &mut dyn FnMut(&[&[T]]) -> R,
) -> Result<R> {
    match tensors.split_first() {
        None => Ok(f(slices)),
        Some((first, rest)) => with_slice::<T, _>(first, |slice| {
            let mut all: Vec<&[T]> = slices.clone();
            all.push(slice);
            with_slices(rest, &mut all, f)
        })?,
    }
}

/// Whether the memory for a result can be had: a failed allocation would end the process.
pub(super) fn check_room<T>(node: &str, dims: &[usize]) -> Result<()> {
    match room::<T>(dims) {
        true => Ok(()),
        false => Err(Error::invalid(node, format!("there is no memory for a result {dims:?}"))),
    }
}

/// The inputs must share element type and device.
pub(super) fn check_alike(node: &str, x: &[&Tensor]) -> Result<()> {
    let pairs = x.windows(2);
    if pairs.clone().any(|p| p[0].dtype() != p[1].dtype()) {
        let got: Vec<DType> = x.iter().map(|t| t.dtype()).collect();
        return Err(Error::DType { node: node.into(), what: "inputs of one element type", got });
    }
    if pairs.clone().any(|p| !p[0].device().same_device(p[1].device())) {
        let got = x.iter().map(|t| t.device().location()).collect();
        return Err(Error::Device { node: node.into(), got });
    }
    Ok(())
}

/// The four dimensions of an image batch.
pub(super) fn image_dims(node: &str, x: &Tensor) -> Result<[usize; 4]> {
    match *x.dims() {
        [n, c, h, w] => Ok([n, c, h, w]),
        _ => Err(Error::shape(node, "(batch, channels, height, width)", &[x.dims()])),
    }
}
