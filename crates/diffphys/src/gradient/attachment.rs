//! Derivatives of connect and weld rows: how J·x and J̇·v change with positions and velocities.
//!
//! Along a displacement with body motions V (rotation θ, translation δp of the body's point), the motion X_b = Σ S·x of a body changes by
//! δX_b = V × X_b + X_λ × S, and its acceleration from velocities and joint accelerations by V × A_b + Ψ̈ + Ψ̇ × v_b.

use super::adjoint::Cotangent;
use super::rows::log_d_slope;
use super::smooth::Motions;
use crate::constraint::{Attachment, Both, Turn};
use crate::spatial::motion::{accumulate, accumulate_scaled, at_point, cross_motion};
use crate::spatial::{
    Spatial, Vec3, add, add_scaled, angular, cross, dot, rotate_back, scale, sub,
};
use crate::{Data, Model};

const STILL: Spatial = [0.0; 6];

/// How the two bodies are displaced: rotations, and translations of their points.
struct Displacement {
    theta: [Vec3; 2],
    dp: [Vec3; 2],
}

impl Displacement {
    const NONE: Self = Self { theta: [[0.0; 3]; 2], dp: [[0.0; 3]; 2] };

    fn new(attachment: &Attachment, s: &Spatial, moves: [bool; 2]) -> Self {
        let mut out = Self::NONE;
        for k in 0..2 {
            if moves[k] {
                out.theta[k] = angular(s);
                out.dp[k] = at_point(s, attachment.offset[k]);
            }
        }
        out
    }
}

/// What a weld's rotation is a function of, changed: w in the second frame, and e.
fn turned(turn: &Turn, d: &Displacement, w: Vec3, dw: Vec3) -> (Vec3, Vec3, f64, Vec3) {
    let local = rotate_back(&turn.frame, w);
    let change = rotate_back(&turn.frame, sub(dw, cross(d.theta[1], w)));
    let psi = rotate_back(&turn.frame, sub(d.theta[0], d.theta[1]));
    let e = [turn.error[1], turn.error[2], turn.error[3]];
    let by = add(scale(psi, turn.error[0]), cross(psi, e));
    (local, change, -0.5 * dot(psi, e), scale(by, 0.5))
}

impl Turn {
    /// The change of `apply` along a displacement.
    fn apply_change(&self, d: &Displacement, w: Vec3, dw: Vec3) -> Vec3 {
        let (local, change, de0, de) = turned(self, d, w, dw);
        let by_error = sub(scale(local, de0), cross(de, local));
        add(self.apply(change), scale(by_error, 0.5 * self.scale))
    }
}

impl Attachment {
    /// The change of `rate` for bodies that move by `x`, which changes by `dx`.
    fn rate_change(&self, d: &Displacement, x: [&Spatial; 2], dx: [Spatial; 2]) -> [f64; 6] {
        let at = |k: usize| add(at_point(&dx[k], self.offset[k]), cross(angular(x[k]), d.dp[k]));
        let turn = self.turn.as_ref().map_or([0.0; 3], |t| {
            let w = sub(angular(x[0]), angular(x[1]));
            t.apply_change(d, w, sub(angular(&dx[0]), angular(&dx[1])))
        });
        crate::constraint::join(sub(at(0), at(1)), turn)
    }

    /// The change of J·a + J̇·v for velocities `v` and accelerations `a` of the bodies that change by `dv` and `da`.
    fn acceleration_change(
        &self,
        d: &Displacement,
        (v, dv): ([&Spatial; 2], [Spatial; 2]),
        (a, da): ([&Spatial; 2], [Spatial; 2]),
    ) -> [f64; 6] {
        let at = |k: usize| {
            let c = self.offset[k];
            let (w, velocity) = (angular(v[k]), at_point(v[k], c));
            let moved = add(at_point(&dv[k], c), cross(w, d.dp[k]));
            let linear = add(at_point(&da[k], c), cross(angular(a[k]), d.dp[k]));
            add(linear, add(cross(angular(&dv[k]), velocity), cross(w, moved)))
        };
        let turn = self.turn.as_ref().map_or([0.0; 3], |t| {
            let (w1, w2) = (angular(v[0]), angular(v[1]));
            let (w, dw) = (sub(w1, w2), sub(angular(&dv[0]), angular(&dv[1])));
            let m = sub(sub(angular(a[0]), angular(a[1])), cross(w2, w));
            let own = sub(angular(&da[0]), angular(&da[1]));
            let dm = sub(own, add(cross(angular(&dv[1]), w), cross(w2, dw)));
            let e = [t.error[1], t.error[2], t.error[3]];
            let (.., de) = turned(t, d, w, dw);
            let outward = add(scale(e, 2.0 * dot(w, dw)), scale(de, dot(w, w)));
            add_scaled(t.apply_change(d, m, dm), outward, -0.25 * t.scale)
        });
        crate::constraint::join(sub(at(0), at(1)), turn)
    }
}

