//! A model before it is compiled: a tree of bodies with their elements. MJCF and URDF are read into it; Rust code may build it directly.

mod attach;
mod checks;
mod compile;
mod elements;
mod inertia;
mod meshes;
mod pose;

pub(crate) use checks::reference;
pub(crate) use compile::{MOST, MOST_DEGREES};
pub use elements::{
    Actuator, ContactPair, Equality, Exclude, Geom, Joint, Site, Softness, Target, Tendon, Via,
};
pub use pose::Pose;

use crate::mesh::Mesh;
use crate::model::{Keyframe, Options};
use crate::{Model, Result};

/// A model to be compiled. Body 0 is the world.
///
/// At most 20,000 bodies, 20,000 geoms, 2,000 degrees of freedom (matrices are dense; 6 of one body), 4 million pairs of geoms that may touch,
/// 2 million vertices and triangles of a mesh and 400,000 of its hull; positions and sizes of at most 10¹⁰ m. 10⁸ numbers in each of the matrices
/// of actuators and of tendons by degrees of freedom, in the rows of equalities, and in all keyframes. Orientations need not be of unit length,
/// but longer than 0.
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
    /// Pairs of bodies that never touch.
    pub excludes: Vec<Exclude>,
    /// Meshes that geoms name.
    pub meshes: Vec<Mesh>,
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
    /// Are inertias taken as they are given, even such as no body can have (thin rods, moments that are negative by rounding, links without
    /// mass)? No, as in MuJoCo; robots of URDF: yes, as in Pinocchio. Every joint must move something with an inertia in any case.
    pub as_given: bool,
    /// Groups of geoms that carry mass. (0, 5).
    pub grouprange: (i32, i32),
    /// Are the frames of free bodies moved to their centre of mass and principal axes, where their joint does not say? No.
    pub alignfree: bool,
}

impl Default for InertiaRules {
    fn default() -> Self {
        Self {
            from_geom: None,
            boundmass: 0.0,
            boundinertia: 0.0,
            settotalmass: -1.0,
            balanceinertia: false,
            as_given: false,
            grouprange: (0, 5),
            alignfree: false,
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
    /// Is it moved from outside? Such a body is a child of the world and has no joints.
    pub mocap: bool,
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
            meshes: Vec::new(),
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
