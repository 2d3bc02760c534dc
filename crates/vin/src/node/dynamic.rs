//! The loop of a DT-VIN as one node.

use std::sync::Arc;

use pullback_core_graph::candle::{Tensor, WithDType};
use pullback_core_graph::tensor::{ensure_finite, with_slice};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Var,
    Wrt, with_real,
};

use super::{Like, alike, directions, expect, external, gradients, with_two};
use crate::kernel::{
    DynamicShape, LoopTape, Real, dynamic_backward, dynamic_forward, dynamic_push,
};

const NODE: &str = "dynamic value iteration";

/// Q after each of the rising `stages` (the last is K) of V(s) ← maxₐ Σ over the 3×3 neighbours of T(s, a, ·)·(r + V), V = 0 at first and r + V = 0 off the map
/// (Wang and others 2025, eq. 4 and 5).
///
/// Shapes: T (batch, actions, 9, height, width), r (batch, height, width); each Q (batch, actions, height, width). At a tie the first action carries
/// the derivative. Errors: other shapes, stages that do not rise from 1 on.
pub fn dynamic_value_iteration<'g>(
    kernels: Var<'g>,
    r: Var<'g>,
    stages: &[usize],
) -> NetworkResult<Vec<Var<'g>>> {
    let node: Arc<dyn Function> = Arc::new(Iteration(stages.to_vec()));
    r.graph().apply(&node, &[kernels, r])
}

struct Iteration(Vec<usize>);

impl Iteration {
    fn shape(&self, x: &[Tensor]) -> NetworkResult<DynamicShape> {
        alike(NODE, x, 2)?;
        let iterations = self.0.last().copied().unwrap_or(0);
        match (x[0].dims(), x[1].dims()) {
            (&[batch, actions, 9, height, width], &[b, h, w])
                if [b, h, w] == [batch, height, width] =>
            {
                Ok(DynamicShape { batch, actions, height, width, iterations })
            }
            (kernels, r) => {
                let what = "T (batch, actions, 9, height, width), r (batch, height, width)";
                Err(NetworkError::shape(NODE, what, &[kernels, r]))
            }
        }
    }

    fn run<T: WithDType + Real>(
        &self,
        shape: DynamicShape,
        x: &[Tensor],
    ) -> NetworkResult<(Vec<Tensor>, LoopTape<T>)> {
        let (q, tape) = with_two(x, |t, r| dynamic_forward::<T>(shape, (t, r), &self.0))?
            .map_err(|e| external(NODE, e))?;
        let DynamicShape { batch, actions, height, width, .. } = shape;
        let like = Like { dims: vec![batch, actions, height, width], ..Like::of(&x[0]) };
        let q: Vec<Tensor> = q.into_iter().map(|q| like.tensor(q)).collect::<NetworkResult<_>>()?;
        for (port, q) in q.iter().enumerate() {
            ensure_finite(q, NODE, Phase::Eval, port)?;
        }
        Ok((q, tape))
    }
}

impl Function for Iteration {
    fn name(&self) -> &str {
        NODE
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let shape = self.shape(x)?;
        with_real!(NODE, x[0].dtype(), T => Ok(self.run::<T>(shape, x)?.0))
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let shape = self.shape(x)?;
        let wrt = [0, 1].map(|i| wrt.needs(i));
        with_real!(NODE, x[0].dtype(), T => {
            let (q, tape) = self.run::<T>(shape, x)?;
            let x: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
            let y = q.iter().map(Like::of).collect();
            let map = At::<T> { shape, stages: self.0.clone(), x, y, tape, wrt };
            Ok((q, Box::new(map) as Box<dyn LinearMap>))
        })
    }
}

/// The loop at a point.
struct At<T> {
    shape: DynamicShape,
    stages: Vec<usize>,
    x: Vec<Tensor>,
    y: Vec<Like>,
    tape: LoopTape<T>,
    wrt: [bool; 2],
}

impl<T: WithDType + Real> LinearMap for At<T> {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let Some(dense) = directions(NODE, &self.x, &self.wrt, dx)? else {
            return Ok(vec![None; self.y.len()]);
        };
        let dq = with_two::<T, _>(&self.x, |t, r| {
            with_two::<T, _>(&dense, |dt, dr| {
                dynamic_push(self.shape, (t, r), &self.stages, &self.tape, (dt, dr))
            })
        })??
        .map_err(|e| external(NODE, e))?;
        dq.into_iter().zip(&self.y).map(|(d, y)| Ok(Some(y.tensor(d)?))).collect()
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Pull, &self.y, dy)?;
        if dy.iter().all(Option::is_none) || !self.wrt.contains(&true) {
            return Ok(vec![None; 2]);
        }
        let given: Vec<Vec<T>> = dy
            .iter()
            .map(|d| match d {
                Some(d) => with_slice::<T, _>(d, <[T]>::to_vec),
                None => Ok(vec![]),
            })
            .collect::<NetworkResult<_>>()?;
        let given: Vec<&[T]> = given.iter().map(Vec::as_slice).collect();
        let all = with_two::<T, _>(&self.x, |t, r| {
            dynamic_backward(self.shape, (t, r), &self.stages, &self.tape, &given)
        })?
        .map_err(|e| external(NODE, e))?;
        gradients(&self.x, &self.wrt, all)
    }
}
