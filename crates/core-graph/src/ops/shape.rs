//! Views and rearrangements.

use candle_core::Tensor;
use smallvec::SmallVec;

use super::axes::resolve;
use super::linear::Linear;
use crate::graph::Var;
use crate::tensor::{countable, room};
use crate::{Error, Result};

type Dims = SmallVec<[usize; 6]>;

#[derive(Clone)]
struct Reshape(Dims);

impl Linear for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if x.elem_count() != countable("reshape", &self.0)? {
            return Err(Error::shape(
                "reshape",
                "the same number of elements (have, want)",
                &[x.dims(), &self.0],
            ));
        }
        Ok(x.reshape(self.0.as_slice())?)
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.reshape(&x.shape())
    }
}

#[derive(Clone)]
struct Permute(Dims);

impl Linear for Permute {
    fn name(&self) -> &str {
        "permute"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.permute(self.0.as_slice())?)
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        let mut inverse: Dims = SmallVec::from_elem(0, self.0.len());
        self.0.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
        dy.linear(Permute(inverse))
    }
}

#[derive(Clone)]
struct Broadcast(Dims);

impl Linear for Broadcast {
    fn name(&self) -> &str {
        "broadcast_to"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match crate::kernel::broadcast_dims(x.dims(), &self.0) {
            Some(d) if d == self.0 => {
                countable("broadcast_to", &self.0)?;
                Ok(x.broadcast_as(self.0.as_slice())?)
            }
            _ => Err(Error::shape(
                "broadcast_to",
                "a shape that stretches to the other",
                &[x.dims(), &self.0],
            )),
        }
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.sum_like(x)
    }
}

/// `start`, `start + step`, … (`len` of them) along an axis; a negative step walks backwards.
#[derive(Clone)]
struct Slice {
    axis: usize,
    start: usize,
    step: isize,
    len: usize,
}

/// The transpose of [`Slice`]: puts the elements where they came from, zeros elsewhere.
#[derive(Clone)]
struct Embed {
    slice: Slice,
    /// The length of the axis.
    full: usize,
}

impl Slice {
    fn indices(&self, device: &candle_core::Device) -> Result<Tensor> {
        let at = |i: usize| (self.start as isize + i as isize * self.step) as u32;
        Ok(Tensor::from_vec((0..self.len).map(at).collect::<Vec<u32>>(), self.len, device)?)
    }
}

impl Linear for Slice {
    fn name(&self) -> &str {
        "slice"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if self.step == 1 || self.len <= 1 {
            return Ok(x.narrow(self.axis, self.start.min(x.dim(self.axis)?), self.len)?);
        }
        Ok(x.contiguous()?.index_select(&self.indices(x.device())?, self.axis)?)
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(Embed { slice: self.clone(), full: x.shape()[self.axis] })
    }
}

impl Linear for Embed {
    fn name(&self) -> &str {
        // Alone it is what `pad` does.
        if self.slice.step == 1 { "pad" } else { "slice.transpose" }
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Slice { axis, start, step, len } = self.slice;
        let mut dims = x.dims().to_vec();
        dims[axis] = self.full;
        room("pad", &dims, x.dtype())?;
        if step == 1 {
            return Ok(x.pad_with_zeros(axis, start, self.full - start - len)?);
        }
        let zeros = Tensor::zeros(dims, x.dtype(), x.device())?;
        Ok(zeros.index_add(&self.slice.indices(x.device())?, &x.contiguous()?, axis)?)
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(self.slice.clone())
    }
}

impl<'g> Var<'g> {
    /// The same elements, in row-major order, in another shape. Errors: another number of elements.
    #[must_use]
    pub fn reshape(self, dims: &[usize]) -> Self {
        if self.ok().is_ok() && self.shape().as_slice() == dims {
            return self;
        }
        self.linear(Reshape(SmallVec::from_slice(dims)))
    }

    /// One axis of all elements.
    #[must_use]
    pub fn flatten(self) -> Self {
        self.compose(|x| Ok(x.reshape(&[x.shape().iter().product()])))
    }

    /// Inserts an axis of length 1. Errors: out of range.
    #[must_use]
    pub fn unsqueeze(self, axis: i32) -> Self {
        self.compose(|x| {
            let mut dims = x.shape();
            let mut room = dims.clone();
            room.push(1);
            let axis = resolve("unsqueeze", i64::from(axis), &room)?;
            dims.insert(axis, 1);
            Ok(x.reshape(&dims))
        })
    }

    /// Drops an axis of length 1. Errors: out of range, another length.
    #[must_use]
    pub fn squeeze(self, axis: i32) -> Self {
        self.compose(|x| {
            let mut dims = x.shape();
            let axis = resolve("squeeze", i64::from(axis), &dims)?;
            if dims[axis] != 1 {
                return Err(Error::shape("squeeze", format!("length 1 at axis {axis}"), &[&dims]));
            }
            dims.remove(axis);
            Ok(x.reshape(&dims))
        })
    }

