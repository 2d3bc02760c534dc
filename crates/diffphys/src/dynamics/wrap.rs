//! The shortest path of a string around a sphere or an infinite cylinder, or through its inside (`mju_wrap`).
//!
//! Around: seen in the plane of both ends and the centre (of a cylinder: along its axis), the path is two tangents of lengths √(d² − r²) and an
//! arc of r·φ, φ = |w| − acos(r/d₀) − acos(r/d₁), where w is the angle by which the path turns about the centre: that of the straight line,
//! or, with a side, that of the line by way of the side. Without an arc (φ ≤ 0) the line is straight. The generic formulas give the
//! directions at the ends; duals give their derivatives.

use crate::collide::scalar::{Dual, Scalar, V, add_scaled, cross, dot, normalize, scale, sub};
use crate::spatial::{MINVAL, Vec3};
use std::f64::consts::PI;

/// An obstacle, in its own frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Obstacle {
    pub(crate) radius: f64,
    /// A cylinder along z? Else a sphere.
    pub(crate) cylinder: bool,
    pub(crate) side: Option<Vec3>,
}

/// A path that touches the obstacle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrapped {
    pub(crate) length: f64,
    /// The length's derivatives in both ends: unit vectors along the path, away from it.
    pub(crate) pull: [Vec3; 2],
    /// The derivatives of `pull` in both ends: row 3·a + k is that of component k at end a.
    pub(crate) bend: [[f64; 6]; 6],
}

/// How the path passes.
#[derive(Clone, Copy)]
enum Way {
    /// Around, by this angle.
    Around(f64),
    /// Inside: where it touches, as an angle from the first end towards the second; `None` where it is between the ends.
    Inside(Option<f64>),
}

type D6 = Dual<6>;

impl Obstacle {
    /// The path between two points in the obstacle's frame; `None` if it is a straight line. `bend` is only filled if asked for.
    pub(crate) fn wrap(&self, ends: [Vec3; 2], with_bend: bool) -> Option<Wrapped> {
        let way = self.way(ends)?;
        if !with_bend {
            let (pull, length) = self.directions::<f64>(ends, way);
            return Some(Wrapped { length, pull, bend: [[0.0; 6]; 6] });
        }
        let seed = |end: usize| {
            let mut out = [D6::constant(0.0); 3];
            for k in 0..3 {
                out[k] = D6::constant(ends[end][k]);
                out[k].slope[3 * end + k] = 1.0;
            }
            out
        };
        let (pull, length) = self.directions([seed(0), seed(1)], way);
        let mut bend = [[0.0; 6]; 6];
        for end in 0..2 {
            for k in 0..3 {
                bend[3 * end + k] = pull[end][k].slope;
            }
        }
        let pull = pull.map(|n| n.map(|x| x.value));
        Some(Wrapped { length: length.value(), pull, bend })
    }

    /// Frame of the plane: (first axis, second axis).
    fn plane<T: Scalar>(&self, ends: [V<T>; 2]) -> (V<T>, V<T>) {
        let unit = |k: usize| {
            let mut e = [T::zero(); 3];
            e[k] = T::constant(1.0);
            e
        };
        if self.cylinder {
            return (unit(0), unit(1));
        }
        let (first, _) = normalize(ends[0]);
        let (mut normal, length) = normalize(cross(ends[0], ends[1]));
        if length.value() < MINVAL {
            // Both ends in line with the centre: any plane.
            let mut other = [T::constant(1.0); 3];
            let size = first.map(|x| x.value().abs());
            let largest = if size[1] > size[0] && size[1] > size[2] {
                1
            } else if size[2] > size[0] && size[2] > size[1] {
                2
            } else {
                0
            };
            other[largest] = T::zero();
            normal = normalize(cross(first, other)).0;
        }
        (first, normalize(cross(normal, first)).0)
    }

    /// Does the path touch, and how?
    fn way(&self, ends: [Vec3; 2]) -> Option<Way> {
        let r = self.radius;
        if r < MINVAL || ends.iter().any(|p| dot(*p, *p).sqrt() < MINVAL) {
            return None;
        }
        let (e0, e1) = self.plane(ends);
        let flat = |p: Vec3| [dot(p, e0), dot(p, e1)];
        let (a, b) = (flat(ends[0]), flat(ends[1]));
        let length = |p: [f64; 2]| p[0].hypot(p[1]);
        let (da, db) = (length(a), length(b));
        if let Some(side) = self.side
            && dot(side, side).sqrt() < r
        {
            return inside(r, a, b).map(Way::Inside);
        }
        let apart = [b[0] - a[0], b[1] - a[1]];
        if da < r || db < r || apart[0] * apart[0] + apart[1] * apart[1] < MINVAL {
            return None;
        }
        let turn =
            |p: [f64; 2], q: [f64; 2]| (p[0] * q[1] - p[1] * q[0]).atan2(p[0] * q[0] + p[1] * q[1]);
        let winding = match self.side {
            None => turn(a, b),
            Some(side) => {
                let side = flat(side);
                turn(a, side) + turn(side, b)
            }
        };
        let arc = winding.abs() - (r / da).acos() - (r / db).acos();
        (arc > 0.0).then_some(Way::Around(winding))
    }

