//! The derivative of a projection at its kinks, where it is one-sided: axes, and what happens along them.
//!
//! The projection onto each cone here is directionally differentiable, and its derivative Π'(v; ·) splits along orthonormal axes: smooth
//! ones, on which it multiplies by an eigenvalue in [0, 1], and blocks of kinks, on which it is itself the projection onto a smaller cone.
//! A boundary without curvature of its own gives a half-line (z = 0 and s on the boundary) or a half-space (s = 0 and z on the
//! boundary); an apex gives the cone again; zero eigenvalues of a matrix give a semidefinite cone of their number.
//!
//! Source: Bonnans and Shapiro, Perturbation Analysis of Optimization Problems, 2000, sections 3.3 and 4.6; Bonnans and Ramírez,
//! Perturbation analysis of second-order cone programming problems, 2005, lemma 2; Sun and Sun, Semismooth matrix-valued functions, 2002.

use super::cone::{Cone, Jacobian, NOTHING, eigen, norm, symmetric_axis};
use super::three::{Kink, exponential, power};

/// A vector of a cone's space by its entries that are not 0.
pub(super) type Axis = Vec<(usize, f64)>;

/// Π'_{K*}(v; ·) in one cone.
#[derive(Debug, Clone, Default)]
pub(super) struct Critical {
    /// Axes with their eigenvalues; those with eigenvalue 0 are left out.
    pub(super) smooth: Vec<(Axis, f64)>,
    /// Blocks of axes on which Π' is the projection onto the dual of a cone.
    pub(super) kinks: Vec<(Vec<Axis>, Cone)>,
}

impl Critical {
    /// Everything smooth, from the derivative.
    fn smooth(jacobian: Jacobian, dimension: usize) -> Self {
        let mut out = Critical::default();
        match jacobian.expanded() {
            Jacobian::Rows(values) => {
                let rows = values.into_iter().enumerate().filter(|(_, d)| NOTHING < *d);
                out.smooth.extend(rows.map(|(i, d)| (vec![(i, 1.0)], d)));
            }
            Jacobian::Block { vectors, values } | Jacobian::Cap { vectors, values, .. } => {
                let axes = vectors.chunks_exact(dimension).map(sparse);
                out.smooth.extend(axes.zip(values));
            }
        }
        out
    }

    /// A piece of the derivative: `chosen` gives that of each block of kinks, in its axes.
    pub(super) fn piece(
        &self,
        dimension: usize,
        mut chosen: impl FnMut(usize, &Cone) -> Jacobian,
    ) -> Jacobian {
        let mut all = self.smooth.clone();
        for (k, (axes, cone)) in self.kinks.iter().enumerate() {
            match chosen(k, cone).expanded() {
                Jacobian::Rows(values) => {
                    all.extend(axes.iter().cloned().zip(values).filter(|(_, d)| NOTHING < *d));
                }
                Jacobian::Block { vectors, values } | Jacobian::Cap { vectors, values, .. } => {
                    for (vector, d) in vectors.chunks_exact(axes.len()).zip(values) {
                        let mut dense = vec![0.0; dimension];
                        for (axis, x) in axes.iter().zip(vector) {
                            axis.iter().for_each(|(i, u)| dense[*i] += u * x);
                        }
                        all.push((sparse(&dense), d));
                    }
                }
            }
        }
        if all.iter().all(|(axis, _)| axis.len() == 1) {
            let mut values = vec![0.0; dimension];
            all.iter().for_each(|(axis, d)| values[axis[0].0] = *d);
            return Jacobian::Rows(values);
        }
        let mut vectors = vec![0.0; dimension * all.len()];
        for (out, (axis, _)) in vectors.chunks_exact_mut(dimension).zip(&all) {
            axis.iter().for_each(|(i, u)| out[*i] = *u);
        }
        Jacobian::Block { vectors, values: all.into_iter().map(|(_, d)| d).collect() }
    }
}

