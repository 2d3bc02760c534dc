//! Points of the central path, and the derivative there.
//!
//! With the logarithmic barrier F of K, z = −μ∇F(s); in v = z − s this is s = argmin ½‖s + v‖² + μF(s), a smooth map in the place of
//! the projection, whose derivative is symmetric with eigenvalues in (0, 1). Newton's method on the same equations as at the solution.
//!
//! Inequalities: zs = μ. Second-order and semidefinite cones: z∘s = μe in their Jordan algebra, so that z has the spectral values
//! ½(λ + √(λ² + 4μ)) of v's λ (Fukushima, Luo, Tseng, Smoothing functions for second-order-cone complementarity problems, 2001). Exponential and
//! power cones: Newton's method in three dimensions with the barriers of Chares, Cones and interior-point algorithms for structured convex
//! optimization, 2009, and of Nesterov, Towards non-symmetric conic optimization, 2012.

use std::sync::Arc;

use super::cone::{Cone, Jacobian, assemble, eigen, norm, symmetric_axis};
use super::problem::ConicData;
use super::solution::ConicSolution;
use super::system::System;
use crate::qp::symmetric;

/// A point of the central path with the factored derivative there.
pub(super) struct Central {
    pub(super) x: Vec<f64>,
    pub(super) z: Vec<f64>,
    pub(super) system: Arc<System>,
}

/// ½(λ + √(λ² + 4μ)), without cancellation.
fn positive(l: f64, mu: f64) -> f64 {
    let root = l.hypot(2.0 * mu.sqrt());
    if l > 0.0 { 0.5 * (l + root) } else { 2.0 * mu / (root - l) }
}

/// The difference quotient of [`positive`], and its slope where both are equal.
fn quotient(a: f64, b: f64, mu: f64) -> f64 {
    let root = |l: f64| l.hypot(2.0 * mu.sqrt());
    // ½(1 + (a + b)/(√ + √)) = (positive(a) + positive(b))/(√ + √).
    (positive(a, mu) + positive(b, mu)) / (root(a) + root(b))
}

impl Cone {
    /// z of the smoothed projection at v, and its derivative; `None` if Newton's method fails.
    fn smoothed(&self, v: &[f64], mu: f64) -> Option<(Vec<f64>, Jacobian)> {
        match *self {
            Cone::Zero(k) => Some((v.to_vec(), Jacobian::Rows(vec![1.0; k]))),
            Cone::NonNegative(_) => {
                let z = v.iter().map(|l| positive(*l, mu)).collect();
                Some((z, Jacobian::Rows(v.iter().map(|l| quotient(*l, *l, mu)).collect())))
            }
            Cone::SecondOrder(k) => {
                let size = norm(&v[1..]);
                let unit: Vec<f64> = match size > 0.0 {
                    true => v[1..].iter().map(|x| x / size).collect(),
                    false => (1..k).map(|i| f64::from(u8::from(i == 1))).collect(),
                };
                let (low, high) = (v[0] - size, v[0] + size);
                let (f, g) = (positive(low, mu), positive(high, mu));
                let mut z = vec![0.5 * (f + g)];
                z.extend(unit.iter().map(|u| 0.5 * (g - f) * u));
                let half = std::f64::consts::FRAC_1_SQRT_2;
                let (mut vectors, mut values) = (Vec::new(), Vec::new());
                for (sign, l) in [(-1.0, low), (1.0, high)] {
                    vectors.push(half);
                    vectors.extend(unit.iter().map(|u| sign * half * u));
                    values.push(quotient(l, l, mu));
                }
                let rest = quotient(low, high, mu);
                let jacobian = match k {
                    2 => Jacobian::Block { vectors, values },
                    _ => Jacobian::Cap { vectors, values, unit, rest },
                };
                Some((z, jacobian))
            }
            Cone::Semidefinite(k) => {
                let (w, q) = eigen(k, v)?;
                let z = assemble(k, &w, &q, |l| positive(l, mu));
                let (mut vectors, mut values) = (Vec::new(), Vec::new());
                for b in 0..k {
                    for a in 0..=b {
                        values.push(quotient(w[a], w[b], mu));
                        vectors.extend(symmetric_axis(k, &q, a, b));
                    }
                }
                Some((z, Jacobian::Block { vectors, values }))
            }
            Cone::Exponential | Cone::Power(_) => self.smoothed_three([v[0], v[1], v[2]], mu),
        }
    }

