//! The backward sweep of a scan as a function, and its derivatives as sweeps over the scan of states and tangents.
//!
//! Let y = f(x) be the scan, J its Jacobian at x, and A(x, v) = Jᵀ·v its backward sweep. The scan with tangents computes
//! F(x, ẋ) = (f(x), J·ẋ). Its pull with the cotangent (v̇, v) has the x-part
//!
//! > Jᵀ·v̇ + ∂/∂x ⟨v, J·ẋ⟩ = Jᵀ·v̇ + (d/dε) J(x + εẋ)ᵀ·v,
//!
//! since second derivatives are symmetric: that is A pushed along (ẋ, v̇), by one backward sweep. And because ⟨w, A(x, v)⟩ = ⟨J·w, v⟩, A pulled
//! with w is J·w for v, and ∂/∂x ⟨v, J·w⟩ for x: the tangents of F at (x, w), and its pull with the cotangent (0, v). So nothing of the
//! backward sweep has to be stored, and as F is a scan again, this goes on to every order.

use std::sync::Arc;

use pullback_core_graph::candle::Tensor;
use pullback_core_graph::{Direction, Function, LinearMap, Phase, Result, Wrt, function};

use super::Scan;
use super::sweep::{Swept, linearize};
use super::trajectory::Trajectory;
use crate::direction::{Spec, check, count, nothing};

/// (x…, v…) ↦ Jᵀ·v, for the arguments in `wrt`.
#[derive(Clone)]
pub(super) struct Reverse {
    scan: Scan,
    name: String,
    wrt: Vec<bool>,
}

impl Reverse {
    pub(super) fn new(scan: Scan, wrt: Vec<bool>) -> Self {
        Reverse { name: format!("{}.reverse", scan.name), scan, wrt }
    }

    fn split<'a>(&self, x: &'a [Tensor]) -> Result<(&'a [Tensor], &'a [Tensor])> {
        let expected = self.wrt.len().saturating_add(self.scan.width());
        count(&self.name, "inputs", expected, x.len())?;
        Ok(x.split_at(self.wrt.len()))
    }

    /// One direction for each argument in `wrt`, from one slot for each argument.
    fn wanted<T>(&self, slots: impl IntoIterator<Item = T>) -> Vec<T> {
        slots.into_iter().zip(&self.wrt).filter(|(_, w)| **w).map(|(d, _)| d).collect()
    }

    /// One slot for each argument, from one direction for each in `wrt`.
    fn spread(&self, d: &[Option<Tensor>]) -> Direction {
        let mut given = d.iter();
        self.wrt.iter().map(|&w| if w { given.next().cloned().flatten() } else { None }).collect()
    }
}

