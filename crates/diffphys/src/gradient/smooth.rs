//! Derivatives of inverse dynamics τ(q, v, a) = M·a + c, dense: Carpentier and Mansard (RSS 2018) in the closed form of Singh, Russo and Wensing
//! (RA-L 2022).
//!
//! World-oriented frames about a fixed point. With B = ½[(v×*)·I − I·(v×) + (I·v)×̄*], composites I^C, B^C, f^C over subtrees,
//! Ψ̇_j = v_λ(j) × S_j, Ψ̈_j = a_λ(j) × S_j + v_λ(j) × Ψ̇_j, Ṡ_j = v_j × S_j, for j on the way from i to the world:
//!
//! ∂τ_i/∂q_j = S_iᵀ(2B_i^C·Ψ̇_j + I_i^C·Ψ̈_j), ∂τ_j/∂q_i = S_jᵀ(2B_i^C·Ψ̇_i + I_i^C·Ψ̈_i + S_i ×* f_i^C) for j in an earlier block,
//! ∂τ_i/∂v_j = S_iᵀ(2B_i^C·S_j + I_i^C·(Ψ̇_j + Ṡ_j)), ∂τ_j/∂v_i with i and j exchanged on the right.

use crate::dynamics::NO_PARENT;
use crate::spatial::motion::{
    Inertia, accumulate, accumulate_scaled, add6, cross_force, cross_motion, dot6, multiply,
};
use crate::spatial::{Spatial, linear, scale, spatial};
use crate::{Data, Model};

/// What the formulas need of each degree of freedom and body, at (q, v, a).
#[derive(Debug, Clone, Default)]
pub(crate) struct Motions {
    /// Σ S·a along the way from the world to each body.
    pub(crate) pure: Vec<Spatial>,
    /// Acceleration of each body, with Coriolis terms and gravity as −g of the world.
    pub(crate) acceleration: Vec<Spatial>,
    /// Ψ̇_j, Ψ̈_j, Ṡ_j.
    pub(crate) psi: Vec<Spatial>,
    pub(crate) psi2: Vec<Spatial>,
    pub(crate) sdot: Vec<Spatial>,
    /// `pure` of what comes before each degree of freedom's block, crossed with S_j.
    pub(crate) pure_psi: Vec<Spatial>,
    /// Force through each body's joint: composite I·a + v ×* I·v.
    pub(crate) force: Vec<Spatial>,
}

impl Motions {
    pub(crate) fn resize(&mut self, nbody: usize, nv: usize) {
        for list in [&mut self.pure, &mut self.acceleration, &mut self.force] {
            list.resize(nbody, [0.0; 6]);
        }
        for list in [&mut self.psi, &mut self.psi2, &mut self.sdot, &mut self.pure_psi] {
            list.resize(nv, [0.0; 6]);
        }
    }

    /// Fills everything for the acceleration `qacc`. `still` leaves out velocity and gravity: then τ = M·qacc.
    pub(crate) fn fill(&mut self, model: &Model, data: &Data, qacc: &[f64], still: bool) {
        self.resize(model.nbody(), model.nv());
        let gravity = if still { [0.0; 3] } else { scale(model.opt.gravity_vector(), -1.0) };
        self.acceleration[0] = spatial([0.0; 3], gravity);
        self.pure[0] = [0.0; 6];
        self.force[0] = [0.0; 6];
        for body in 1..model.nbody() {
            let parent = model.body_parentid[body];
            let mut a = self.acceleration[parent];
            let mut pure = self.pure[parent];
            let mut v = if still { [0.0; 6] } else { data.cvel[parent] };
            let first = model.body_dofadr[body];
            let last = first + model.body_dofnum[body];
            let mut from = first;
            while from < last {
                // One block: a scalar joint, or the three rotations of a ball.
                let mut to = from + 1;
                while to < last && model.dof_block[to] == from {
                    to += 1;
                }
                let (before_a, before_v, before_pure) = (a, v, pure);
                for j in from..to {
                    let s = &data.cdof[j];
                    let psi = cross_motion(&before_v, s);
                    self.psi[j] = psi;
                    self.psi2[j] =
                        add6(&cross_motion(&before_a, s), &cross_motion(&before_v, &psi));
                    self.pure_psi[j] = cross_motion(&before_pure, s);
                    accumulate_scaled(&mut a, s, qacc[j]);
                    accumulate_scaled(&mut pure, s, qacc[j]);
                    if !still {
                        accumulate_scaled(&mut a, &psi, data.qvel[j]);
                        accumulate_scaled(&mut v, s, data.qvel[j]);
                    }
                }
                for j in from..to {
                    self.sdot[j] = cross_motion(&v, &data.cdof[j]);
                }
                from = to;
            }
            self.acceleration[body] = a;
            self.pure[body] = pure;
            let inertia = &data.cinert[body];
            self.force[body] = multiply(inertia, &a);
            if !still {
                let momentum = multiply(inertia, &v);
                accumulate(&mut self.force[body], &cross_force(&v, &momentum));
            }
        }
        for body in (1..model.nbody()).rev() {
            let own = self.force[body];
            accumulate(&mut self.force[model.body_parentid[body]], &own);
        }
    }
}

