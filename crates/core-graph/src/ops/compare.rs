//! Comparisons (1 or 0, without derivative) and selection by them.

use candle_core::Tensor;

use super::binary::check_alike;
use crate::graph::Var;
use crate::kernel::{broadcast_dims, zip_broadcast};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, room, with_slice};
use crate::{Error, Result, Wrt};

#[derive(Clone, Copy)]
enum Compare {
    Equal,
    Less,
    LessEqual,
}

impl Primitive for Compare {
    fn name(&self) -> &str {
        match self {
            Compare::Equal => "equal",
            Compare::Less => "less",
            Compare::LessEqual => "less_equal",
        }
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        check_alike(self.name(), x)?;
        let (a, b) = (x[0], x[1]);
        let Some(dims) = broadcast_dims(a.dims(), b.dims()) else {
            return Err(Error::shape(
                self.name(),
                "needs shapes that broadcast",
                &[a.dims(), b.dims()],
            ));
        };
        room(self.name(), &dims, a.dtype())?;
        crate::with_real!(self.name(), a.dtype(), T => {
            let bit = |yes: bool| if yes { 1.0 as T } else { 0.0 };
            let run = |x: &[T], y: &[T]| {
                let (x, y) = ((x, a.dims()), (y, b.dims()));
                match self {
                    Compare::Equal => zip_broadcast(x, y, &dims, |x, y| bit(x == y)),
                    Compare::Less => zip_broadcast(x, y, &dims, |x, y| bit(x < y)),
                    Compare::LessEqual => zip_broadcast(x, y, &dims, |x, y| bit(x <= y)),
                }
            };
            let y = with_slice::<T, _>(a, |x| with_slice::<T, _>(b, |y| run(x, y)))??;
            one(from_vec(y.values, &dims, a.device())?)
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], _: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        Ok(Slots::from_elem(None, 1))
    }

    fn pull<'g>(
        &self,
        _: &[Var<'g>],
        _: &[Var<'g>],
        _: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        Ok(Slots::from_elem(None, 2))
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}

/// condition ≠ 0 ? a : b, broadcast. The branch that was not chosen gets the derivative 0, whatever its slope.
#[derive(Clone, Copy)]
struct Select;

impl Primitive for Select {
    fn name(&self) -> &str {
        "select"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let (c, a, b) = (x[0], x[1], x[2]);
        check_alike("select", &x[1..])?;
        let dims = broadcast_dims(a.dims(), b.dims()).and_then(|ab| broadcast_dims(c.dims(), &ab));
        let Some(dims) = dims else {
            return Err(Error::shape(
                "select",
                "needs shapes that broadcast",
                &[c.dims(), a.dims(), b.dims()],
            ));
        };
        room("select", &dims, a.dtype())?;
        let full = |t: &Tensor| t.broadcast_as(dims.as_slice());
        let chosen = full(&c.ne(&c.zeros_like()?)?)?;
        one(chosen.where_cond(&full(a)?, &full(b)?)?)
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        if dx[1].is_none() && dx[2].is_none() {
            return Ok(Slots::from_elem(None, 1));
        }
        let [a, b] = [1, 2].map(|i| dx[i].unwrap_or_else(|| x[i].zeros_like()));
        slot(x[0].select(a, b).broadcast_like(y[0]))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, 3);
        if let Some(dy) = dy[0] {
            let zero = dy.zeros_like();
            if wrt.needs(1) {
                out[1] = Some(x[0].select(dy, zero).sum_like(x[1]).ok()?);
            }
            if wrt.needs(2) {
                out[2] = Some(x[0].select(zero, dy).sum_like(x[2]).ok()?);
            }
        }
        Ok(out)
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// 1 where equal, else 0. No derivative.
    #[must_use]
    pub fn equal(self, other: Var<'g>) -> Self {
        self.graph().record(Compare::Equal, &[self, other])
    }

    /// 1 where smaller, else 0. No derivative.
    #[must_use]
    pub fn less(self, other: Var<'g>) -> Self {
        self.graph().record(Compare::Less, &[self, other])
    }

    /// 1 where not greater, else 0. No derivative.
    #[must_use]
    pub fn less_equal(self, other: Var<'g>) -> Self {
        self.graph().record(Compare::LessEqual, &[self, other])
    }

    /// `a` where this variable is not zero, else `b`, broadcast. The condition has no derivative, nor has the branch not chosen.
    #[must_use]
    pub fn select(self, a: Var<'g>, b: Var<'g>) -> Self {
        self.graph().record(Select, &[self, a, b])
    }
}
