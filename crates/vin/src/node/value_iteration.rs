//! The loop of a VIN as one node.

use std::sync::Arc;

use pullback_core_graph::candle::{Tensor, WithDType};
use pullback_core_graph::tensor::{ensure_finite, with_slice};
use pullback_core_graph::{
    Direction, Error as NetworkError, Function, LinearMap, Phase, Result as NetworkResult, Var,
    Wrt, with_real,
};

use super::{Like, alike, directions, expect, external, gradients};
use crate::kernel::{LoopShape, LoopTape, Real, loop_backward, loop_forward, loop_push};

const NODE: &str = "value iteration";

/// Settings of [`value_iteration`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IterationOptions {
    /// K ≥ 1: how often V is computed.
    pub iterations: usize,
    /// V off the map; the paper's is 0, which attracts where rewards are negative.
    pub pad: f64,
    /// W and U have a set of weights for each of the K + 1 computations of Q.
    pub untied: bool,
}

/// The last Q of K value iterations: Q = W ⋆ r + U ⋆ V, V = max over the channels (Tamar and others 2016, figure 1).
///
/// Shapes: r (batch, height, width), W and U (channels, kernel, kernel), untied (K + 1, channels, kernel, kernel); Q (batch, channels, height,
/// width). At a tie the first channel carries the derivative. Errors: other shapes, an even kernel or one above 11.
pub fn value_iteration<'g>(
    r: Var<'g>,
    w: Var<'g>,
    u: Var<'g>,
    options: IterationOptions,
) -> NetworkResult<Var<'g>> {
    let node: Arc<dyn Function> = Arc::new(Iteration(options));
    Ok(r.graph().apply(&node, &[r, w, u])?[0])
}

/// As [`value_iteration`] with a reward for every action, Q = R + U ⋆ V: R is (batch, channels, height, width), the planner of QMDP-net (Karkus and others
/// 2017). With an untied U, R is the same for all computations of Q.
pub fn action_value_iteration<'g>(
    rewards: Var<'g>,
    u: Var<'g>,
    options: IterationOptions,
) -> NetworkResult<Var<'g>> {
    let node: Arc<dyn Function> = Arc::new(Iteration(options));
    Ok(rewards.graph().apply(&node, &[rewards, u])?[0])
}

/// With three inputs r, W, U, with two R(s, a), U.
struct Iteration(IterationOptions);

impl Iteration {
    fn shape(&self, x: &[Tensor]) -> NetworkResult<LoopShape> {
        let IterationOptions { iterations, untied, .. } = self.0;
        let per_action = x.len() == 2;
        alike(NODE, x, if per_action { 2 } else { 3 })?;
        let fail = || {
            let dims: Vec<&[usize]> = x.iter().map(|t| t.dims()).collect();
            let what = match per_action {
                false => {
                    "r (batch, height, width), W and U (channels, kernel, kernel), before it K + 1 if untied"
                }
                true => {
                    "R (batch, channels, height, width), U (channels, kernel, kernel), before it K + 1 if untied"
                }
            };
            NetworkError::shape(NODE, what, &dims)
        };
        let weights = x[x.len() - 1].dims();
        let tied = match (untied, weights) {
            (false, tied) => tied,
            (true, [sets, tied @ ..]) if sets.checked_sub(1) == Some(iterations) => tied,
            _ => return Err(fail()),
        };
        let &[channels, kernel, other] = tied else { return Err(fail()) };
        let [batch, height, width] = match *x[0].dims() {
            [batch, height, width] if !per_action && x[1].dims() == weights => {
                [batch, height, width]
            }
            [batch, c, height, width] if per_action && c == channels => [batch, height, width],
            _ => return Err(fail()),
        };
        if kernel != other {
            return Err(fail());
        }
        Ok(LoopShape { batch, height, width, channels, kernel, iterations, untied, per_action })
    }

