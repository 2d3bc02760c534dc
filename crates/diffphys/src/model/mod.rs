//! The compiled model: immutable, shareable, with MuJoCo's field names.

mod constants;
mod kinds;
mod lookup;
mod option;
mod parameter;
mod position;
mod shape;

pub use kinds::{Bias, Dynamics, EqualityType, Gain, GeomType, JointType, Transmission, Wrap};
pub(crate) use lookup::Numbers;
pub use option::{Cone, Integrator, Options, Solver};
pub use parameter::Parameter;
pub(crate) use position::{quat as quat_of, three};
pub(crate) use shape::{Shape, fingerprint};

use crate::Result;
use crate::collide::{Candidates, Hull};
use crate::spatial::{Quat, Vec3};

/// Declares a struct of arrays whose fields can be read but not resized from outside.
macro_rules! arrays {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty,)* } plain { $($(#[$pdoc:meta])* $plain:ident: $pkind:ty,)* } inputs { $($(#[$idoc:meta])* $input:ident: $ikind:ty,)* } hidden { $($(#[$hdoc:meta])* $hidden:ident: $hkind:ty,)* }) => {
        $(#[$meta])*
        #[allow(non_snake_case)]
        pub struct $name {
            $($(#[$idoc])* pub $input: $ikind,)*
            $(pub(crate) $field: Vec<$kind>,)*
            $(pub(crate) $plain: $pkind,)*
            $($(#[$hdoc])* pub(crate) $hidden: $hkind,)*
        }
        // MuJoCo's names.
        #[allow(non_snake_case)]
        impl $name {
            $($(#[$doc])* pub fn $field(&self) -> &[$kind] { &self.$field })*
            $($(#[$pdoc])* pub fn $plain(&self) -> &$pkind { &self.$plain })*
        }
    };
}
pub(crate) use arrays;

arrays! {
    /// A compiled model. Made by [`crate::Spec::compile`], [`crate::mjcf`] or [`crate::urdf`]; shared by any number of [`crate::Data`].
    ///
    /// Names, units and meaning are those of `mjModel` in MuJoCo 4.0: SI, radians, quaternions (w, x, y, z), body 0 is the world.
    #[derive(Debug, Clone, Default)]
    Model {
        /// Position of each coordinate at the reference configuration, `nq`.
        qpos0: f64,
        /// Position of each coordinate where its spring is at rest, `nq`.
        qpos_spring: f64,
        /// Names of bodies.
        body_names: String,
        /// Parent of each body; the world is its own.
        body_parentid: usize,
        /// Root of the kinematic tree of each body: its ancestor whose parent is the world.
        body_rootid: usize,
        /// The ancestor (or self) that the body is welded to: the nearest one with joints.
        body_weldid: usize,
        /// First joint of each body.
        body_jntadr: usize,
        /// Number of joints of each body.
        body_jntnum: usize,
        /// First degree of freedom of each body.
        body_dofadr: usize,
        /// Number of degrees of freedom of each body.
        body_dofnum: usize,
        /// First geom of each body.
        body_geomadr: usize,
        /// Number of geoms of each body.
        body_geomnum: usize,
        /// Position in the parent's frame, m.
        body_pos: Vec3,
        /// Orientation in the parent's frame.
        body_quat: Quat,
        /// Centre of mass in the body's frame, m.
        body_ipos: Vec3,
        /// Orientation of the principal axes in the body's frame.
        body_iquat: Quat,
        /// Mass, kg.
        body_mass: f64,
        /// Mass of the body and all below it, kg.
        body_subtreemass: f64,
        /// Principal moments of inertia, kg·m².
        body_inertia: Vec3,
        /// Share of gravity that is compensated.
        body_gravcomp: f64,
        /// Mean inverse inertia at `qpos0`, (translational 1/kg, rotational 1/(kg·m²)).
        body_invweight0: [f64; 2],
        /// Which of the bodies that are moved from outside it is (`mocap_pos` of the data); `usize::MAX` for none.
        body_mocapid: usize,
        /// Names of joints.
        jnt_names: String,
        /// Kind of joint.
        jnt_type: JointType,
        /// First number of the joint in `qpos`.
        jnt_qposadr: usize,
        /// First number of the joint in `qvel`.
        jnt_dofadr: usize,
        /// Body of the joint.
        jnt_bodyid: usize,
        /// Anchor in the body's frame, m.
        jnt_pos: Vec3,
        /// Axis in the body's frame.
        jnt_axis: Vec3,
        /// Stiffness of the spring, N/m or N·m/rad.
        jnt_stiffness: f64,
        /// Further terms of the spring's force, −(b·x² + c·x³), of hinges and slides.
        jnt_stiffnesspoly: [f64; 2],
        /// Are limits on?
        jnt_limited: bool,
        /// Limits, m or rad; a ball's largest angle is the second.
        jnt_range: [f64; 2],
        /// Distance from a limit at which it becomes active.
        jnt_margin: f64,
        /// Reference of the limit: (time constant s, damping ratio), or (−stiffness, −damping).
        jnt_solref: [f64; 2],
        /// Impedance of the limit: (d₀, d_width, width, midpoint, power).
        jnt_solimp: [f64; 5],
        /// Is the total force of actuators on the joint limited?
        jnt_actfrclimited: bool,
        /// Limits of that force.
        jnt_actfrcrange: [f64; 2],
        /// Are forces of gravity compensation counted as actuator forces?
        jnt_actgravcomp: bool,
        /// Body of each degree of freedom.
        dof_bodyid: usize,
        /// Joint of each degree of freedom.
        dof_jntid: usize,
        /// The degree of freedom before it on the way to the world; `usize::MAX` for none.
        dof_parentid: usize,
        /// First degree of freedom of the block (the three rotations of a ball, or itself).
        dof_block: usize,
        /// Armature inertia, kg or kg·m².
        dof_armature: f64,
        /// Damping, N·s/m or N·m·s/rad.
        dof_damping: f64,
        /// Dry friction, N or N·m.
        dof_frictionloss: f64,
        /// Reference of dry friction.
        dof_solref: [f64; 2],
        /// Impedance of dry friction.
        dof_solimp: [f64; 5],
        /// Diagonal of the inverse inertia at `qpos0`, averaged over a joint's axes.
        dof_invweight0: f64,
        /// Names of geoms.
        geom_names: String,
        /// Shape.
        geom_type: GeomType,
        /// Body of the geom.
        geom_bodyid: usize,
        /// Bits: with `conaffinity` of another geom they say whether the two may touch.
        geom_contype: u32,
        /// Bits: see `geom_contype`.
        geom_conaffinity: u32,
        /// Dimension of the contact: 1, 3, 4 or 6.
        geom_condim: usize,
        /// Priority of the contact parameters.
        geom_priority: i32,
        /// Weight in the mixture of contact parameters.
        geom_solmix: f64,
        /// Reference of the contact.
        geom_solref: [f64; 2],
        /// Impedance of the contact.
        geom_solimp: [f64; 5],
        /// Sizes, m, by shape.
        geom_size: Vec3,
        /// Number of the mesh; `usize::MAX` for none.
        geom_dataid: usize,
        /// Radius of a bounding sphere, m; 0 for planes.
        geom_rbound: f64,
        /// Position in the body's frame, m.
        geom_pos: Vec3,
        /// Orientation in the body's frame.
        geom_quat: Quat,
        /// Friction: sliding, torsional (m), rolling (m).
        geom_friction: Vec3,
        /// Inflation of the surface, m.
        geom_margin: f64,
        /// Distance beyond the margin at which contacts are still listed, m.
        geom_gap: f64,
        /// How an ellipsoid's forces by the medium are made, as in MuJoCo's `geom_fluid`; the first is 0 where the body's box stands for it.
        geom_fluid: [f64; 12],
        /// Names of sites.
        site_names: String,
        /// Body of the site.
        site_bodyid: usize,
        /// Position in the body's frame, m.
        site_pos: Vec3,
        /// Orientation in the body's frame.
        site_quat: Quat,
        /// Signatures of pairs of bodies that never touch: (smaller, larger).
        exclude: (usize, usize),
        /// Explicit contact pairs.
        pair: Pair,
        /// Friction of explicit pairs: those of `pair`, as arrays.
        pair_friction: [f64; 5],
        /// References of explicit pairs.
        pair_solref: [f64; 2],
        /// References of the friction rows of explicit pairs.
        pair_solreffriction: [f64; 2],
        /// Impedances of explicit pairs.
        pair_solimp: [f64; 5],
        /// Kind of equality.
        eq_type: EqualityType,
        /// Are the objects of a connect or weld sites? Else they are bodies.
        eq_sites: bool,
        /// First object: a body, site, joint or tendon.
        eq_obj1id: usize,
        /// Second object; `usize::MAX` for none.
        eq_obj2id: usize,
        /// Is it on?
        eq_active0: bool,
        /// Numbers of the constraint, as in MuJoCo's `eq_data`.
        eq_data: [f64; 11],
        /// Reference.
        eq_solref: [f64; 2],
        /// Impedance.
        eq_solimp: [f64; 5],
        /// Names of tendons.
        tendon_names: String,
        /// Joints and coefficients of each fixed tendon: length = Σ coefficient·q. Empty for spatial ones.
        tendon_terms: Vec<(usize, f64)>,
        /// The path of each spatial tendon. Empty for fixed ones.
        tendon_path: Vec<Wrap>,
        /// The degrees of freedom that a tendon's length depends on, decreasing.
        tendon_dofs: Vec<usize>,
        /// Are limits on?
        tendon_limited: bool,
        /// Limits of the length.
        tendon_range: [f64; 2],
        /// Distance from a limit at which it becomes active.
        tendon_margin: f64,
        /// Reference of the limit.
        tendon_solref_lim: [f64; 2],
        /// Impedance of the limit.
        tendon_solimp_lim: [f64; 5],
        /// Dry friction.
        tendon_frictionloss: f64,
        /// Reference of dry friction.
        tendon_solref_fri: [f64; 2],
        /// Impedance of dry friction.
        tendon_solimp_fri: [f64; 5],
        /// Stiffness.
        tendon_stiffness: f64,
        /// Further terms of the spring's force in the stretch, −(b·x² + c·x³).
        tendon_stiffnesspoly: [f64; 2],
        /// Damping.
        tendon_damping: f64,
        /// Lengths between which the spring is slack.
        tendon_lengthspring: [f64; 2],
        /// Length at `qpos0`.
        tendon_length0: f64,
        /// J·M⁻¹·Jᵀ at `qpos0`.
        tendon_invweight0: f64,
        /// Names of actuators.
        actuator_names: String,
        /// What it acts on.
        actuator_trntype: Transmission,
        /// The joint, tendon or site.
        actuator_trnid: usize,
        /// The degrees of freedom it acts on, decreasing.
        actuator_dofs: Vec<usize>,
        /// Dynamics of the activation.
        actuator_dyntype: Dynamics,
        /// Gain.
        actuator_gaintype: Gain,
        /// Bias.
        actuator_biastype: Bias,
        /// Parameters of the dynamics.
        actuator_dynprm: [f64; 3],
        /// Parameters of the gain.
        actuator_gainprm: [f64; 3],
        /// Parameters of the bias.
        actuator_biasprm: [f64; 3],
        /// Gear ratios: one for scalar transmissions, three for a ball, six for a free joint or a site.
        actuator_gear: [f64; 6],
        /// Is the control clamped?
        actuator_ctrllimited: bool,
        /// Limits of the control.
        actuator_ctrlrange: [f64; 2],
        /// Is the force clamped?
        actuator_forcelimited: bool,
        /// Limits of the force.
        actuator_forcerange: [f64; 2],
        /// Is the activation clamped?
        actuator_actlimited: bool,
        /// Limits of the activation.
        actuator_actrange: [f64; 2],
        /// Does the force use the next activation?
        actuator_actearly: bool,
        /// Where its activation is in `act`; `usize::MAX` for none.
        actuator_actadr: usize,
        /// Names of keyframes.
        key_names: String,
        /// Keyframes.
        key: Keyframe,
    } plain {
        /// Name of the model.
        name: String,
        /// Options of the simulation.
        opt: Options,
    } inputs {} hidden {
        /// Length of `act`.
        na: usize,
        /// First degree of freedom of each free body to which nothing is jointed.
        free: Vec<usize>,
        /// Convex hulls of meshes.
        mesh: Vec<Hull>,
        /// Pairs of geoms that may touch, and the explicit pair of each, if any.
        candidates: Candidates,
        /// Elements by name.
        numbers: Numbers,
    }
}

/// A stored state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keyframe {
    /// Time, s.
    pub time: f64,
    /// Positions, `nq`.
    pub qpos: Vec<f64>,
    /// Velocities, `nv`.
    pub qvel: Vec<f64>,
    /// Activations, `na`.
    pub act: Vec<f64>,
    /// Controls, `nu`.
    pub ctrl: Vec<f64>,
    /// Positions of bodies moved from outside, m.
    pub mpos: Vec<[f64; 3]>,
    /// Orientations of bodies moved from outside.
    pub mquat: Vec<[f64; 4]>,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// An explicit contact pair with its own parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The geoms.
    pub geom: [usize; 2],
    /// Dimension of the contact.
    pub condim: usize,
    /// Friction: two sliding, torsional, two rolling.
    pub friction: [f64; 5],
    /// Reference.
    pub solref: [f64; 2],
    /// Reference of the friction rows of elliptic cones; 0 to use `solref`.
    pub solreffriction: [f64; 2],
    /// Impedance.
    pub solimp: [f64; 5],
    /// Inflation, m.
    pub margin: f64,
    /// Distance beyond the margin at which contacts are still listed, m.
    pub gap: f64,
}

impl Model {
    /// The corners of the convex hull by which a geom of type mesh collides, in the geom's frame; none for others.
    pub fn hull_corners(&self, geom: usize) -> &[Vec3] {
        let number = self.geom_dataid.get(geom).copied().unwrap_or(usize::MAX);
        self.mesh.get(number).map_or(&[], Hull::corners)
    }

    /// Length of `qpos`.
    pub fn nq(&self) -> usize {
        self.qpos0.len()
    }

    /// Number of degrees of freedom.
    pub fn nv(&self) -> usize {
        self.dof_bodyid.len()
    }

    /// Number of actuators.
    pub fn nu(&self) -> usize {
        self.actuator_trnid.len()
    }

    /// Length of `act`.
    pub fn na(&self) -> usize {
        self.na
    }

    /// Number of bodies, the world included.
    pub fn nbody(&self) -> usize {
        self.body_parentid.len()
    }

    /// Number of bodies that are moved from outside.
    pub fn nmocap(&self) -> usize {
        self.body_mocapid.iter().filter(|&&id| id != usize::MAX).count()
    }

    /// Number of joints.
    pub fn njnt(&self) -> usize {
        self.jnt_type.len()
    }

    /// Number of geoms.
    pub fn ngeom(&self) -> usize {
        self.geom_type.len()
    }

    /// Number of tendons.
    pub fn ntendon(&self) -> usize {
        self.tendon_terms.len()
    }

    /// Changes the options.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if a number is outside its domain, or if without `filterparent` too many geoms may touch. The options are then
    /// as before.
    pub fn set_options(&mut self, options: Options) -> Result<()> {
        options.check()?;
        let before = std::mem::replace(&mut self.opt, options);
        if before.filterparent != options.filterparent {
            match crate::collide::candidates(self) {
                Ok(candidates) => self.candidates = candidates,
                Err(e) => {
                    self.opt = before;
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Does a tendon go around a geom?
    pub(crate) fn wraps(&self) -> bool {
        let obstacle = |w: &Wrap| matches!(w, Wrap::Sphere { .. } | Wrap::Cylinder { .. });
        self.tendon_path.iter().flatten().any(obstacle)
    }
}
