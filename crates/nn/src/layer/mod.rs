//! Layers: a layer makes its parameters when it is built, and computes with whatever values they are bound to.

mod adaptive_pool;
mod attention;
mod conv1d;
mod conv2d;
mod conv_transpose;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pool;
mod prelu;
mod recurrent;
mod residual;
mod sequential;
mod shape;
mod skip;

use std::sync::Arc;

use pullback_core_graph::{Function, Result, Var, function};

pub use adaptive_pool::{
    AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d,
};
pub use attention::{AttentionMask, MultiHeadAttention};
pub use conv_transpose::{
    ConvTranspose1d, ConvTranspose1dSpec, ConvTranspose2d, ConvTranspose2dSpec,
};
pub use conv1d::{Conv1d, Conv1dSpec, SeparableConv2d};
pub use conv2d::{Conv2d, Conv2dSpec};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{
    BatchNorm1d, BatchNorm2d, BatchNormSpec, GroupNorm, InstanceNorm2d, LayerNorm, RmsNorm,
};
pub use pool::{AveragePool1d, AveragePool2d, MaxPool1d, MaxPool2d};
pub use prelu::Prelu;
pub use recurrent::{Gru, GruCell, Lstm, LstmCell, LstmState, RecurrentSpec};
pub use residual::{ResidualBlock, ResidualOptions};
pub use sequential::Sequential;
pub use shape::{Flatten, Interpolation, Resize, Upsample};
pub use skip::Residual;

use crate::parameters::{Bound, Mode, Parameters};
use crate::summary::Walk;

/// A part of a network: y from x and parameters.
pub trait Layer: Send + Sync {
    /// Records the layer on the graph of `x`.
    ///
    /// # Errors
    /// Those of the layer's operations, under the failing node's name; a parameter that is not bound.
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>>;

    /// Says what the layer does to shapes, for [`summary`](crate::summary::summary).
    ///
    /// # Errors
    /// An input that does not fit; [`Error::Undescribed`](crate::Error::Undescribed) unless the layer implements this.
    fn walk(&self, _walk: &mut Walk<'_>) -> crate::Result<()> {
        Err(crate::Error::Undescribed { layer: std::any::type_name::<Self>() })
    }
}

impl<L: Layer + ?Sized> Layer for Arc<L> {
    fn forward<'g>(&self, parameters: &Bound<'g>, x: Var<'g>) -> Result<Var<'g>> {
        (**self).forward(parameters, x)
    }

    fn walk(&self, walk: &mut Walk<'_>) -> crate::Result<()> {
        (**self).walk(walk)
    }
}

/// A layer in use as a function (parameters in the order of their names…, x) ↦ y.
pub fn layer_function(
    name: impl Into<String>,
    layer: impl Layer + 'static,
    parameters: &Parameters,
) -> Arc<dyn Function> {
    layer_function_in(Mode::Evaluation, name, layer, parameters)
}

/// A layer in this mode as a function (parameters in the order of their names…, x) ↦ y; its buffers are those of `parameters`.
pub fn layer_function_in(
    mode: Mode,
    name: impl Into<String>,
    layer: impl Layer + 'static,
    parameters: &Parameters,
) -> Arc<dyn Function> {
    let (names, all) = (parameters.names(), parameters.clone());
    function(name, move |_, v| {
        let (parameters, x) = v.split_at(names.len().min(v.len()));
        let bound = Bound::new(names.clone(), parameters)?.with_buffers(&all).in_mode(mode);
        match x {
            [x] => Ok(vec![layer.forward(&bound, *x)?]),
            _ => Err(pullback_core_graph::Error::Arity {
                node: "layer".into(),
                what: "inputs (the parameters, then x)",
                expected: names.len() + 1,
                got: v.len(),
            }),
        }
    })
}
