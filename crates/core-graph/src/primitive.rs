//! An operation whose derivative is a formula in terms of other operations.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use smallvec::{SmallVec, smallvec};

use crate::graph::{Graph, Var};
use crate::kernel::Seen;
use crate::tensor::{Real, ensure_finite, from_vec};
use crate::{Direction, Error, Function, LinearMap, Phase, Result, Wrt};

/// The values of a primitive: nearly always one.
pub type Values = SmallVec<[Tensor; 1]>;

/// Directions as variables, one slot per port; `None` is a structural zero.
pub type Slots<'g> = SmallVec<[Option<Var<'g>>; 2]>;

/// An operation with its two chain rules, written once with the operators of [`Var`].
///
/// The graph uses the same rule in two ways: on plain values, when it sweeps; and recorded as nodes, when a derivative is to be
/// differentiated again. So a primitive has derivatives of every order, and to add one is to write this and one row in the law table.
///
/// The rules may use the values `x` and `y`; a slot that is not wanted by `wrt`, or whose direction is `None`, costs nothing.
pub trait Primitive: Send + Sync + 'static {
    /// A short name, which errors and drawings show.
    fn name(&self) -> &str;

    /// y = f(x).
    fn eval(&self, x: &[&Tensor]) -> Result<Values>;

    /// The forward chain rule: dy from dx. At least one direction is present.
    fn push<'g>(&self, x: &[Var<'g>], y: &[Var<'g>], dx: &[Option<Var<'g>>]) -> Result<Slots<'g>>;

    /// The backward chain rule: dx from dy, for the inputs marked in `wrt`. At least one cotangent is present.
    fn pull<'g>(
        &self,
        x: &[Var<'g>],
        y: &[Var<'g>],
        dy: &[Option<Var<'g>>],
        wrt: Wrt<'_>,
    ) -> Result<Slots<'g>>;

    /// True where finite inputs always give finite outputs (views and copies): the check of the values is skipped.
    fn keeps_finite(&self) -> bool {
        false
    }

    /// True where [`eval_seen`](Self::eval_seen) finds the values finite only if input `i` is finite too, all of it: then that input needs no
    /// look of its own where it enters the graph.
    fn sees(&self, i: usize, x: &[&Tensor]) -> bool {
        let (_, _) = (i, x);
        false
    }

    /// [`eval`](Self::eval), and whether the loop that made the values saw that they are finite: the check is skipped then. Worth
    /// writing where the values are many, since the check reads all of them from memory again.
    fn eval_seen(&self, x: &[&Tensor]) -> Result<(Values, bool)> {
        Ok((self.eval(x)?, false))
    }
}

/// A primitive used as a [`Function`]: `Op::new(primitive)`.
#[derive(Clone)]
pub struct Op {
    primitive: Arc<dyn Primitive>,
}

impl Op {
    /// Makes a primitive a function.
    pub fn new(primitive: impl Primitive) -> Self {
        Op { primitive: Arc::new(primitive) }
    }

    fn values(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        let refs: SmallVec<[&Tensor; 4]> = x.iter().collect();
        let (y, finite) = self.primitive.eval_seen(&refs)?;
        if !finite && !self.primitive.keeps_finite() {
            for (port, t) in y.iter().enumerate() {
                ensure_finite(t, self.primitive.name(), Phase::Eval, port)?;
            }
        }
        Ok(y.into_vec())
    }
}

impl Function for Op {
    fn name(&self) -> &str {
        self.primitive.name()
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.values(x)
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let x: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
        let (y, n) = (self.values(&x)?, x.len());
        let map = At { primitive: self.primitive.clone(), x, y: y.clone(), wrt: wrt.marks(n) };
        Ok((y, Box::new(map)))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (primitive, wrt) = (self.primitive.clone(), wrt.0.to_vec());
        Ok(crate::function(format!("{}.tangent", self.name()), move |_, v| {
            let n_dx = wrt.iter().filter(|&&b| b).count();
            let n_y = outputs_between(primitive.name(), v.len(), wrt.len(), n_dx)?;
            let (x, y) = (&v[..wrt.len()], &v[wrt.len()..wrt.len() + n_y]);
            let mut given = v[wrt.len() + n_y..].iter().copied();
            let dx: Slots<'_> = wrt.iter().map(|&b| if b { given.next() } else { None }).collect();
            let dy = primitive.push(x, y, &dx)?;
            check_slots(primitive.name(), "derivatives pushed forward", &dy, y)?;
            Ok(y.iter().zip(dy).map(|(y, d)| d.unwrap_or_else(|| y.zeros_like())).collect())
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (primitive, wrt) = (self.primitive.clone(), wrt.0.to_vec());
        Ok(crate::function(format!("{}.adjoint", self.name()), move |_, v| {
            let n_y = v.len().saturating_sub(wrt.len()) / 2;
            if wrt.len() + 2 * n_y != v.len() || n_y == 0 {
                let (what, expected) = ("inputs of its adjoint", wrt.len() + 2 * n_y.max(1));
                return Err(Error::Arity {
                    node: primitive.name().into(),
                    what,
                    expected,
                    got: v.len(),
                });
            }
            let (x, rest) = v.split_at(wrt.len());
            let (y, dy) = rest.split_at(n_y);
            let dy: Slots<'_> = dy.iter().map(|&d| Some(d)).collect();
            let dx = primitive.pull(x, y, &dy, Wrt(&wrt))?;
            check_slots(primitive.name(), "derivatives pulled back", &dx, x)?;
            let wanted = x.iter().zip(dx).zip(&wrt).filter(|(_, b)| **b);
            Ok(wanted.map(|((x, d), _)| d.unwrap_or_else(|| x.zeros_like())).collect())
        }))
    }
}

/// How many of `total` inputs are outputs handed in, between n_x values and n_dx directions.
fn outputs_between(node: &str, total: usize, n_x: usize, n_dx: usize) -> Result<usize> {
    match total.checked_sub(n_x + n_dx) {
        Some(n) if 0 < n => Ok(n),
        _ => Err(Error::Arity {
            node: node.into(),
            what: "inputs of its tangent",
            expected: n_x + n_dx + 1,
            got: total,
        }),
    }
}

/// The linear map of a primitive at a point.
struct At {
    primitive: Arc<dyn Primitive>,
    x: Vec<Tensor>,
    y: Vec<Tensor>,
    wrt: Vec<bool>,
}

impl At {
    fn load<'g>(graph: &'g Graph, tensors: &[Tensor]) -> SmallVec<[Var<'g>; 4]> {
        tensors.iter().map(|t| graph.slot(t.clone())).collect()
    }

    fn load_directions<'g>(graph: &'g Graph, d: &[Option<Tensor>]) -> Slots<'g> {
        d.iter().map(|d| d.as_ref().map(|t| graph.slot(t.detach()))).collect()
    }
}

impl LinearMap for At {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        let node = self.primitive.name();
        check_directions(node, "input directions", dx, &self.x)?;
        let masked: Vec<Option<Tensor>> = dx
            .iter()
            .enumerate()
            .map(|(i, d)| d.clone().filter(|_| Wrt(&self.wrt).needs(i)))
            .collect();
        if masked.iter().all(Option::is_none) {
            return Ok(vec![None; self.y.len()]);
        }
        let scratch = Graph::scratch();
        let (x, y) = (At::load(&scratch, &self.x), At::load(&scratch, &self.y));
        let dx = At::load_directions(&scratch, &masked);
        let dy = self.primitive.push(&x, &y, &dx).map_err(|e| in_sweep(node, Phase::Push, e))?;
        check_slots(node, "derivatives pushed forward", &dy, &y)?;
        finish(node, Phase::Push, dy)
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        let node = self.primitive.name();
        check_directions(node, "output cotangents", dy, &self.y)?;
        if dy.iter().all(Option::is_none) || !self.wrt.contains(&true) {
            return Ok(vec![None; self.x.len()]);
        }
        let scratch = Graph::scratch();
        let (x, y) = (At::load(&scratch, &self.x), At::load(&scratch, &self.y));
        let dy = At::load_directions(&scratch, dy);
        let dx = self.primitive.pull(&x, &y, &dy, Wrt(&self.wrt));
        let mut dx = dx.map_err(|e| in_sweep(node, Phase::Pull, e))?;
        check_slots(node, "derivatives pulled back", &dx, &x)?;
        dx.iter_mut().zip(&self.wrt).filter(|(_, b)| !**b).for_each(|(d, _)| *d = None);
        finish(node, Phase::Pull, dx)
    }
}

