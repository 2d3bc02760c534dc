//! Concatenation and stacking.

use candle_core::Tensor;

use super::axes::resolve;
use super::binary::check_alike;
use crate::graph::{Graph, Var};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::room;
use crate::{Error, Result, Wrt};

/// Tensors one after the other along an axis.
#[derive(Clone, Copy)]
struct Cat(usize);

impl Primitive for Cat {
    fn name(&self) -> &str {
        "cat"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        check_alike("cat", x)?;
        let fits = |t: &&Tensor| {
            let pairs = t.dims().iter().zip(x[0].dims()).enumerate();
            t.rank() == x[0].rank() && pairs.into_iter().all(|(i, (a, b))| i == self.0 || a == b)
        };
        if !x.iter().all(fits) {
            let dims: Vec<&[usize]> = x.iter().map(|t| t.dims()).collect();
            return Err(Error::shape(
                "cat",
                format!("equal shapes but for axis {}", self.0),
                &dims,
            ));
        }
        let mut dims = x[0].dims().to_vec();
        dims[self.0] = x.iter().map(|t| t.dims()[self.0]).fold(0, usize::saturating_add);
        room("cat", &dims, x[0].dtype())?;
        if dims.contains(&0) {
            return one(Tensor::zeros(dims, x[0].dtype(), x[0].device())?);
        }
        one(Tensor::cat(x, self.0)?)
    }

    fn push<'g>(&self, x: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let dx: Vec<Var<'g>> =
            dx.iter().zip(x).map(|(d, x)| d.unwrap_or_else(|| x.zeros_like())).collect();
        slot(x[0].graph().record(*self, &dx))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let mut out = Slots::from_elem(None, x.len());
        let mut start = 0;
        for (i, x) in x.iter().enumerate() {
            let len = x.shape()[self.0];
            if let (Some(dy), true) = (dy[0], wrt.needs(i)) {
                out[i] = Some(dy.narrow(self.0 as i32, start, len).ok()?);
            }
            start += len;
        }
        Ok(out)
    }

    fn keeps_finite(&self) -> bool {
        true
    }
}

impl Graph {
    /// Variables one after the other along an axis. Errors: none given, shapes that differ elsewhere.
    pub fn cat<'g>(&'g self, vars: &[Var<'g>], axis: i32) -> Var<'g> {
        let Some(first) = vars.first() else {
            return self.fail(Error::Arity {
                node: "cat".into(),
                what: "or more inputs",
                expected: 1,
                got: 0,
            });
        };
        if let Err(e) = self.check_own("cat", vars) {
            return self.fail(e);
        }
        match resolve("cat", i64::from(axis), &first.shape()) {
            Ok(axis) => self.record(Cat(axis), vars),
            Err(e) => self.fail(e),
        }
    }

    /// Variables of one shape along a new axis. Errors: none given, shapes that differ.
    pub fn stack<'g>(&'g self, vars: &[Var<'g>], axis: i32) -> Var<'g> {
        let Some(first) = vars.first() else {
            return self.fail(Error::Arity {
                node: "stack".into(),
                what: "or more inputs",
                expected: 1,
                got: 0,
            });
        };
        if let Err(e) = self.check_own("stack", vars) {
            return self.fail(e);
        }
        if let Some(other) = vars.iter().find(|v| v.shape() != first.shape()) {
            return self.fail(Error::shape(
                "stack",
                "equal shapes",
                &[&first.shape(), &other.shape()],
            ));
        }
        let mut dims = first.shape();
        dims.push(1);
        match resolve("stack", i64::from(axis), &dims) {
            Ok(axis) => self.cat(
                &vars.iter().map(|v| v.unsqueeze(axis as i32)).collect::<Vec<_>>(),
                axis as i32,
            ),
            Err(e) => self.fail(e),
        }
    }
}
