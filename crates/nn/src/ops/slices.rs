//! The bridge from tensors to the kernels' slices.

use candle_core::{DType, Tensor};
use pullback_core_graph::tensor::{from_vec, with_slices};
use pullback_core_graph::{Error, Fresh, Result, fresh, with_real};

use crate::error::room;
use crate::kernel::Real;

/// A kernel with some input slices and one output slice, for either element type.
pub(super) trait Kernel {
    /// Fills `y`, which arrives as zeros.
    fn run<T: Real>(&self, x: &[&[T]], y: &mut [T]) -> crate::Result<()>;

    /// [`run`](Self::run), and whether it has seen that all of `y` is finite.
    fn run_seen<T: Real>(&self, x: &[&[T]], y: Fresh<'_, T>) -> crate::Result<bool> {
        self.run(x, y.zeroed()).map(|()| false)
    }
}

/// Runs a kernel on tensors; the output has the element type and device of the first input.
pub(super) fn run(
    node: &str,
    kernel: &impl Kernel,
    x: &[&Tensor],
    dims: &[usize],
) -> Result<Tensor> {
    Ok(run_seen(node, kernel, x, dims)?.0)
}

/// [`run`], and whether the kernel has seen that all of the output is finite.
pub(super) fn run_seen(
    node: &str,
    kernel: &impl Kernel,
    x: &[&Tensor],
    dims: &[usize],
) -> Result<(Tensor, bool)> {
    let first = x.first().ok_or_else(|| Error::invalid(node, "needs an input"))?;
    check_alike(node, x)?;
    with_real!(node, first.dtype(), T => {
        check_room::<T>(node, dims)?;
        let (y, finite) = with_slices::<T, _>(x, |x| fresh::<T, _>(dims.iter().product(), |y| kernel.run_seen(x, y)))?;
        let finite = finite.map_err(|e| Error::external(node, e))?;
        let y = y.ok_or_else(|| Error::invalid(node, "the kernel left a part of its output unwritten"))?;
        Ok((from_vec(y, dims, first.device())?, finite))
    })
}

/// Whether the memory for a result can be had: a failed allocation would end the process.
pub(crate) fn check_room<T>(node: &str, dims: &[usize]) -> Result<()> {
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
