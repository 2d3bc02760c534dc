//! Derivative laws: what every [`Function`] must obey, as a check that names what breaks it.
//!
//! [`laws`] tests, at a point and along seeded random directions:
//! - *repeatable*: the same input gives the same bits, and `eval` and `linearize` agree;
//! - *taylor*: ‖f(x + hu) − f(x) − h·J·u‖ falls like h², the slope is measured;
//! - *finite differences*: J·u against Richardson-extrapolated central differences;
//! - *dot product*: ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩;
//! - *linearity* of push and pull, several directions at once included;
//! - *structural zeros*: `None` in is zero in, and inputs outside `wrt` are neither used nor returned.
//!
//! [`second_order`] tests that `tangent()` and `adjoint()` give what push and pull give, and obey the laws themselves.
//!
//! ```
//! use pullback_core_graph::{check, function, candle::{Device, Tensor}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let f = function("f", |_, x| Ok(vec![(x[0] * x[1]).sin().sum(())]));
//! let x = Tensor::new(&[0.3f64, -1.2], &Device::Cpu)?;
//! let report = check::laws(&f, &[x.clone(), x.clone()], &check::Tolerances::default())?;
//! assert!(1.9 < report.taylor_slope);
//! check::second_order(&f, &[x.clone(), x], &check::Tolerances::default())?;
//! # Ok(())
//! # }
//! ```

mod direction;
mod kinks;
mod second;

use std::sync::Arc;

use candle_core::{DType, Tensor};

use direction::{Noise, along, dot, norm, real_slots, scaled, sub};
pub use kinks::{KINKS, Kink};
pub use second::second_order;

use crate::tensor::{is_real, to_f64};
use crate::{Direction, Error, Function, LinearMap, Result, Wrt};

/// How exactly the laws must hold. The defaults are for f64; [`Tolerances::single`] is for f32.
#[derive(Debug, Clone, Copy)]
pub struct Tolerances {
    /// Relative error of ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩ and of linearity.
    pub dot: f64,
    /// Relative error of J·u against finite differences.
    pub difference: f64,
    /// The least accepted order of the Taylor remainder.
    pub slope: f64,
    /// The longest step of the Taylor test, relative to the point.
    pub step: f64,
    /// Seed of the directions.
    pub seed: u64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Tolerances { dot: 1e-10, difference: 1e-6, slope: 1.8, step: 1e-2, seed: 1 }
    }
}

impl Tolerances {
    /// For f32.
    pub fn single() -> Self {
        Tolerances { dot: 2e-4, difference: 2e-2, slope: 1.5, step: 1e-1, ..Tolerances::default() }
    }
}

/// How well the laws held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Worst relative error of the dot-product law.
    pub dot: f64,
    /// Worst relative error against finite differences.
    pub difference: f64,
    /// Measured order of the Taylor remainder; 2 where it vanishes to rounding (a linear function).
    pub taylor_slope: f64,
    /// How many laws were tested.
    pub laws: usize,
}

/// Tests all first-order laws at `x`. Integer inputs are held constant. Errors: [`Error::Law`], or what the function itself raises.
pub fn laws(f: &Arc<dyn Function>, x: &[Tensor], tolerances: &Tolerances) -> Result<Report> {
    let wrt: Vec<bool> = x.iter().map(is_real).collect();
    let (y, map) = f.linearize(x, Wrt(&wrt))?;
    repeatable(f, x, &y)?;
    let mut noise = Noise::new(tolerances.seed);
    let mut report = Report { laws: 6, ..Report::default() };
    let u = noise.directions(x)?;
    let v = noise.directions(&y)?;
    let ju = dense(map.push(&u)?, &y)?;
    let jtv = dense(map.pull(&v)?, x)?;
    report.taylor_slope = taylor(f, x, &y, &u, &ju, tolerances)?;
    report.difference = differences(f, x, &u, &ju, tolerances)?;
    report.dot = dot_product(f.name(), &u, &v, &ju, &jtv, tolerances)?;
    linearity(f.name(), &*map, x, &y, &mut noise, tolerances)?;
    structural_zeros(f, x, &y, &u, &v, &jtv, tolerances)?;
    Ok(report)
}

fn law(node: &str, law: &'static str, what: String) -> Error {
    Error::Law { node: node.into(), law, what }
}

/// Absent slots as zeros.
fn dense(d: Direction, at: &[Tensor]) -> Result<Direction> {
    if d.len() != at.len() {
        return Err(Error::Arity {
            node: "linear map".into(),
            what: "slots",
            expected: at.len(),
            got: d.len(),
        });
    }
    let fill = |(d, t): (Option<Tensor>, &Tensor)| match d {
        Some(d) => Ok(Some(d)),
        None => Ok(if is_real(t) { Some(t.zeros_like()?) } else { None }),
    };
    d.into_iter().zip(at).map(fill).collect()
}

