//! What bodies and models are made of: joints, geoms, sites, contact pairs, equalities, tendons, actuators.

use super::Pose;
use crate::model::{Bias, Dynamics, EqualityType, Gain, GeomType, JointType};

/// Reference and impedance of a constraint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softness {
    /// (time constant s, damping ratio), or (−stiffness, −damping). (0.02, 1).
    pub solref: [f64; 2],
    /// (d₀, d_width, width, midpoint, power). (0.9, 0.95, 0.001, 0.5, 2).
    pub solimp: [f64; 5],
}

impl Default for Softness {
    fn default() -> Self {
        Self { solref: [0.02, 1.0], solimp: [0.9, 0.95, 0.001, 0.5, 2.0] }
    }
}

/// A joint.
#[derive(Debug, Clone)]
pub struct Joint {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: JointType,
    /// Anchor in the body's frame, m.
    pub pos: [f64; 3],
    /// Axis in the body's frame; normalized by the compiler.
    pub axis: [f64; 3],
    /// Position of the reference configuration, m or rad.
    pub reference: f64,
    /// Position where the spring is at rest.
    pub springref: f64,
    /// Stiffness of the spring: force −k·x.
    pub stiffness: f64,
    /// Further terms of the spring's force, −(b·x² + c·x³). Hinges and slides only.
    pub stiffnesspoly: [f64; 2],
    /// Time constant (s) and damping ratio, both positive, that the compiler makes stiffness and damping of, with the inertia at the reference configuration.
    pub springdamper: Option<[f64; 2]>,
    /// Damping.
    pub damping: f64,
    /// Armature inertia.
    pub armature: f64,
    /// Dry friction.
    pub frictionloss: f64,
    /// Limits, if on, the lower below the upper; a ball's begin at 0.
    pub range: Option<[f64; 2]>,
    /// Distance from a limit at which it becomes active.
    pub margin: f64,
    /// Softness of the limit.
    pub limit: Softness,
    /// Softness of dry friction.
    pub friction: Softness,
    /// Limits of the total actuator force, if on.
    pub actuatorfrcrange: Option<[f64; 2]>,
    /// Is gravity compensation counted as an actuator force?
    pub actuatorgravcomp: bool,
    /// Of a free joint: is the frame of its body moved to the centre of mass and the principal axes? Geoms and sites stay where they are. It is
    /// not where the body has children. `None`: as [`crate::InertiaRules::alignfree`] says.
    pub align: Option<bool>,
    /// Line of the file; 0 for none.
    pub line: u32,
}

impl Joint {
    /// A joint with MuJoCo's defaults: anchor at the body's frame, axis z, no spring, no damping, no limits.
    pub fn new(name: impl Into<String>, kind: JointType) -> Self {
        Self {
            name: name.into(),
            kind,
            pos: [0.0; 3],
            axis: [0.0, 0.0, 1.0],
            reference: 0.0,
            springref: 0.0,
            stiffness: 0.0,
            stiffnesspoly: [0.0; 2],
            springdamper: None,
            damping: 0.0,
            armature: 0.0,
            frictionloss: 0.0,
            range: None,
            margin: 0.0,
            limit: Softness::default(),
            friction: Softness::default(),
            actuatorfrcrange: None,
            actuatorgravcomp: false,
            align: None,
            line: 0,
        }
    }

    /// The axis.
    #[must_use]
    pub fn axis(mut self, axis: [f64; 3]) -> Self {
        self.axis = axis;
        self
    }

    /// Limits, m or rad.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some([low, high]);
        self
    }

    /// Damping, N·s/m or N·m·s/rad.
    #[must_use]
    pub fn damping(mut self, damping: f64) -> Self {
        self.damping = damping;
        self
    }
}

