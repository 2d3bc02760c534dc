//! A model before it is compiled: a tree of bodies with their elements. MJCF and URDF are read into it; Rust code may build it directly.

mod compile;
mod inertia;
mod pose;

pub use pose::Pose;

use crate::model::{Bias, Dynamics, EqualityType, Gain, GeomType, JointType, Keyframe, Options};
use crate::{Model, Result};

/// A model to be compiled. Body 0 is the world.
///
/// ```
/// use pullback_diffphys::{Body, Geom, Joint, JointType, Spec};
/// let mut spec = Spec::new("pendulum");
/// let mut arm = Body::new("arm");
/// arm.joints.push(Joint::new("hinge", JointType::Hinge).axis([0.0, 1.0, 0.0]));
/// arm.geoms.push(Geom::capsule([0.0; 3], [0.0, 0.0, -0.5], 0.04));
/// spec.add(0, arm)?;
/// let model = spec.compile()?;
/// assert_eq!((model.nq(), model.nv()), (1, 1));
/// # Ok::<(), pullback_diffphys::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of the model.
    pub name: String,
    /// Options of the simulation.
    pub options: Options,
    /// Where masses come from.
    pub inertia: InertiaRules,
    pub(crate) bodies: Vec<Body>,
    pub(crate) parents: Vec<usize>,
    /// Pairs of bodies, by name, that never touch.
    pub excludes: Vec<(String, String)>,
    /// Explicit contact pairs.
    pub pairs: Vec<ContactPair>,
    /// Equality constraints.
    pub equalities: Vec<Equality>,
    /// Tendons.
    pub tendons: Vec<Tendon>,
    /// Actuators.
    pub actuators: Vec<Actuator>,
    /// Keyframes; empty vectors stand for the reference configuration, rest, and zeros.
    pub keyframes: Vec<(String, Keyframe)>,
}

/// How masses and inertias are made (MJCF's `compiler`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InertiaRules {
    /// From geoms always (true), never (false), or where a body has none (`None`, the default).
    pub from_geom: Option<bool>,
    /// Least mass of a moving body, kg. 0.
    pub boundmass: f64,
    /// Least principal moment of a moving body, kg·m². 0.
    pub boundinertia: f64,
    /// Total mass to scale to, kg; negative for none. −1.
    pub settotalmass: f64,
    /// Are principal moments that no body can have made equal? No.
    pub balanceinertia: bool,
    /// Groups of geoms that carry mass. (0, 5).
    pub grouprange: (i32, i32),
}

impl Default for InertiaRules {
    fn default() -> Self {
        Self {
            from_geom: None,
            boundmass: 0.0,
            boundinertia: 0.0,
            settotalmass: -1.0,
            balanceinertia: false,
            grouprange: (0, 5),
        }
    }
}

/// A rigid body.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Name.
    pub name: String,
    /// Pose in the parent's frame.
    pub pose: Pose,
    /// Mass and inertia; else they come from the geoms.
    pub inertial: Option<Inertial>,
    /// Share of gravity that is compensated.
    pub gravcomp: f64,
    /// Joints to the parent, in order.
    pub joints: Vec<Joint>,
    /// Shapes.
    pub geoms: Vec<Geom>,
    /// Marked points.
    pub sites: Vec<Site>,
    /// Line of the file it comes from; 0 for none.
    pub line: u32,
}

impl Body {
    /// A body at its parent's frame, without elements.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Moves it to `pos` (m) in its parent's frame.
    #[must_use]
    pub fn at(mut self, pos: [f64; 3]) -> Self {
        self.pose.pos = pos;
        self
    }
}

/// Mass and inertia of a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inertial {
    /// Mass, kg.
    pub mass: f64,
    /// Centre of mass and axes, in the body's frame.
    pub pose: Pose,
    /// Inertia in those axes, kg·m²: [xx, yy, zz, xy, xz, yz].
    pub inertia: [f64; 6],
}

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
    /// Stiffness of the spring.
    pub stiffness: f64,
    /// Damping.
    pub damping: f64,
    /// Armature inertia.
    pub armature: f64,
    /// Dry friction.
    pub frictionloss: f64,
    /// Limits, if on.
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
            damping: 0.0,
            armature: 0.0,
            frictionloss: 0.0,
            range: None,
            margin: 0.0,
            limit: Softness::default(),
            friction: Softness::default(),
            actuatorfrcrange: None,
            actuatorgravcomp: false,
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
    /// Pose in the body's frame.
    pub pose: Pose,
    /// Mass, kg; else from the density.
    pub mass: Option<f64>,
    /// Density, kg/m³.
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
            line: 0,
        }
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
    /// Name of the first object.
    pub first: String,
    /// Name of the second object, if any.
    pub second: Option<String>,
    /// Is it on?
    pub active: bool,
    /// Numbers of the constraint; for joints and tendons the polynomial's five coefficients.
    pub data: [f64; 11],
    /// Softness.
    pub softness: Softness,
    /// Line of the file; 0 for none.
    pub line: u32,
}

/// A fixed tendon: length = Σ coefficient·q.
#[derive(Debug, Clone)]
pub struct Tendon {
    /// Name.
    pub name: String,
    /// Names of scalar joints and their coefficients.
    pub terms: Vec<(String, f64)>,
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
    /// A tendon.
    Tendon(String),
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

impl Spec {
    /// A model with only the world.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            options: Options::default(),
            inertia: InertiaRules::default(),
            bodies: vec![Body::new("world")],
            parents: vec![0],
            excludes: Vec::new(),
            pairs: Vec::new(),
            equalities: Vec::new(),
            tendons: Vec::new(),
            actuators: Vec::new(),
            keyframes: Vec::new(),
        }
    }

    /// The world: for geoms and sites that do not move.
    pub fn world(&mut self) -> &mut Body {
        &mut self.bodies[0]
    }

    /// Adds a body under `parent` (0 is the world); returns its number here, under which others may hang.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if there is no such parent.
    pub fn add(&mut self, parent: usize, body: Body) -> Result<usize> {
        if parent >= self.bodies.len() {
            let what = format!("parent {parent} of {} bodies", self.bodies.len());
            return Err(crate::Error::invalid(format!("body '{}'", body.name), what));
        }
        self.bodies.push(body);
        self.parents.push(parent);
        Ok(self.bodies.len() - 1)
    }

    /// The model. Bodies are numbered depth first.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] or [`crate::Error::Unknown`], with the element and the numbers.
    pub fn compile(&self) -> Result<Model> {
        compile::compile(self)
    }
}
