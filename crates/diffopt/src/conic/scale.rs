//! Units: a program whose numbers are far from 1 is solved and differentiated in others.
//!
//! With x = D·x̂, s = E⁻¹·ŝ and z = E·ẑ/c the program of P̂ = c·DPD, q̂ = c·Dq, Â = EAD, b̂ = Eb has the solutions (x̂, ŝ, ẑ): D and E are
//! diagonal and positive, and E has one number for all rows of a cone that is not a product of half-lines. What is weakly active, how exact a
//! linear system is, and when Newton's method is done are then the same questions at every scale of the data. All factors are powers of two:
//! they round nothing.
//!
//! Source: Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices, 2001; Stellato, Banjac, Goulart, Bemporad, Boyd,
//! OSQP: an operator splitting solver for quadratic programs, 2020, section 5.1.

use super::cone::Cone;
use super::problem::{Conic, ConicData};
use crate::qp::root_scale;

/// Numbers within this factor of 1 are near enough.
const FAR: f64 = 32.0;
/// The most passes over the matrix; each takes the square root of how far it is off.
const PASSES: usize = 12;

/// The units of one item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    d: Vec<f64>,
    e: Vec<f64>,
    cost: f64,
}

/// Is a size, if there is one, far from 1?
fn far(x: f64) -> bool {
    x > 0.0 && !(1.0 / FAR..=FAR).contains(&x)
}

/// The power of two next to 1/x.
fn inverse_power(x: f64) -> f64 {
    (-x.log2().round()).clamp(-1000.0, 1000.0).exp2()
}

/// What brings numbers near 1: one over the largest if that is far below 1, one over the geometric mean (of those that are not 0) if that is far
/// above: a few tiny or huge ones among them change little.
fn common(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count, mut most) = (0.0, 0.0, 0.0f64);
    for x in numbers.map(f64::abs).filter(|x| *x > 0.0) {
        (sum, count, most) = (sum + x.log2(), count + 1.0, most.max(x));
    }
    let mean: f64 = if count > 0.0 { (sum / count).exp2() } else { 1.0 };
    match () {
        () if most > 0.0 && most < 1.0 / FAR => inverse_power(most),
        () if FAR < mean => inverse_power(mean),
        () => 1.0,
    }
}

impl Scale {
    /// The units for an item's numbers; `None` where they are well as they are, or beyond what powers of two can mend.
    pub(super) fn of(problem: &Conic, data: &ConicData<'_>) -> Option<Self> {
        let (n, m) = problem.sizes();
        if data.first_not_finite().is_some() {
            return None;
        }
        let mut out = Scale { d: vec![1.0; n], e: vec![1.0; m], cost: 1.0 };
        for pass in 0..PASSES {
            let (mut columns, mut rows) = (vec![0.0f64; n], vec![0.0f64; m]);
            for ((i, j), a) in problem.a.entries().zip(data.a) {
                let a = (out.e[i] * a * out.d[j]).abs();
                columns[j] = columns[j].max(a);
                rows[i] = rows[i].max(a);
            }
            for (cone, rows_of) in problem.blocks() {
                if !matches!(cone, Cone::Zero(_) | Cone::NonNegative(_)) {
                    let rows = &mut rows[rows_of];
                    let most = rows.iter().fold(0.0f64, |m, x| m.max(*x));
                    rows.fill(most);
                }
            }
            if pass == 0 && !columns.iter().chain(&rows).any(|x| far(*x)) {
                break;
            }
            let mut changed = false;
            for (scale, size) in out.d.iter_mut().zip(&columns).chain(out.e.iter_mut().zip(&rows)) {
                let factor = root_scale(*size);
                changed |= factor != 1.0;
                *scale *= factor;
            }
            if !changed {
                break;
            }
        }
        // How large unknowns are: b says it, or where there is none P and q do.
        let over_beta = if data.b.iter().any(|b| *b != 0.0) {
            common(data.b.iter().zip(&out.e).map(|(b, e)| b * e))
        } else {
            let largest = |m: f64, x: f64| m.max(x.abs());
            let curvature = problem.p.entries().zip(data.p);
            let curvature = curvature.map(|((i, j), p)| out.d[i] * p * out.d[j]).fold(0.0, largest);
            let linear = data.q.iter().zip(&out.d).map(|(q, d)| q * d).fold(0.0, largest);
            let size = linear / curvature;
            if size.is_finite() && far(size) { inverse_power(size) } else { 1.0 }
        };
        out.d.iter_mut().for_each(|d| *d /= over_beta);
        out.e.iter_mut().for_each(|e| *e *= over_beta);
        let curvature = problem.p.entries().zip(data.p).map(|((i, j), p)| out.d[i] * p * out.d[j]);
        let linear = data.q.iter().zip(&out.d).map(|(q, d)| q * d);
        // Multipliers are as large as the costs that they hold in balance.
        out.cost = match data.q.iter().any(|q| *q != 0.0) {
            true => common(linear),
            false => common(curvature),
        };
        if out.cost == 1.0 && out.d.iter().chain(&out.e).all(|x| *x == 1.0) {
            return None;
        }
        // Nothing may be lost on the way.
        let lost = |(to, from): (&f64, &f64)| !to.is_finite() || (*to == 0.0) != (*from == 0.0);
        let scaled = out.data(problem, data);
        let given = [data.p, data.q, data.a, data.b];
        let whole = !scaled.iter().zip(given).any(|(to, from)| to.iter().zip(from).any(lost));
        whole.then_some(out)
    }

