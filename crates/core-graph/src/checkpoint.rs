//! Recompute instead of store.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{Direction, Function, LinearMap, Result, Wrt};

/// The same function with a linear map that keeps only the inputs: everything in between is computed again when a derivative is asked
/// for, and dropped again.
///
/// Memory for time: a chain of n steps holds n states instead of n × (everything inside a step), for one more evaluation of each step
/// per sweep. Several directions in one sweep (`push_many`, `pull_many`) share the recomputation. Values and derivatives have the same
/// bits as without, if `f` gives the same bits for the same input, in `eval` as in `linearize`. The inputs must not be overwritten in
/// place (`candle_core::Var::set`) while derivatives are still to come.
///
/// Higher order: [`Function::tangent`] and [`Function::adjoint`] are those of `f`.
///
/// Source: Griewank and Walther, Evaluating Derivatives, 2nd edition (2008), chapter 12.
///
/// ```
/// use pullback_core_graph::{Graph, checkpoint, function, candle::{Device, Tensor}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let step = checkpoint(function("step", |_, x| Ok(vec![x[0] + 0.1 * x[0].sin()])));
/// let graph = Graph::new();
/// let start = graph.input(&Tensor::new(&[0.5f64, 1.0], &Device::Cpu)?);
/// let mut x = start;
/// for _ in 0..100 {
///     x = graph.apply(&step, &[x])?[0];
/// }
/// assert_eq!(graph.gradient(x.sum(()), &[start])?[0].dims(), [2]);
/// # Ok(())
/// # }
/// ```
pub fn checkpoint(f: Arc<dyn Function>) -> Arc<dyn Function> {
    Arc::new(Checkpoint { f })
}

struct Checkpoint {
    f: Arc<dyn Function>,
}

impl Function for Checkpoint {
    fn name(&self) -> &str {
        self.f.name()
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.f.eval(x)
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let y = self.f.eval(x)?;
        let x = x.iter().map(Tensor::detach).collect();
        let outputs = y.len();
        Ok((y, Box::new(Kept { f: self.f.clone(), x, outputs, wrt: wrt.0.to_vec() })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        self.f.tangent(wrt)
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        self.f.adjoint(wrt)
    }
}

/// The inputs, from which the linear map is made again.
struct Kept {
    f: Arc<dyn Function>,
    x: Vec<Tensor>,
    outputs: usize,
    wrt: Vec<bool>,
}

impl Kept {
    fn map(&self) -> Result<Box<dyn LinearMap>> {
        Ok(self.f.linearize(&self.x, Wrt(&self.wrt))?.1)
    }
}

impl LinearMap for Kept {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        match nothing(dx, self.x.len()) {
            true => Ok(vec![None; self.outputs]),
            false => self.map()?.push(dx),
        }
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        match nothing(dy, self.outputs) {
            true => Ok(vec![None; self.x.len()]),
            false => self.map()?.pull(dy),
        }
    }

    fn push_many(&self, dx: &[Direction]) -> Result<Vec<Direction>> {
        match dx.iter().all(|d| nothing(d, self.x.len())) {
            true => Ok(vec![vec![None; self.outputs]; dx.len()]),
            false => self.map()?.push_many(dx),
        }
    }

    fn pull_many(&self, dy: &[Direction]) -> Result<Vec<Direction>> {
        match dy.iter().all(|d| nothing(d, self.outputs)) {
            true => Ok(vec![vec![None; self.x.len()]; dy.len()]),
            false => self.map()?.pull_many(dy),
        }
    }
}

/// Structural zeros in every slot need no linear map; a wrong number of slots does, to say so.
fn nothing(direction: &[Option<Tensor>], slots: usize) -> bool {
    direction.len() == slots && direction.iter().all(Option::is_none)
}
