//! Gathering and scattering by index, diagonals, cumulative sums, casts.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use smallvec::SmallVec;

use super::axes::resolve;
use super::linear::Linear;
use crate::graph::Var;
use crate::tensor::{Real, countable, from_vec, room, with_slice};
use crate::{Error, Result, with_real};

type Dims = SmallVec<[usize; 6]>;

/// y[i] = x[at[i]] over flat row-major indices: every gather is one of these.
#[derive(Clone)]
struct Take {
    name: &'static str,
    at: Arc<Vec<u32>>,
    dims: Dims,
}

/// The transpose of [`Take`]: x[at[i]] += y[i] on zeros, in index order.
#[derive(Clone)]
struct Put {
    take: Take,
    full: Dims,
}

impl Linear for Take {
    fn name(&self) -> &str {
        self.name
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            let at = Tensor::from_slice(&self.at, self.at.len(), x.device())?;
            return Ok(x.flatten_all()?.index_select(&at, 0)?.reshape(self.dims.as_slice())?);
        }
        with_real!(self.name, x.dtype(), T => {
            let y = with_slice::<T, _>(x, |x| self.at.iter().map(|&i| x[i as usize]).collect::<Vec<T>>())?;
            from_vec(y, &self.dims, x.device())
        })
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(Put { take: self.clone(), full: SmallVec::from_slice(&x.shape()) })
    }
}

impl Linear for Put {
    fn name(&self) -> &str {
        "scatter_add"
    }
    fn apply(&self, y: &Tensor) -> Result<Tensor> {
        let n: usize = self.full.iter().product();
        if !y.device().is_cpu() {
            let at = Tensor::from_slice(&self.take.at, self.take.at.len(), y.device())?;
            let zeros = Tensor::zeros(n, y.dtype(), y.device())?;
            return Ok(zeros
                .index_add(&at, &y.flatten_all()?, 0)?
                .reshape(self.full.as_slice())?);
        }
        with_real!("scatter_add", y.dtype(), T => {
            let mut x = vec![T::default(); n];
            with_slice::<T, _>(y, |y| self.take.at.iter().zip(y).for_each(|(&i, &v)| x[i as usize] += v))?;
            from_vec(x, &self.full, y.device())
        })
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(self.take.clone())
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

/// Running sums along an axis; backwards if `reverse`.
#[derive(Clone)]
struct Cumsum {
    axis: usize,
    reverse: bool,
}

impl Linear for Cumsum {
    fn name(&self) -> &str {
        "cumsum"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let dims = x.dims();
        let (n, inner) = (dims[self.axis], dims[self.axis + 1..].iter().product::<usize>());
        with_real!("cumsum", x.dtype(), T => {
            let mut y = with_slice::<T, _>(x, <[T]>::to_vec)?;
            if n * inner > 0 {
                y.chunks_mut(n * inner).for_each(|block| running(block, inner, self.reverse));
            }
            from_vec(y, dims, x.device())
        })
    }
    fn transpose<'g>(&self, _: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.linear(Cumsum { axis: self.axis, reverse: !self.reverse })
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

fn running<T: Real>(block: &mut [T], inner: usize, reverse: bool) {
    let len = block.len();
    for i in inner..len {
        let (to, from) = if reverse { (len - 1 - i, len - 1 - i + inner) } else { (i, i - inner) };
        let before = block[from];
        block[to] += before;
    }
}

#[derive(Clone)]
struct Cast(DType);

impl Linear for Cast {
    fn name(&self) -> &str {
        "cast"
    }
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.to_dtype(self.0)?)
    }
    fn transpose<'g>(&self, x: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.compose(|dy| Ok(dy.cast(x.dtype()?)))
    }
    fn keeps_finite(&self) -> bool {
        false
    }
}