    /// These units (`None`: the user's) with multipliers of about the size of the slacks, for a solution in them; `None` where they are already, or
    /// one of them is 0.
    pub(super) fn balanced(
        of: Option<&Self>,
        problem: &Conic,
        [z, s]: [&[f64]; 2],
    ) -> Option<Self> {
        let (mut multiplier, mut slack) = (0.0f64, 0.0f64);
        for (cone, rows) in problem.blocks() {
            if !matches!(cone, Cone::Zero(_)) {
                multiplier = z[rows.clone()].iter().fold(multiplier, |m, x| m.max(x.abs()));
                slack = s[rows].iter().fold(slack, |m, x| m.max(x.abs()));
            }
        }
        let ratio = multiplier / slack;
        if !ratio.is_finite() || !far(ratio) {
            return None;
        }
        let (n, m) = problem.sizes();
        let plain = || Scale { d: vec![1.0; n], e: vec![1.0; m], cost: 1.0 };
        let of = of.cloned().unwrap_or_else(plain);
        Some(Scale { cost: of.cost * inverse_power(ratio), ..of })
    }

    /// Numbers of the four arguments, or directions or gradients of them (some may be empty), from one unit to the other: data and
    /// directions into these units, gradients out of them.
    pub(super) fn data(&self, problem: &Conic, of: &ConicData<'_>) -> [Vec<f64>; 4] {
        let Scale { d, e, cost } = self;
        let p = problem.p.entries().zip(of.p).map(|((i, j), p)| cost * (d[i] * p * d[j]));
        let q = of.q.iter().zip(d).map(|(q, d)| cost * (q * d));
        let a = problem.a.entries().zip(of.a).map(|((i, j), a)| e[i] * a * d[j]);
        let b = of.b.iter().zip(e).map(|(b, e)| b * e);
        [p.collect(), q.collect(), a.collect(), b.collect()]
    }

    /// D·x: unknowns and their directions out of these units, cotangents into them.
    pub(super) fn x(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.d).map(|(x, d)| x * d).collect()
    }

    /// E·z/c: multipliers and their directions out of these units, cotangents into them.
    pub(super) fn z(&self, z: &[f64]) -> Vec<f64> {
        z.iter().zip(&self.e).map(|(z, e)| z * e / self.cost).collect()
    }

    /// E⁻¹·s: slacks out of these units.
    pub(super) fn s(&self, s: &[f64]) -> Vec<f64> {
        s.iter().zip(&self.e).map(|(s, e)| s / e).collect()
    }

    /// x, z and s into these units.
    pub(super) fn inverse(&self, [x, z, s]: [&[f64]; 3]) -> [Vec<f64>; 3] {
        let Scale { d, e, cost } = self;
        let x = x.iter().zip(d).map(|(x, d)| x / d).collect();
        let z = z.iter().zip(e).map(|(z, e)| z * cost / e).collect();
        [x, z, s.iter().zip(e).map(|(s, e)| s * e).collect()]
    }

    /// sᵀz, or μ of the central path, into these units.
    pub(super) fn complementarity(&self, mu: f64) -> f64 {
        self.cost * mu
    }

    /// The factors of ∂x/∂(q, b) between the units: rows (of x), and columns (of q and of b).
    pub(super) fn response(&self) -> (&[f64], Vec<f64>) {
        let q = self.d.iter().map(|d| d * self.cost);
        (&self.d, q.chain(self.e.iter().copied()).collect())
    }
}
