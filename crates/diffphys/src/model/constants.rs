//! What the compiler derives at the reference configuration (`mj_setConst`): bounds, subtree masses, inverse weights, tendon lengths.

use super::{Bias, EqualityType, Gain, GeomType, JointType, Model, Options};
use crate::dynamics::{self, NO_PARENT};
use crate::spatial::motion::at_point;
use crate::spatial::quaternion::{conjugate, product};
use crate::spatial::{MINVAL, Vec3, add, angular, norm, rotate, rotate_back, sub};
use crate::{Data, Error, Result};

impl Model {
    /// The last degree of freedom on the way from the world to `body`; `usize::MAX` for none.
    pub(crate) fn last_dof(&self, body: usize) -> usize {
        let mut b = body;
        while b > 0 && self.body_dofnum[b] == 0 {
            b = self.body_parentid[b];
        }
        if b == 0 { NO_PARENT } else { self.body_dofadr[b] + self.body_dofnum[b] - 1 }
    }

    /// The distance beyond the margin at which a pair of geoms is listed.
    pub(crate) fn pair_gap(&self, geom: [usize; 2]) -> f64 {
        let explicit = self.pair.iter().find(|p| p.geom == geom);
        explicit.map_or_else(|| self.geom_gap[geom[0]] + self.geom_gap[geom[1]], |p| p.gap)
    }

