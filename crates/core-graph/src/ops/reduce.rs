//! Sums and what is built from them; largest and smallest elements.

use candle_core::Tensor;
use smallvec::SmallVec;

use super::axes::Axes;
use crate::graph::Var;
use crate::kernel::{Groups, fold_axes, sum_axes};
use crate::primitive::{Primitive, Slots, Values, one, slot};
use crate::tensor::{from_vec, with_slice};
use crate::{Error, Result, Wrt};

type Marks = SmallVec<[bool; 6]>;

fn kept(dims: &[usize], marks: &[bool]) -> Vec<usize> {
    dims.iter().zip(marks).filter(|(_, m)| !**m).map(|(&n, _)| n).collect()
}

fn ones_where(dims: &[usize], marks: &[bool]) -> Vec<usize> {
    dims.iter().zip(marks).map(|(&n, &m)| if m { 1 } else { n }).collect()
}

/// Sum over marked axes, which go.
struct Sum(Marks);

impl Primitive for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let x = x[0];
        let dims = kept(x.dims(), &self.0);
        if !x.device().is_cpu() {
            let axes: Vec<usize> = (0..x.rank()).filter(|&i| self.0[i]).collect();
            return one(x.sum(axes)?);
        }
        crate::with_real!("sum", x.dtype(), T => {
            let y = with_slice::<T, _>(x, |v| sum_axes(v, &Groups::new(x.dims(), &self.0)))?;
            one(from_vec(y, &dims, x.device())?)
        })
    }

    fn push<'g>(&self, _: &[Var<'g>], _: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let marks = self.0.clone();
        dx[0].map_or_else(
            || Ok(Slots::from_elem(None, 1)),
            |d| slot(d.graph().record(Sum(marks), &[d])),
        )
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        _: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let Some(dy) = dy[0] else { return Ok(Slots::from_elem(None, 1)) };
        let dims = x[0].shape();
        slot(dy.reshape(&ones_where(&dims, &self.0)).broadcast_to(&dims))
    }
}

/// Largest or smallest element over marked axes, which go; ties share the derivative equally.
struct Extreme {
    marks: Marks,
    largest: bool,
}

impl Primitive for Extreme {
    fn name(&self) -> &str {
        if self.largest { "max" } else { "min" }
    }

    fn eval(&self, x: &[&Tensor]) -> Result<Values> {
        let x = x[0];
        let dims = kept(x.dims(), &self.marks);
        crate::with_real!(self.name(), x.dtype(), T => {
            let groups = Groups::new(x.dims(), &self.marks);
            let pick = |a: T, b: T| if (a > b) == self.largest { a } else { b };
            match with_slice::<T, _>(x, |v| fold_axes(v, &groups, pick))? {
                Some(y) => one(from_vec(y, &dims, x.device())?),
                None => Err(Error::shape(self.name(), "at least one element to choose from", &[x.dims()])),
            }
        })
    }

    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>> {
        let Some(dx) = dx[0] else { return Ok(Slots::from_elem(None, 1)) };
        slot((self.share(x[0], y[0]) * dx).summed(&self.marks))
    }

    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        _: Wrt<'_>,
    ) -> Result<Slots<'g>> {
        let Some(dy) = dy[0] else { return Ok(Slots::from_elem(None, 1)) };
        let column = dy.reshape(&ones_where(&x[0].shape(), &self.marks));
        slot(self.share(x[0], y[0]) * column)
    }
}

impl Extreme {
    /// 1/k at each of the k elements that equal the extreme, else 0.
    fn share<'g>(&self, x: Var<'g>, y: Var<'g>) -> Var<'g> {
        let dims = x.shape();
        let is = x.equal(y.reshape(&ones_where(&dims, &self.marks)));
        is / is.summed(&self.marks).reshape(&ones_where(&dims, &self.marks))
    }
}

impl<'g> Var<'g> {
    fn summed(self, marks: &[bool]) -> Self {
        if !marks.contains(&true) {
            return self;
        }
        self.graph().record(Sum(SmallVec::from_slice(marks)), &[self])
    }

    fn over_axes(
        self,
        node: &str,
        axes: Axes,
        f: impl FnOnce(Self, &[bool]) -> Result<Self>,
    ) -> Self {
        self.compose(|x| f(x, &axes.marks(node, &x.shape())?))
    }

