//! Every layer: how it is built, and PyTorch's numbers for it. Shared by the tests and `cargo xtask report nn`.
#![allow(dead_code, unreachable_pub, reason = "each user takes a part")]

pub(crate) mod build;
pub(crate) mod defects;
pub(crate) mod extra;
pub(crate) mod recurrent;
pub(crate) mod reference;

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::check::{Tolerances, laws, second_order};
use pullback_core_graph::tensor::is_real;
use pullback_core_graph::{Function, Result, Var, function};
use pullback_nn::{Bound, Mode, Parameters};

/// A layer in use: its output from its inputs.
pub(crate) type Forward =
    Arc<dyn for<'g> Fn(&Bound<'g>, &[Var<'g>]) -> Result<Var<'g>> + Send + Sync>;

/// A layer with values for its parameters, and a point.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) parameters: Parameters,
    pub(crate) forward: Forward,
    pub(crate) inputs: Vec<Tensor>,
}

impl Case {
    /// (parameters…, inputs…) ↦ output.
    pub(crate) fn function(&self) -> Arc<dyn Function> {
        let (names, mode) = (self.parameters.names(), self.mode);
        let (parameters, forward) = (self.parameters.clone(), self.forward.clone());
        function(self.name.clone(), move |_, v| {
            let (ours, x) = v.split_at(names.len());
            let bound = Bound::new(names.clone(), ours)?.with_buffers(&parameters).in_mode(mode);
            Ok(vec![forward(&bound, x)?])
        })
    }

    /// Where the laws are tested.
    pub(crate) fn point(&self) -> Vec<Tensor> {
        self.parameters.values().into_iter().chain(self.inputs.iter().cloned()).collect()
    }

    /// All laws of first order, then those of second order.
    pub(crate) fn check(&self) -> Result<()> {
        let (function, x) = (self.function(), self.point());
        let single = x.iter().any(|t| t.dtype() == DType::F32);
        let tolerances = if single {
            Tolerances { step: 3e-2, slope: 1.5, ..Tolerances::single() }
        } else {
            Tolerances { dot: 1e-9, ..Tolerances::default() }
        };
        laws(&function, &x, &tolerances)?;
        second_order(&function, &x, &tolerances)
    }
}

/// All cases in this element type: those with reference numbers, then the others.
pub(crate) fn all(dtype: DType) -> Vec<Case> {
    let with_numbers = reference::table().into_iter().map(|r| r.case(dtype));
    with_numbers.chain(extra::cases(dtype)).collect()
}

/// Real tensors in this element type; integers as they are.
pub(crate) fn cast(t: &Tensor, dtype: DType) -> Tensor {
    if is_real(t) { t.to_dtype(dtype).unwrap() } else { t.clone() }
}

/// `n` reproducible numbers in (−1, 1).
pub(crate) fn tensor(seed: u64, dims: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| next()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}