    /// The axes in another order. Errors: not a permutation.
    #[must_use]
    pub fn permute(self, axes: &[i32]) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let order: Result<Dims> =
                axes.iter().map(|&a| resolve("permute", i64::from(a), &dims)).collect();
            let order = order?;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..dims.len()) {
                return Err(Error::shape(
                    "permute",
                    format!("each axis once, got {axes:?}"),
                    &[&dims],
                ));
            }
            if order.iter().copied().eq(0..dims.len()) {
                return Ok(x);
            }
            Ok(x.linear(Permute(order)))
        })
    }

    /// Exchanges two axes. Errors: out of range.
    #[must_use]
    pub fn transpose(self, a: i32, b: i32) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let (a, b) = (
                resolve("transpose", i64::from(a), &dims)?,
                resolve("transpose", i64::from(b), &dims)?,
            );
            let mut order: Dims = (0..dims.len()).collect();
            order.swap(a, b);
            Ok(if a == b { x } else { x.linear(Permute(order)) })
        })
    }

    /// Exchanges the last two axes: the transpose of each matrix. Errors: rank below 2.
    #[must_use]
    pub fn t(self) -> Self {
        self.compose(|x| match x.shape().len() {
            0 | 1 => Err(Error::shape("transpose", "rank 2 or more", &[&x.shape()])),
            _ => Ok(x.transpose(-2, -1)),
        })
    }

    /// Stretches axes of length 1, and new leading ones, to the shape. Errors: does not stretch.
    #[must_use]
    pub fn broadcast_to(self, dims: &[usize]) -> Self {
        if self.ok().is_ok() && self.shape().as_slice() == dims {
            return self;
        }
        self.linear(Broadcast(SmallVec::from_slice(dims)))
    }

    /// [`Var::broadcast_to`] the shape of another variable.
    #[must_use]
    pub fn broadcast_like(self, other: Var<'g>) -> Self {
        self.compose(|x| {
            x.graph().check_own("broadcast_like", &[other])?;
            Ok(x.broadcast_to(&other.shape()))
        })
    }

    /// Elements `start, start + step, …` before `end` along an axis (`step` > 0). Errors: out of range.
    #[must_use]
    pub fn slice(self, axis: i32, start: usize, end: usize, step: usize) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let axis = resolve("slice", i64::from(axis), &dims)?;
            if step == 0 || end < start || dims[axis] < end {
                let what = format!("0 ≤ start ≤ end ≤ length and step > 0, got {start}..{end} by {step} at axis {axis}");
                return Err(Error::shape("slice", what, &[&dims]));
            }
            let (len, step) = ((end - start).div_ceil(step), step as isize);
            Ok(x.linear(Slice { axis, start, step, len }))
        })
    }

    /// `len` elements from `start` on along an axis. Errors: out of range.
    #[must_use]
    pub fn narrow(self, axis: i32, start: usize, len: usize) -> Self {
        self.slice(axis, start, start.saturating_add(len), 1)
    }

    /// Element `index` along an axis, which goes. Errors: out of range.
    #[must_use]
    pub fn get(self, axis: i32, index: usize) -> Self {
        self.compose(|x| {
            let axis = resolve("get", i64::from(axis), &x.shape())? as i32;
            Ok(x.narrow(axis, index, 1).squeeze(axis))
        })
    }

    /// The elements along an axis in reverse. Errors: out of range.
    #[must_use]
    pub fn flip(self, axis: i32) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let axis = resolve("flip", i64::from(axis), &dims)?;
            let len = dims[axis];
            Ok(x.linear(Slice { axis, start: len.saturating_sub(1), step: -1, len }))
        })
    }

    /// The elements along an axis moved on by `shift`, around the end. Errors: out of range.
    #[must_use]
    pub fn roll(self, axis: i32, shift: i64) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let a = resolve("roll", i64::from(axis), &dims)?;
            let n = dims[a];
            let k = if n == 0 { 0 } else { shift.rem_euclid(n as i64) as usize };
            if k == 0 {
                return Ok(x);
            }
            x.graph()
                .cat(&[x.slice(a as i32, n - k, n, 1), x.slice(a as i32, 0, n - k, 1)], a as i32)
                .ok()
        })
    }

    /// Zeros before and after along an axis. Errors: out of range.
    #[must_use]
    pub fn pad(self, axis: i32, before: usize, after: usize) -> Self {
        self.compose(|x| {
            let axis = resolve("pad", i64::from(axis), &x.shape())?;
            let len = x.shape()[axis];
            let full = len.checked_add(before).and_then(|n| n.checked_add(after));
            let full = full.ok_or_else(|| {
                Error::shape("pad", format!("too much: {before} and {after}"), &[&x.shape()])
            })?;
            Ok(x.linear(Embed { slice: Slice { axis, start: before, step: 1, len }, full }))
        })
    }
}
