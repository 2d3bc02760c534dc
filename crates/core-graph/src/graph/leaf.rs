//! Leaves: inputs and constants, and when their numbers are looked at.
//!
//! Short ones at once. Long ones by the first operation that they enter, if its result tells (see [`Primitive::sees`](crate::Primitive::sees)),
//! else before it, and in any case before a value or a derivative leaves the graph.

use candle_core::{Device, Tensor};
use smallvec::SmallVec;

use super::{Arena, Evaluated, Graph, Kind, LONG, Var};
use crate::primitive::Values;
use crate::tensor::{ensure_finite, is_real};
use crate::{Error, Phase, Result};

impl Graph {
    /// A variable that derivatives are taken with respect to. Candle's own tape is cut off here.
    ///
    /// Errors (at the first use of a result): element type other than f32 and f64, NaN or infinity.
    pub fn input(&self, value: &Tensor) -> Var<'_> {
        self.leaf(value, Kind::Input, "input")
    }

    /// A variable that derivatives are usually not taken with respect to: data, indices, masks.
    ///
    /// Derivatives with respect to it can still be asked for; functions of constants alone are then linearized on demand.
    pub fn constant(&self, value: &Tensor) -> Var<'_> {
        self.leaf(value, Kind::Constant, "constant")
    }

    /// A scalar f64 constant on the CPU.
    pub fn scalar(&self, value: f64) -> Var<'_> {
        match Tensor::new(value, &Device::Cpu) {
            Ok(t) => self.constant(&t),
            Err(e) => self.fail(e.into()),
        }
    }

    fn leaf(&self, value: &Tensor, kind: Kind, what: &str) -> Var<'_> {
        let active = matches!(kind, Kind::Input);
        let name = || format!("{what}#{}", self.arena.borrow().nodes.len());
        if active && !is_real(value) {
            let what = "an input needs f32 or f64 (integers are constants)";
            return self.fail(Error::DType { node: name(), what, got: vec![value.dtype()] });
        }
        let later = is_real(value) && LONG <= value.elem_count();
        if self.options.finite
            && !later
            && let Err(e) = ensure_finite(value, what, Phase::Eval, 0)
        {
            return self.fail(e.renamed(|_| name()));
        }
        let leaf = self.unchecked_leaf(value, kind);
        if self.options.finite && later {
            self.arena.borrow_mut().unseen.push(leaf.id());
        }
        leaf
    }

    /// A leaf whose value is known to pass the checks.
    fn unchecked_leaf(&self, value: &Tensor, kind: Kind) -> Var<'_> {
        let active = matches!(kind, Kind::Input);
        let values: Values = SmallVec::from_buf([value.detach()]);
        let made = Evaluated { values, active, ..Evaluated::default() };
        Var::new(self, self.arena.borrow_mut().add(Some(kind), made))
    }

    /// A constant with the value of a variable of this graph: what was checked is not checked again.
    pub(crate) fn copied(&self, value: &Tensor) -> Var<'_> {
        if self.arena().scratch {
            return self.slot(value.detach());
        }
        self.unchecked_leaf(value, Kind::Constant)
    }

    /// Looks at the leaves that nobody has looked at yet. Errors: NaN or infinity, under the leaf's name.
    pub(super) fn look(&self) -> Result<()> {
        if self.arena.borrow().unseen.is_empty() {
            return Ok(());
        }
        let arena = self.arena.borrow();
        arena.unseen.iter().try_for_each(|&id| arena.look(id))?;
        drop(arena);
        self.arena.borrow_mut().unseen.clear();
        Ok(())
    }
}

impl Arena {
    /// Errors: NaN or infinity in a leaf.
    pub(super) fn look(&self, id: u32) -> Result<()> {
        let slot = &self.slots[id as usize];
        let what = match self.nodes.get(slot.node as usize).map(|node| &node.kind) {
            Some(Kind::Constant) => "constant",
            _ => "input",
        };
        ensure_finite(&slot.tensor, what, Phase::Eval, 0)
            .map_err(|e| e.renamed(|_| format!("{what}#{}", slot.node)))
    }
}
