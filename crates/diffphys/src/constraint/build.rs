//! Rows of contacts: the Jacobian of the relative motion of two bodies at a point.

use crate::spatial::motion::at_point;
use crate::spatial::{Vec3, angular, dot, sub};
use crate::{Data, Model};

/// The degrees of freedom that move body `b2` relative to body `b1`, decreasing, with the sign of their effect. Common ancestors move both
/// alike and are left out.
pub(crate) struct Chain<'a> {
    model: &'a Model,
    first: usize,
    second: usize,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(model: &'a Model, b1: usize, b2: usize) -> Self {
        Self { model, first: model.last_dof(b1), second: model.last_dof(b2) }
    }
}

impl Iterator for Chain<'_> {
    type Item = (usize, f64);

    fn next(&mut self) -> Option<(usize, f64)> {
        let none = crate::dynamics::NO_PARENT;
        if self.first == self.second {
            return None;
        }
        // NO_PARENT is the largest number: it must lose.
        let second = self.first == none || (self.second != none && self.second > self.first);
        let (next, sign) = if second { (&mut self.second, 1.0) } else { (&mut self.first, -1.0) };
        let dof = *next;
        *next = self.model.dof_parentid[dof];
        Some((dof, sign))
    }
}

/// The relative velocity, in the contact's frame, that a unit velocity of `dof` gives: translation along the three axes, rotation about them.
pub(crate) fn contact_column(
    model: &Model,
    data: &Data,
    (pos, frame): (Vec3, &[f64; 9]),
    (dof, sign): (usize, f64),
    dim: usize,
) -> [f64; 6] {
    let s = &data.cdof[dof];
    let origin = data.subtree_com[model.body_rootid[model.dof_bodyid[dof]]];
    let v = at_point(s, sub(pos, origin));
    let axis = |k: usize| [frame[3 * k], frame[3 * k + 1], frame[3 * k + 2]];
    let mut out = [0.0; 6];
    out[0] = sign * dot(axis(0), v);
    if dim > 1 {
        out[1] = sign * dot(axis(1), v);
        out[2] = sign * dot(axis(2), v);
    }
    for k in 3..dim {
        out[k] = sign * dot(axis(k - 3), angular(s));
    }
    out
}

/// How rows are made of the contact's axes: row = axis `normal`, or J₀ ± μ_k·J_k. Calls `visit(row, axis, weight)`.
pub(crate) fn contact_rows(
    pyramidal: bool,
    dim: usize,
    friction: &[f64; 5],
    mut visit: impl FnMut(usize, usize, f64),
) {
    if dim == 1 {
        visit(0, 0, 1.0);
    } else if pyramidal {
        for k in 1..dim {
            for (side, sign) in [(0, 1.0), (1, -1.0)] {
                let row = 2 * (k - 1) + side;
                visit(row, 0, 1.0);
                visit(row, k, sign * friction[k - 1]);
            }
        }
    } else {
        for k in 0..dim {
            visit(k, k, 1.0);
        }
    }
}
