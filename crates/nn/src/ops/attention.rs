//! softmax(QKᵀ/√d)·V by heads as one operation: no scores in memory, forward or backward.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use pullback_core_graph::primitive::Slots;
use pullback_core_graph::{Error, Function, Result, Var, function};

use super::fused::{Fused, FusedKernel, Made};
use crate::kernel::attention::{Attention, Places, Seen, attend, attend_gradient};
use crate::kernel::matrix::Element;

/// Which keys a query may look at, and how many heads there are.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    /// How many.
    pub(crate) count: usize,
    /// A query at time t sees the keys up to t.
    pub(crate) causal: bool,
    /// Integers that broadcast to (batch, heads, queries, keys): not 0 where a query sees a key.
    pub(crate) seen: Option<Tensor>,
}

/// softmax(QKᵀ/√d)·V of x = (q, k, v), each (batch, time, features), or of one x (batch, time, 3·features) that holds the three side by
/// side. Zeros for a query that sees no key.
///
/// # Errors
/// A mask that does not broadcast or is not of integers.
pub(crate) fn attention<'g>(x: &[Var<'g>], heads: &Heads) -> Result<Var<'g>> {
    let (first, last) = (x[0].dims()?, x[x.len() - 1].dims()?);
    let features = if x.len() == 1 { first[2] / 3 } else { first[2] };
    let sizes = Attention {
        batch: first[0],
        targets: first[1],
        sources: last[1],
        heads: heads.count,
        width: features / heads.count,
        causal: heads.causal,
        seen: heads.marks([first[0], heads.count, first[1], last[1]])?,
    };
    let plan = Plan { sizes, heads: heads.clone(), inputs: x.len() };
    let formula = plan.clone();
    let rule = plan.clone();
    let op = Fused {
        name: NODE,
        formula: function(NODE, move |_, x| Ok(vec![formula.compose(x)?])),
        carried: x.len(),
        results: 1,
        gradient: Some(Box::new(move |x: &[Var<'_>], y: &[Var<'_>], dy| rule.pull(x, y, dy))),
        kernel: Forward(plan),
    };
    Ok(x[0].graph().record_all(Arc::new(op), x)?[0])
}

const NODE: &str = "attention";

impl Heads {
    /// The marks as the kernel reads them. Errors: not of integers, or of a shape that does not broadcast to `dims`.
    fn marks(&self, dims: [usize; 4]) -> Result<Option<Seen>> {
        let Some(seen) = &self.seen else { return Ok(None) };
        if !seen.dtype().is_int() {
            let got = vec![seen.dtype()];
            return Err(Error::DType { node: NODE.into(), what: "a mask is of integers", got });
        }
        let own = seen.dims();
        let mut strides = [0; 4];
        let mut step = 1;
        for (i, &n) in own.iter().enumerate().rev() {
            let axis = (4 + i).checked_sub(own.len()).filter(|&axis| n == 1 || n == dims[axis]);
            let Some(axis) = axis else {
                let what = "a mask that broadcasts to (batch, heads, queries, keys) (mask, those)";
                return Err(Error::shape(NODE, what, &[own, &dims]));
            };
            strides[axis] = if n == 1 { 0 } else { step };
            step *= n;
        }
        let marks = seen.ne(&seen.zeros_like()?)?.flatten_all()?.to_vec1::<u8>()?;
        Ok(Some(Seen { marks: marks.into(), strides }))
    }

    /// The same as operations on whole tensors, with `also` applied to the weights.
    pub(crate) fn compose<'g>(
        &self,
        [q, k, v]: [Var<'g>; 3],
        also: impl FnOnce(Var<'g>) -> Result<Var<'g>>,
    ) -> Result<Var<'g>> {
        let (dims, sources) = (q.dims()?, k.dims()?[1]);
        let [batch, targets, features] = [dims[0], dims[1], dims[2]];
        let width = features / self.count;
        // (batch, time, features) → (batch, heads, time, features of a head).
        let split =
            |x: Var<'g>, time| x.reshape(&[batch, time, self.count, width]).permute(&[0, 2, 1, 3]);
        let (q, k, v) = (split(q, targets), split(k, sources), split(v, sources));
        let scores = q.matmul(k.t()) * (width as f64).sqrt().recip();
        let weights = match self.seen_by(scores)? {
            None => scores.softmax(-1),
            Some(seen) => masked_softmax(scores, seen)?,
        };
        let heads = also(weights)?.matmul(v).permute(&[0, 2, 1, 3]);
        heads.reshape(&[batch, targets, features]).ok()
    }