/// The error of a rule under the name of the primitive: operations that it evaluates are part of the sweep.
fn in_sweep(node: &str, sweep: Phase, mut e: Error) -> Error {
    if let Error::NotFinite { phase, .. } = &mut e {
        *phase = sweep;
    }
    e.renamed(|_| node.to_string())
}

fn finish(node: &str, phase: Phase, slots: Slots<'_>) -> Result<Direction> {
    let mut out = Vec::with_capacity(slots.len());
    for (port, slot) in slots.into_iter().enumerate() {
        let tensor = slot.map(|v| v.value()).transpose()?;
        let seen = slot.is_some_and(|v| v.graph().seen_finite(v));
        if let Some(t) = tensor.as_ref().filter(|_| !seen) {
            ensure_finite(t, node, phase, port)?;
        }
        out.push(tensor);
    }
    Ok(out)
}

/// A rule must return one slot for each port, each of the shape and element type of its variable.
pub(crate) fn check_slots(
    node: &str,
    what: &'static str,
    slots: &[Option<Var<'_>>],
    at: &[Var<'_>],
) -> Result<()> {
    if slots.len() != at.len() {
        let (expected, got) = (at.len(), slots.len());
        return Err(Error::Arity { node: node.into(), what, expected, got });
    }
    for (d, v) in slots.iter().zip(at) {
        if let Some(d) = d {
            check_direction(node, &d.value()?, &v.value()?)?;
        }
    }
    Ok(())
}

/// Directions must match the point they are attached to: number, shape, element type, device; and be finite.
pub(crate) fn check_directions(
    node: &str,
    what: &'static str,
    directions: &[Option<Tensor>],
    at: &[Tensor],
) -> Result<()> {
    if directions.len() != at.len() {
        return Err(Error::Arity {
            node: node.into(),
            what,
            expected: at.len(),
            got: directions.len(),
        });
    }
    for (port, (d, t)) in directions.iter().zip(at).enumerate() {
        if let Some(d) = d {
            check_direction(node, d, t)?;
            let phase = if what.starts_with("input") { Phase::Push } else { Phase::Pull };
            ensure_finite(d, node, phase, port)?;
        }
    }
    Ok(())
}

/// One direction against the value it belongs to.
pub(crate) fn check_direction(node: &str, d: &Tensor, t: &Tensor) -> Result<()> {
    if d.dims() != t.dims() {
        let what = "a direction must have the shape of its variable (direction, variable)";
        return Err(Error::shape(node, what, &[d.dims(), t.dims()]));
    }
    if d.dtype() != t.dtype() {
        let what = "a direction must have the element type of its variable (direction, variable)";
        return Err(Error::DType { node: node.into(), what, got: vec![d.dtype(), t.dtype()] });
    }
    if !d.device().same_device(t.device()) {
        let got = vec![d.device().location(), t.device().location()];
        return Err(Error::Device { node: node.into(), got });
    }
    Ok(())
}

/// One value, the usual case.
pub fn one(t: Tensor) -> Result<Values> {
    Ok(smallvec![t])
}

/// The tensor of what a loop made, and whether it is finite: for [`Primitive::eval_seen`].
///
/// # Errors
/// As [`from_vec`].
pub fn one_seen<T: Real>(seen: Seen<T>, dims: &[usize], device: &Device) -> Result<(Values, bool)> {
    Ok((smallvec![from_vec(seen.values, dims, device)?], seen.finite))
}

/// One slot, the usual case; a failed variable becomes its error.
pub fn slot(v: Var<'_>) -> Result<Slots<'_>> {
    Ok(smallvec![Some(v.ok()?)])
}