/// Motions of the two bodies, and their changes along one degree of freedom.
pub(super) struct Kinematics<'a> {
    model: &'a Model,
    data: &'a Data,
    motions: &'a Motions,
    attachment: Attachment,
    /// Accelerations without gravity.
    acceleration: [Spatial; 2],
}

impl<'a> Kinematics<'a> {
    pub(super) fn new(model: &'a Model, data: &'a Data, motions: &'a Motions, id: usize) -> Self {
        let attachment = Attachment::new(model, data, id);
        let acceleration = attachment.body.map(|b| {
            let mut a = motions.acceleration[b];
            accumulate_scaled(&mut a, &motions.acceleration[0], -1.0);
            a
        });
        Self { model, data, motions, attachment, acceleration }
    }

    fn velocity(&self) -> [&'a Spatial; 2] {
        self.attachment.body.map(|b| &self.data.cvel[b])
    }

    fn column(&self, j: usize, moves: [bool; 2]) -> [f64; 6] {
        self.attachment.rate(moves.map(|m| if m { &self.data.cdof[j] } else { &STILL }))
    }

    /// d(J·x)/dq_j for x with body motions `x`; `psi` is that of what comes before the block of j, crossed with S_j.
    fn rate(&self, j: usize, moves: [bool; 2], x: [&Spatial; 2], psi: &Spatial) -> [f64; 6] {
        let s = &self.data.cdof[j];
        let change = |k: usize| if moves[k] { sum(&cross_motion(s, x[k]), psi) } else { STILL };
        let d = Displacement::new(&self.attachment, s, moves);
        self.attachment.rate_change(&d, x, [change(0), change(1)])
    }

    /// d(J·a + J̇·v)/dq_j.
    fn acceleration_by_position(&self, j: usize, moves: [bool; 2]) -> [f64; 6] {
        let s = &self.data.cdof[j];
        let (v, a) = (self.velocity(), [&self.acceleration[0], &self.acceleration[1]]);
        let psi = &self.motions.psi[j];
        // Ψ̈ with gravity taken out again.
        let mut psi2 = self.motions.psi2[j];
        accumulate_scaled(&mut psi2, &cross_motion(&self.motions.acceleration[0], s), -1.0);
        let (mut dv, mut da) = ([STILL; 2], [STILL; 2]);
        for k in 0..2 {
            if moves[k] {
                dv[k] = sum(&cross_motion(s, v[k]), psi);
                da[k] = sum(&sum(&cross_motion(s, a[k]), &psi2), &cross_motion(psi, v[k]));
            }
        }
        let d = Displacement::new(&self.attachment, s, moves);
        self.attachment.acceleration_change(&d, (v, dv), (a, da))
    }

    /// d(J̇·v)/dv_j.
    fn acceleration_by_velocity(&self, j: usize, moves: [bool; 2]) -> [f64; 6] {
        let s = &self.data.cdof[j];
        let (v, a) = (self.velocity(), [&self.acceleration[0], &self.acceleration[1]]);
        let (mut dv, mut da) = ([STILL; 2], [STILL; 2]);
        for k in 0..2 {
            if moves[k] {
                dv[k] = *s;
                let rates = sum(&self.motions.psi[j], &self.motions.sdot[j]);
                da[k] = sum(&rates, &cross_motion(s, v[k]));
            }
        }
        self.attachment.acceleration_change(&Displacement::NONE, (v, dv), (a, da))
    }

