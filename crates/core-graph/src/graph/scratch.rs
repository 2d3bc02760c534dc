//! Graphs that keep values but no nodes: what the rules of primitives compute while a sweep runs.

use std::cell::RefCell;
use std::collections::HashSet;

use candle_core::{Tensor, TensorId};

use super::{Arena, Graph, Options, Slot, Var};

/// A check of fewer elements costs less than to remember that it was made.
pub(crate) const LONG: usize = 1 << 12;

/// Tensors that need no check.
pub(crate) type Known = HashSet<TensorId>;

impl Graph {
    /// A graph that keeps values but no nodes.
    pub(crate) fn scratch() -> Self {
        let arena = Arena { scratch: true, ..Arena::default() };
        Graph { arena: RefCell::new(arena), options: Options { finite: false } }
    }

    /// A value without a node, in a scratch graph.
    pub(crate) fn slot(&self, tensor: Tensor) -> Var<'_> {
        let mut arena = self.arena.borrow_mut();
        let id = arena.slots.len() as u32;
        arena.slots.push(Slot { tensor, node: u32::MAX, active: false, finite: false });
        Var::new(self, id)
    }

    /// Forgets all values of a scratch graph, but for which long ones are finite. The caller holds no variable of it.
    pub(crate) fn clear(&mut self) {
        let arena = self.arena.get_mut();
        let long = |s: &&Slot| s.finite && LONG <= s.tensor.elem_count();
        arena.known.extend(arena.slots.iter().filter(long).map(|s| s.tensor.id()));
        arena.slots.clear();
        arena.errors.clear();
    }

    /// The long values of a scratch graph that loops have seen to be finite.
    pub(crate) fn into_known(mut self) -> Known {
        self.clear();
        self.arena.into_inner().known
    }

    /// Has the loop that made this value seen that it is finite?
    pub(crate) fn seen_finite(&self, v: Var<'_>) -> bool {
        v.alive().is_ok_and(|v| self.arena().slots[v.id() as usize].finite)
    }
}
