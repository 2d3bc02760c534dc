//! The loss of a map of logits against sets of right actions, as one node.

use std::sync::Arc;

use pullback_core_graph::candle::{Tensor, WithDType};
use pullback_core_graph::tensor::{from_vec, to_f64, with_slice};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Var,
    Wrt, with_real,
};

use super::{Like, alike, expect, external};
use crate::kernel::{self, Real};

const NODE: &str = "cross entropy of sets";

/// Mean over the labelled cells of −ln Σ_{a ∈ set} softmax(z)ₐ: any of several best actions is as good as another. One number.
///
/// Shapes: logits (batch, actions, height, width) with at most 8 actions; `sets` (batch, height, width) has a bit for each right action, 0 for a
/// cell without a label. Errors: other shapes, a bit without an action, no label at all.
pub fn set_cross_entropy<'g>(
    logits: Var<'g>,
    sets: impl Into<Arc<[u8]>>,
) -> NetworkResult<Var<'g>> {
    let node: Arc<dyn Function> = Arc::new(Loss { sets: sets.into() });
    Ok(logits.graph().apply(&node, &[logits])?[0])
}

struct Loss {
    sets: Arc<[u8]>,
}

fn sizes(x: &[Tensor]) -> NetworkResult<[usize; 3]> {
    alike(NODE, x, 1)?;
    match *x[0].dims() {
        [batch, actions, h, w] => Ok([batch, actions, h * w]),
        _ => Err(NetworkError::shape(NODE, "(batch, actions, height, width)", &[x[0].dims()])),
    }
}

impl Loss {
    fn value<T: WithDType + Real>(&self, x: &Tensor, sizes: [usize; 3]) -> NetworkResult<Tensor> {
        let run = |z: &[T]| kernel::set_cross_entropy(sizes, z, &self.sets);
        let (loss, _) = with_slice::<T, _>(x, run)?.map_err(|e| external(NODE, e))?;
        from_vec(vec![T::of(loss)], &[], x.device())
    }
}

impl Function for Loss {
    fn name(&self) -> &str {
        NODE
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let sizes = sizes(x)?;
        with_real!(NODE, x[0].dtype(), T => Ok(vec![self.value::<T>(&x[0], sizes)?]))
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let sizes = sizes(x)?;
        with_real!(NODE, x[0].dtype(), T => {
            let run = |z: &[T]| kernel::set_cross_entropy_gradient(sizes, z, &self.sets, 1.0);
            let (y, gradient) = if wrt.needs(0) {
                let (loss, g) = with_slice::<T, _>(&x[0], run)?.map_err(|e| external(NODE, e))?;
                let y = from_vec(vec![T::of(loss)], &[], x[0].device())?;
                (y, Some(Like::of(&x[0]).tensor(g)?))
            } else {
                (self.value::<T>(&x[0], sizes)?, None)
            };
            let map = At { x: Like::of(&x[0]), y: Like::of(&y), gradient };
            Ok((vec![y], Box::new(map) as Box<dyn LinearMap>))
        })
    }
}

/// The gradient at a point.
struct At {
    x: Like,
    y: Like,
    gradient: Option<Tensor>,
}

impl LinearMap for At {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Push, std::slice::from_ref(&self.x), dx)?;
        let (Some(dx), Some(gradient)) = (&dx[0], &self.gradient) else { return Ok(vec![None]) };
        let (dx, g) = (to_f64(dx)?, to_f64(gradient)?);
        let along: f64 = dx.iter().zip(&g).map(|(a, b)| a * b).sum();
        Ok(vec![Some(self.y.tensor(vec![along])?)])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Pull, std::slice::from_ref(&self.y), dy)?;
        let (Some(dy), Some(gradient)) = (&dy[0], &self.gradient) else { return Ok(vec![None]) };
        let scale = to_f64(dy)?[0];
        Ok(vec![Some(gradient.affine(scale, 0.0)?)])
    }
}
