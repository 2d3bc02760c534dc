//! Distances of numbers.

use pullback_core_graph::Var;

use super::{alike, recorded};

/// (x − y)², elementwise. Errors: shapes that differ.
#[must_use]
pub fn mse<'g>(x: Var<'g>, y: Var<'g>) -> Var<'g> {
    recorded("mse", &[x, y], || alike("mse", x, y).map(|_| (x - y).sqr()))
}

/// |x − y|, elementwise; derivative 0 where they are equal. Errors: shapes that differ.
#[must_use]
pub fn l1<'g>(x: Var<'g>, y: Var<'g>) -> Var<'g> {
    recorded("l1", &[x, y], || alike("l1", x, y).map(|_| (x - y).abs()))
}
