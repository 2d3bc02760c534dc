//! The exact contact of two features, from an approximate one, and its derivative by the implicit function theorem.
//!
//! Unknowns are the unit normal n from the first solid to the second, the distance λ of the cores along it, and the coordinates of the points
//! on lines and flats. They solve p_b − p_a = λ·n, n·n = 1, and n·t = 0 for every tangent t of a line or flat. Curved features give their point
//! as a function of n.

use super::feature::{Feature, Solid, near, reversed, support};
use crate::collide::scalar::{Dual, Scalar, V, add, dot, rotate, rotate_back, scale, sub};
use crate::spatial::Vec3;

/// Where two features touch: unknowns (n, λ, coordinates).
#[derive(Debug, Clone, Copy)]
pub(super) struct Exact {
    pub(super) feature: [Feature; 2],
    pub(super) x: [f64; 6],
}

/// The point of a feature of solid `side` (0 or 1), in the world.
fn point<T: Scalar>(
    solid: &Solid<'_, T>,
    side: usize,
    feature: Feature,
    n: V<T>,
    at: [T; 2],
) -> V<T> {
    let outward = if side == 0 { n } else { reversed(n) };
    let local = feature.point(solid, rotate_back(&solid.shape.mat, outward), at);
    add(solid.shape.pos, rotate(&solid.shape.mat, local))
}

/// The coordinates of both features among the unknowns.
fn coordinates<T: Scalar>(feature: [Feature; 2], x: &[T; 6]) -> [[T; 2]; 2] {
    let first = feature[0].dimension();
    let take = |from: usize, count: usize| {
        let mut out = [T::zero(); 2];
        for k in 0..count {
            out[k] = x[4 + from + k];
        }
        out
    };
    [take(0, first), take(first, feature[1].dimension())]
}