    /// Σ over the axes, which go.
    #[must_use]
    pub fn sum(self, axes: impl Into<Axes>) -> Self {
        self.over_axes("sum", axes.into(), |x, marks| Ok(x.summed(marks)))
    }

    /// Σ over the axes, which stay with length 1.
    #[must_use]
    pub fn sum_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.over_axes("sum", axes.into(), |x, marks| {
            Ok(x.summed(marks).reshape(&ones_where(&x.shape(), marks)))
        })
    }

    /// The mean over the axes, which go. Errors: no element.
    #[must_use]
    pub fn mean(self, axes: impl Into<Axes>) -> Self {
        self.over_axes("mean", axes.into(), |x, marks| {
            let n = count("mean", &x.shape(), marks, 1)?;
            Ok(x.summed(marks) * (1.0 / n))
        })
    }

    /// The mean over the axes, which stay with length 1. Errors: no element.
    #[must_use]
    pub fn mean_keepdim(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        self.over_axes("mean", axes.clone(), |x, marks| {
            Ok(x.mean(axes).reshape(&ones_where(&x.shape(), marks)))
        })
    }

    /// Σ (x − mean)² / (n − ddof) over the axes, which go; ddof 0 is the population's, 1 the sample's. Errors: n ≤ ddof.
    #[must_use]
    pub fn variance(self, axes: impl Into<Axes>, ddof: usize) -> Self {
        let axes = axes.into();
        self.over_axes("variance", axes.clone(), |x, marks| {
            let n = count("variance", &x.shape(), marks, ddof.saturating_add(1))?;
            Ok((x - x.mean_keepdim(axes)).sqr().summed(marks) * (1.0 / (n - ddof as f64)))
        })
    }

    /// The largest element over the axes, which go; ties share the derivative equally. Errors: no element.
    #[must_use]
    pub fn max(self, axes: impl Into<Axes>) -> Self {
        self.extreme(axes.into(), true)
    }

    /// The smallest element over the axes, which go; ties share the derivative equally. Errors: no element.
    #[must_use]
    pub fn min(self, axes: impl Into<Axes>) -> Self {
        self.extreme(axes.into(), false)
    }

    fn extreme(self, axes: Axes, largest: bool) -> Self {
        self.over_axes(if largest { "max" } else { "min" }, axes, |x, marks| {
            Ok(x.graph().record(Extreme { marks: SmallVec::from_slice(marks), largest }, &[x]))
        })
    }

    /// ln Σ eˣ over the axes, which go, without overflow. Errors: no element.
    #[must_use]
    pub fn logsumexp(self, axes: impl Into<Axes>) -> Self {
        self.over_axes("logsumexp", axes.into(), |x, marks| {
            let top = x.shifted(marks)?;
            let dims = kept(&x.shape(), marks);
            Ok((x - top).exp().summed(marks).log() + top.reshape(&dims))
        })
    }

    /// The largest element over marked axes as a constant: a shift that cancels, so it carries no derivative.
    fn shifted(self, marks: &[bool]) -> Result<Self> {
        let top = self
            .graph()
            .record(Extreme { marks: SmallVec::from_slice(marks), largest: true }, &[self]);
        Ok(top.ok()?.detach().reshape(&ones_where(&self.shape(), marks)))
    }

    /// Σ over the axes that broadcasting stretched: the transpose of [`Var::broadcast_like`].
    pub(crate) fn sum_like(self, other: Var<'g>) -> Self {
        let (have, want) = (self.shape(), other.shape());
        if have == want {
            return self;
        }
        let lead = have.len() - want.len().min(have.len());
        let stretched = |i: usize| i < lead || (want[i - lead] == 1 && have[i] != 1);
        let marks: Marks = (0..have.len()).map(stretched).collect();
        self.summed(&marks).reshape(&want)
    }
}

fn count(node: &str, dims: &[usize], marks: &[bool], least: usize) -> Result<f64> {
    let n: usize = dims.iter().zip(marks).filter(|(_, m)| **m).map(|(n, _)| n).product();
    if n < least {
        return Err(Error::shape(
            node,
            format!("at least {least} elements to reduce over"),
            &[dims],
        ));
    }
    Ok(n as f64)
}