/// A shape with mass and contact parameters.
#[derive(Debug, Clone)]
pub struct Geom {
    /// Name.
    pub name: String,
    /// Shape.
    pub kind: GeomType,
    /// Sizes by shape, m.
    pub size: [f64; 3],
    /// Name of a mesh: its hull, or the size and pose of another shape that is fitted to it.
    pub mesh: Option<String>,
    /// Factor on the size of a shape that is fitted to a mesh.
    pub fitscale: f64,
    /// Pose in the body's frame.
    pub pose: Pose,
    /// Mass, kg, at least 0; else from the density.
    pub mass: Option<f64>,
    /// Density, kg/m³, at least 0.
    pub density: f64,
    /// Bits: see `Model::geom_contype`.
    pub contype: u32,
    /// Bits: see `Model::geom_conaffinity`.
    pub conaffinity: u32,
    /// Dimension of contacts.
    pub condim: usize,
    /// Group.
    pub group: i32,
    /// Priority of its contact parameters.
    pub priority: i32,
    /// Friction: sliding, torsional (m), rolling (m).
    pub friction: [f64; 3],
    /// Weight in mixtures.
    pub solmix: f64,
    /// Softness of contacts.
    pub softness: Softness,
    /// Inflation, m.
    pub margin: f64,
    /// Distance beyond the margin at which contacts are listed, m.
    pub gap: f64,
    /// Does the medium act on an ellipsoid of this shape? Its coefficients: blunt, slender and angular drag, Kutta and Magnus lift. Else on
    /// the box of the body's inertia.
    pub fluid: Option<[f64; 5]>,
    /// Line of the file; 0 for none.
    pub line: u32,
}

impl Geom {
    /// A shape with MuJoCo's defaults: density 1000, friction (1, 0.005, 0.0001), contacts of dimension 3 with everything.
    pub fn new(kind: GeomType, size: [f64; 3]) -> Self {
        Self {
            name: String::new(),
            kind,
            size,
            mesh: None,
            fitscale: 1.0,
            pose: Pose::default(),
            mass: None,
            density: 1000.0,
            contype: 1,
            conaffinity: 1,
            condim: 3,
            group: 0,
            priority: 0,
            friction: [1.0, 0.005, 0.0001],
            solmix: 1.0,
            softness: Softness::default(),
            margin: 0.0,
            gap: 0.0,
            fluid: None,
            line: 0,
        }
    }

    /// The convex hull of a mesh of the model, by its name.
    pub fn mesh(name: impl Into<String>) -> Self {
        Self { mesh: Some(name.into()), ..Self::new(GeomType::Mesh, [0.0; 3]) }
    }

    /// A capsule of that radius between two points of the body's frame, m.
    pub fn capsule(from: [f64; 3], to: [f64; 3], radius: f64) -> Self {
        let (pose, half) = Pose::between(from, to);
        let mut geom = Self::new(GeomType::Capsule, [radius, half, 0.0]);
        geom.pose = pose;
        geom
    }

    /// A sphere, m.
    pub fn sphere(radius: f64) -> Self {
        Self::new(GeomType::Sphere, [radius, 0.0, 0.0])
    }

    /// A plane through the body's frame, with normal z.
    pub fn plane() -> Self {
        Self::new(GeomType::Plane, [0.0, 0.0, 1.0])
    }

    /// The mass, kg.
    #[must_use]
    pub fn mass(mut self, mass: f64) -> Self {
        self.mass = Some(mass);
        self
    }
}

/// A marked point.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Name.
    pub name: String,
    /// Pose in the body's frame.
    pub pose: Pose,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// A pair of bodies that never touch.
