//! A variable that stands for an error.

use candle_core::Tensor;
use pullback_core_graph::primitive::{Slots, Values};
use pullback_core_graph::{Error, Graph, Primitive, Result, Var, Wrt};

/// A variable whose value is this error, under the node name `node`: a graph makes one from any operation that fails.
pub(crate) fn failed<'g>(graph: &'g Graph, node: &'static str, error: Error) -> Var<'g> {
    graph.record(Failed { node, error }, &[])
}

struct Failed {
    node: &'static str,
    error: Error,
}

impl Primitive for Failed {
    fn name(&self) -> &str {
        self.node
    }
    fn eval(&self, _: &[&Tensor]) -> Result<Values> {
        Err(self.error.clone())
    }
    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], _: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Err(self.error.clone())
    }
    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        _: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Err(self.error.clone())
    }
}
