//! Inner and outer products, norms.

use crate::graph::Var;
use crate::{Axes, Error, Result};

impl<'g> Var<'g> {
    /// Σ x·y over the last axis; leading axes broadcast. Errors: rank 0, shapes that do not broadcast.
    #[must_use]
    pub fn dot(self, other: Var<'g>) -> Self {
        self.compose(|x| {
            let (a, b) = (x.shape(), other.ok()?.shape());
            if a.is_empty() || b.is_empty() {
                return Err(Error::shape("dot", "rank 1 or more", &[&a, &b]));
            }
            Ok((x * other).sum(-1))
        })
    }

    /// x yᵀ over the last axes: (…, m), (…, n) → (…, m, n). Errors: rank 0, leading axes that do not broadcast.
    #[must_use]
    pub fn outer(self, other: Var<'g>) -> Self {
        self.compose(|x| {
            let (a, b) = (x.shape(), other.ok()?.shape());
            if a.is_empty() || b.is_empty() {
                return Err(Error::shape("outer", "rank 1 or more", &[&a, &b]));
            }
            Ok(x.unsqueeze(-1) * other.unsqueeze(-2))
        })
    }

    /// √Σx² over the axes, which go; without overflow. The derivative at 0 is 0. Errors: no element.
    #[must_use]
    pub fn norm(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.compose(|x| {
            // ‖x‖ = m·‖x/m‖ for any constant m > 0: the largest magnitude makes overflow impossible.
            let largest = x.detach().abs().max(axes.clone()).ok()?.detach();
            let kept = x.detach().abs().sum_keepdim(axes.clone()).shape();
            Ok(x.safe_div(largest.reshape(&kept)).sqr().sum(axes).safe_sqrt() * largest)
        })
    }

    /// x/‖x‖ along an axis, and 0 where x is 0 (with derivative 0). Errors: out of range.
    #[must_use]
    pub fn normalize(self, axis: i32) -> Self {
        self.compose(|x| {
            let mut dims = x.shape();
            let at = super::axes::resolve("normalize", i64::from(axis), &dims)?;
            dims[at] = 1;
            Ok(x.safe_div(x.norm(axis).reshape(&dims)))
        })
    }

    /// arccos of x limited to [−1, 1]; the derivative is 0 at and beyond the ends.
    #[must_use]
    pub fn safe_acos(self) -> Self {
        self.guarded(Var::acos)
    }

    /// arcsin of x limited to [−1, 1]; the derivative is 0 at and beyond the ends.
    #[must_use]
    pub fn safe_asin(self) -> Self {
        self.guarded(Var::asin)
    }

    /// f inside (−1, 1); its value at the nearer end, as a constant, elsewhere.
    fn guarded(self, f: impl Fn(Var<'g>) -> Var<'g>) -> Self {
        self.compose(|x| -> Result<Self> {
            let one = x.ones_like();
            let inside = x.detach().abs().less(one);
            Ok(inside.select(f(inside.select(x, x.zeros_like())), f(x.detach().clamp(-1.0, 1.0))))
        })
    }
}
