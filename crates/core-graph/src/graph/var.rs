//! A variable of a graph: a copyable handle.

use candle_core::{DType, Device, Tensor};
use smallvec::SmallVec;

use super::Graph;
use crate::tensor::room;
use crate::{Error, Result};

const FAILED: u32 = 1 << 31;

/// A variable of a [`Graph`]: a copyable handle that carries the operators.
///
/// An operation that fails gives a variable that stands for its error, and so does everything computed from it; the error, with the
/// name of the node where it happened, comes out of [`Var::ok`], [`Var::value`], every derivative, and the end of every closure.
/// So formulas stay formulas and nothing is lost.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    graph: &'g Graph,
    id: u32,
}

impl std::fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value() {
            Ok(t) => write!(f, "{} {:?} {:?}", self.graph.node_name(*self), t.dims(), t.dtype()),
            Err(e) => write!(f, "failed: {e}"),
        }
    }
}

impl<'g> Var<'g> {
    pub(crate) fn new(graph: &'g Graph, id: u32) -> Self {
        Var { graph, id }
    }

    pub(crate) fn failed(graph: &'g Graph, error: u32) -> Self {
        Var { graph, id: error | FAILED }
    }

    pub(crate) fn id(self) -> u32 {
        self.id
    }

    /// The graph it belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// The variable, or the error it stands for.
    #[inline]
    pub fn ok(self) -> Result<Self> {
        let v = self.alive()?;
        let arena = v.graph.arena();
        if arena.unseen.contains(&v.id) {
            arena.look(v.id)?;
        }
        Ok(v)
    }

    /// [`ok`](Self::ok) for a rule that leaves it to an operation to look at the numbers of an input.
    #[inline]
    pub(crate) fn alive(self) -> Result<Self> {
        if self.id & FAILED == 0 { Ok(self) } else { Err(self.error()) }
    }

    /// The tensor that it holds.
    fn tensor(self) -> Result<Tensor> {
        let v = self.alive()?;
        Ok(v.graph.arena().slots[v.id as usize].tensor.clone())
    }

    #[cold]
    fn error(self) -> Error {
        let arena = self.graph.arena();
        let index = (self.id & !FAILED) as usize;
        arena
            .errors
            .get(index)
            .cloned()
            .unwrap_or_else(|| Error::invalid("variable", "outlived its scratch graph"))
    }

    /// Its number in its graph, from which [`Graph::var`] makes the variable again.
    pub fn index(self) -> Result<usize> {
        Ok(self.ok()?.id as usize)
    }

    /// Its value.
    pub fn value(self) -> Result<Tensor> {
        let v = self.ok()?;
        Ok(v.graph.arena().slots[v.id as usize].tensor.clone())
    }

    /// Its value as one f64, for tensors of one element.
    pub fn to_f64(self) -> Result<f64> {
        let t = self.value()?;
        match crate::tensor::to_f64(&t)?.as_slice() {
            [one] => Ok(*one),
            _ => Err(Error::shape(self.graph.node_name(self), "one element", &[t.dims()])),
        }
    }

    /// Its shape.
    pub fn dims(self) -> Result<Vec<usize>> {
        Ok(self.alive()?.shape().to_vec())
    }

    /// Its element type.
    pub fn dtype(self) -> Result<DType> {
        Ok(self.tensor()?.dtype())
    }

    /// Its device.
    pub fn device(self) -> Result<Device> {
        Ok(self.tensor()?.device().clone())
    }

    /// Gives the variable a name of the user's, which errors and drawings show. A second name takes the place of the first.
    ///
    /// Each output of a node with several has a name of its own.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        if self.alive().is_ok() {
            self.graph.arena.borrow_mut().names.insert(self.id, name.into());
        }
        self
    }

    /// The name that the user gave it.
    pub fn name(self) -> Option<String> {
        let id = self.alive().ok()?.id;
        self.graph.arena().names.get(&id).cloned()
    }

    /// The shape; empty for a failed variable, whose error comes out later anyway.
    pub(crate) fn shape(self) -> SmallVec<[usize; 4]> {
        if self.id & FAILED != 0 {
            return SmallVec::new();
        }
        SmallVec::from_slice(self.graph.arena().slots[self.id as usize].tensor.dims())
    }

    /// Runs a composite operation; its error becomes a failed variable.
    pub(crate) fn compose(self, f: impl FnOnce(Self) -> Result<Self>) -> Self {
        match self.alive() {
            Ok(v) => v.graph.sticky(f(v)),
            Err(_) => self,
        }
    }

    /// A constant of zeros with this shape, element type and device.
    #[must_use]
    pub fn zeros_like(self) -> Self {
        self.compose(|v| {
            let t = v.tensor()?;
            room("zeros_like", t.dims(), t.dtype())?;
            Ok(v.graph.own(t.zeros_like()?))
        })
    }

    /// A constant of ones with this shape, element type and device.
    #[must_use]
    pub fn ones_like(self) -> Self {
        self.compose(|v| {
            let t = v.tensor()?;
            room("ones_like", t.dims(), t.dtype())?;
            Ok(v.graph.own(t.ones_like()?))
        })
    }

    /// A constant that holds a copy of the value: derivatives stop here.
    #[must_use]
    pub fn detach(self) -> Self {
        self.compose(|v| Ok(v.graph.copied(&v.value()?)))
    }
}

impl Graph {
    /// The variable with this number. Errors: no such variable.
    pub fn var(&self, index: usize) -> Result<Var<'_>> {
        let n = self.arena().slots.len();
        if index < n {
            return Ok(Var::new(self, index as u32));
        }
        Err(Error::invalid("variable", format!("number {index} of {n}")))
    }

    /// A finite constant that a rule made, in a graph of either kind.
    pub(crate) fn own(&self, tensor: Tensor) -> Var<'_> {
        if self.arena().scratch { self.slot(tensor) } else { self.constant(&tensor) }
    }
}
