//! The exponential cone {(x, y, z): y·e^(x/y) ≤ z, y > 0}, closed.
//!
//! Source: H. A. Friberg, Projection onto the exponential cone: a univariate root-finding problem, 2021, theorem 1.

use super::{IDENTITY, Kink, Matrix, ZERO, root, small, smooth};

/// Exponents beyond this overflow.
const FAR: f64 = 700.0;

/// Where a point is with respect to the cone.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Inside,
    /// In the polar cone −K*: the projection is 0.
    Polar,
    /// Next to the flat piece {x ≤ 0, y = 0, z ≥ 0}.
    Flat,
    Curved,
}

fn place([r, s, t]: [f64; 3]) -> Place {
    if (s > 0.0 && s * (r / s).exp() <= t) || (r <= 0.0 && s == 0.0 && t >= 0.0) {
        Place::Inside
    } else if (r > 0.0 && r * (s / r).exp() <= -1f64.exp() * t)
        || (r == 0.0 && s <= 0.0 && t <= 0.0)
    {
        Place::Polar
    } else if r <= 0.0 && s <= 0.0 {
        Place::Flat
    } else {
        Place::Curved
    }
}

/// x/y of the projection of a point next to the curved piece.
fn ratio([r, s, t]: [f64; 3]) -> f64 {
    // p = v_p(ρ) + v_d(ρ) with v_p on the ray (ρ, 1, e^ρ) of K and v_d on the ray (1, 1 − ρ, −e^−ρ) of the polar cone; both factors are positive in
    // an interval, in which the third component increases.
    let (mut low, mut high) = (-FAR, FAR);
    if r > 0.0 {
        low = low.max(1.0 - s / r);
    } else if r < 0.0 {
        high = high.min(1.0 - s / r);
    }
    if s > 0.0 {
        high = high.min(r / s);
    } else if s < 0.0 {
        low = low.max(r / s);
    }
    root(low, high, |rho| {
        ((rho - 1.0) * r + s) * rho.exp()
            - (r - rho * s) * (-rho).exp()
            - t * (rho * rho - rho + 1.0)
    })
}

/// Π_K(p).
pub(in super::super) fn project(p: [f64; 3]) -> [f64; 3] {
    let [r, _, t] = p;
    match place(p) {
        Place::Inside => p,
        Place::Polar => [0.0; 3],
        Place::Flat => [r, 0.0, t.max(0.0)],
        Place::Curved => {
            let rho = ratio(p);
            let (y, z, _) = split(p, rho);
            [rho * y, y, z]
        }
    }
}

/// y and z of the projection, and μ = z − t, each by the formula that does not cancel.
fn split([r, s, t]: [f64; 3], rho: f64) -> (f64, f64, f64) {
    let square = rho * rho - rho + 1.0;
    let mu = ((r - rho * s) / square * (-rho).exp()).max(0.0);
    if rho > 0.0 {
        let z = (t + mu).max(0.0);
        (z * (-rho).exp(), z, mu)
    } else {
        let y = (((rho - 1.0) * r + s) / square).max(0.0);
        (y, y * rho.exp(), mu)
    }
}

/// The derivative of Π_K at p, which is on no kink.
pub(in super::super) fn jacobian(p: [f64; 3]) -> Matrix {
    let t = p[2];
    match place(p) {
        Place::Inside => IDENTITY,
        Place::Polar => ZERO,
        Place::Flat => {
            let last = f64::from(u8::from(t > 0.0));
            [[1.0, 0.0, 0.0], [0.0; 3], [0.0, 0.0, last]]
        }
        Place::Curved => {
            let rho = ratio(p);
            // s − p = μ∇g with ∇g = (−e^ρ, −e^ρ(1 − ρ), 1); −μ∇²g = μe^ρ/y·wwᵀ with w = (1, −ρ, 0).
            let (y, _, mu) = split(p, rho);
            let growth = rho.exp();
            let normal = [-growth, -growth * (1.0 - rho), 1.0];
            smooth(normal, mu * growth / y.max(f64::MIN_POSITIVE), [1.0, -rho])
        }
    }
}

/// The kink at a point that is within `width` of one; `None` at the edges.
pub(in super::super) fn kink(p: [f64; 3], width: f64) -> Option<Kink> {
    if small(p, width) {
        return Some(Kink::Apex);
    }
    let [r, s, t] = p;
    if s > width && t > 0.0 {
        // s itself is (ρ, 1, e^ρ)·s₁.
        let (rho, growth) = (r / s, (r / s).exp());
        return Some(Kink::Primal([-growth, -growth * (1.0 - rho), 1.0]));
    }
    if r > width && t < 0.0 {
        // −p = z is a multiple of the normal at the ray (ρ, 1, e^ρ).
        let rho = 1.0 - s / r;
        return Some(Kink::Dual([rho, 1.0, rho.exp()])).filter(|_| rho < FAR);
    }
    None
}

/// About how far p is from the borders between the pieces.
pub(in super::super) fn margin(p: [f64; 3]) -> f64 {
    let [r, s, t] = p;
    let size = |v: [f64; 3]| (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    match place(p) {
        Place::Inside => {
            let slope = (r / s).exp();
            let gradient = size([slope, slope * (1.0 - r / s), 1.0]);
            ((t - s * slope) / gradient).abs()
        }
        Place::Polar => {
            // The same gap of the polar cone's inequality.
            let slope = (s / r).exp();
            let gradient = size([slope * (1.0 - s / r), slope, 1f64.exp()]);
            ((-1f64.exp() * t - r * slope) / gradient).abs()
        }
        Place::Flat => r.abs().min(s.abs()).min(t.abs()),
        Place::Curved => {
            let to = project(p);
            size(to).min(size([to[0] - p[0], to[1] - p[1], to[2] - p[2]]))
        }
    }
}