impl Cone {
    /// Π'_{K*}(v; ·), where points within `kink` of a kink count as on it. `None` at the edges of exponential and power cones, where the
    /// boundary has no curvature that is finite.
    pub(super) fn critical(&self, v: &[f64], kink: f64) -> Option<Critical> {
        if kink < self.margin(v) {
            return Some(Critical::smooth(self.jacobian(v, 0.0, true), v.len()));
        }
        match *self {
            Cone::NonNegative(_) | Cone::Zero(_) => {
                let mut out = Critical::default();
                for (i, x) in v.iter().enumerate() {
                    let axis = vec![(i, 1.0)];
                    if x.abs() <= kink {
                        out.kinks.push((vec![axis], Cone::NonNegative(1)));
                    } else if *x > 0.0 {
                        out.smooth.push((axis, 1.0));
                    }
                }
                Some(out)
            }
            Cone::SecondOrder(_) => {
                let (head, size) = (v[0], norm(&v[1..]));
                if head.abs() <= kink && size <= kink {
                    return Some(apex(*self));
                }
                let half = std::f64::consts::FRAC_1_SQRT_2;
                let sign = if head > 0.0 { -1.0 } else { 1.0 };
                let mut axis = vec![half];
                axis.extend(v[1..].iter().map(|x| sign * half * x / size));
                Some(if head > 0.0 { half_space(&axis) } else { half_line(&axis) })
            }
            Cone::Exponential => three(*self, exponential::kink([-v[0], -v[1], -v[2]], kink)?),
            Cone::Power(a) => three(*self, power::kink(a, [-v[0], -v[1], -v[2]], kink)?),
            Cone::Semidefinite(k) => semidefinite(k, v, kink),
        }
    }
}

fn sparse(v: &[f64]) -> Axis {
    v.iter().copied().enumerate().filter(|(_, x)| *x != 0.0).collect()
}

/// v = 0: the projection itself.
fn apex(cone: Cone) -> Critical {
    let axes = (0..cone.dimension()).map(|i| vec![(i, 1.0)]).collect();
    Critical { smooth: vec![], kinks: vec![(axes, cone)] }
}

/// Only along `axis`, and only forwards.
fn half_line(axis: &[f64]) -> Critical {
    Critical { smooth: vec![], kinks: vec![(vec![sparse(axis)], Cone::NonNegative(1))] }
}

/// Everything, but not backwards along `axis`.
fn half_space(axis: &[f64]) -> Critical {
    let mut out = half_line(axis);
    // The Householder reflection that takes the first unit vector to ∓axis has the rest of a basis as its other columns.
    let mut w = axis.to_vec();
    w[0] += if axis[0] < 0.0 { -1.0 } else { 1.0 };
    let square: f64 = w.iter().map(|w| w * w).sum();
    for j in 1..axis.len() {
        let column: Vec<f64> = (0..axis.len())
            .map(|i| f64::from(u8::from(i == j)) - 2.0 * w[i] * w[j] / square)
            .collect();
        out.smooth.push((sparse(&column), 1.0));
    }
    out
}

fn three(cone: Cone, kink: Kink) -> Option<Critical> {
    let unit = |v: [f64; 3]| {
        let size = norm(&v);
        v.map(|v| v / size)
    };
    Some(match kink {
        Kink::Apex => apex(cone),
        Kink::Primal(normal) => half_line(&unit(normal)),
        Kink::Dual(ray) => half_space(&unit(ray)),
    })
}

