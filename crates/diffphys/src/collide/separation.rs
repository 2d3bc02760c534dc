//! Are two convex shapes apart? For pairs without a rule, so that they are an error only where they really come near each other.

use super::pairs::Shape;
use crate::model::GeomType;
use crate::spatial::{Vec3, add, dot, normalize, rotate, rotate_back, scale, sub};

/// The farthest point of a shape from its centre in the unit direction d, in the world.
fn support(kind: GeomType, shape: &Shape<f64>, d: Vec3) -> Vec3 {
    let local = rotate_back(&shape.mat, d);
    let [a, b, c] = shape.size;
    let sign = |x: f64| if x < 0.0 { -1.0 } else { 1.0 };
    let point = match kind {
        GeomType::Plane => [0.0; 3],
        GeomType::Sphere => scale(local, a),
        GeomType::Capsule => add(scale(local, a), [0.0, 0.0, sign(local[2]) * b]),
        GeomType::Ellipsoid => {
            let (unit, _) = normalize([a * local[0], b * local[1], c * local[2]]);
            [a * unit[0], b * unit[1], c * unit[2]]
        }
        GeomType::Cylinder => {
            let (unit, length) = normalize([local[0], local[1], 0.0]);
            let rim = if length == 0.0 { [0.0; 3] } else { scale(unit, a) };
            add(rim, [0.0, 0.0, sign(local[2]) * b])
        }
        GeomType::Box => [sign(local[0]) * a, sign(local[1]) * b, sign(local[2]) * c],
    };
    rotate(&shape.mat, point)
}

/// Is there a direction in which the two are more than `reach` apart? Looks along the nearest point of the difference of the shapes to the
/// origin, found by Frank and Wolfe's method; false may also mean that they are very nearly that near.
pub(crate) fn separated(
    (t1, a): (GeomType, &Shape<f64>),
    (t2, b): (GeomType, &Shape<f64>),
    reach: f64,
) -> bool {
    let between = sub(b.pos, a.pos);
    // A point of {p₂ − p₁}, and the vertex of that set that is farthest against it.
    let mut nearest = between;
    for _ in 0..60 {
        let (d, length) = normalize(nearest);
        if length == 0.0 {
            return false;
        }
        let (p1, p2) = (support(t1, a, d), support(t2, b, scale(d, -1.0)));
        let vertex = add(between, sub(p2, p1));
        if dot(vertex, d) > reach {
            return true;
        }
        let step = sub(vertex, nearest);
        let square = dot(step, step);
        if square < 1e-24 {
            return false;
        }
        let share = (-dot(nearest, step) / square).clamp(0.0, 1.0);
        nearest = add(nearest, scale(step, share));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::separated;
    use crate::collide::pairs::Shape;
    use crate::model::GeomType;
    use crate::spatial::IDENTITY;

    #[test]
    fn shapes_are_apart_by_their_distance() {
        let at = |x: f64, size: [f64; 3]| Shape { pos: [x, 0.05, -0.02], mat: IDENTITY, size };
        let box_at = |x| (GeomType::Box, at(x, [0.1, 0.2, 0.3]));
        let others = [
            (GeomType::Box, [0.1; 3]),
            (GeomType::Cylinder, [0.1, 0.2, 0.0]),
            (GeomType::Ellipsoid, [0.1, 0.2, 0.3]),
        ];
        for (kind, size) in others {
            let other = at(0.0, size);
            for (x, apart) in [(0.205, true), (0.195, false), (0.0, false)] {
                let (t, s) = box_at(x);
                assert_eq!(separated((kind, &other), (t, &s), 0.0), apart, "{kind:?} {x}");
            }
            let (t, s) = box_at(0.205);
            assert!(!separated((kind, &other), (t, &s), 0.01));
        }
    }
}