    /// Adds the cotangents of the rows from `first`: λᵀ·Jᵀ·f and z·jar, with y = J·λ.
    pub(super) fn pull(
        &self,
        first: usize,
        (lambda, bodies): (&[f64], &[Spatial]),
        (y, z): (&[f64], &[f64]),
        out: &mut Cotangent,
    ) {
        let (efc, rows) = (&self.data.efc, self.attachment.rows());
        let part = |list: &[f64]| {
            let mut six = [0.0; 6];
            six[..rows].copy_from_slice(&list[first..first + rows]);
            six
        };
        let (f, y, z) = (part(&efc.force), part(y), part(z));
        let damping = efc.KBIP[first][1];
        // Of the residual: by the reference, by the impedance, which depends on its norm, and by D.
        let residual = self.attachment.residual();
        let by_norm = self.by_norm(first);
        let along = inner(&z, &residual) * by_norm.0 + inner(&y, &f) * by_norm.1;
        let [k, _, d, _] = efc.KBIP[first];
        let mut residual_bar = [0.0; 6];
        for r in 0..rows {
            residual_bar[r] = k * d * z[r] + along * residual[r];
        }
        let x = self.attachment.body.map(|b| &bodies[b]);
        for (j, moves) in Both::new(self.model, self.attachment.body) {
            let column = self.column(j, moves);
            let s = &self.data.cdof[j];
            let psi = cross_motion(&self.before(lambda, bodies, j), s);
            let by_velocity = self.rate(j, moves, self.velocity(), &self.motions.psi[j]);
            out.qpos[j] += inner(&f, &self.rate(j, moves, x, &psi))
                + damping * inner(&z, &by_velocity)
                + inner(&z, &self.acceleration_by_position(j, moves))
                + inner(&residual_bar, &column);
            out.qvel[j] +=
                damping * inner(&z, &column) + inner(&z, &self.acceleration_by_velocity(j, moves));
        }
    }

    /// Factors of δ‖r‖·‖r‖ = r·δr in the reference (times r) and in log D.
    fn by_norm(&self, first: usize) -> (f64, f64) {
        let length = norm_of(&self.attachment.residual());
        if length < crate::spatial::MINVAL {
            return (0.0, 0.0);
        }
        let [k, _, _, slope] = self.data.efc.KBIP[first];
        (k * slope / length, log_d_slope(self.data, first) / length)
    }

    /// Σ S·x of what comes before the block of `j`.
    fn before(&self, x: &[f64], bodies: &[Spatial], j: usize) -> Spatial {
        let body = self.model.dof_bodyid[j];
        let mut out = bodies[self.model.body_parentid[body]];
        for k in self.model.body_dofadr[body]..self.model.dof_block[j] {
            accumulate_scaled(&mut out, &self.data.cdof[k], x[k]);
        }
        out
    }

    /// Adds ∂(Jᵀ·f)/∂q and ∂(Jᵀ·f)/∂v, with the rows' part of the acceleration held.
    pub(super) fn add(&self, first: usize, dq: &mut [f64], dv: &mut [f64]) {
        let (model, data, nv) = (self.model, self.data, self.model.nv());
        let (efc, rows) = (&data.efc, self.attachment.rows());
        let residual = self.attachment.residual();
        let by_norm = self.by_norm(first);
        let [k, damping, d, _] = efc.KBIP[first];
        let mut f = [0.0; 6];
        f[..rows].copy_from_slice(&efc.force[first..first + rows]);
        for (j, moves) in Both::new(model, self.attachment.body) {
            let column = self.column(j, moves);
            let by_velocity = self.rate(j, moves, self.velocity(), &self.motions.psi[j]);
            let acceleration = self.acceleration_by_position(j, moves);
            let drift = self.acceleration_by_velocity(j, moves);
            let along = inner(&residual, &column);
            // Changes of the forces.
            let (mut by_q, mut by_v) = ([0.0; 6], [0.0; 6]);
            for r in 0..rows {
                let jar = acceleration[r]
                    + damping * by_velocity[r]
                    + k * d * column[r]
                    + by_norm.0 * along * residual[r];
                by_q[r] = f[r] * by_norm.1 * along - efc.D[first + r] * jar;
                by_v[r] = -efc.D[first + r] * (damping * column[r] + drift[r]);
            }
            for (i, touches) in Both::new(model, self.attachment.body) {
                let own = self.column(i, touches);
                // J's column i along q_j.
                let s = &data.cdof[i];
                let x = touches.map(|t| if t { s } else { &STILL });
                let psi =
                    if i < model.dof_block[j] { cross_motion(s, &data.cdof[j]) } else { STILL };
                let both = [moves[0] && touches[0], moves[1] && touches[1]];
                let change = |k: usize| {
                    if both[k] { sum(&cross_motion(&data.cdof[j], s), &psi) } else { STILL }
                };
                let d = Displacement::new(&self.attachment, &data.cdof[j], moves);
                let bend = self.attachment.rate_change(&d, x, [change(0), change(1)]);
                dq[i * nv + j] += inner(&own, &by_q) + inner(&f, &bend);
                dv[i * nv + j] += inner(&own, &by_v);
            }
        }
    }
}

fn sum(a: &Spatial, b: &Spatial) -> Spatial {
    let mut out = *a;
    accumulate(&mut out, b);
    out
}

fn inner(a: &[f64; 6], b: &[f64; 6]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm_of(r: &[f64; 6]) -> f64 {
    inner(r, r).sqrt()
}