    /// `lines` are the joints', for messages.
    pub(crate) fn set_constants(&mut self, lines: &[u32]) -> Result<()> {
        self.set_derived();
        for k in 0..self.dof_bodyid.len() {
            self.dof_invweight0[k] = 0.0;
        }
        let mut data = Data::new(self);
        dynamics::at_reference(self, &mut data);
        let of = |dof: usize| {
            let joint = self.dof_jntid[dof];
            let place = match lines.get(joint) {
                None | Some(0) => String::new(),
                Some(line) => format!(", line {line}"),
            };
            Self::label("joint", &self.jnt_names, joint) + &place
        };
        if let Some(k) = data.qLDiagInv.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(of(k), "the inertia that it moves is not finite"));
        }
        if let Some(k) = data.qLDiagInv.iter().position(|&x| x >= 1.0 / MINVAL) {
            return Err(Error::invalid(
                of(k),
                "nothing that it moves has an inertia, or rounding takes it away",
            ));
        }
        self.set_inverse_weights(&data);
        self.set_tendons(&mut data);
        self.set_anchors(&data);
        crate::data::finite("compile", "an inverse weight", &self.dof_invweight0)
    }

    /// Masses of subtrees and bounding radii, which follow from other fields; after a change of masses or sizes.
    pub(crate) fn set_derived(&mut self) {
        let (nbody, nv) = (self.nbody(), self.nv());
        for (k, pair) in self.pair.iter_mut().enumerate() {
            pair.friction = self.pair_friction[k];
            pair.solref = self.pair_solref[k];
            pair.solreffriction = self.pair_solreffriction[k];
            pair.solimp = self.pair_solimp[k];
        }
        self.body_subtreemass.clone_from(&self.body_mass);
        for body in (1..nbody).rev() {
            let mass = self.body_subtreemass[body];
            self.body_subtreemass[self.body_parentid[body]] += mass;
        }
        self.body_invweight0.resize(nbody, [0.0; 2]);
        self.dof_invweight0.resize(nv, 0.0);
        for geom in 0..self.ngeom() {
            let [a, b, c] = self.geom_size[geom];
            self.geom_rbound[geom] = match self.geom_type[geom] {
                GeomType::Plane => 0.0,
                GeomType::Sphere => a,
                GeomType::Capsule => a + b,
                GeomType::Cylinder => (a * a + b * b).sqrt(),
                GeomType::Ellipsoid => a.max(b).max(c),
                GeomType::Box => norm([a, b, c]),
                GeomType::Mesh => self.mesh[self.geom_dataid[geom]].reach(),
            };
        }
    }

    /// M⁻¹·x at the reference configuration.
    fn invert(&self, data: &Data, x: &mut [f64]) {
        dynamics::solve(&self.dof_parentid, &data.qLD, &data.qLDiagInv, x);
    }

    fn set_inverse_weights(&mut self, data: &Data) {
        let nv = self.nv();
        let mut inverse = vec![0.0; nv * nv];
        for k in 0..nv {
            let row = &mut inverse[k * nv..(k + 1) * nv];
            row[k] = 1.0;
            self.invert(data, row);
        }
        for joint in 0..self.njnt() {
            let dof = self.jnt_dofadr[joint];
            let mean =
                |from: usize| (from..from + 3).map(|k| inverse[k * nv + k]).sum::<f64>() / 3.0;
            match self.jnt_type[joint] {
                JointType::Free => {
                    let (translation, rotation) = (mean(dof), mean(dof + 3));
                    self.dof_invweight0[dof..dof + 3].fill(translation);
                    self.dof_invweight0[dof + 3..dof + 6].fill(rotation);
                }
                JointType::Ball => {
                    let rotation = mean(dof);
                    self.dof_invweight0[dof..dof + 3].fill(rotation);
                }
                JointType::Slide | JointType::Hinge => {
                    self.dof_invweight0[dof] = inverse[dof * nv + dof];
                }
            }
        }
        for body in 1..self.nbody() {
            if self.body_weldid[body] == 0 {
                continue;
            }
            // Rows of the Jacobian at the centre of mass: three translations, three rotations.
            let offset = sub(data.xipos[body], data.subtree_com[self.body_rootid[body]]);
            let mut rows = vec![0.0; 6 * nv];
            let mut dof = self.last_dof(body);
            while dof != NO_PARENT {
                let velocity = at_point(&data.cdof[dof], offset);
                let rotation = angular(&data.cdof[dof]);
                for k in 0..3 {
                    rows[k * nv + dof] = velocity[k];
                    rows[(3 + k) * nv + dof] = rotation[k];
                }
                dof = self.dof_parentid[dof];
            }
            let diagonal = |r: usize| {
                let row = &rows[r * nv..(r + 1) * nv];
                let mut solved = row.to_vec();
                self.invert(data, &mut solved);
                row.iter().zip(&solved).map(|(a, b)| a * b).sum::<f64>()
            };
            let translation = (diagonal(0) + diagonal(1) + diagonal(2)) / 3.0;
            let rotation = (diagonal(3) + diagonal(4) + diagonal(5)) / 3.0;
            self.body_invweight0[body] = [translation, rotation];
            if self.slides_only(body) {
                // MuJoCo's short cut for point masses, which leaves armature out.
                let inverse = 1.0 / self.body_mass[body];
                self.body_invweight0[body] = [inverse, 0.0];
                let first = self.body_dofadr[body];
                self.dof_invweight0[first..first + self.body_dofnum[body]].fill(inverse);
            }
        }
    }

    /// Is the body a point mass on axis-parallel slides from the world, with nothing below it (`body_simple` of 2 in MuJoCo)?
    fn slides_only(&self, body: usize) -> bool {
        let first = self.body_jntadr[body];
        let mut joints = first..first + self.body_jntnum[body];
        let aligned = |axis: Vec3| axis.iter().filter(|x| x.abs() > MINVAL).count() == 1;
        self.body_rootid[body] == body
            && self.body_mass[body] > MINVAL
            && !joints.is_empty()
            && joints.all(|j| self.jnt_type[j] == JointType::Slide && aligned(self.jnt_axis[j]))
            && norm(self.body_ipos[body]) < MINVAL
            && self.body_iquat[body] == crate::spatial::quaternion::UNIT
            && !(1..self.nbody()).any(|b| self.body_parentid[b] == body)
    }

    /// What connects and welds of bodies hold at the reference configuration.
    fn set_anchors(&mut self, data: &Data) {
        for id in 0..self.eq_type.len() {
            let weld = self.eq_type[id] == EqualityType::Weld;
            if self.eq_sites[id] || !(weld || self.eq_type[id] == EqualityType::Connect) {
                continue;
            }
            let numbers = &mut self.eq_data[id];
            if weld && numbers[6..10] != [0.0; 4] {
                continue;
            }
            // A weld's anchor is given in the second body, a connect's in the first.
            let mut bodies = [self.eq_obj1id[id], self.eq_obj2id[id]];
            if weld {
                bodies.reverse();
            }
            let [from, to] = bodies;
            let given = [numbers[0], numbers[1], numbers[2]];
            let point = add(data.xpos[from], rotate(&data.xmat[from], given));
            let other = rotate_back(&data.xmat[to], sub(point, data.xpos[to]));
            numbers[3..6].copy_from_slice(&other);
            if weld {
                let relative = product(conjugate(data.xquat[to]), data.xquat[from]);
                numbers[6..10].copy_from_slice(&relative);
            }
        }
    }

    fn set_tendons(&mut self, data: &mut Data) {
        let nv = self.nv();
        // Where springs are at rest, then the reference configuration.
        data.qpos.copy_from_slice(&self.qpos_spring);
        dynamics::tendons_at(self, data);
        let rest = data.ten_length.clone();
        data.qpos.copy_from_slice(&self.qpos0);
        dynamics::tendons_at(self, data);
        for tendon in 0..self.ntendon() {
            let row = &data.ten_J[tendon * nv..(tendon + 1) * nv];
            let mut solved = row.to_vec();
            self.invert(data, &mut solved);
            self.tendon_length0.push(data.ten_length[tendon]);
            self.tendon_invweight0.push(row.iter().zip(&solved).map(|(a, b)| a * b).sum());
            let spring = &mut self.tendon_lengthspring[tendon];
            if spring[0].is_nan() {
                *spring = [rest[tendon]; 2];
            }
        }
    }

    /// Stiffness and damping of joints that are given a time constant and damping ratio, and the damping of servos that are given a damping
    /// ratio: 2·ratio·√(kp·m) with the mass m = 1/(J·M⁻¹·Jᵀ) at the reference configuration.
    pub(crate) fn set_servos(&mut self, joints: impl Iterator<Item = Option<[f64; 2]>>) {
        for (joint, given) in joints.enumerate() {
            if let Some([time, ratio]) = given {
                let dof = self.jnt_dofadr[joint];
                let inertia = 1.0 / self.dof_invweight0[dof].max(MINVAL);
                self.jnt_stiffness[joint] = inertia / (time * time * ratio * ratio).max(MINVAL);
                let damping = 2.0 * inertia / time.max(MINVAL);
                self.dof_damping[dof..dof + self.jnt_type[joint].velocities()].fill(damping);
            }
        }
        let mut data = Data::new(self);
        dynamics::tendons_at(self, &mut data);
        dynamics::at_reference(self, &mut data);
        dynamics::moments(self, &mut data);
        let nv = self.nv();
        for actuator in 0..self.nu() {
            let ratio = self.actuator_biasprm[actuator][2];
            if !self.servo(actuator) || ratio <= 0.0 {
                continue;
            }
            let row = &data.actuator_moment[actuator * nv..(actuator + 1) * nv];
            let mut solved = row.to_vec();
            self.invert(&data, &mut solved);
            let inverse: f64 = row.iter().zip(&solved).map(|(a, b)| a * b).sum();
            let mass = 1.0 / inverse.max(MINVAL);
            let kp = self.actuator_gainprm[actuator][0];
            self.actuator_biasprm[actuator][2] = -2.0 * ratio * (kp * mass).sqrt();
        }
    }

    /// Is the actuator's force kp·(input − length) and damping?
    pub(crate) fn servo(&self, actuator: usize) -> bool {
        let kp = self.actuator_gainprm[actuator][0];
        self.actuator_gaintype[actuator] == Gain::Fixed
            && self.actuator_biastype[actuator] == Bias::Affine
            && kp > 0.0
            && kp == -self.actuator_biasprm[actuator][1]
    }

    pub(crate) fn empty(name: String, opt: Options) -> Self {
        Self { name, opt, ..Self::default() }
    }
}
