//! The ballistic formula as a node of the function network, gravity a parameter.
//!
//! ```text
//! v̂(a, d, h) = d·√(a/2q),   q = d·tan φ + h
//! ∂v̂/∂a = v̂/2a     ∂v̂/∂d = v̂·(1/d − tan φ/2q)     ∂v̂/∂h = −v̂/2q
//! ```
//!
//! (module [`crate::ballistics`] derives it). Because both chain rules are written with the network's own operations, the node has exact
//! derivatives of every order. The robot uses it twice in one graph: v̂(p; a) of the target enters the heads and is the base of the throw,
//! v̂(p̂; a) of the landing point is in the hindsight label. Both carry `a`, so dL/da is a total derivative over two paths.

use candle_core::{DType, Device, Tensor};
use pullback_core_graph::primitive::{Slots, Values, one, slot};
use pullback_core_graph::tensor::{from_vec, to_f64};
use pullback_core_graph::{Error as GraphError, Graph, Primitive, Result, Var, Wrt};

use crate::ballistics::Aim;

const NAME: &str = "ballistic_speed";

/// v̂ from (a, d, h): gravity `[]` in m/s², horizontal distances `[B]` in m, heights of the release above the targets `[B]` in m; f64.
/// The result is `[B]`, the horizontal launch speed in m/s.
#[derive(Debug, Clone, Copy)]
pub struct BallisticSpeed {
    /// Launch angle φ above the horizontal in radians.
    pub angle: f64,
}

impl BallisticSpeed {
    /// Records v̂(a; d, h). Errors come out of the variable: `External` around this crate's `Unreachable`, `StillRising` or
    /// `InvalidArgument`; `Shape` and `DType`.
    pub fn record<'g>(self, gravity: Var<'g>, distance: Var<'g>, height: Var<'g>) -> Var<'g> {
        gravity.graph().record(self, &[gravity, distance, height])
    }

    /// Slopes of v̂ with respect to its input `i`.
    fn slope<'g>(self, i: usize, x: &[Var<'g>], y: Var<'g>) -> Var<'g> {
        let (a, d, h) = (x[0], x[1], x[2]);
        let slope = self.angle.tan();
        let twice_q = 2.0 * (d * slope + h);
        match i {
            0 => y / (2.0 * a),
            1 => y * (1.0 / d - slope / twice_q),
            _ => -(y / twice_q),
        }
    }
}

impl Primitive for BallisticSpeed {
    fn name(&self) -> &str {
        NAME
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let got: Vec<&[usize]> = x.iter().map(|t| t.dims()).collect();
        if x.len() != 3 || x[0].elem_count() != 1 || x[1].dims() != x[2].dims() || x[1].rank() != 1
        {
            return Err(GraphError::shape(NAME, "gravity [], distances [B], heights [B]", &got));
        }
        if x.iter().any(|t| t.dtype() != DType::F64) {
            let got = x.iter().map(|t| t.dtype()).collect();
            return Err(GraphError::DType { node: NAME.into(), what: "needs f64", got });
        }
        let (a, d, h) = (to_f64(x[0])?[0], to_f64(x[1])?, to_f64(x[2])?);
        let speeds: crate::Result<Vec<f64>> = d
            .iter()
            .zip(&h)
            .map(|(&distance, &height)| Aim { distance, height, angle: self.angle }.speed(a))
            .collect();
        let speeds = speeds.map_err(|e| GraphError::external(NAME, e))?;
        one(from_vec(speeds, x[1].dims(), &Device::Cpu)?)
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let terms = dx.iter().enumerate().filter_map(|(i, d)| Some(self.slope(i, x, y[0]) * (*d)?));
        match terms.reduce(|sum, term| sum + term) {
            Some(dy) => slot(dy),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut dx = Slots::from_elem(None, 3);
        let Some(dy) = dy[0] else { return Ok(dx) };
        for (i, dx) in dx.iter_mut().enumerate().filter(|(i, _)| wrt.needs(*i)) {
            let product = self.slope(i, x, y[0]) * dy;
            // Gravity is one number for the whole batch.
            *dx = Some(if i == 0 { product.sum(()).reshape(&x[0].dims()?) } else { product }.ok()?);
        }
        Ok(dx)
    }
}

/// A column of numbers `[B]`, f64, as a constant.
pub fn column<'g>(graph: &'g Graph, values: &[f64]) -> Result<Var<'g>> {
    graph.constant(&Tensor::from_slice(values, values.len(), &Device::Cpu)?).ok()
}
