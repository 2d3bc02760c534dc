//! The cost s of each row, its force −∇s and its curvature, by kind of row (MuJoCo, "Constraint model: primal").

use crate::collide::Contact;
use crate::constraint::{RowKind, RowState, Rows};
use crate::spatial::MINVAL;

/// An elliptic cone in the coordinates where it is circular: U = (μ·x₀, friction_k·x_k), N = U₀, T = ‖U₁…‖.
pub(crate) struct Zone {
    pub(crate) u: [f64; 6],
    pub(crate) scale: [f64; 6],
    pub(crate) n: f64,
    pub(crate) t: f64,
    pub(crate) mu: f64,
    pub(crate) dm: f64,
}

impl Zone {
    pub(crate) fn new(contact: &Contact, rows: &Rows, jar: &[f64]) -> Self {
        let first = contact.efc_address;
        Self::at(contact, rows.D[first], &jar[first..first + contact.dim])
    }

    /// At x, one number per row of the contact, with D of its first row.
    pub(crate) fn at(contact: &Contact, d: f64, x: &[f64]) -> Self {
        let (dim, mu) = (contact.dim, contact.mu);
        let mut scale = [0.0; 6];
        scale[0] = mu;
        scale[1..dim].copy_from_slice(&contact.friction[..dim - 1]);
        let mut u = [0.0; 6];
        for k in 0..dim {
            u[k] = x[k] * scale[k];
        }
        let t = u[1..].iter().map(|x| x * x).sum::<f64>().sqrt();
        let dm = d / (mu * mu * (1.0 + mu * mu)).max(MINVAL);
        Self { u, scale, n: u[0], t, mu, dm }
    }

    /// Which part of the space x is in.
    pub(crate) fn state(&self) -> RowState {
        if self.n >= self.mu * self.t || (self.t <= 0.0 && self.n >= 0.0) {
            RowState::Satisfied
        } else if self.mu * self.n + self.t <= 0.0 || (self.t <= 0.0 && self.n < 0.0) {
            RowState::Quadratic
        } else {
            RowState::Cone
        }
    }
}

/// Forces and states at jar; returns the cost, less that of rows which nothing moves: it is constant, and may be larger than the rest.
pub(crate) fn forces(
    rows: &Rows,
    contacts: &[Contact],
    jar: &[f64],
    force: &mut [f64],
    state: &mut [RowState],
) -> f64 {
    let mut cost = 0.0;
    let mut row = 0;
    while row < rows.nefc() {
        let (x, d) = (jar[row], rows.D[row]);
        let before = cost;
        match rows.kind[row] {
            RowKind::Equality(_) => {
                force[row] = -d * x;
                state[row] = RowState::Quadratic;
                cost += 0.5 * d * x * x;
            }
            RowKind::FrictionDof(_) | RowKind::FrictionTendon(_) => {
                let bound = rows.frictionloss[row];
                let edge = rows.R[row] * bound;
                if x <= -edge {
                    force[row] = bound;
                    state[row] = RowState::LinearNegative;
                    cost += bound * (-0.5 * edge - x);
                } else if x >= edge {
                    force[row] = -bound;
                    state[row] = RowState::LinearPositive;
                    cost += bound * (-0.5 * edge + x);
                } else {
                    force[row] = -d * x;
                    state[row] = RowState::Quadratic;
                    cost += 0.5 * d * x * x;
                }
            }
            RowKind::ContactElliptic(id) => {
                let contact = &contacts[id];
                let own = elliptic(rows, contact, jar, force, state);
                if !rows.still || rows.weight[row..row + contact.dim].iter().any(|w| *w > 0.0) {
                    cost += own;
                }
                row += contact.dim;
                continue;
            }
            _ => {
                if x >= 0.0 {
                    force[row] = 0.0;
                    state[row] = RowState::Satisfied;
                } else {
                    force[row] = -d * x;
                    state[row] = RowState::Quadratic;
                    cost += 0.5 * d * x * x;
                }
            }
        }
        if rows.still && rows.weight[row] == 0.0 {
            cost = before;
        }
        row += 1;
    }
    cost
}

fn elliptic(
    rows: &Rows,
    contact: &Contact,
    jar: &[f64],
    force: &mut [f64],
    state: &mut [RowState],
) -> f64 {
    let (first, dim) = (contact.efc_address, contact.dim);
    let zone = Zone::new(contact, rows, jar);
    let kind = zone.state();
    let mut cost = 0.0;
    match kind {
        RowState::Quadratic => {
            for row in first..first + dim {
                force[row] = -rows.D[row] * jar[row];
                cost += 0.5 * rows.D[row] * jar[row] * jar[row];
            }
        }
        RowState::Cone => {
            let gap = zone.n - zone.mu * zone.t;
            cost = 0.5 * zone.dm * gap * gap;
            force[first] = -zone.dm * gap * zone.mu;
            for k in 1..dim {
                force[first + k] = -force[first] / zone.t * zone.u[k] * zone.scale[k];
            }
        }
        _ => force[first..first + dim].fill(0.0),
    }
    state[first..first + dim].fill(kind);
    cost
}

/// The curvature −∂force/∂jar of a row, or of a cone's block. Never stored, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Curvature {
    /// One number; 0 where the cost is linear.
    Row(f64),
    /// A symmetric block of the cone with this many rows.
    Block(usize, [[f64; 6]; 6]),
}

/// The curvature at `row`, in the states that `forces` found.
pub(crate) fn row_curvature(
    rows: &Rows,
    contacts: &[Contact],
    jar: &[f64],
    state: &[RowState],
    row: usize,
) -> Curvature {
    match (rows.kind[row], state[row]) {
        (RowKind::ContactElliptic(id), RowState::Cone) => {
            let contact = &contacts[id];
            let dim = contact.dim;
            let zone = Zone::new(contact, rows, jar);
            let (mu, t, n) = (zone.mu, zone.t.max(MINVAL), zone.n);
            // Of ½(N − μT)² in U: [1, −μU/T; ·, μN/T³·U·Uᵀ + (μ² − μN/T)·1].
            let mut block = [[0.0; 6]; 6];
            block[0][0] = 1.0;
            for j in 1..dim {
                block[0][j] = -mu * zone.u[j] / t;
                block[j][0] = block[0][j];
                for k in 1..dim {
                    block[j][k] = mu * n / (t * t * t) * zone.u[j] * zone.u[k];
                }
                block[j][j] += mu * mu - mu * n / t;
            }
            for j in 0..dim {
                for k in 0..dim {
                    block[j][k] *= zone.dm * zone.scale[j] * zone.scale[k];
                }
            }
            Curvature::Block(dim, block)
        }
        (_, RowState::Quadratic) => Curvature::Row(rows.D[row]),
        _ => Curvature::Row(0.0),
    }
}