    /// ∇F and ∇²F of the barriers; `None` outside the cone.
    fn barrier(&self, s: [f64; 3]) -> Option<([f64; 3], [f64; 9])> {
        let [x, y, z] = s;
        match *self {
            // F = −log(y·log(z/y) − x) − log y − log z.
            Cone::Exponential => {
                if !(y > 0.0 && z > 0.0) {
                    return None;
                }
                let l = (z / y).ln();
                let w = y * l - x;
                if w.is_nan() || w <= 0.0 {
                    return None;
                }
                let d = [-1.0, l - 1.0, y / z];
                let second = [0.0, 0.0, 0.0, 0.0, -1.0 / y, 1.0 / z, 0.0, 1.0 / z, -y / (z * z)];
                Some(log_barrier(w, d, second, [0.0, 1.0 / y, 1.0 / z]))
            }
            // F = −log(x²ᵃy²⁽¹⁻ᵃ⁾ − z²) − (1 − a)·log x − a·log y.
            Cone::Power(a) => {
                if !(x > 0.0 && y > 0.0) {
                    return None;
                }
                let (b, power) = (1.0 - a, (2.0 * a * x.ln() + 2.0 * (1.0 - a) * y.ln()).exp());
                let w = power - z * z;
                if w.is_nan() || w <= 0.0 {
                    return None;
                }
                let d = [2.0 * a * power / x, 2.0 * b * power / y, -2.0 * z];
                let xx = 2.0 * a * (2.0 * a - 1.0) * power / (x * x);
                let xy = 4.0 * a * b * power / (x * y);
                let yy = 2.0 * b * (2.0 * b - 1.0) * power / (y * y);
                let second = [xx, xy, 0.0, xy, yy, 0.0, 0.0, 0.0, -2.0];
                let (mut g, mut h) = log_barrier(w, d, second, [0.0; 3]);
                g[0] -= b / x;
                g[1] -= a / y;
                h[0] += b / (x * x);
                h[4] += a / (y * y);
                Some((g, h))
            }
            _ => None,
        }
    }

    /// s = argmin ½‖s + v‖² + μF(s) by Newton's method, from the projection moved inwards by about √μ.
    fn smoothed_three(&self, v: [f64; 3], mu: f64) -> Option<(Vec<f64>, Jacobian)> {
        let inwards = match self {
            Cone::Exponential => [-1.0, 1.0, 1.5],
            _ => [1.0, 1.0, 0.0],
        };
        let z = self.project_dual(&v);
        let mut s = [0, 1, 2].map(|i| z[i] - v[i] + mu.sqrt() * inwards[i]);
        let size = 1.0 + norm(&v);
        let mut found = false;
        for _ in 0..200 {
            let (g, h) = self.barrier(s)?;
            let mut matrix: Vec<f64> = h.iter().map(|h| mu * h).collect();
            (0..3).for_each(|i| matrix[4 * i] += 1.0);
            let rest = [0, 1, 2].map(|i| -(s[i] + v[i] + mu * g[i]));
            let (w, q) = symmetric(3, &matrix)?;
            let mut step = [0.0; 3];
            let mut decrement = 0.0;
            for e in 0..3 {
                let along: f64 = (0..3).map(|i| q[3 * i + e] * rest[i]).sum();
                let length = along / w[e].max(1.0);
                decrement += along * length;
                (0..3).for_each(|i| step[i] += length * q[3 * i + e]);
            }
            // In units in which F is self-concordant: at least 1/(1 + λ) of the step stays inside.
            let lambda = (decrement / mu).max(0.0).sqrt();
            let mut t = if lambda < 0.25 { 1.0 } else { 1.0 / (1.0 + lambda) };
            if !lambda.is_finite() {
                return None;
            }
            let mut next = [0, 1, 2].map(|i| s[i] + t * step[i]);
            while self.barrier(next).is_none() {
                t *= 0.5;
                if t < 1e-12 {
                    return None;
                }
                next = [0, 1, 2].map(|i| s[i] + t * step[i]);
            }
            s = next;
            found = norm(&step) <= 1e-14 * size || lambda < 1e-9;
            if found {
                break;
            }
        }
        if !found {
            return None;
        }
        let (g, h) = self.barrier(s)?;
        let (w, q) = symmetric(3, &h)?;
        // D = I − (I + μH)⁻¹.
        let (mut vectors, mut values) = (Vec::new(), Vec::new());
        for e in 0..3 {
            let along = mu * w[e].max(0.0);
            vectors.extend((0..3).map(|i| q[3 * i + e]));
            values.push(if along.is_finite() { along / (1.0 + along) } else { 1.0 });
        }
        Some((g.iter().map(|g| -mu * g).collect(), Jacobian::Block { vectors, values }))
    }
}

