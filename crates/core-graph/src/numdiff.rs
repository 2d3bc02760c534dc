//! Derivatives from values only: the twin that others are tested against.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::primitive::check_directions;
use crate::tensor::{ensure_finite, from_vec, is_real, to_f64};
use crate::{Direction, Error, Function, LinearMap, Phase, Result, Wrt};

/// A function with the values of `f` and derivatives by finite differences of them.
///
/// With D(h) = (f(x + h·u) − f(x − h·u)) / 2h, Richardson's extrapolation of h and h/2 removes the term in h²:
///
/// (4·D(h/2) − D(h)) / 3 = f′ − h⁴ f⁽⁵⁾ / 480 + O(h⁶).
///
/// - **push**, dy = J·dx: one such difference along u = dx / max |dx|, scaled back; h = step. Four evaluations.
/// - **pull**, dx = Jᵀ·dy: one such difference per input element j, h = step · max(1, |xⱼ|). Four evaluations per element of the
///   inputs in `wrt`; an implementation to test with, not to work with.
///
/// **Accuracy**: h⁴ |f⁽⁵⁾| / 480 of truncation and at most 3 ε |f| / h + 3 ε |x| |f′| / h of rounding, ε = 2⁻⁵³ (f64) or 2⁻²⁴ (f32).
/// For f of unit scale a step of 3·10⁻³ in f64 gives about 10⁻¹² (and 0.03 in f32 about 10⁻⁵). Where f has a kink or a pole
/// within h of x the result means nothing, and an `f` that is not defined there gives its error.
///
/// No higher order.
///
/// ```
/// use pullback_core_graph::{Function, NumDiff, Wrt, function, candle::{Device, Tensor}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let twin = NumDiff::new(function("f", |_, x| Ok(vec![x[0].sin()])), 3e-3);
/// let x = Tensor::new(&[0.3f64, 2.0], &Device::Cpu)?;
/// let (_, map) = twin.linearize(&[x.clone()], Wrt(&[true]))?;
/// let slope = map.pull(&[Some(x.ones_like()?)])?[0].as_ref().unwrap().to_vec1::<f64>()?;
/// assert!((slope[0] - 0.3f64.cos()).abs() < 1e-11);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NumDiff {
    f: Arc<dyn Function>,
    step: f64,
    name: String,
}

impl NumDiff {
    /// The twin of `f`, with differences over ± `step` and ± `step`/2. A step that is not positive and finite is an error at the first
    /// linearization.
    pub fn new(f: Arc<dyn Function>, step: f64) -> Self {
        let name = format!("{}.numdiff", f.name());
        NumDiff { f, step, name }
    }
}

impl Function for NumDiff {
    fn name(&self) -> &str {
        &self.name
    }

    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        self.f.eval(x)
    }

    fn linearize(&self, x: &[Tensor], wrt: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        if !(self.step > 0.0 && self.step.is_finite()) {
            let what =
                format!("the step of a finite difference must be positive, got {}", self.step);
            return Err(Error::invalid(&self.name, what));
        }
        if let Some((_, t)) = x.iter().enumerate().find(|(i, t)| wrt.needs(*i) && !is_real(t)) {
            let (node, what) = (self.name.clone(), "derivatives need f32 or f64");
            return Err(Error::DType { node, what, got: vec![t.dtype()] });
        }
        // A copy, so that the point stays where it is while variables move.
        let x: candle_core::Result<Vec<Tensor>> = x.iter().map(|t| t.detach().copy()).collect();
        let x = x.map_err(|e| Error::tensor(&self.name, e))?;
        let y = self.f.eval(&x)?;
        let map = At { twin: self.clone(), x, y: y.clone(), wrt: wrt.0.to_vec() };
        Ok((y, Box::new(map)))
    }
}

/// The point at which differences are taken.
struct At {
    twin: NumDiff,
    x: Vec<Tensor>,
    y: Vec<Tensor>,
    wrt: Vec<bool>,
}

/// A direction: for each input its elements, if it moves.
type Elements = Vec<Option<Vec<f64>>>;