fn repeatable(f: &Arc<dyn Function>, x: &[Tensor], y: &[Tensor]) -> Result<()> {
    for again in [f.eval(x)?, f.eval(x)?] {
        if again.len() != y.len() {
            let what = format!("linearize gave {} outputs, eval {}", y.len(), again.len());
            return Err(law(f.name(), "repeatable", what));
        }
        for (port, (a, b)) in again.iter().zip(y).enumerate() {
            let (a64, b64) = (to_f64(a)?, to_f64(b)?);
            let differs = |(p, q): (&f64, &f64)| p.to_bits() != q.to_bits();
            if a.dims() != b.dims() || a64.iter().zip(&b64).any(differs) {
                let what = format!("output {port} differs between two evaluations at one point");
                return Err(law(f.name(), "repeatable", what));
            }
        }
    }
    Ok(())
}

fn taylor(
    f: &Arc<dyn Function>,
    x: &[Tensor],
    y: &[Tensor],
    u: &Direction,
    ju: &Direction,
    t: &Tolerances,
) -> Result<f64> {
    let eps = if y.iter().any(|y| y.dtype() == DType::F32) { 6e-8 } else { 1.2e-16 };
    let noise = eps * 64.0 * (1.0 + norm(&y.iter().cloned().map(Some).collect::<Vec<_>>())?);
    let mut ladder = Vec::new();
    for k in 0..12 {
        let h = t.step * 0.5f64.powi(k);
        let Ok(moved) = f.eval(&along(x, u, h)?) else { continue };
        let moved: Direction = moved.into_iter().map(Some).collect();
        let base: Direction = y.iter().cloned().map(Some).collect();
        let remainder = sub(&sub(&moved, &base)?, &scaled(ju, h)?)?;
        ladder.push((h, norm(&remainder)?));
    }
    let above: Vec<&(f64, f64)> = ladder.iter().filter(|(_, r)| 10.0 * noise < *r).collect();
    let (Some((h0, r0)), Some((h1, r1))) = (above.first(), above.last()) else { return Ok(2.0) };
    if h0 == h1 {
        return Ok(2.0);
    }
    // The steepest stretch counts at the fine end, where higher terms have died out.
    let slope = (r0 / r1).ln() / (h0 / h1).ln();
    if slope < t.slope {
        let what = format!(
            "the remainder falls like h^{slope:.2} instead of h^2: {r0:e} at h = {h0:e}, {r1:e} at {h1:e}"
        );
        return Err(law(f.name(), "taylor", what));
    }
    Ok(slope)
}

fn differences(
    f: &Arc<dyn Function>,
    x: &[Tensor],
    u: &Direction,
    ju: &Direction,
    t: &Tolerances,
) -> Result<f64> {
    let single = x.iter().any(|x| x.dtype() == DType::F32);
    let h = if single { 2e-2 } else { 1e-3 };
    let central = |h: f64| -> Result<Direction> {
        let ahead: Direction = f.eval(&along(x, u, h)?)?.into_iter().map(Some).collect();
        let behind: Direction = f.eval(&along(x, u, -h)?)?.into_iter().map(Some).collect();
        scaled(&sub(&ahead, &behind)?, 0.5 / h)
    };
    // (4 D(h/2) − D(h)) / 3 has error O(h⁴).
    let (Ok(coarse), Ok(fine)) = (central(h), central(0.5 * h)) else {
        return Ok(0.0); // the step leaves the domain; the other laws still hold
    };
    let best = scaled(&sub(&scaled(&fine, 4.0)?, &coarse)?, 1.0 / 3.0)?;
    let (error, scale) = (norm(&sub(&best, ju)?)?, norm(ju)?.max(norm(&best)?).max(1e-3));
    if t.difference * scale < error {
        let mut worst = (0.0, String::new());
        for (port, (b, j)) in best.iter().zip(ju).enumerate() {
            let (Some(b), Some(j)) = (b, j) else { continue };
            for (index, (b, j)) in to_f64(b)?.iter().zip(to_f64(j)?).enumerate() {
                if worst.0 < (b - j).abs() {
                    worst = (
                        (b - j).abs(),
                        format!(
                            "output {port}, index {index}: pushed {j:e}, differences give {b:e}"
                        ),
                    );
                }
            }
        }
        return Err(law(f.name(), "finite differences", worst.1));
    }
    Ok(error / scale)
}