/// Indices as numbers. Errors: not an integer tensor; outside 0..n, with the position.
fn indices(node: &str, index: &Tensor, n: usize) -> Result<Vec<usize>> {
    if !index.dtype().is_int() {
        return Err(Error::DType {
            node: node.into(),
            what: "indices are integers (u8, u32, i64)",
            got: vec![index.dtype()],
        });
    }
    let list = with_slice::<i64, _>(&index.to_dtype(DType::I64)?, <[i64]>::to_vec)?;
    let fit = |(p, i): (usize, i64)| match usize::try_from(i) {
        Ok(i) if i < n => Ok(i),
        _ => Err(Error::invalid(node, format!("index {i} at position {p} is outside 0..{n}"))),
    };
    list.into_iter().enumerate().map(fit).collect()
}

/// Flat positions in a tensor of shape `dims` for each entry of an index tensor of shape `shape` along `axis`.
fn positions(index: &[usize], shape: &[usize], dims: &[usize], axis: usize) -> Vec<u32> {
    let mut strides: Dims = SmallVec::from_elem(1, dims.len());
    for i in (0..dims.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * dims[i + 1];
    }
    let at = |(flat, &chosen): (usize, &usize)| {
        let (mut rest, mut position) = (flat, chosen * strides[axis]);
        for i in (0..shape.len()).rev() {
            let here = rest % shape[i];
            rest /= shape[i];
            position += if i == axis { 0 } else { here * strides[i] };
        }
        position as u32
    };
    index.iter().enumerate().map(at).collect()
}

impl<'g> Var<'g> {
    fn take(self, name: &'static str, at: Vec<u32>, dims: &[usize]) -> Self {
        self.linear(Take { name, at: Arc::new(at), dims: SmallVec::from_slice(dims) })
    }

    /// y[…, i, …] = x[…, index[…, i, …], …] along an axis; the index has x's rank and is nowhere longer off the axis.
    ///
    /// Errors: rank, length or index out of range; an index tensor that is not of integers.
    #[must_use]
    pub fn gather(self, index: &Tensor, axis: i32) -> Self {
        self.compose(|x| {
            let (at, dims) = x.gather_positions("gather", index, axis)?;
            Ok(x.take("gather", at, &dims))
        })
    }

    fn gather_positions(
        self,
        node: &str,
        index: &Tensor,
        axis: i32,
    ) -> Result<(Vec<u32>, Vec<usize>)> {
        let dims = self.shape();
        let axis = resolve(node, i64::from(axis), &dims)?;
        countable(node, &dims)?;
        let fits = |(i, (a, b)): (usize, (&usize, &usize))| i == axis || a <= b;
        if index.rank() != dims.len() || !index.dims().iter().zip(&dims).enumerate().all(fits) {
            let what = format!("an index of the same rank, nowhere longer off axis {axis}");
            return Err(Error::shape(node, what, &[&dims, index.dims()]));
        }
        let list = indices(node, index, dims[axis])?;
        Ok((positions(&list, index.dims(), &dims, axis), index.dims().to_vec()))
    }

    /// The slices at the given indices (rank 1) along an axis; repeated indices are allowed.
    ///
    /// Errors: index out of range, an index tensor that is not of integers or not of rank 1.
    #[must_use]
    pub fn index_select(self, index: &Tensor, axis: i32) -> Self {
        self.compose(|x| {
            let (at, dims) = x.select_positions("index_select", index, axis)?;
            Ok(x.take("index_select", at, &dims))
        })
    }

    fn select_positions(
        self,
        node: &str,
        index: &Tensor,
        axis: i32,
    ) -> Result<(Vec<u32>, Vec<usize>)> {
        let dims = self.shape();
        let axis = resolve(node, i64::from(axis), &dims)?;
        if index.rank() != 1 {
            return Err(Error::shape(node, "an index of rank 1", &[&dims, index.dims()]));
        }
        let list = indices(node, index, dims[axis])?;
        let mut out = dims.to_vec();
        out[axis] = list.len();
        countable(node, &dims)?;
        room(node, &out, DType::I64)?;
        let inner: usize = dims[axis + 1..].iter().product();
        let outer: usize = dims[..axis].iter().product();
        let full =
            (0..outer).flat_map(|_| list.iter().flat_map(|&i| std::iter::repeat_n(i, inner)));
        let full: Vec<usize> = full.collect();
        Ok((positions(&full, &out, &dims, axis), out))
    }