/// Axes sym(qₐq_bᵀ): smooth between the signs, and a semidefinite cone over the eigenvectors with eigenvalue 0.
fn semidefinite(k: usize, v: &[f64], kink: f64) -> Option<Critical> {
    let (w, q) = eigen(k, v)?;
    let axis = |a: usize, b: usize| sparse(&symmetric_axis(k, &q, a, b));
    let zero: Vec<usize> = (0..k).filter(|&a| w[a].abs() <= kink).collect();
    let mut out = Critical::default();
    for b in 0..k {
        for a in 0..=b {
            let signs = [a, b].map(|e| if w[e].abs() <= kink { 0.0 } else { w[e].signum() });
            let value = match signs {
                [0.0, 0.0] => continue,
                [x, y] if x + y > 0.0 => 1.0,
                [x, y] if x + y < 0.0 => 0.0,
                _ => w[a].max(w[b]) / (w[a].abs() + w[b].abs()),
            };
            if NOTHING < value {
                out.smooth.push((axis(a, b), value));
            }
        }
    }
    let block = (0..zero.len()).flat_map(|j| (0..=j).map(move |i| (i, j)));
    let axes = block.map(|(i, j)| axis(zero[i], zero[j])).collect();
    out.kinks.push((axes, Cone::Semidefinite(zero.len())));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Π'(v; d) by the axes.
    fn along(c: &Critical, d: &[f64]) -> Vec<f64> {
        let inner = |axis: &Axis| axis.iter().map(|(i, u)| u * d[*i]).sum::<f64>();
        let mut out = vec![0.0; d.len()];
        let mut add = |axis: &Axis, x: f64| axis.iter().for_each(|(i, u)| out[*i] += u * x);
        for (axis, value) in &c.smooth {
            add(axis, value * inner(axis));
        }
        for (axes, cone) in &c.kinks {
            let inside: Vec<f64> = axes.iter().map(inner).collect();
            axes.iter().zip(cone.project_dual(&inside)).for_each(|(axis, x)| add(axis, x));
        }
        out
    }

    #[test]
    fn kinks_have_the_one_sided_differences_of_the_projection() {
        let r = std::f64::consts::SQRT_2;
        let e = 1f64.exp();
        // v = z − s with z = 0 or s = 0 on a smooth boundary, at the apex, and in between.
        let exponential = [-0.5, 1.0, (-0.5f64).exp()];
        let dual = [-e.sqrt(), -0.5 * e.sqrt(), 1.0];
        let power: [f64; 3] = [1.0, 2.0, 2f64.powf(0.7)];
        let power_dual = [0.3, 0.7, -1.0];
        let minus = |v: [f64; 3]| v.map(|v| -v).to_vec();
        let cases: Vec<(Cone, Vec<f64>)> = vec![
            (Cone::NonNegative(3), vec![0.0, 1.0, -1.0]),
            (Cone::SecondOrder(3), vec![r, 1.0, 1.0]),
            (Cone::SecondOrder(3), vec![-r, 1.0, 1.0]),
            (Cone::SecondOrder(4), vec![0.0; 4]),
            (Cone::Semidefinite(3), vec![1.0, 0.0, 0.0, 0.0, 0.0, -2.0]),
            (Cone::Semidefinite(3), vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.5]),
            (Cone::Semidefinite(2), vec![0.0; 3]),
            (Cone::Exponential, minus(exponential)),
            (Cone::Exponential, dual.to_vec()),
            (Cone::Exponential, vec![0.0; 3]),
            (Cone::Power(0.3), minus(power)),
            (Cone::Power(0.3), power_dual.to_vec()),
            (Cone::Power(0.3), vec![0.0; 3]),
        ];
        for (cone, v) in cases {
            let critical = cone.critical(&v, 1e-9).unwrap_or_default();
            let axes = critical.kinks.iter().map(|(a, _)| a.len()).sum::<usize>();
            assert!(0 < axes, "{cone:?} at {v:?}");
            for k in 0..40 {
                let t = f64::from(k);
                let d: Vec<f64> = (0..v.len()).map(|i| (1.7 * t + 2.3 * i as f64).sin()).collect();
                let h = 1e-6;
                let moved: Vec<f64> = v.iter().zip(&d).map(|(v, d)| v + h * d).collect();
                let (a, b) = (cone.project_dual(&v), cone.project_dual(&moved));
                let got = along(&critical, &d);
                for i in 0..v.len() {
                    let want = (b[i] - a[i]) / h;
                    assert!((got[i] - want).abs() < 2e-5, "{cone:?} at {v:?} along {d:?}: {i}");
                }
            }
        }
    }
}
