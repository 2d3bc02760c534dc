//! The power cones {(x, y, z): xᵃ·y¹⁻ᵃ ≥ |z|, x, y ≥ 0}.
//!
//! Source: L. T. K. Hien, Differential properties of Euclidean projection onto power cone, 2015, proposition 2.2.

use super::{IDENTITY, Kink, Matrix, ZERO, root, small, smooth};

fn value(a: f64, x: f64, y: f64) -> f64 {
    x.max(0.0).powf(a) * y.max(0.0).powf(1.0 - a)
}

fn inside(a: f64, [x, y, z]: [f64; 3]) -> bool {
    0.0 <= x && 0.0 <= y && z.abs() <= value(a, x, y)
}

/// In −K*?
fn polar(a: f64, [x, y, z]: [f64; 3]) -> bool {
    x <= 0.0 && y <= 0.0 && z.abs() <= value(a, -x / a, -y / (1.0 - a))
}

/// x, y and |z| of the projection of a point outside both cones with z ≠ 0, and μ = |z| − |z₀| of the point's z.
fn curved(a: f64, [x, y, z]: [f64; 3]) -> [f64; 4] {
    let from = [x, y];
    let size = z.abs();
    // The positive root of t² − t₀·t = α·r(|z| − r), without cancellation for t₀ < 0.
    let side = |from: f64, share: f64, r: f64| {
        let product = share * r * (size - r);
        let root = (from * from + 4.0 * product).sqrt();
        if from < 0.0 { 2.0 * product / (root - from) } else { 0.5 * (from + root) }
    };
    let at = |r: f64| (side(x, a, r), side(y, 1.0 - a, r));
    let r = root(0.0, size, |r| {
        let (x, y) = at(r);
        r - value(a, x, y)
    });
    let (mut x, mut y) = at(r);
    let mut mu = size - r;
    // Next to an edge |z| − r is below the rounding of r; the side that shrinks to nothing then follows from the boundary, and μ from it:
    // t² − t₀·t = α·r·μ.
    if from[1] < 0.0 && from[1] <= from[0] {
        y = (r / x.powf(a)).powf(1.0 / (1.0 - a));
        mu = y * (y - from[1]) / ((1.0 - a) * r);
    } else if from[0] < 0.0 {
        x = (r / y.powf(1.0 - a)).powf(1.0 / a);
        mu = x * (x - from[0]) / (a * r);
    }
    [x, y, r, mu]
}

/// Π_K(p).
pub(in super::super) fn project(a: f64, p: [f64; 3]) -> [f64; 3] {
    if inside(a, p) {
        p
    } else if polar(a, p) {
        [0.0; 3]
    } else if p[2] == 0.0 {
        [p[0].max(0.0), p[1].max(0.0), 0.0]
    } else {
        let [x, y, r, _] = curved(a, p);
        [x, y, r.copysign(p[2])]
    }
}

/// The derivative of Π_K at p, which is on no kink.
pub(in super::super) fn jacobian(a: f64, p: [f64; 3]) -> Matrix {
    if inside(a, p) {
        return IDENTITY;
    }
    if polar(a, p) {
        return ZERO;
    }
    let [x, y, r, mu] = if p[2] == 0.0 { [0.0; 4] } else { curved(a, p) };
    if !(x > 0.0 && y > 0.0 && r > 0.0) {
        // Next to an edge of the cone, where the boundary has no curvature that is finite: the limit of the differences.
        return differences(a, p);
    }
    // g = xᵃy¹⁻ᵃ − |z| with s − p = μ∇g.
    let normal = [a * r / x, (1.0 - a) * r / y, -1f64.copysign(p[2])];
    // −μ∇²g = μa(1 − a)r·wwᵀ with w = (1/x, −1/y, 0).
    smooth(normal, mu * a * (1.0 - a) * r, [1.0 / x, -1.0 / y])
}

fn differences(a: f64, p: [f64; 3]) -> Matrix {
    let h = 1e-7 * (1.0 + p[0].abs() + p[1].abs() + p[2].abs());
    let mut out = ZERO;
    for j in 0..3 {
        let (mut up, mut down) = (p, p);
        up[j] += h;
        down[j] -= h;
        let (up, down) = (project(a, up), project(a, down));
        for i in 0..3 {
            out[i][j] = (up[i] - down[i]) / (2.0 * h);
        }
    }
    out
}

/// The kink at a point that is within `width` of one; `None` at the edges.
pub(in super::super) fn kink(a: f64, p: [f64; 3], width: f64) -> Option<Kink> {
    if small(p, width) {
        return Some(Kink::Apex);
    }
    let [x, y, z] = p;
    if x.min(y).min(z.abs()) > width {
        // ∇(xᵃy¹⁻ᵃ − |z|), divided by |z|.
        return Some(Kink::Primal([a / x, (1.0 - a) / y, -1.0 / z]));
    }
    if (-x).min(-y).min(z.abs()) > width {
        // The ray of K at right angles to −p.
        return Some(Kink::Dual([-a / x, -(1.0 - a) / y, 1.0 / z]));
    }
    None
}

/// About how far p is from the borders between the pieces.
pub(in super::super) fn margin(a: f64, p: [f64; 3]) -> f64 {
    let size = |v: [f64; 3]| (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    if inside(a, p) {
        return (value(a, p[0], p[1]) - p[2].abs()).min(p[0]).min(p[1]);
    }
    if polar(a, p) {
        let gap = value(a, -p[0] / a, -p[1] / (1.0 - a)) - p[2].abs();
        return gap.min(-p[0]).min(-p[1]);
    }
    let to = project(a, p);
    let near = size(to).min(size([to[0] - p[0], to[1] - p[1], to[2] - p[2]]));
    // The edges, to which points with z = 0 and x < 0 < y (or the reverse) go.
    near.min(to[0].max(to[1]).min(p[2].abs().max(to[0].min(to[1]))))
}
