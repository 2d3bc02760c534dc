//! The one idea: a function can be evaluated, and linearized at a point.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{Error, Result};

/// Which inputs derivatives are wanted for. Nothing is computed for the others.
#[derive(Debug, Clone, Copy)]
pub struct Wrt<'a>(pub &'a [bool]);

impl Wrt<'_> {
    /// Is the derivative with respect to input `i` wanted?
    #[inline]
    pub fn needs(&self, i: usize) -> bool {
        self.0.get(i).copied().unwrap_or(false)
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No inputs at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A mark for each of `n` inputs.
    pub(crate) fn marks(&self, n: usize) -> Vec<bool> {
        (0..n).map(|i| self.needs(i)).collect()
    }

    /// How many derivatives are wanted.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|&&b| b).count()
    }
}

/// Directions (dx) or cotangents (dy), one slot per input or output; `None` is a structural zero, whose work is skipped.
pub type Direction = Vec<Option<Tensor>>;

/// y = f(x): any number of tensors in, any number out.
///
/// Implement this for a solver, a simulator, a planner: something that owns its derivative (a factorization, a stored trajectory).
/// For an operation whose derivative is a formula in terms of other operations, implement [`crate::Primitive`] instead: it is then
/// differentiable any number of times for free.
pub trait Function: Send + Sync {
    /// A short name, which errors and drawings show.
    fn name(&self) -> &str;

    /// The values y = f(x).
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>>;

    /// The values, and the linear map of the partial derivatives at x with respect to the inputs marked in `wrt`.
    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)>;

    /// The forward chain rule as a function again: `(x…, y…, dx…) ↦ dy…`, with one dx for each input marked in `wrt`.
    ///
    /// y = f(x) is handed in so that nothing is solved twice; it is the node's own output, so a rule may use y, or x alone: derivatives of
    /// the rule flow back through either. Directions are dense here: zeros where there was `None`. Together with [`Function::adjoint`] it
    /// makes second order exact.
    fn tangent(&self, _wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        Err(Error::NoHigherOrder { node: self.name().to_string() })
    }

    /// The backward chain rule as a function again: `(x…, y…, dy…) ↦ dx…`, with one dx for each input marked in `wrt`.
    fn adjoint(&self, _wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        Err(Error::NoHigherOrder { node: self.name().to_string() })
    }
}

/// The linear map J: x-directions ↦ y-directions, known by its action. A solver's map owns its factorization: solved once, applied often.
///
/// Laws, which [`crate::check`] tests: both actions are linear, ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩, and `None` in means nothing is computed for it.
pub trait LinearMap: Send + Sync {
    /// The forward chain rule, dy = J·dx. One slot per input in, one per output out.
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction>;

    /// The backward chain rule, dx = Jᵀ·dy. One slot per output in, one per input out; `None` for inputs outside `wrt`.
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction>;

    /// Several directions at once. Override where they share work (one triangular solve with many right-hand sides).
    fn push_many(&self, dx: &[Direction]) -> Result<Vec<Direction>> {
        dx.iter().map(|d| self.push(d)).collect()
    }

    /// Several cotangents at once.
    fn pull_many(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        dy.iter().map(|d| self.pull(d)).collect()
    }
}

impl<F: Function + ?Sized> Function for Arc<F> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        (**self).eval(x)
    }
    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        (**self).linearize(x, wrt)
    }
    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        (**self).tangent(wrt)
    }
    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        (**self).adjoint(wrt)
    }
}
