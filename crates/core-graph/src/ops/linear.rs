//! Linear maps of one tensor: the forward chain rule applies the map, the backward one its transpose.

use candle_core::Tensor;

use crate::graph::Var;
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::{Result, Wrt};

/// A linear map of one tensor.
pub trait Linear: Clone + Send + Sync + 'static {
    /// A short name.
    fn name(&self) -> &str;
    /// The map.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;
    /// Its transpose, applied to a cotangent; `x` gives the shape of the domain.
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g>;
    /// True for copies and views, where finite stays finite.
    fn keeps_finite(&self) -> bool {
        true
    }
}

/// A linear map as a primitive.
#[derive(Clone)]
pub(crate) struct LinearOp<L>(pub(crate) L);

impl<L: Linear> Primitive for LinearOp<L> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        one(self.0.apply(x[0])?)
    }

    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        dx[0].map_or_else(|| Ok(Slots::from_elem(None, 1)), |d| slot(d.linear(self.0.clone())))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        dy[0].map_or_else(|| Ok(Slots::from_elem(None, 1)), |d| slot(self.0.transpose(x[0], d)))
    }

    fn keeps_finite(&self) -> bool {
        self.0.keeps_finite()
    }
}

impl<'g> Var<'g> {
    /// Applies a linear map.
    #[must_use]
    pub fn linear(self, map: impl Linear) -> Self {
        self.graph().record(LinearOp(map), &[self])
    }
}