#[derive(Debug, Clone)]
pub struct Exclude {
    /// Names of the bodies.
    pub body: [String; 2],
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// An explicit contact pair; what is `None` is mixed from the geoms.
#[derive(Debug, Clone)]
pub struct ContactPair {
    /// Names of the geoms.
    pub geom: [String; 2],
    /// Dimension.
    pub condim: Option<usize>,
    /// Friction.
    pub friction: Option<[f64; 5]>,
    /// Reference.
    pub solref: Option<[f64; 2]>,
    /// Reference of the friction rows.
    pub solreffriction: Option<[f64; 2]>,
    /// Impedance.
    pub solimp: Option<[f64; 5]>,
    /// Inflation, m.
    pub margin: Option<f64>,
    /// Distance beyond the margin, m.
    pub gap: Option<f64>,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// An equality constraint.
#[derive(Debug, Clone)]
pub struct Equality {
    /// Kind.
    pub kind: EqualityType,
    /// Are the objects of a connect or weld sites? Else they are bodies.
    pub sites: bool,
    /// Name of the first object.
    pub first: String,
    /// Name of the second object, if any; the world where a connect or weld of bodies has none.
    pub second: Option<String>,
    /// Is it on?
    pub active: bool,
    /// Numbers of the constraint. Joints and tendons: the polynomial's five coefficients. Connect of bodies: the anchor in the first body, m.
    /// Weld: anchor in the second body, in the first body, relative orientation, torque scale (m); where the orientation is 0, it and
    /// the second anchor are those of the reference configuration.
    pub data: [f64; 11],
    /// Softness.
    pub softness: Softness,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// A part of a spatial tendon's path, by name.
#[derive(Debug, Clone)]
pub enum Via {
    /// Through a site.
    Site(String),
    /// Around a sphere or cylinder, on the side of a site, if one is given.
    Geom(String, Option<String>),
    /// The string starts anew; lengths from here on are divided by this.
    Pulley(f64),
}

/// A tendon: fixed, with length = Σ coefficient·q, or spatial, with a path.
#[derive(Debug, Clone)]
pub struct Tendon {
    /// Name.
    pub name: String,
    /// Names of scalar joints and their coefficients, of a fixed tendon.
    pub terms: Vec<(String, f64)>,
    /// The path of a spatial tendon.
    pub path: Vec<Via>,
    /// Limits, if on.
    pub range: Option<[f64; 2]>,
    /// Distance from a limit at which it becomes active.
    pub margin: f64,
    /// Softness of the limit.
    pub limit: Softness,
    /// Dry friction.
    pub frictionloss: f64,
    /// Softness of dry friction.
    pub friction: Softness,
    /// Stiffness.
    pub stiffness: f64,
    /// Further terms of the spring's force in the stretch, −(b·x² + c·x³).
    pub stiffnesspoly: [f64; 2],
    /// Damping.
    pub damping: f64,
    /// Lengths between which the spring is slack; `None` for the length at the reference configuration.
    pub springlength: Option<[f64; 2]>,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// What an actuator acts on, by name.
#[derive(Debug, Clone)]
pub enum Target {
    /// A joint.
    Joint(String),
    /// A joint, with the rotational axis in the parent's frame.
    JointInParent(String),
    /// A tendon.
    Tendon(String),
    /// A site.
    Site(String),
}

/// An actuator.
#[derive(Debug, Clone)]
pub struct Actuator {
    /// Name.
    pub name: String,
    /// What it acts on.
    pub target: Target,
    /// Gear ratios.
    pub gear: [f64; 6],
    /// Dynamics of the activation.
    pub dynamics: Dynamics,
    /// Parameters of the dynamics.
    pub dynprm: [f64; 3],
    /// Gain.
    pub gain: Gain,
    /// Parameters of the gain.
    pub gainprm: [f64; 3],
    /// Bias.
    pub bias: Bias,
    /// Parameters of the bias.
    pub biasprm: [f64; 3],
    /// Limits of the control, if on.
    pub ctrlrange: Option<[f64; 2]>,
    /// Limits of the force, if on.
    pub forcerange: Option<[f64; 2]>,
    /// Limits of the activation, if on.
    pub actrange: Option<[f64; 2]>,
    /// Does the force use the next activation?
    pub actearly: bool,
    /// Positive: limits of the control (of an integrator's activation) are those of the joint or tendon, scaled by this about their middle.
    pub inheritrange: f64,
    /// Line of the file; 0 for none.
    pub line: u32,
}

impl Actuator {
    /// A motor: force = gear·ctrl on the joint.
    pub fn motor(name: impl Into<String>, joint: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            target: Target::Joint(joint.into()),
            gear: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            dynamics: Dynamics::None,
            dynprm: [1.0, 0.0, 0.0],
            gain: Gain::Fixed,
            gainprm: [1.0, 0.0, 0.0],
            bias: Bias::None,
            biasprm: [0.0; 3],
            ctrlrange: None,
            forcerange: None,
            actrange: None,
            actearly: false,
            inheritrange: 0.0,
            line: 0,
        }
    }

    /// A position servo: force = kp·(ctrl − length) − kv·velocity.
    pub fn position(name: impl Into<String>, joint: impl Into<String>, kp: f64, kv: f64) -> Self {
        let mut actuator = Self::motor(name, joint);
        actuator.gainprm[0] = kp;
        actuator.bias = Bias::Affine;
        actuator.biasprm = [0.0, -kp, -kv];
        actuator
    }

    /// The gear ratio.
    #[must_use]
    pub fn gear(mut self, gear: f64) -> Self {
        self.gear[0] = gear;
        self
    }
}