/// Gradient and Hessian of −log w − Σ log of what `over` has the reciprocals of.
fn log_barrier(w: f64, d: [f64; 3], second: [f64; 9], over: [f64; 3]) -> ([f64; 3], [f64; 9]) {
    let mut h = [0.0; 9];
    for i in 0..3 {
        for j in 0..3 {
            h[3 * i + j] = d[i] / w * (d[j] / w) - second[3 * i + j] / w;
        }
        h[4 * i] += over[i] * over[i];
    }
    ([0, 1, 2].map(|i| -d[i] / w - over[i]), h)
}

impl ConicSolution {
    /// The point at μ, by damped Newton steps from the solution; `None` if it is not reached.
    pub(super) fn central(&self, item: usize, mu: f64, d: &ConicData<'_>) -> Option<Central> {
        let problem = self.problem();
        let (n, m) = problem.sizes();
        let mu = self.scale(item).map_or(mu, |scale| scale.complementarity(mu));
        let smooth = |v: &[f64]| -> Option<(Vec<f64>, Vec<Jacobian>)> {
            let (mut z, mut jacobians) = (Vec::with_capacity(m), Vec::new());
            for (cone, rows) in problem.blocks() {
                let (part, jacobian) = cone.smoothed(&v[rows], mu)?;
                z.extend(part);
                jacobians.push(jacobian);
            }
            Some((z, jacobians))
        };
        // The equations' defects, and what they are differences of.
        let defects = |x: &[f64], v: &[f64], z: &[f64]| {
            let (mut r1, mut r2) = (vec![0.0; n], vec![0.0; m]);
            problem.p.add_symmetric(d.p, x, &mut r1);
            problem.a.add_transposed(d.a, z, &mut r1);
            problem.a.add_product(d.a, x, &mut r2);
            (0..n).for_each(|j| r1[j] = -(r1[j] + d.q[j]));
            (0..m).for_each(|i| r2[i] = -(r2[i] + z[i] - v[i] - d.b[i]));
            (r1, r2)
        };
        let size = |r: &(Vec<f64>, Vec<f64>)| norm(&r.0).hypot(norm(&r.1));
        let (mut x, mut v) = (self.inner(item).x.clone(), self.normal(item).to_vec());
        let scale = 1.0 + norm(d.q) + norm(d.b);
        let (mut z, mut jacobians) = smooth(&v)?;
        let mut rest = defects(&x, &v, &z);
        for _ in 0..200 {
            let system = System::new(problem, d.p, d.a, &jacobians)?;
            if size(&rest) <= 1e-12 * scale {
                return Some(Central { x, z, system: Arc::new(system) });
            }
            let (dx, dz, error) = system.solve(&rest.0, &rest.1);
            if error.is_nan() {
                return None;
            }
            let mut dv: Vec<f64> = dz.iter().zip(&rest.1).map(|(z, r)| z - r).collect();
            problem.a.add_product(d.a, &dx, &mut dv);
            let mut t = 1.0;
            loop {
                let moved = |v: &[f64], d: &[f64]| -> Vec<f64> {
                    v.iter().zip(d).map(|(v, d)| v + t * d).collect()
                };
                let (next_x, next_v) = (moved(&x, &dx), moved(&v, &dv));
                if let Some((next_z, next_jacobians)) = smooth(&next_v) {
                    let next = defects(&next_x, &next_v, &next_z);
                    if size(&next) < (1.0 - 1e-4 * t) * size(&rest) {
                        (x, v, z, jacobians, rest) = (next_x, next_v, next_z, next_jacobians, next);
                        break;
                    }
                }
                t *= 0.5;
                if t < 1e-10 {
                    // Rounding allows no more.
                    let done = size(&rest) <= 1e-9 * scale;
                    return done.then(|| Central { x, z, system: Arc::new(system) });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothed_projections_are_on_the_central_path_and_have_their_derivative() {
        // ⟨s, z⟩ = μ times the barrier's degree.
        let cones = [
            (Cone::NonNegative(3), 3.0),
            (Cone::SecondOrder(3), 1.0),
            (Cone::SecondOrder(2), 1.0),
            (Cone::Semidefinite(2), 2.0),
            (Cone::Exponential, 3.0),
            (Cone::Power(0.3), 3.0),
        ];
        for (cone, degree) in cones {
            for k in 0..60 {
                let at = |shift: f64| -> Vec<f64> {
                    let angle = |i: usize| 1.3 * f64::from(k) + 2.1 * i as f64 + shift;
                    (0..cone.dimension()).map(|i| 2.0 * angle(i).sin()).collect()
                };
                // Also at the apex.
                let v = if k == 0 { vec![0.0; cone.dimension()] } else { at(0.0) };
                for mu in [1.0, 1e-2, 1e-5] {
                    let found = cone.smoothed(&v, mu);
                    assert!(found.is_some(), "{cone:?} at {v:?}, μ = {mu}");
                    let Some((z, jacobian)) = found else { return };
                    let s: Vec<f64> = z.iter().zip(&v).map(|(z, v)| z - v).collect();
                    assert!(cone.outside(&s) < 1e-9 && cone.outside_dual(&z) < 1e-9, "{cone:?}");
                    let inner: f64 = s.iter().zip(&z).map(|(s, z)| s * z).sum();
                    let error = (inner - degree * mu).abs();
                    assert!(error < 1e-9 + 1e-6 * mu, "{cone:?} at {v:?}, μ = {mu}: {inner}");
                    let (d, h) = (at(0.7), 1e-3 * mu.sqrt());
                    let moved = |h: f64| -> Vec<f64> {
                        let v: Vec<f64> = v.iter().zip(&d).map(|(v, d)| v + h * d).collect();
                        cone.smoothed(&v, mu).map_or(vec![f64::NAN; v.len()], |(z, _)| z)
                    };
                    let (up, down) = (moved(h), moved(-h));
                    let mut along = vec![0.0; v.len()];
                    match jacobian.expanded() {
                        Jacobian::Rows(values) => {
                            (0..v.len()).for_each(|i| along[i] = values[i] * d[i]);
                        }
                        Jacobian::Block { vectors, values }
                        | Jacobian::Cap { vectors, values, .. } => {
                            for (u, w) in vectors.chunks_exact(v.len()).zip(values) {
                                let inner: f64 = u.iter().zip(&d).map(|(u, d)| u * d).sum();
                                along.iter_mut().zip(u).for_each(|(a, u)| *a += w * inner * u);
                            }
                        }
                    }
                    for i in 0..v.len() {
                        let want = (up[i] - down[i]) / (2.0 * h);
                        let error = (along[i] - want).abs();
                        // Rounding in the barrier, over the step.
                        assert!(error < 3e-5, "{cone:?} at {v:?}, μ = {mu}: {error:e}");
                    }
                }
            }
        }
    }
}