    /// A copy of this variable with y[…, index[…, i, …], …] += source[…, i, …] along an axis, in index order.
    ///
    /// Both the base and the source carry derivatives. Errors: as [`Var::gather`]; source and index of different shapes.
    #[must_use]
    pub fn scatter_add(self, index: &Tensor, source: Var<'g>, axis: i32) -> Self {
        self.compose(|x| {
            let (at, dims) = x.gather_positions("scatter_add", index, axis)?;
            x.add_at("scatter_add", at, &dims, source)
        })
    }

    /// A copy of this variable with y[…, index[…, i, …], …] = source[…, i, …] along an axis; of repeated indices the last stays.
    ///
    /// The base has a derivative where it was not overwritten, the source where it stayed. Errors: as [`Var::scatter_add`].
    #[must_use]
    pub fn scatter(self, index: &Tensor, source: Var<'g>, axis: i32) -> Self {
        self.compose(|x| {
            let (at, dims) = x.gather_positions("scatter", index, axis)?;
            let have = source.ok()?.shape();
            if have.as_slice() != dims {
                let what = "a source of the shape of the index";
                return Err(Error::shape("scatter", what, &[&have, &dims]));
            }
            let full = x.value()?;
            let mut writer: Vec<Option<usize>> = vec![None; full.elem_count()];
            at.iter().enumerate().for_each(|(i, &to)| writer[to as usize] = Some(i));
            let mut stays = vec![0.0; at.len()];
            writer.iter().flatten().for_each(|&i| stays[i] = 1.0);
            let untouched = writer.iter().map(|w| if w.is_none() { 1.0 } else { 0.0 }).collect();
            let mask = |data: Vec<f64>, dims: &[usize]| -> Result<Var<'g>> {
                let mask = from_vec(data, dims, &Device::Cpu)?.to_dtype(full.dtype())?;
                Ok(x.graph().own(mask.to_device(full.device())?))
            };
            let base = x * mask(untouched, full.dims())?;
            base.add_at("scatter", at, &dims, source * mask(stays, &dims)?)
        })
    }

    /// A copy of this variable with source slices added at the given indices (rank 1) along an axis.
    ///
    /// Errors: as [`Var::index_select`]; a source whose shape is not that of the selection.
    #[must_use]
    pub fn index_add(self, index: &Tensor, source: Var<'g>, axis: i32) -> Self {
        self.compose(|x| {
            let (at, dims) = x.select_positions("index_add", index, axis)?;
            x.add_at("index_add", at, &dims, source)
        })
    }

    fn add_at(
        self,
        name: &'static str,
        at: Vec<u32>,
        dims: &[usize],
        source: Var<'g>,
    ) -> Result<Self> {
        let have = source.ok()?.shape();
        if have.as_slice() != dims {
            return Err(Error::shape(
                name,
                "a source of the shape that the index selects",
                &[&have, dims],
            ));
        }
        let take = Take { name: "gather", at: Arc::new(at), dims: SmallVec::from_slice(dims) };
        Ok(self + source.linear(Put { take, full: SmallVec::from_slice(&self.shape()) }))
    }

    /// The windows of `size` elements along an axis, one every `step`: the axis then counts windows, and a new last axis holds the
    /// elements of each: (…, n, …) → (…, (n − size)/step + 1, …, size). Windows may overlap.
    ///
    /// Errors: axis out of range; size or step 0; size above the length.
    #[must_use]
    pub fn unfold(self, axis: i32, size: usize, step: usize) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let axis = resolve("unfold", i64::from(axis), &dims)?;
            if size == 0 || step == 0 || dims[axis] < size {
                let what = format!("0 < size ≤ length and step > 0, got size {size}, step {step}");
                return Err(Error::shape("unfold", what, &[&dims]));
            }
            let windows = (dims[axis] - size) / step + 1;
            let at: Vec<u32> =
                (0..windows).flat_map(|w| (0..size).map(move |i| (w * step + i) as u32)).collect();
            let at = from_vec(at, &[windows * size], &Device::Cpu)?;
            let mut split = dims.to_vec();
            split.splice(axis..=axis, [windows, size]);
            let rank = split.len() as i32;
            let (axis, moved) = (axis as i32, axis as i32 + 1);
            let order: Vec<i32> = (0..rank).filter(|&i| i != moved).chain([moved]).collect();
            Ok(x.index_select(&at, axis).reshape(&split).permute(&order))
        })
    }

    /// The diagonals of the last two axes: (…, m, n) → (…, min(m, n)). Errors: rank below 2.
    #[must_use]
    pub fn diagonal(self) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let [lead @ .., m, n] = dims.as_slice() else {
                return Err(Error::shape("diagonal", "rank 2 or more", &[&dims]));
            };
            countable("diagonal", &dims)?;
            let k = (*m).min(*n);
            let batch: usize = lead.iter().product();
            let at = (0..batch)
                .flat_map(|b| (0..k).map(move |i| (b * m * n + i * n + i) as u32))
                .collect();
            let out: Vec<usize> = lead.iter().copied().chain([k]).collect();
            Ok(x.take("diagonal", at, &out))
        })
    }

    /// Matrices with this variable's last axis on their diagonals: (…, n) → (…, n, n). Errors: rank 0.
    #[must_use]
    pub fn diag(self) -> Self {
        self.compose(|x| {
            let dims = x.shape();
            let Some((&n, lead)) = dims.split_last() else {
                return Err(Error::shape("diag", "rank 1 or more", &[&dims]));
            };
            let full: Dims = lead.iter().copied().chain([n, n]).collect();
            room("diag", &full, x.dtype()?)?;
            let batch: usize = lead.iter().product();
            let at = (0..batch)
                .flat_map(|b| (0..n).map(move |i| (b * n * n + i * n + i) as u32))
                .collect();
            let take =
                Take { name: "diagonal", at: Arc::new(at), dims: SmallVec::from_slice(&dims) };
            Ok(x.linear(Put { take, full }))
        })
    }

    /// The sums of the diagonals of the last two axes. Errors: rank below 2.
    #[must_use]
    pub fn trace(self) -> Self {
        self.diagonal().sum(-1)
    }

    /// Running sums along an axis. Errors: out of range.
    #[must_use]
    pub fn cumsum(self, axis: i32) -> Self {
        self.compose(|x| {
            let axis = resolve("cumsum", i64::from(axis), &x.shape())?;
            Ok(x.linear(Cumsum { axis, reverse: false }))
        })
    }

    /// The same numbers as another element type (f32 or f64). Errors: others.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        self.compose(|x| {
            if !matches!(dtype, DType::F32 | DType::F64) {
                return Err(Error::DType {
                    node: "cast".into(),
                    what: "to f32 or f64",
                    got: vec![dtype],
                });
            }
            Ok(if x.dtype()? == dtype { x } else { x.linear(Cast(dtype)) })
        })
    }

    /// The index (u32) of the first largest element along an axis, which goes. No derivative. Errors: no element.
    pub fn argmax(self, axis: i32) -> Result<Tensor> {
        let dims = self.dims()?;
        let axis = resolve("argmax", i64::from(axis), &dims)?;
        if dims[axis] == 0 {
            return Err(Error::shape("argmax", "at least one element to choose from", &[&dims]));
        }
        Ok(self.value()?.contiguous()?.argmax(axis)?)
    }
}
