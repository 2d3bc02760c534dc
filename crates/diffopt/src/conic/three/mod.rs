//! The cones in three dimensions: projections onto the primal cone, and their derivatives.
//!
//! On a smooth piece of the boundary g(s) = 0 of K = {g ≥ 0}, g concave, the projection of p solves s − p = μ∇g(s), g(s) = 0. With
//! H = I − μ∇²g ⪰ I and n = ∇g its derivative is H⁻¹ − H⁻¹n·nᵀH⁻¹/(nᵀH⁻¹n).

pub(super) mod exponential;
pub(super) mod power;

type Matrix = [[f64; 3]; 3];

/// A kink of the projection at p = s − z.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kink {
    /// s = z = 0.
    Apex,
    /// z = 0, and s on the smooth boundary, whose normal (into the cone) this is.
    Primal([f64; 3]),
    /// s = 0, and z on the smooth boundary of the dual cone, whose normal (into that cone) this is.
    Dual([f64; 3]),
}

fn small(p: [f64; 3], width: f64) -> bool {
    p.iter().all(|x| x.abs() <= width)
}

pub(super) const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
pub(super) const ZERO: Matrix = [[0.0; 3]; 3];

/// The derivative on a smooth piece of the boundary, from n and −μ∇²g = c·wwᵀ, which has rank one in both cones, with w in the plane of the
/// first two axes.
///
/// In the basis w, its normal in that plane, and the third axis, H⁻¹ is diagonal with d = (1/(1 + c‖w‖²), 1, 1), and the derivative
/// has dᵢ·Σ_{j≠i} dⱼnⱼ²/Σ dⱼnⱼ² on its diagonal and −dᵢnᵢdⱼnⱼ/Σ beside it: no difference of nearly equal numbers, however flat or sharp the
/// boundary is.
fn smooth(n: [f64; 3], c: f64, w: [f64; 2]) -> Matrix {
    let largest = w[0].abs().max(w[1].abs()).max(f64::MIN_POSITIVE);
    let scaled = w.map(|w| w / largest);
    let size = scaled[0].hypot(scaled[1]);
    let w = scaled.map(|w| w / size);
    let d = [1.0 / (1.0 + c * largest * size * largest * size), 1.0, 1.0];
    let basis = [[w[0], w[1], 0.0], [-w[1], w[0], 0.0], [0.0, 0.0, 1.0]];
    let most = n.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
    let n = n.map(|n| n / most);
    let n = [w[0] * n[0] + w[1] * n[1], w[0] * n[1] - w[1] * n[0], n[2]];
    let weights = [0, 1, 2].map(|i| d[i] * n[i] * n[i]);
    let all = weights[0] + weights[1] + weights[2];
    let mut inner = ZERO;
    for i in 0..3 {
        for j in 0..3 {
            inner[i][j] = if i == j {
                d[i] * (weights[(i + 1) % 3] + weights[(i + 2) % 3]) / all
            } else {
                -d[i] * n[i] * d[j] * n[j] / all
            };
        }
    }
    let mut out = ZERO;
    for i in 0..3 {
        for j in 0..3 {
            for a in 0..3 {
                for b in 0..3 {
                    out[i][j] += basis[a][i] * inner[a][b] * basis[b][j];
                }
            }
        }
    }
    out
}

/// The root of an increasing function between low and high, to the last bit but a few.
fn root(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || high <= middle {
            break;
        }
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points all over space, by a rotation that never repeats.
    fn points() -> impl Iterator<Item = [f64; 3]> {
        (0..4000).map(|i| {
            let t = f64::from(i);
            [(1.7 * t).sin() * 3.0, (2.3 * t + 1.0).cos() * 2.0, (3.1 * t + 2.0).sin() * 4.0]
        })
    }

    /// `deep`: a point inside both cones. A point that is outside by rounding is inside when a little of it is added.
    fn check(
        deep: [f64; 3],
        project: impl Fn([f64; 3]) -> [f64; 3],
        jacobian: impl Fn([f64; 3]) -> Matrix,
        inside: impl Fn([f64; 3]) -> f64,
        inside_dual: impl Fn([f64; 3]) -> f64,
        margin: impl Fn([f64; 3]) -> f64,
    ) -> usize {
        let mut smooth = 0;
        for p in points() {
            let s = project(p);
            let z = [s[0] - p[0], s[1] - p[1], s[2] - p[2]];
            let inner: f64 = (0..3).map(|i| s[i] * z[i]).sum();
            assert!(inner.abs() < 1e-9, "{p:?}: {s:?} and {z:?} have the inner product {inner:e}");
            let inner = |v: [f64; 3]| [0, 1, 2].map(|i| v[i] + 1e-9 * deep[i]);
            assert!(0.0 < inside(inner(s)), "{p:?}: {s:?} is outside");
            assert!(0.0 < inside_dual(inner(z)), "{p:?}: {z:?} is outside the dual cone");
            if margin(p) < 1e-2 {
                continue;
            }
            smooth += 1;
            let (e, h) = (jacobian(p), 1e-5);
            for j in 0..3 {
                let (mut up, mut down) = (p, p);
                up[j] += h;
                down[j] -= h;
                let (up, down) = (project(up), project(down));
                for i in 0..3 {
                    let slope = (up[i] - down[i]) / (2.0 * h);
                    let error = (slope - e[i][j]).abs();
                    assert!(error < 2e-5, "{p:?}: ∂{i}/∂{j} is {slope}, not {}", e[i][j]);
                }
            }
        }
        smooth
    }

    #[test]
    fn the_exponential_cone_and_its_dual_split_every_point() {
        let inside = |s: [f64; 3]| {
            if s[1] <= 0.0 {
                (-s[0]).min(s[2]).min(s[1])
            } else {
                s[2] - s[1] * (s[0] / s[1]).exp()
            }
        };
        // K* = {(u, v, w): −u·e^(v/u) ≤ e·w, u < 0}, closed with u = 0, v, w ≥ 0.
        let dual = |z: [f64; 3]| {
            if -1e-12 < z[0] {
                (-z[0]).min(z[1]).min(z[2])
            } else {
                1f64.exp() * z[2] + z[0] * (z[1] / z[0]).exp()
            }
        };
        let smooth = check(
            [-1.0, 1.0, 1.0],
            exponential::project,
            exponential::jacobian,
            inside,
            dual,
            exponential::margin,
        );
        assert!(smooth > 3000, "{smooth}");
    }

    #[test]
    fn power_cones_and_their_duals_split_every_point() {
        for a in [0.5, 0.2, 0.9] {
            let value = |x: f64, y: f64| x.max(0.0).powf(a) * y.max(0.0).powf(1.0 - a);
            let inside = |s: [f64; 3]| value(s[0], s[1]) - s[2].abs();
            let dual = |z: [f64; 3]| value(z[0] / a, z[1] / (1.0 - a)) - z[2].abs();
            let smooth = check(
                [1.0, 1.0, 0.0],
                |p| power::project(a, p),
                |p| power::jacobian(a, p),
                inside,
                dual,
                |p| power::margin(a, p),
            );
            assert!(smooth > 3000, "{smooth}");
        }
    }
}
