//! Contacts of convex solids without a rule of their own: distance or depth by GJK and the expanding polytope, made exact by Newton's method on
//! the features that touch, several points where flats or lines lie on each other.

mod feature;
mod patch;
mod polytope;
mod refine;
mod simplex;

pub(crate) use feature::Solid;

use super::pairs::{Touch, Touches};
use super::scalar::{Scalar, V, add_scaled, dot, rotate, rotate_back, sub};
use crate::model::GeomType;
use crate::spatial::norm;
use refine::Guess;
use simplex::Outcome;

/// The depth that the expanding polytope is asked for, relative to the sizes; Newton's method does the rest.
const DEPTH: f64 = 1e-8;

/// Within this angle the normal is known before Newton's method.
const SLACK: f64 = 0.05;

fn flat_enough(kind: GeomType) -> bool {
    matches!(kind, GeomType::Capsule | GeomType::Cylinder | GeomType::Box | GeomType::Mesh)
}

pub(crate) fn convex<T: Scalar>(
    a: &Solid<'_, T>,
    b: &Solid<'_, T>,
    margin: f64,
    out: &mut Touches<T>,
) {
    let values = [a.values(), b.values()];
    let solids = [&values[0], &values[1]];
    let radii = solids[0].radius() + solids[1].radius();
    let size = solids.iter().map(|s| norm(s.shape.size)).fold(0.0, f64::max);
    let guess = match simplex::distance(solids, margin + radii) {
        Outcome::Far => return,
        Outcome::Apart { normal, on } => {
            let dist = dot(normal, sub(on[1], on[0]));
            Guess { normal, on, dist }
        }
        Outcome::Overlap { simplex, len } => {
            match polytope::deepest(solids, simplex, len, DEPTH * size) {
                None => return,
                Some(found) => Guess { normal: found.normal, on: found.on, dist: -found.depth },
            }
        }
    };
    let both = [a, b];
    let exact = refine::exact(solids, &guess, SLACK);
    let lifted = exact.and_then(|e| refine::lift(both, &e));
    let direction = exact.map_or(guess.normal, |e| [e.x[0], e.x[1], e.x[2]]);
    if flat_enough(a.kind)
        && flat_enough(b.kind)
        && let Some(patch) = patch::patch(solids, direction)
    {
        let mut list = Touches::new();
        let along = lifted.as_ref().map(|l| l.0);
        let normal = patch::points(both, patch, along, margin, |p, dist| {
            list.push(Touch { dist, pos: p, normal: [T::zero(); 3], tangent: [T::zero(); 3] });
        });
        if !list.as_slice().is_empty() {
            for touch in list.as_slice() {
                let pos = add_scaled(touch.pos, normal, touch.dist.times(0.5));
                out.push(Touch { pos, normal, ..*touch });
            }
            return;
        }
    }
    let (normal, dist, [p, q]) = lifted.unwrap_or_else(|| frozen(both, &guess));
    let dist = dist - a.radius() - b.radius();
    if dist.value() > margin {
        return;
    }
    // Halfway between the surfaces.
    let p = add_scaled(p, normal, a.radius());
    let q = add_scaled(q, normal, -b.radius());
    let pos = add_scaled(p, sub(q, p), T::constant(0.5));
    out.push(Touch { dist, pos, normal, tangent: [T::zero(); 3] });
}

/// Where no pair of features is the contact (parallel ones, say): the points as points of the solids, the normal as it is. The distance has
/// its exact derivative, because it does not change with the normal to first order.
fn frozen<T: Scalar>(solids: [&Solid<'_, T>; 2], guess: &Guess) -> (V<T>, T, [V<T>; 2]) {
    let normal = guess.normal.map(T::constant);
    let on = [0, 1].map(|k| {
        let shape = &solids[k].shape;
        let values = shape.values();
        let local = rotate_back(&values.mat, sub(guess.on[k], values.pos)).map(T::constant);
        super::scalar::add(shape.pos, rotate(&shape.mat, local))
    });
    (normal, dot(normal, sub(on[1], on[0])), on)
}
