//! What the rows of the constrained problem contribute to derivatives: curvature, and how residual, reference and regularization move.

use crate::constraint::{RowKind, attaches, polynomial, polynomial_curvature};
use crate::data::Data;
use crate::model::{EqualityType, quat_of};
use crate::solve::{Curvature, row_curvature};
use crate::spatial::quaternion::{
    logarithm, right_jacobian_inverse, right_jacobian_inverse_transpose,
};
use crate::spatial::{MINVAL, add_scaled, dot, normalize, scale};
use crate::{Model, RowState};

/// −W·y: the cotangent of jar for the cotangent y of the forces.
pub(crate) fn pull_force(data: &Data, y: &[f64], z: &mut [f64]) {
    let efc = &data.efc;
    let mut row = 0;
    while row < efc.nefc() {
        match row_curvature(efc, &data.contact, &efc.jar, &efc.state, row) {
            Curvature::Row(w) => {
                z[row] = -w * y[row];
                row += 1;
            }
            Curvature::Block(dim, block) => {
                for a in 0..dim {
                    z[row + a] = -(0..dim).map(|b| block[a][b] * y[row + b]).sum::<f64>();
                }
                row += dim;
            }
        }
    }
}

/// ∂(−aref)/∂pos at fixed velocity: K·(d + d'·(pos − margin)).
pub(crate) fn reference_slope(data: &Data, row: usize) -> f64 {
    let efc = &data.efc;
    let [k, _, d, slope] = efc.KBIP[row];
    k * (d + slope * (efc.pos[row] - efc.margin[row]))
}

/// ∂log D/∂pos = d'/(d·(1 − d)); 0 where R is at its floor.
pub(crate) fn log_d_slope(data: &Data, row: usize) -> f64 {
    let [_, _, d, slope] = data.efc.KBIP[row];
    if data.efc.R[row] <= MINVAL { 0.0 } else { slope / (d * (1.0 - d)) }
}

/// Does the row act, or resist: has it a force or a curvature?
pub(crate) fn acts(data: &Data, row: usize) -> bool {
    data.efc.state[row] != RowState::Satisfied
}

/// Is the force of this row proportional to D (dry friction at its bound is not)?
pub(crate) fn scales_with_d(data: &Data, row: usize) -> bool {
    !matches!(data.efc.state[row], RowState::LinearNegative | RowState::LinearPositive)
}

/// How the Jacobian of a row that is not a contact's moves with positions: Σ weight·x over its entries, differentiated.
pub(crate) enum Bend {
    /// It does not.
    Straight,
    /// −curvature·(second object's motion)² of a polynomial: the degrees of freedom of the second object with their coefficients.
    Polynomial(f64, Second),
    /// The axis −w/‖w‖ of a ball joint's limit: its first degree of freedom and w.
    Axis(usize, [f64; 3]),
}

/// The second object of a polynomial equality.
pub(crate) enum Second {
    Joint(usize),
    Tendon(usize),
}

impl Second {
    pub(crate) fn visit(&self, model: &Model, data: &Data, mut visit: impl FnMut(usize, f64)) {
        match *self {
            Second::Joint(dof) => visit(dof, 1.0),
            Second::Tendon(t) => {
                for &dof in &model.tendon_dofs[t] {
                    visit(dof, data.ten_J[t * model.nv() + dof]);
                }
            }
        }
    }

    /// The object's rate along x.
    pub(crate) fn along(&self, model: &Model, data: &Data, x: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.visit(model, data, |dof, c| sum += c * x[dof]);
        sum
    }
}

/// The tendons whose Jacobians a row is made of, with their factors.
pub(crate) fn tendons_of(
    model: &Model,
    data: &Data,
    row: usize,
) -> impl Iterator<Item = (usize, f64)> {
    let none = (usize::MAX, 0.0);
    let list = match data.efc.kind[row] {
        RowKind::FrictionTendon(t) => [(t, 1.0), none],
        RowKind::LimitTendon(t) => {
            // The lower limit comes first.
            let above = data.ten_length[t] - model.tendon_range[t][0];
            let second = row > 0 && data.efc.kind[row - 1] == data.efc.kind[row];
            let lower = !second && data.efc.pos[row] == above;
            [(t, if lower { 1.0 } else { -1.0 }), none]
        }
        RowKind::Equality(id) if model.eq_type[id] == EqualityType::Tendon => {
            let (a, b) = (model.eq_obj1id[id], model.eq_obj2id[id]);
            let second = if b == usize::MAX {
                none
            } else {
                let x = data.ten_length[b] - model.tendon_length0[b];
                (b, -polynomial(&model.eq_data[id], x).1)
            };
            [(a, 1.0), second]
        }
        _ => [none; 2],
    };
    list.into_iter().filter(|(t, _)| *t != usize::MAX)
}

pub(crate) fn bend(model: &Model, data: &Data, row: usize) -> Bend {
    match data.efc.kind[row] {
        RowKind::Equality(id) if model.eq_obj2id[id] != usize::MAX && !attaches(model, id) => {
            let b = model.eq_obj2id[id];
            let (second, x) = if model.eq_type[id] == EqualityType::Joint {
                let q = model.jnt_qposadr[b];
                (Second::Joint(model.jnt_dofadr[b]), data.qpos[q] - model.qpos0[q])
            } else {
                (Second::Tendon(b), data.ten_length[b] - model.tendon_length0[b])
            };
            match polynomial_curvature(&model.eq_data[id], x) {
                0.0 => Bend::Straight,
                curvature => Bend::Polynomial(curvature, second),
            }
        }
        RowKind::LimitJoint(joint) => match model.rotation(joint) {
            Some((q, v)) => Bend::Axis(v, logarithm(quat_of(&data.qpos, q))),
            None => Bend::Straight,
        },
        _ => Bend::Straight,
    }
}

/// d(n)ᵀ·c for n = w/‖w‖, w = log q: the tangent cotangent Jr⁻ᵀ·(1 − n·nᵀ)·c/‖w‖.
pub(crate) fn pull_axis(w: [f64; 3], c: [f64; 3]) -> [f64; 3] {
    let (n, length) = normalize(w);
    if length < MINVAL {
        return [0.0; 3];
    }
    let across = add_scaled(c, n, -dot(n, c));
    right_jacobian_inverse_transpose(w, scale(across, 1.0 / length))
}

/// dn = (1 − n·nᵀ)·Jr⁻¹·dq/‖w‖.
pub(crate) fn push_axis(w: [f64; 3], dq: [f64; 3]) -> [f64; 3] {
    let (n, length) = normalize(w);
    if length < MINVAL {
        return [0.0; 3];
    }
    let dw = right_jacobian_inverse(w, dq);
    scale(add_scaled(dw, n, -dot(n, dw)), 1.0 / length)
}