fn dot_product(
    name: &str,
    u: &Direction,
    v: &Direction,
    ju: &Direction,
    jtv: &Direction,
    t: &Tolerances,
) -> Result<f64> {
    let (left, right) = (dot(ju, v)?, dot(u, jtv)?);
    let scale = (norm(ju)? * norm(v)?).max(norm(u)? * norm(jtv)?).max(f64::MIN_POSITIVE);
    let error = (left - right).abs() / scale;
    if t.dot < error {
        let what = format!("⟨J·u, v⟩ = {left:e} but ⟨u, Jᵀ·v⟩ = {right:e}");
        return Err(law(name, "dot product", what));
    }
    Ok(error)
}

fn linearity(
    name: &str,
    map: &dyn LinearMap,
    x: &[Tensor],
    y: &[Tensor],
    noise: &mut Noise,
    t: &Tolerances,
) -> Result<()> {
    let (a, b) = (1.75, -0.5);
    let combine = |p: &Direction, q: &Direction| -> Result<Direction> {
        sub(&scaled(p, a)?, &scaled(q, -b)?)
    };
    for forward in [true, false] {
        let (from, to) = if forward { (x, y) } else { (y, x) };
        let (p, q) = (noise.directions(from)?, noise.directions(from)?);
        let apply = |d: &[Direction]| if forward { map.push_many(d) } else { map.pull_many(d) };
        let all = apply(&[like(combine(&p, &q)?, from)?, p, q])?;
        let all: Result<Vec<Direction>> = all.into_iter().map(|d| dense(d, to)).collect();
        let all = all?;
        if all.len() != 3 {
            let what =
                if forward { "directions pushed at once" } else { "directions pulled at once" };
            return Err(Error::Arity { node: name.to_string(), what, expected: 3, got: all.len() });
        }
        let error = norm(&sub(&all[0], &combine(&all[1], &all[2])?)?)?;
        if t.dot * norm(&all[0])?.max(norm(&all[1])?).max(f64::MIN_POSITIVE) < error {
            let side = if forward { "push" } else { "pull" };
            return Err(law(
                name,
                "linearity",
                format!("{side}(au + bw) differs from a·{side}(u) + b·{side}(w) by {error:e}"),
            ));
        }
    }
    Ok(())
}

/// Directions in the element types of the point.
fn like(d: Direction, at: &[Tensor]) -> Result<Direction> {
    let cast =
        |(d, t): (Option<Tensor>, &Tensor)| d.map(|d| Ok(d.to_dtype(t.dtype())?)).transpose();
    d.into_iter().zip(at).map(cast).collect()
}

fn structural_zeros(
    f: &Arc<dyn Function>,
    x: &[Tensor],
    y: &[Tensor],
    u: &Direction,
    v: &Direction,
    jtv: &Direction,
    t: &Tolerances,
) -> Result<()> {
    for i in real_slots(x) {
        let only: Vec<bool> = (0..x.len()).map(|j| j == i).collect();
        let (_, map) = f.linearize(x, Wrt(&only))?;
        let pulled = map.pull(v)?;
        if let Some(j) =
            (0..x.len()).find(|&j| j != i && pulled.get(j).is_some_and(Option::is_some))
        {
            return Err(law(
                f.name(),
                "structural zeros",
                format!("a derivative for input {j}, which is outside wrt"),
            ));
        }
        let one = dense(pulled, x)?;
        let error = norm(&sub(&one[i..=i].to_vec(), &jtv[i..=i].to_vec())?)?;
        if t.dot * norm(jtv)?.max(f64::MIN_POSITIVE) < error {
            let what = format!(
                "input {i}: pulled alone it differs from pulled with the others by {error:e}"
            );
            return Err(law(f.name(), "structural zeros", what));
        }
        let alone: Direction =
            u.iter().enumerate().map(|(j, d)| d.clone().filter(|_| j == i)).collect();
        let filled = dense(alone.clone(), x)?;
        let all: Vec<bool> = x.iter().map(is_real).collect();
        let (_, map) = f.linearize(x, Wrt(&all))?;
        let (a, b) = (dense(map.push(&alone)?, y)?, dense(map.push(&filled)?, y)?);
        let error = norm(&sub(&a, &b)?)?;
        if t.dot * norm(&b)?.max(f64::MIN_POSITIVE) < error {
            let what =
                format!("input {i}: None for the others and zeros for them differ by {error:e}");
            return Err(law(f.name(), "structural zeros", what));
        }
        let nothing = map.push(&vec![None; x.len()])?;
        if norm(&dense(nothing, y)?)? != 0.0 {
            return Err(law(
                f.name(),
                "structural zeros",
                "no direction gives a nonzero derivative".into(),
            ));
        }
    }
    Ok(())
}