    /// 1 where a query sees a key, in the element type of the scores; `None` where all see all.
    fn seen_by<'g>(&self, scores: Var<'g>) -> Result<Option<Var<'g>>> {
        let (dims, like) = (scores.dims()?, scores.value()?);
        self.marks([dims[0], dims[1], dims[2], dims[3]])?;
        let given = self.seen.as_ref().map(|seen| -> Result<Tensor> {
            let marks = seen.ne(&seen.zeros_like()?)?;
            Ok(marks.to_dtype(like.dtype())?.to_device(like.device())?)
        });
        let mut seen = given.transpose()?;
        if self.causal {
            let (targets, sources) = (dims[2], dims[3]);
            let past = (0..targets).flat_map(|t| (0..sources).map(move |s| f32::from(s <= t)));
            let past: Vec<f32> = past.collect();
            let past = Tensor::from_vec(past, (targets, sources), like.device())?;
            let past = past.to_dtype(like.dtype())?;
            seen = Some(match seen {
                Some(seen) => seen.broadcast_mul(&past)?,
                None => past,
            });
        }
        Ok(seen.map(|seen| scores.graph().constant(&seen)))
    }
}

/// eˢ/Σeˢ over the keys that are seen; zeros where none is.
fn masked_softmax<'g>(scores: Var<'g>, seen: Var<'g>) -> Result<Var<'g>> {
    let value = scores.value()?;
    // The least number: its exponential against a score that is seen is exactly 0.
    let least = if value.dtype() == DType::F64 { f64::MIN } else { f32::MIN.into() };
    let hidden = Tensor::new(least, value.device())?.to_dtype(value.dtype())?;
    let hidden = scores.graph().constant(&hidden);
    let weights = seen.select(scores, hidden).softmax(-1);
    seen.select(weights, hidden.zeros_like()).ok()
}

#[derive(Clone)]
struct Plan {
    sizes: Attention,
    heads: Heads,
    /// One or three.
    inputs: usize,
}

impl Plan {
    fn places<'a, T>(&self, x: &[&'a [T]]) -> [Places<'a, T>; 3] {
        let features = self.sizes.heads * self.sizes.width;
        [0, 1, 2].map(|i| match x {
            [one] => Places { data: one, start: i * features, row: 3 * features },
            _ => Places { data: x[i], start: 0, row: features },
        })
    }

    fn compose<'g>(&self, x: &[Var<'g>]) -> Result<Var<'g>> {
        let n = self.sizes.heads * self.sizes.width;
        let parts = match x {
            [one] => [0, 1, 2].map(|i| one.narrow(-1, i * n, n)),
            _ => [x[0], x[1], x[2]],
        };
        self.heads.compose(parts, Ok)
    }

    /// (q, k, v, dy) ↦ (dq, dk, dv).
    fn gradient_formula(&self) -> Arc<dyn Function> {
        let plan = self.clone();
        function(NODE, move |graph, v| {
            let (x, dy) = v.split_at(plan.inputs);
            let y = plan.compose(x)?;
            let dx = graph.record_pull(&[(y, dy[0])], x)?;
            Ok(dx.into_iter().zip(x).map(|(d, x)| d.unwrap_or_else(|| x.zeros_like())).collect())
        })
    }

    fn pull<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dy: Var<'g>) -> Result<Slots<'g>> {
        let inputs: Vec<Var<'g>> = x.iter().copied().chain([dy, y[0], y[1]]).collect();
        let op = Fused {
            name: NODE,
            kernel: Backward(self.clone()),
            formula: self.gradient_formula(),
            carried: self.inputs + 1,
            results: self.inputs,
            gradient: None,
        };
        Ok(dy.graph().record_all(Arc::new(op), &inputs)?.into_iter().map(Some).collect())
    }
}

struct Forward(Plan);
struct Backward(Plan);

impl FusedKernel for Forward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let Attention { batch, targets, heads, width, .. } = self.0.sizes;
        let (y, logs) = attend(&self.0.sizes, self.0.places(x))?;
        let dims = [vec![batch, targets, heads * width], vec![batch, targets, heads]];
        Ok([y, logs].into_iter().zip(dims).collect::<Vec<_>>().into())
    }
}

impl FusedKernel for Backward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let Attention { batch, targets, sources, heads, width, .. } = self.0.sizes;
        let (x, rest) = x.split_at(self.0.inputs);
        let known = (rest[1], rest[2], rest[0]);
        let made = attend_gradient(&self.0.sizes, self.0.places(x), known, x.len() == 1)?;
        let features = heads * width;
        let places = [targets, sources, sources];
        let dims = match x.len() {
            1 => vec![vec![batch, targets, 3 * features]],
            _ => places.map(|time| vec![batch, time, features]).to_vec(),
        };
        Ok(made.into_iter().zip(dims).collect::<Vec<_>>().into())
    }
}