fn points<T: Scalar>(solids: [&Solid<'_, T>; 2], feature: [Feature; 2], x: &[T; 6]) -> [V<T>; 2] {
    let at = coordinates(feature, x);
    let n = [x[0], x[1], x[2]];
    [0, 1].map(|k| point(solids[k], k, feature[k], n, at[k]))
}

fn residual<T: Scalar>(solids: [&Solid<'_, T>; 2], feature: [Feature; 2], x: &[T; 6]) -> [T; 6] {
    let n = [x[0], x[1], x[2]];
    let [a, b] = points(solids, feature, x);
    let gap = sub(sub(b, a), scale(n, x[3]));
    let mut out = [gap[0], gap[1], gap[2], (dot(n, n) - T::constant(1.0)).times(0.5), x[4], x[5]];
    let mut row = 4;
    for k in 0..2 {
        let tangents = feature[k].tangents(solids[k].hull);
        for t in &tangents[..feature[k].dimension()] {
            out[row] = dot(rotate(&solids[k].shape.mat, *t), n);
            row += 1;
        }
    }
    out
}

type Matrix = [[f64; 6]; 6];

/// ∂residual/∂x.
fn jacobian(solids: [&Solid<'_, f64>; 2], feature: [Feature; 2], x: &[f64; 6]) -> Matrix {
    type D = Dual<6>;
    let constant = solids.map(Solid::<D>::constant);
    let mut at = x.map(D::constant);
    for k in 0..6 {
        at[k].slope[k] = 1.0;
    }
    residual([&constant[0], &constant[1]], feature, &at).map(|r| r.slope)
}

/// The inverse of a matrix; `None` if it is singular.
fn inverse(mut m: Matrix) -> Option<Matrix> {
    let mut out = [[0.0; 6]; 6];
    for k in 0..6 {
        out[k][k] = 1.0;
    }
    for k in 0..6 {
        let pivot = (k..6).max_by(|&a, &b| m[a][k].abs().total_cmp(&m[b][k].abs()))?;
        if m[pivot][k].abs() < 1e-9 {
            return None;
        }
        m.swap(k, pivot);
        out.swap(k, pivot);
        let by = 1.0 / m[k][k];
        for c in 0..6 {
            m[k][c] *= by;
            out[k][c] *= by;
        }
        for r in (0..6).filter(|r| *r != k) {
            let factor = m[r][k];
            for c in 0..6 {
                m[r][c] -= factor * m[k][c];
                out[r][c] -= factor * out[k][c];
            }
        }
    }
    Some(out)
}

/// How far a point is from being the farthest of the solid's core along the outward direction.
fn short_of_support(solid: &Solid<'_, f64>, outward: Vec3, point: Vec3) -> f64 {
    let shape = &solid.shape;
    let (local, _) = support(solid, rotate_back(&shape.mat, outward), None);
    dot(outward, sub(add(shape.pos, rotate(&shape.mat, local)), point))
}

/// Solves for two features from an approximate contact. `None` if Newton's method does not converge, or if what it finds is no contact: a point
/// beyond its feature, or not the farthest of its solid along the normal.
fn solve(
    solids: [&Solid<'_, f64>; 2],
    feature: [Feature; 2],
    guess: &Guess,
    size: f64,
) -> Option<Exact> {
    let Guess { normal, on, dist } = guess;
    let mut x = [normal[0], normal[1], normal[2], *dist, 0.0, 0.0];
    let mut slot = 4;
    for k in 0..2 {
        let shape = &solids[k].shape;
        let outward = if k == 0 { *normal } else { reversed(*normal) };
        let origin = feature[k].point(solids[k], rotate_back(&shape.mat, outward), [0.0; 2]);
        let local = rotate_back(&shape.mat, sub(on[k], shape.pos));
        for t in &feature[k].tangents(solids[k].hull)[..feature[k].dimension()] {
            x[slot] = dot(*t, sub(local, origin));
            slot += 1;
        }
    }
    let mut last = f64::INFINITY;
    for _ in 0..20 {
        let r = residual(solids, feature, &x);
        let j = inverse(jacobian(solids, feature, &x))?;
        let mut moved = 0.0f64;
        for k in 0..6 {
            let step: f64 = (0..6).map(|c| j[k][c] * r[c]).sum();
            x[k] -= step;
            moved = moved.max(step.abs());
        }
        if !moved.is_finite() || moved > 10.0 {
            return None;
        }
        if moved <= 1e-14 || (moved <= 1e-11 && moved >= last) {
            let n = [x[0], x[1], x[2]];
            let slack = 1e-9 * size;
            let at = coordinates(feature, &x);
            let p = points(solids, feature, &x);
            let fits = (0..2).all(|k| {
                let outward = if k == 0 { n } else { reversed(n) };
                feature[k].contains(solids[k], at[k], slack)
                    && short_of_support(solids[k], outward, p[k]) <= slack
            });
            return fits.then_some(Exact { feature, x });
        }
        last = moved;
    }
    None
}

/// An approximate contact: unit normal, points of the cores, distance along the normal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    pub(super) normal: Vec3,
    pub(super) on: [Vec3; 2],
    pub(super) dist: f64,
}

/// The exact contact near a guess whose normal is known up to an angle of `slack`. `None` where no pair of features gives one; parallel
/// lines and flats do not, because their points are not unique.
pub(super) fn exact(solids: [&Solid<'_, f64>; 2], guess: &Guess, slack: f64) -> Option<Exact> {
    let size = solids.iter().map(|s| crate::spatial::norm(s.shape.size)).fold(0.0, f64::max);
    let outward = [guess.normal, reversed(guess.normal)];
    let lists =
        [0, 1].map(|k| near(solids[k], rotate_back(&solids[k].shape.mat, outward[k]), slack));
    for total in [2, 1, 0] {
        for &f in lists[0].as_slice() {
            for &g in lists[1].as_slice() {
                if f.dimension() + g.dimension() != total {
                    continue;
                }
                if let Some(found) = solve(solids, [f, g], guess, size)
                    && (found.x[3] - guess.dist).abs() <= 1e-3 * size
                {
                    return Some(found);
                }
            }
        }
    }
    None
}

/// Normal, distance and points with the derivatives that the solids carry: one step of Newton's method on numbers that carry them.
pub(super) fn lift<T: Scalar>(
    solids: [&Solid<'_, T>; 2],
    exact: &Exact,
) -> Option<(V<T>, T, [V<T>; 2])> {
    let values = [solids[0].values(), solids[1].values()];
    let j = inverse(jacobian([&values[0], &values[1]], exact.feature, &exact.x))?;
    let mut x = exact.x.map(T::constant);
    let r = residual(solids, exact.feature, &x);
    for k in 0..6 {
        for c in 0..6 {
            x[k] = x[k] - r[c].times(j[k][c]);
        }
    }
    Some(([x[0], x[1], x[2]], x[3], points(solids, exact.feature, &x)))
}
