//! The softmax along one axis and its logarithm, each one kernel, as is each gradient.

use candle_core::Tensor;

use super::axes::resolve;
use super::binary::check_alike;
use crate::graph::Var;
use crate::kernel::{Softmax, Strips};
use crate::primitive::{Primitive, Slots, Values, one_seen, slot};
use crate::tensor::{room, with_slice};
use crate::{Error, Result, Wrt};

/// x ↦ eˣ/Σeˣ, or its logarithm, along an axis.
#[derive(Clone, Copy)]
struct Forward {
    axis: usize,
    log: bool,
}

/// The derivative's kernel, from y and a cotangent v: y∘(v − Σy·v), or with the logarithm v − eʸ·Σv.
#[derive(Clone, Copy)]
struct Gradient(Forward);

impl Forward {
    fn run(&self, kernel: Softmax, x: &Tensor, v: &Tensor) -> Result<(Values, bool)> {
        let node = self.name();
        let (before, rest) = x.dims().split_at(self.axis);
        let [length, after @ ..] = rest else {
            return Err(Error::shape(node, "an axis to look along", &[x.dims()]));
        };
        if *length == 0 {
            return Err(Error::shape(node, "at least one element to choose from", &[x.dims()]));
        }
        room(node, x.dims(), x.dtype())?;
        let (outer, inner) = (before.iter().product(), after.iter().product());
        let strips = Strips { outer, length: *length, inner };
        crate::with_real!(node, x.dtype(), T => {
            let run = |x: &[T], v: &[T]| kernel.run(x, v, strips);
            let y = with_slice::<T, _>(x, |x| with_slice::<T, _>(v, |v| run(x, v)))??;
            one_seen(y, x.dims(), x.device())
        })
    }

    fn gradient<'g>(self, y: Var<'g>, v: Var<'g>) -> Var<'g> {
        y.graph().record(Gradient(self), &[y, v])
    }

    fn sum<'g>(self, x: Var<'g>) -> Var<'g> {
        x.sum_keepdim(self.axis as i32)
    }
}

impl Primitive for Forward {
    fn name(&self) -> &str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        self.run(if self.log { Softmax::Log } else { Softmax::Plain }, x[0], x[0])
    }

    fn push<'g>(&self, _: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let Some(d) = dx[0] else { return Ok(Slots::from_elem(None, 1)) };
        if self.log { slot(d - self.sum(y[0].exp() * d)) } else { slot(self.gradient(y[0], d)) }
    }

    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        dy[0].map_or_else(|| Ok(Slots::from_elem(None, 1)), |d| slot(self.gradient(y[0], d)))
    }

    fn sees(&self, _: usize, _: &[&Tensor]) -> bool {
        true
    }

    /// Weights are at most 1; a logarithm can overflow.
    fn keeps_finite(&self) -> bool {
        !self.log
    }
}

impl Gradient {
    /// The part of the derivative that goes through y, along d: linear in d, elementwise but for the sums.
    fn through_y<'g>(&self, y: Var<'g>, v: Var<'g>, d: Var<'g>) -> Var<'g> {
        let sum = |x| self.0.sum(x);
        if self.0.log { -(y.exp() * d * sum(v)) } else { d * (v - sum(y * v)) - y * sum(d * v) }
    }
}

impl Primitive for Gradient {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        Ok(self.eval_seen(x)?.0)
    }

    /// All of the cotangent is in a sum that enters every result.
    fn sees(&self, i: usize, _: &[&Tensor]) -> bool {
        i == 1
    }

    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        check_alike(self.name(), x)?;
        if x[0].dims() != x[1].dims() {
            let what = "a direction like the value";
            return Err(Error::shape(self.name(), what, &[x[0].dims(), x[1].dims()]));
        }
        let kernel = if self.0.log { Softmax::LogGradient } else { Softmax::PlainGradient };
        self.0.run(kernel, x[0], x[1])
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let (y, v) = (x[0], x[1]);
        let along_y = dx[0].map(|d| self.through_y(y, v, d));
        let along_v = dx[1].map(|d| self.0.gradient(y, d));
        match [along_y, along_v].into_iter().flatten().reduce(|a, b| a + b) {
            Some(d) => slot(d),
            None => Ok(Slots::from_elem(None, 1)),
        }
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let (y, v) = (x[0], x[1]);
        let mut out = Slots::from_elem(None, 2);
        if let Some(d) = dy[0] {
            let sum = |x| self.0.sum(x);
            if wrt.needs(0) {
                let through_y = match self.0.log {
                    true => self.through_y(y, v, d),
                    false => d * (v - sum(y * v)) - v * sum(y * d),
                };
                out[0] = Some(through_y.ok()?);
            }
            if wrt.needs(1) {
                let through_v = match self.0.log {
                    true => d - sum(y.exp() * d),
                    false => self.0.gradient(y, d),
                };
                out[1] = Some(through_v.ok()?);
            }
        }
        Ok(out)
    }
}

impl Var<'_> {
    /// eˣ/Σeˣ along one axis, without overflow. Errors: out of range, an axis of length 0.
    #[must_use]
    pub fn softmax(self, axis: i32) -> Self {
        self.along("softmax", axis, false)
    }

    /// x − ln Σeˣ along one axis, without overflow. Errors: out of range, an axis of length 0.
    #[must_use]
    pub fn log_softmax(self, axis: i32) -> Self {
        self.along("log_softmax", axis, true)
    }

    fn along(self, node: &str, axis: i32, log: bool) -> Self {
        self.compose(|x| {
            let axis = resolve(node, i64::from(axis), &x.shape())?;
            Ok(x.graph().record(Forward { axis, log }, &[x]))
        })
    }
}