    /// The directions at both ends, and the length (a dual's slopes of it are not of use but for cylinders).
    fn directions<T: Scalar>(&self, ends: [V<T>; 2], way: Way) -> ([V<T>; 2], T) {
        let (e0, e1) = self.plane(ends);
        let flat = ends.map(|p| add_scaled(scale(e0, dot(p, e0)), e1, dot(p, e1)));
        let (pull, length) = match way {
            Way::Around(winding) => self.around(flat, cross(e0, e1), winding),
            Way::Inside(at) => self.inside(flat, (e0, e1), at),
        };
        if !self.cylinder {
            return (pull, length);
        }
        // The height grows along the path.
        let height = ends[1][2] - ends[0][2];
        let whole = (length * length + height * height).sqrt();
        let along = [-height, height];
        let pull = [0, 1].map(|k| {
            let mut n = scale(pull[k], length / whole);
            n[2] = n[2] + along[k] / whole;
            n
        });
        (pull, whole)
    }

    fn around<T: Scalar>(&self, ends: [V<T>; 2], normal: V<T>, winding: f64) -> ([V<T>; 2], T) {
        let r = self.radius;
        let mut length = T::constant(r * winding.abs());
        let mut pull = [[T::zero(); 3]; 2];
        for k in 0..2 {
            let (outward, d) = normalize(ends[k]);
            let tangent = (d * d - T::constant(r * r)).sqrt();
            // Against the winding at the second end.
            let turn = if (winding > 0.0) == (k == 0) { -r } else { r };
            let sideways = scale(cross(normal, outward), T::constant(turn) / d);
            pull[k] = add_scaled(sideways, outward, tangent / d);
            length = length + tangent - T::constant(r * (r / d.value()).acos());
        }
        (pull, with_slopes(length.value(), pull, ends))
    }

    fn inside<T: Scalar>(
        &self,
        ends: [V<T>; 2],
        (e0, e1): (V<T>, V<T>),
        at: Option<f64>,
    ) -> ([V<T>; 2], T) {
        let r = self.radius;
        let point = match at {
            None => {
                let middle = normalize(add_scaled(ends[0], ends[1], T::constant(1.0))).0;
                scale(middle, T::constant(r))
            }
            Some(angle) => {
                // One Newton step from the solution: its slopes are those of the implicit function.
                let (first, _) = normalize(ends[0]);
                let normal = cross(e0, e1);
                let toward = dot(cross(first, ends[1]), normal).value();
                let across = scale(cross(normal, first), T::constant(toward.signum()));
                let at = |c: T, s: T| add_scaled(scale(first, c.times(r)), across, s.times(r));
                let (sine, cosine) = angle.sin_cos();
                let (c, s) = (T::constant(cosine), T::constant(sine));
                let (w, dw) = (at(c, s), at(-s, c));
                let (mut g, mut dg) = (T::zero(), 0.0);
                for p in ends {
                    let apart = sub(p, w);
                    let length = dot(apart, apart).sqrt();
                    let along = dot(dw, p);
                    g = g - along / length;
                    let l = length.value();
                    dg += dot(w, p).value() / l - (along.value() / l).powi(2) / l;
                }
                let step = if dg.abs() > MINVAL { g.times(-1.0 / dg) } else { T::zero() };
                // Only the slopes of the step: its value is rounding.
                let step = step - T::constant(step.value());
                at(c - s * step, s + c * step)
            }
        };
        let mut length = T::zero();
        let pull = ends.map(|p| {
            let (n, l) = normalize(sub(p, point));
            length = length + l;
            n
        });
        (pull, with_slopes(length.value(), pull, ends))
    }
}

/// A length with its known derivatives: `value` + Σ pull·(end − its value).
fn with_slopes<T: Scalar>(value: f64, pull: [V<T>; 2], ends: [V<T>; 2]) -> T {
    let mut out = T::constant(value);
    for k in 0..2 {
        for c in 0..3 {
            let moved = ends[k][c] - T::constant(ends[k][c].value());
            out = out + moved.times(pull[k][c].value());
        }
    }
    out
}

/// Where the path through the inside of a circle touches it: the angle from the first end towards the second at which it is reflected.
/// `None` for a straight line.
fn inside(r: f64, a: [f64; 2], b: [f64; 2]) -> Option<Option<f64>> {
    let (da, db) = (a[0].hypot(a[1]), b[0].hypot(b[1]));
    if da <= r || db <= r {
        return None;
    }
    let apart = [b[0] - a[0], b[1] - a[1]];
    let dd = apart[0] * apart[0] + apart[1] * apart[1];
    if dd > MINVAL {
        let t = -(apart[0] * a[0] + apart[1] * a[1]) / dd;
        let near = [a[0] + t * apart[0], a[1] + t * apart[1]];
        if t > 0.0 && t < 1.0 && near[0].hypot(near[1]) <= r {
            return None;
        }
    }
    let cosine = (da * da + db * db - dd) / (2.0 * da * db);
    if cosine < -1.0 + MINVAL {
        return None;
    }
    if cosine > 1.0 - MINVAL {
        return Some(None);
    }
    // asin(z·r/d₀) + asin(z·r/d₁) − 2·asin z + γ = 0: decreasing in z, negative near 1.
    let (ra, rb, gamma) = (r / da, r / db, cosine.acos());
    let f = |z: f64| (ra * z).asin() + (rb * z).asin() - 2.0 * z.asin() + gamma;
    let mut z = 1.0 - 1e-7;
    if f(z) > 0.0 {
        return Some(None);
    }
    for _ in 0..60 {
        let slope = |r: f64| r / (1.0 - z * z * r * r).max(MINVAL).sqrt();
        let by = slope(ra) + slope(rb) - 2.0 * slope(1.0);
        let step = f(z) / by;
        let next = (z - step).clamp(0.0, 1.0 - 1e-16);
        let done = (next - z).abs() <= 1e-16;
        z = next;
        if done {
            break;
        }
    }
    Some(Some((z.asin() - (ra * z).asin()).min(PI)))
}
