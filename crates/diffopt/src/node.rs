//! What nodes of this crate share: shapes of tensors, and errors on their way into a network.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{ensure_finite, from_vec, is_real};
use pullback_core_graph::{Error as NetworkError, Phase, Result as NetworkResult};

use crate::Error;

/// What a node does where its problem has no solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unsolved {
    /// The error [`Error::NotSolved`], with the first such item.
    #[default]
    Refuse,
    /// One more output, u32 of the batch's shape: 1 where there is a solution, else 0, where the other outputs are 0. A cotangent that is not 0
    /// at such an item is still an error: multiply the loss of each item by the mask.
    Mask,
}

/// What all nodes of problems have: `policy` and `unsolved`, and how they are set.
macro_rules! settings_of_node {
    ($node:ty) => {
        impl $node {
            /// What a derivative is where a solution has none. Default: [`Degenerate::Average`](crate::Degenerate::Average).
            #[must_use]
            pub fn degenerate(mut self, policy: $crate::Degenerate) -> Self {
                self.policy = policy;
                self
            }

            /// What happens where a problem has no solution. Default: an error.
            #[must_use]
            pub fn unsolved(mut self, unsolved: $crate::Unsolved) -> Self {
                self.unsolved = unsolved;
                self
            }

            /// The node.
            pub fn build(self) -> std::sync::Arc<dyn pullback_core_graph::Function> {
                std::sync::Arc::new(self)
            }
        }
    };
}
pub(crate) use settings_of_node;

/// The shape, element type and device of a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Like {
    pub(crate) dims: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) device: Device,
}

impl Like {
    pub(crate) fn all(t: &[Tensor]) -> Vec<Self> {
        let one = |t: &Tensor| Like {
            dims: t.dims().to_vec(),
            dtype: t.dtype(),
            device: t.device().clone(),
        };
        t.iter().map(one).collect()
    }

    /// A tensor like this one.
    pub(crate) fn tensor(&self, data: Vec<f64>) -> NetworkResult<Tensor> {
        Ok(from_vec(data, &self.dims, &self.device)?.to_dtype(self.dtype)?)
    }

    /// Checks directions or cotangents: their number, shapes, and that they are finite.
    pub(crate) fn expect(
        node: &str,
        what: &'static str,
        like: &[Like],
        got: &[Option<Tensor>],
    ) -> NetworkResult<()> {
        if got.len() != like.len() {
            return Err(NetworkError::Arity {
                node: node.into(),
                what,
                expected: like.len(),
                got: got.len(),
            });
        }
        let phase = if what == "directions" { Phase::Push } else { Phase::Pull };
        for (port, (like, got)) in like.iter().zip(got).enumerate() {
            let Some(got) = got else { continue };
            if got.dims() != like.dims {
                let text = format!("{what} of the shape {:?} at port {port}", like.dims);
                return Err(NetworkError::shape(node, text, &[got.dims()]));
            }
            ensure_finite(got, node, phase, port)?;
        }
        Ok(())
    }
}

/// What a call's inputs amount to.
pub(crate) struct Call {
    /// The batch dimensions.
    pub(crate) lead: Vec<usize>,
    pub(crate) batch: usize,
    /// Which arguments are inputs, in order.
    pub(crate) arguments: Vec<usize>,
    pub(crate) inputs: Vec<Like>,
    /// Which arguments have no batch dimensions.
    pub(crate) shared: Vec<bool>,
    pub(crate) dtype: DType,
}

impl Call {
    /// Checks inputs against the arguments' names and shapes; arguments without numbers are no inputs.
    pub(crate) fn new(
        node: &str,
        x: &[Tensor],
        shapes: &[(&'static str, &[usize])],
    ) -> NetworkResult<Self> {
        let arguments: Vec<usize> =
            (0..shapes.len()).filter(|&k| shapes[k].1.iter().product::<usize>() > 0).collect();
        if x.len() != arguments.len() {
            let (expected, got) = (arguments.len(), x.len());
            return Err(NetworkError::Arity { node: node.into(), what: "inputs", expected, got });
        }
        let dtype = x.first().map_or(DType::F64, Tensor::dtype);
        if x.iter().any(|t| !is_real(t) || t.dtype() != dtype) {
            return Err(NetworkError::DType {
                node: node.into(),
                what: "needs f32 or f64, the same for all inputs",
                got: x.iter().map(Tensor::dtype).collect(),
            });
        }
        let mut lead: Option<Vec<usize>> = None;
        let mut shared = vec![true; shapes.len()];
        for (t, &k) in x.iter().zip(&arguments) {
            let (name, want) = shapes[k];
            let dims = t.dims();
            let split = dims.len().checked_sub(want.len()).filter(|&s| &dims[s..] == want);
            let Some(split) = split else {
                let what = format!("{name} of the shape {want:?}, after batch dimensions if any");
                return Err(NetworkError::shape(node, what, &[dims]));
            };
            if split == 0 {
                continue;
            }
            shared[k] = false;
            match &lead {
                None => lead = Some(dims[..split].to_vec()),
                Some(lead) if lead == &dims[..split] => {}
                Some(lead) => {
                    let what = format!("the batch dimensions {lead:?} for {name}, too");
                    return Err(NetworkError::shape(node, what, &[dims]));
                }
            }
        }
        let lead = lead.unwrap_or_default();
        let batch = lead.iter().product();
        Ok(Call { lead, batch, arguments, inputs: Like::all(x), shared, dtype })
    }

    /// An output of `width` numbers for each item; those of unsolved items are 0, for they mean nothing.
    pub(crate) fn output(
        &self,
        mut data: Vec<f64>,
        width: usize,
        solved: impl Fn(usize) -> bool,
    ) -> NetworkResult<Tensor> {
        for (item, row) in data.chunks_exact_mut(width).enumerate() {
            if !solved(item) {
                row.fill(0.0);
            }
        }
        let dims = [&self.lead[..], &[width]].concat();
        Ok(from_vec(data, &dims, self.device())?.to_dtype(self.dtype)?)
    }

    /// 1 where there is a solution.
    pub(crate) fn mask(&self, solved: impl Fn(usize) -> bool) -> NetworkResult<Tensor> {
        let mask: Vec<u32> = (0..self.batch).map(|i| u32::from(solved(i))).collect();
        from_vec(mask, &self.lead, self.device())
    }

    fn device(&self) -> &Device {
        self.inputs.first().map_or(&Device::Cpu, |like| &like.device)
    }
}

/// This crate's error as the network's.
pub(crate) fn external(node: &str, error: Error) -> NetworkError {
    NetworkError::external(node, error)
}

impl From<Error> for NetworkError {
    fn from(error: Error) -> Self {
        NetworkError::external("diffopt", error)
    }
}