/// A 6 × 6 matrix, row-major.
type Matrix6 = [[f64; 6]; 6];

/// 2B of one body: columns (v ×* I·e) − I·(v × e) + e ×* (I·v).
fn twice_b(inertia: &Inertia, v: &Spatial) -> Matrix6 {
    let momentum = multiply(inertia, v);
    let mut out = [[0.0; 6]; 6];
    for k in 0..6 {
        let mut e = [0.0; 6];
        e[k] = 1.0;
        let first = cross_force(v, &multiply(inertia, &e));
        let second = multiply(inertia, &cross_motion(v, &e));
        let third = cross_force(&e, &momentum);
        for r in 0..6 {
            out[r][k] = first[r] - second[r] + third[r];
        }
    }
    out
}

fn apply(m: &Matrix6, v: &Spatial) -> Spatial {
    m.map(|row| dot6(&row, v))
}

fn apply_transpose(m: &Matrix6, v: &Spatial) -> Spatial {
    let mut out = [0.0; 6];
    for (row, x) in m.iter().zip(v) {
        for k in 0..6 {
            out[k] += row[k] * x;
        }
    }
    out
}

/// Scratch of the dense derivatives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Composite {
    b: Vec<Matrix6>,
}

impl Composite {
    /// B^C of every body at the present velocities.
    pub(crate) fn fill(&mut self, model: &Model, data: &Data) {
        self.b.resize(model.nbody(), [[0.0; 6]; 6]);
        for body in 1..model.nbody() {
            self.b[body] = twice_b(&data.cinert[body], &data.cvel[body]);
        }
        for body in (1..model.nbody()).rev() {
            let parent = model.body_parentid[body];
            if parent > 0 {
                let own = self.b[body];
                for (row, add) in self.b[parent].iter_mut().zip(&own) {
                    for k in 0..6 {
                        row[k] += add[k];
                    }
                }
            }
        }
    }

    /// Adds `sign`·∂τ/∂q and, if wanted, `sign`·∂τ/∂v (row-major, `nv × nv`). `outside` are wrenches that act on subtrees and keep their
    /// direction in the world: their part of −τ is τ_out,i = S_iᵀ·W_i with ∂S_i/∂q_j = S_j × S_i.
    pub(crate) fn add_derivatives(
        &self,
        model: &Model,
        data: &Data,
        motions: &Motions,
        outside: Option<&[Spatial]>,
        sign: f64,
        dq: &mut [f64],
        mut dv: Option<&mut [f64]>,
    ) {
        let nv = model.nv();
        for i in 0..nv {
            let body = model.dof_bodyid[i];
            let (s, inertia) = (&data.cdof[i], &data.crb[body]);
            let force = &motions.force[body];
            let inertia_s = multiply(inertia, s);
            // Without velocities B is 0; `dv` is only wanted with them.
            let moving = dv.is_some();
            let b_s = if moving { apply_transpose(&self.b[body], s) } else { [0.0; 6] };
            let mut column = multiply(inertia, &motions.psi2[i]);
            accumulate(&mut column, &cross_force(s, force));
            let mut column_v = [0.0; 6];
            if moving {
                accumulate(&mut column, &apply(&self.b[body], &motions.psi[i]));
                column_v = apply(&self.b[body], s);
                let rate = add6(&motions.psi[i], &motions.sdot[i]);
                accumulate(&mut column_v, &multiply(inertia, &rate));
            }
            let wrench = outside.map(|w| &w[body]);
            let block = model.dof_block[i];
            // The whole block of i, then everything before it.
            let mut in_block = block;
            while in_block < nv && model.dof_block[in_block] == block {
                in_block += 1;
            }
            let mut j = in_block - 1;
            while j != NO_PARENT {
                let mut row = dot6(&b_s, &motions.psi[j]) + dot6(&inertia_s, &motions.psi2[j]);
                if let Some(w) = wrench {
                    row -= dot6(&cross_motion(&data.cdof[j], s), w);
                }
                dq[i * nv + j] += sign * row;
                if let Some(dv) = dv.as_deref_mut() {
                    let rate = add6(&motions.psi[j], &motions.sdot[j]);
                    dv[i * nv + j] += sign * (dot6(&b_s, &data.cdof[j]) + dot6(&inertia_s, &rate));
                }
                if j < block {
                    dq[j * nv + i] += sign * dot6(&data.cdof[j], &column);
                    if let Some(dv) = dv.as_deref_mut() {
                        dv[j * nv + i] += sign * dot6(&data.cdof[j], &column_v);
                    }
                }
                j = model.dof_parentid[j];
            }
        }
    }
}

