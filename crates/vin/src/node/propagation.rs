//! The loop of MVProp as one node.

use std::sync::Arc;

use pullback_core_graph::candle::{Tensor, WithDType};
use pullback_core_graph::tensor::{ensure_finite, with_slice};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Var,
    Wrt, with_real,
};

use super::{Like, alike, directions, expect, external, gradients, with_two};
use crate::kernel::{
    LoopTape, PropagationShape, Real, propagation_backward, propagation_forward, propagation_push,
};

const NODE: &str = "maximum propagation";

/// v after K times v ← max(v, r + p·(the largest v of the 3×3 neighbours − r)), v = r at first (Nardelli and others 2019, eq. 7).
///
/// Shapes: r, p and v (batch, height, width); there are no neighbours off the map. At a tie of neighbours the first one, row by row, carries the derivative; a
/// cell that does not rise keeps that of its v. Errors: other shapes, no iteration, numbers that are not finite.
pub fn maximum_propagation<'g>(
    r: Var<'g>,
    p: Var<'g>,
    iterations: usize,
) -> NetworkResult<Var<'g>> {
    let node: Arc<dyn Function> = Arc::new(Propagation { iterations });
    Ok(r.graph().apply(&node, &[r, p])?[0])
}

struct Propagation {
    iterations: usize,
}

impl Propagation {
    fn shape(&self, x: &[Tensor]) -> NetworkResult<PropagationShape> {
        alike(NODE, x, 2)?;
        match (x[0].dims(), x[1].dims()) {
            (&[batch, height, width], p) if p == [batch, height, width] => {
                Ok(PropagationShape { batch, height, width, iterations: self.iterations })
            }
            (r, p) => Err(NetworkError::shape(NODE, "r and p (batch, height, width)", &[r, p])),
        }
    }
}

fn run<T: WithDType + Real>(
    shape: PropagationShape,
    x: &[Tensor],
) -> NetworkResult<(Tensor, LoopTape<T>)> {
    let (v, tape) = with_two(x, |r, p| propagation_forward::<T>(shape, r, p))?
        .map_err(|e| external(NODE, e))?;
    let v = Like::of(&x[0]).tensor(v)?;
    ensure_finite(&v, NODE, Phase::Eval, 0)?;
    Ok((v, tape))
}

impl Function for Propagation {
    fn name(&self) -> &str {
        NODE
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let shape = self.shape(x)?;
        with_real!(NODE, x[0].dtype(), T => Ok(vec![run::<T>(shape, x)?.0]))
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let shape = self.shape(x)?;
        let wrt = [0, 1].map(|i| wrt.needs(i));
        with_real!(NODE, x[0].dtype(), T => {
            let (v, tape) = run::<T>(shape, x)?;
            let x: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
            Ok((vec![v], Box::new(At::<T> { shape, x, tape, wrt }) as Box<dyn LinearMap>))
        })
    }
}

/// The loop at a point.
struct At<T> {
    shape: PropagationShape,
    x: Vec<Tensor>,
    tape: LoopTape<T>,
    wrt: [bool; 2],
}

impl<T: WithDType + Real> LinearMap for At<T> {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let Some(dense) = directions(NODE, &self.x, &self.wrt, dx)? else {
            return Ok(vec![None]);
        };
        let dv = with_two::<T, _>(&self.x, |r, p| {
            with_two::<T, _>(&dense, |dr, dp| {
                propagation_push(self.shape, (r, p), &self.tape, (dr, dp))
            })
        })??
        .map_err(|e| external(NODE, e))?;
        Ok(vec![Some(Like::of(&self.x[0]).tensor(dv)?)])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let like = Like::of(&self.x[0]);
        expect(NODE, Phase::Pull, std::slice::from_ref(&like), dy)?;
        let (Some(dv), true) = (&dy[0], self.wrt.contains(&true)) else {
            return Ok(vec![None; 2]);
        };
        let both = with_two::<T, _>(&self.x, |r, p| {
            with_slice::<T, _>(dv, |dv| propagation_backward(self.shape, (r, p), &self.tape, dv))
        })??
        .map_err(|e| external(NODE, e))?;
        gradients(&self.x, &self.wrt, both)
    }
}