impl Function for Reverse {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        let (x, v) = self.split(x)?;
        let map = Swept::new(Trajectory::new(&self.scan, x)?, Wrt(&self.wrt))?;
        let v: Direction = v.iter().cloned().map(Some).collect();
        let dx = map.pulled(std::slice::from_ref(&v))?.swap_remove(0);
        let dense = dx.into_iter().zip(x).map(|(d, x)| d.map_or_else(|| Ok(x.zeros_like()?), Ok));
        self.wanted(dense).into_iter().collect()
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        let y = self.eval(x)?;
        let at: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
        let wrt = (0..x.len()).map(|i| wrt.needs(i)).collect();
        let (specs, outputs) = (Spec::all(&at), Spec::all(&y));
        Ok((y, Box::new(ReverseAt { reverse: self.clone(), at, specs, outputs, wrt })))
    }

    fn tangent(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (this, outer) = (self.clone(), wrt.0.to_vec());
        let (n_x, n_y) = (self.wrt.len(), self.scan.width());
        count(&self.name, "inputs", n_x.saturating_add(n_y), outer.len())?;
        let moving = self.scan.moving(&outer[..n_x]);
        let both = self.scan.with_tangents(&moving)?;
        let reverse: Arc<dyn Function> =
            Arc::new(Reverse::new(both, self.scan.interleave_marks(&moving, &self.wrt)));
        let name = format!("{}.tangent", self.name);
        Ok(function(name.clone(), move |g, a| {
            let given = n_x + n_y + Wrt(&this.wrt).count();
            count(&name, "inputs", given + Wrt(&outer).count(), a.len())?;
            let (x, v) = (&a[..n_x], &a[n_x..n_x + n_y]);
            let mut directions = a[given..].iter().copied();
            let mut slot = |i: usize| match outer[i] {
                true => directions.next(),
                false => None,
            };
            let dx: Vec<_> = (0..n_x)
                .map(|i| slot(i).or_else(|| moving[i].then(|| x[i].zeros_like())))
                .collect();
            let dv: Vec<_> =
                (0..n_y).map(|j| slot(n_x + j).unwrap_or_else(|| v[j].zeros_like())).collect();
            let arguments =
                [this.scan.interleave(x, &dx), this.scan.interleave_outputs(&dv, v)].concat();
            g.apply(&reverse, &arguments)
        }))
    }

    fn adjoint(&self, wrt: Wrt<'_>) -> Result<Arc<dyn Function>> {
        let (this, outer) = (self.clone(), wrt.0.to_vec());
        let (n_x, n, q) = (self.wrt.len(), self.scan.states, self.scan.outputs);
        count(&self.name, "inputs", n_x.saturating_add(self.scan.width()), outer.len())?;
        let moving = self.scan.moving(&self.wrt);
        let both = self.scan.with_tangents(&moving)?;
        let marks = self.scan.interleave_marks(&moving, &outer[..n_x]);
        let reverse: Arc<dyn Function> = Arc::new(Reverse::new(both.clone(), marks));
        let both: Arc<dyn Function> = Arc::new(both);
        let name = format!("{}.adjoint", self.name);
        Ok(function(name.clone(), move |g, a| {
            let given = n_x + n + q + Wrt(&this.wrt).count();
            count(&name, "inputs", given + Wrt(&this.wrt).count(), a.len())?;
            let (x, v) = (&a[..n_x], &a[n_x..n_x + n + q]);
            let mut w = a[given..].iter().copied();
            let slot = |i: usize| match this.wrt[i] {
                true => w.next(),
                false => moving[i].then(|| x[i].zeros_like()),
            };
            let w: Vec<_> = (0..n_x).map(slot).collect();
            let point = this.scan.interleave(x, &w);
            let mut out = Vec::new();
            if outer[..n_x].contains(&true) {
                let zeros: Vec<_> = v.iter().map(|v| v.zeros_like()).collect();
                let cotangents = this.scan.interleave_outputs(&zeros, v);
                out = g.apply(&reverse, &[point.clone(), cotangents].concat())?;
            }
            if outer[n_x..].contains(&true) {
                let y = g.apply(&both, &point)?;
                let dv = [&y[n..2 * n], &y[2 * n + q..]].concat();
                out.extend(dv.into_iter().zip(&outer[n_x..]).filter(|(_, w)| **w).map(|(d, _)| d));
            }
            Ok(out)
        }))
    }
}

impl Scan {
    /// Which arguments have tangents in the scan with tangents: every state, and what is marked.
    fn moving(&self, wrt: &[bool]) -> Vec<bool> {
        wrt.iter().enumerate().map(|(i, &w)| i < self.states || w).collect()
    }

    /// The marks of the scan's own arguments among those of the scan with tangents.
    fn interleave_marks(&self, moving: &[bool], wrt: &[bool]) -> Vec<bool> {
        let tangents: Vec<Option<bool>> = moving.iter().map(|&m| m.then_some(false)).collect();
        self.interleave(wrt, &tangents)
    }
}

/// The linear map of a backward sweep at (x, v).
struct ReverseAt {
    reverse: Reverse,
    at: Vec<Tensor>,
    specs: Vec<Spec>,
    outputs: Vec<Spec>,
    wrt: Vec<bool>,
}

