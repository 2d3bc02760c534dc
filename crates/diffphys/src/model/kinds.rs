//! Kinds of elements, by MuJoCo's names.

/// A kind of joint (`mjtJoint`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JointType {
    /// Six degrees of freedom: position (m) and quaternion; velocity in world axes, angular velocity in body axes.
    Free,
    /// Three rotations: a quaternion; angular velocity in body axes.
    Ball,
    /// A translation along the axis, m.
    Slide,
    /// A rotation about the axis, rad.
    Hinge,
}

impl JointType {
    /// Numbers in `qpos`.
    pub fn positions(self) -> usize {
        match self {
            JointType::Free => 7,
            JointType::Ball => 4,
            JointType::Slide | JointType::Hinge => 1,
        }
    }

    /// Numbers in `qvel`.
    pub fn velocities(self) -> usize {
        match self {
            JointType::Free => 6,
            JointType::Ball => 3,
            JointType::Slide | JointType::Hinge => 1,
        }
    }
}

/// A shape (`mjtGeom`), in MuJoCo's order, which orders the geoms of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GeomType {
    /// The half space under the xy plane of the geom.
    Plane,
    /// `size` = (radius).
    Sphere,
    /// `size` = (radius, half length of the cylindrical part), along z.
    Capsule,
    /// `size` = the three radii.
    Ellipsoid,
    /// `size` = (radius, half length), along z.
    Cylinder,
    /// `size` = the three half lengths.
    Box,
    /// The convex hull of a mesh. `size` = half lengths of a box around it, which nothing but pictures uses.
    Mesh,
}

impl GeomType {
    /// MJCF's name.
    pub fn name(self) -> &'static str {
        match self {
            GeomType::Plane => "plane",
            GeomType::Sphere => "sphere",
            GeomType::Capsule => "capsule",
            GeomType::Ellipsoid => "ellipsoid",
            GeomType::Cylinder => "cylinder",
            GeomType::Box => "box",
            GeomType::Mesh => "mesh",
        }
    }
}

/// What an equality constraint ties together (`mjtEq`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EqualityType {
    /// Two bodies at a point, as by a ball joint.
    Connect,
    /// Two bodies, rigidly.
    Weld,
    /// Two scalar joints by a polynomial of degree 4.
    Joint,
    /// Two tendon lengths by a polynomial of degree 4.
    Tendon,
}

/// What an actuator acts on (`mjtTrn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    /// A joint. Of a ball, gear is an axis in the frame of its body; of a free joint, a force in the world's and a torque in the body's.
    Joint,
    /// A joint, with gear's rotational axis in the frame of the parent.
    JointInParent,
    /// A tendon.
    Tendon,
    /// A site: gear is a force and a torque in its frame. It has no length.
    Site,
}

/// A part of a spatial tendon's path (`mjtWrap`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wrap {
    /// The string starts anew; lengths from here on are divided by this.
    Pulley(f64),
    /// It passes through a site.
    Site(usize),
    /// It passes around a sphere, on the side of a site; through its inside where that site is inside.
    Sphere {
        /// The sphere.
        geom: usize,
        /// The site.
        side: Option<usize>,
    },
    /// It passes around a cylinder without ends.
    Cylinder {
        /// The cylinder.
        geom: usize,
        /// The site.
        side: Option<usize>,
    },
}

/// How an actuator's force depends on its input (`mjtGain`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// gainprm\[0\].
    Fixed,
    /// gainprm\[0\] + gainprm\[1\]·length + gainprm\[2\]·velocity.
    Affine,
}

/// The force that an actuator adds to gain·input (`mjtBias`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// 0.
    None,
    /// biasprm\[0\] + biasprm\[1\]·length + biasprm\[2\]·velocity.
    Affine,
}

/// The dynamics of an actuator's activation (`mjtDyn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dynamics {
    /// No activation: the input is the control.
    None,
    /// act' = ctrl.
    Integrator,
    /// act' = (ctrl − act)/dynprm\[0\].
    Filter,
    /// The same, integrated exactly over a step.
    FilterExact,
}