    fn run<T: WithDType + Real>(
        &self,
        shape: LoopShape,
        x: &[Tensor],
    ) -> NetworkResult<(Tensor, LoopTape<T>)> {
        let pad = T::of(self.0.pad);
        let (q, tape) = with_three(x, |r, w, u| loop_forward::<T>(shape, r, w, u, pad))?
            .map_err(|e| external(NODE, e))?;
        let LoopShape { batch, height, width, channels, .. } = shape;
        let like = Like { dims: vec![batch, channels, height, width], ..Like::of(&x[0]) };
        let q = like.tensor(q)?;
        ensure_finite(&q, NODE, Phase::Eval, 0)?;
        Ok((q, tape))
    }
}

/// Borrows the tensors as slices; the second of two is the third.
fn with_three<T: WithDType, R>(
    x: &[Tensor],
    f: impl FnOnce(&[T], &[T], &[T]) -> R,
) -> NetworkResult<R> {
    if let [r, u] = x {
        return with_slice::<T, _>(r, |r| with_slice::<T, _>(u, |u| f(r, &[], u)))?;
    }
    with_slice::<T, _>(&x[0], |a| {
        with_slice::<T, _>(&x[1], |b| with_slice::<T, _>(&x[2], |c| f(a, b, c)))
    })??
}

impl Function for Iteration {
    fn name(&self) -> &str {
        NODE
    }

    fn eval(&self, x: &[Tensor]) -> NetworkResult<Vec<Tensor>> {
        let shape = self.shape(x)?;
        with_real!(NODE, x[0].dtype(), T => Ok(vec![self.run::<T>(shape, x)?.0]))
    }

    fn linearize(
        &self,
        x: &[Tensor],
        wrt: Wrt<'_>,
    ) -> NetworkResult<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let shape = self.shape(x)?;
        let wrt: Vec<bool> = (0..x.len()).map(|i| wrt.needs(i)).collect();
        with_real!(NODE, x[0].dtype(), T => {
            let (q, tape) = self.run::<T>(shape, x)?;
            let x: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
            let y = Like::of(&q);
            let map = At::<T> { shape, pad: T::of(self.0.pad), x, y, tape, wrt };
            Ok((vec![q], Box::new(map) as Box<dyn LinearMap>))
        })
    }
}

/// The loop at a point.
struct At<T> {
    shape: LoopShape,
    pad: T,
    x: Vec<Tensor>,
    y: Like,
    tape: LoopTape<T>,
    wrt: Vec<bool>,
}

impl<T: WithDType + Real> LinearMap for At<T> {
    fn push(&self, dx: &[Option<Tensor>]) -> NetworkResult<Direction> {
        let Some(dense) = directions(NODE, &self.x, &self.wrt, dx)? else {
            return Ok(vec![None]);
        };
        let dq = with_three::<T, _>(&self.x, |r, w, u| {
            with_three::<T, _>(&dense, |dr, dw, du| {
                loop_push(self.shape, (r, w, u), self.pad, &self.tape, (dr, dw, du))
            })
        })??
        .map_err(|e| external(NODE, e))?;
        Ok(vec![Some(self.y.tensor(dq)?)])
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> NetworkResult<Direction> {
        expect(NODE, Phase::Pull, std::slice::from_ref(&self.y), dy)?;
        let (Some(dq), true) = (&dy[0], self.wrt.contains(&true)) else {
            return Ok(vec![None; self.x.len()]);
        };
        let all = with_three::<T, _>(&self.x, |r, w, u| {
            with_slice::<T, _>(dq, |dq| {
                loop_backward(self.shape, (r, w, u), self.pad, &self.tape, dq)
            })
        })??
        .map_err(|e| external(NODE, e))?;
        let [dr, dw, du] = all;
        let all = if self.x.len() == 2 { vec![dr, du] } else { vec![dr, dw, du] };
        gradients(&self.x, &self.wrt, all)
    }
}