impl ReverseAt {
    /// The scan with tangents at x along the directions that there are: its trajectory, and its arguments that move.
    fn tangents(&self, dx: &[Option<Tensor>]) -> Result<(Trajectory, Vec<bool>)> {
        let scan = &self.reverse.scan;
        let x = &self.at[..self.reverse.wrt.len()];
        let present: Vec<bool> = dx.iter().map(Option::is_some).collect();
        let moving = scan.moving(&present);
        let both = scan.with_tangents(&moving)?;
        let fill = |(i, d): (usize, &Option<Tensor>)| match d {
            Some(d) => Ok(Some(d.clone())),
            None => moving[i].then(|| Ok(x[i].zeros_like()?)).transpose(),
        };
        let dx: Result<Direction> = dx.iter().enumerate().map(fill).collect();
        Ok((Trajectory::new(&both, &scan.interleave(x, &dx?))?, moving))
    }
}

impl LinearMap for ReverseAt {
    fn push(&self, d: &[Option<Tensor>]) -> Result<Direction> {
        let (reverse, scan) = (&self.reverse, &self.reverse.scan);
        check(&reverse.name, Phase::Push, d, &self.specs)?;
        let masked: Direction =
            d.iter().zip(&self.wrt).map(|(d, &w)| d.clone().filter(|_| w)).collect();
        let (dx, dv) = masked.split_at(reverse.wrt.len());
        let x = &self.at[..reverse.wrt.len()];
        if nothing(dx) {
            let map = Swept::new(Trajectory::new(scan, x)?, Wrt(&reverse.wrt))?;
            return Ok(reverse.wanted(map.pulled(&[dv.to_vec()])?.swap_remove(0)));
        }
        let (trajectory, moving) = self.tangents(dx)?;
        let marks = scan.interleave_marks(&moving, &reverse.wrt);
        let v: Direction = self.at[x.len()..].iter().cloned().map(Some).collect();
        let map = Swept::new(trajectory, Wrt(&marks))?;
        let all = map.pulled(&[scan.interleave_outputs(dv, &v)])?.swap_remove(0);
        Ok(reverse.wanted(scan.own(&all, &moving)))
    }

    fn pull(&self, w: &[Option<Tensor>]) -> Result<Direction> {
        let (reverse, scan) = (&self.reverse, &self.reverse.scan);
        check(&reverse.name, Phase::Pull, w, &self.outputs)?;
        if nothing(w) {
            return Ok(vec![None; self.wrt.len()]);
        }
        let (n, q, n_x) = (scan.states, scan.outputs, reverse.wrt.len());
        let (trajectory, moving) = self.tangents(&reverse.spread(w))?;
        let marks = scan.interleave_marks(&moving, &self.wrt[..n_x]);
        let (mut out, mut dv) = (vec![None; n_x], vec![None; n + q]);
        let wants_v = self.wrt[n_x..].contains(&true);
        let keep = |values: Vec<Tensor>| {
            let tangents = values[n..2 * n].iter().chain(&values[2 * n + q..]);
            tangents.zip(&self.wrt[n_x..]).map(|(d, &w)| Some(d.clone()).filter(|_| w)).collect()
        };
        if self.wrt[..n_x].contains(&true) {
            let v: Direction = self.at[n_x..].iter().cloned().map(Some).collect();
            let cotangents = scan.interleave_outputs(&vec![None; n + q], &v);
            let pulled = match wants_v {
                true => {
                    let (values, map) = linearize(trajectory, Wrt(&marks))?;
                    dv = keep(values);
                    map.pull(&cotangents)?
                }
                false => Swept::new(trajectory, Wrt(&marks))?.pulled(&[cotangents])?.swap_remove(0),
            };
            out = scan.own(&pulled, &moving);
        } else if wants_v {
            dv = keep(trajectory.values()?);
        }
        out.extend(dv);
        Ok(out)
    }
}