impl At {
    /// f(x + h·u), each output as f64; nothing for integer outputs.
    fn moved(&self, u: &Elements, h: f64) -> Result<Elements> {
        let moved = |(x, u): (&Tensor, &Option<Vec<f64>>)| match u {
            None => Ok(x.clone()),
            Some(u) => {
                let sum = to_f64(x)?.iter().zip(u).map(|(x, u)| x + h * u).collect();
                let t = from_vec::<f64>(sum, x.dims(), &Device::Cpu)?.to_dtype(x.dtype())?;
                Ok(t.to_device(x.device())?)
            }
        };
        let x: Result<Vec<Tensor>> = self.x.iter().zip(u).map(moved).collect();
        let y = self.twin.f.eval(&x?)?;
        if y.len() != self.y.len() {
            let (node, what) = (self.twin.name.clone(), "outputs, as at the point itself");
            return Err(Error::Arity { node, what, expected: self.y.len(), got: y.len() });
        }
        let elements = |(y, at): (&Tensor, &Tensor)| {
            if y.dims() != at.dims() {
                let what = "an output changes its shape near the point";
                return Err(Error::shape(&self.twin.name, what, &[y.dims(), at.dims()]));
            }
            if is_real(y) { to_f64(y).map(Some) } else { Ok(None) }
        };
        y.iter().zip(&self.y).map(elements).collect()
    }

    /// D(h).
    fn central(&self, u: &Elements, h: f64) -> Result<Elements> {
        let (ahead, behind) = (self.moved(u, h)?, self.moved(u, -h)?);
        let slope = |(a, b): (f64, f64)| (a - b) / (2.0 * h);
        let slopes = |(a, b): (Option<Vec<f64>>, Option<Vec<f64>>)| {
            Some(a?.into_iter().zip(b?).map(slope).collect())
        };
        Ok(ahead.into_iter().zip(behind).map(slopes).collect())
    }

    /// (4·D(h/2) − D(h)) / 3.
    fn extrapolated(&self, u: &Elements, h: f64) -> Result<Elements> {
        let (fine, coarse) = (self.central(u, 0.5 * h)?, self.central(u, h)?);
        let best = |(f, c): (f64, f64)| (4.0 * f - c) / 3.0;
        let all = |(f, c): (Option<Vec<f64>>, Option<Vec<f64>>)| {
            Some(f?.into_iter().zip(c?).map(best).collect())
        };
        Ok(fine.into_iter().zip(coarse).map(all).collect())
    }

    /// Elements as a derivative of the tensor `like`.
    fn derivative(&self, v: Vec<f64>, like: &Tensor, phase: Phase, port: usize) -> Result<Tensor> {
        let t = from_vec(v, like.dims(), &Device::Cpu)?.to_dtype(like.dtype())?;
        let t = t.to_device(like.device())?;
        ensure_finite(&t, &self.twin.name, phase, port)?;
        Ok(t)
    }
}

impl LinearMap for At {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        check_directions(&self.twin.name, "input directions", dx, &self.x)?;
        let elements = |(i, d): (usize, &Option<Tensor>)| {
            d.as_ref().filter(|_| Wrt(&self.wrt).needs(i)).map(to_f64).transpose()
        };
        let mut u = dx.iter().enumerate().map(elements).collect::<Result<Elements>>()?;
        if u.iter().all(Option::is_none) {
            return Ok(vec![None; self.y.len()]);
        }
        let scale = u.iter().flatten().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
        if scale > 0.0 {
            u.iter_mut().flatten().flatten().for_each(|v| *v /= scale);
        }
        let slopes = self.extrapolated(&u, self.twin.step)?;
        let finish = |(port, (slope, y)): (usize, (Option<Vec<f64>>, &Tensor))| {
            let scaled = slope.map(|s| s.into_iter().map(|v| v * scale).collect());
            scaled.map(|s| self.derivative(s, y, Phase::Push, port)).transpose()
        };
        slopes.into_iter().zip(&self.y).enumerate().map(finish).collect()
    }

    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        check_directions(&self.twin.name, "output cotangents", dy, &self.y)?;
        let dy: Result<Elements> = dy.iter().map(|d| d.as_ref().map(to_f64).transpose()).collect();
        let dy = dy?;
        let mut out = vec![None; self.x.len()];
        if dy.iter().all(Option::is_none) {
            return Ok(out);
        }
        for (i, x) in self.x.iter().enumerate().filter(|(i, _)| Wrt(&self.wrt).needs(*i)) {
            let at = to_f64(x)?;
            let mut dx = vec![0.0; at.len()];
            for j in 0..at.len() {
                let mut u: Elements = vec![None; self.x.len()];
                let mut unit = vec![0.0; at.len()];
                unit[j] = 1.0;
                u[i] = Some(unit);
                let column = self.extrapolated(&u, self.twin.step * at[j].abs().max(1.0))?;
                let dot = |(d, c): (&Option<Vec<f64>>, &Option<Vec<f64>>)| match (d, c) {
                    (Some(d), Some(c)) => d.iter().zip(c).map(|(d, c)| d * c).sum(),
                    _ => 0.0,
                };
                dx[j] = dy.iter().zip(&column).map(dot).sum();
            }
            out[i] = Some(self.derivative(dx, x, Phase::Pull, i)?);
        }
        Ok(out)
    }
}