/// The force of gravity compensation or of an applied wrench keeps its direction; where it acts moves. For the dense derivative: adds the
/// wrench (about the tree's origin) to its body and, to `dr`, S_i,rot·(dp × φ) for dp of the point by every degree of freedom.
pub(crate) fn outside_force(
    model: &Model,
    data: &Data,
    body: usize,
    (force, torque): ([f64; 3], [f64; 3]),
    outside: &mut [Spatial],
    dr: &mut [f64],
) {
    let nv = model.nv();
    let offset = crate::spatial::sub(data.xipos[body], data.subtree_com[model.body_rootid[body]]);
    accumulate(&mut outside[body], &crate::spatial::motion::wrench(offset, force, torque));
    let last = model.last_dof(body);
    let mut j = last;
    while j != NO_PARENT {
        let dp = crate::spatial::motion::at_point(&data.cdof[j], offset);
        let moment = spatial(crate::spatial::cross(dp, force), [0.0; 3]);
        let mut i = last;
        while i != NO_PARENT {
            dr[i * nv + j] += dot6(&data.cdof[i], &moment);
            i = model.dof_parentid[i];
        }
        j = model.dof_parentid[j];
    }
}

/// What `outside_force` and the sums over subtrees have too much, where gravity is compensated as actuation that does not act: calls
/// `visit(i, j, ∂force_i/∂q_j)` for those rows i, force_i = S_i·w of the compensation's wrench w = (c × φ, φ), with S_j × S_i for j up to the
/// block of i, and with the motion of c for all j.
pub(crate) fn uncompensated(
    model: &Model,
    data: &Data,
    body: usize,
    mut visit: impl FnMut(usize, usize, f64),
) {
    if model.body_gravcomp[body] == 0.0 {
        return;
    }
    let share = -model.body_mass[body] * model.body_gravcomp[body];
    let force = scale(model.opt.gravity_vector(), share);
    let offset = crate::spatial::sub(data.xipos[body], data.subtree_com[model.body_rootid[body]]);
    let w = crate::spatial::motion::wrench(offset, force, [0.0; 3]);
    let last = model.last_dof(body);
    let mut i = last;
    while i != NO_PARENT {
        if super::forces::idle(model, data, i) {
            let s = &data.cdof[i];
            let mut j = last;
            while j != NO_PARENT {
                let dp = crate::spatial::motion::at_point(&data.cdof[j], offset);
                let mut slope = dot6(s, &spatial(crate::spatial::cross(dp, force), [0.0; 3]));
                if model.dof_block[j] <= model.dof_block[i] {
                    slope += dot6(&cross_motion(&data.cdof[j], s), &w);
                }
                visit(i, j, slope);
                j = model.dof_parentid[j];
            }
        }
        i = model.dof_parentid[i];
    }
}

/// Is there anything of a wrench to add?
pub(crate) fn acts(force: [f64; 3], torque: [f64; 3]) -> bool {
    force != [0.0; 3] || torque != [0.0; 3]
}

/// The applied force and torque on a body, and of gravity compensation.
pub(crate) fn outside_of(model: &Model, data: &Data, body: usize) -> ([f64; 3], [f64; 3]) {
    let f = &data.xfrc_applied[body];
    let gravity = model.opt.gravity_vector();
    let share = -model.body_mass[body] * model.body_gravcomp[body];
    let force = crate::spatial::add_scaled([f[0], f[1], f[2]], gravity, share);
    (force, linear(f))
}
