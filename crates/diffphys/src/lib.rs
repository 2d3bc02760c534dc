//! Articulated rigid bodies with contact: MuJoCo's numbers, exact derivatives.
#![doc = include_str!("../README.md")]

mod collide;
mod constraint;
mod data;
mod dynamics;
mod error;
mod gradient;
mod mesh;
pub mod mjcf;
mod model;
mod node;
mod rollout;
mod solve;
mod spatial;
mod spec;
pub mod urdf;

pub use collide::Contact;
pub use constraint::{RowKind, RowState, Rows};
pub use data::{Data, SolveStats};
pub use error::{Error, Result};
pub use gradient::{Cotangent, DynamicsDerivative, GradientReport, StepDerivative};
pub use mesh::{Mesh, MeshInertia};
pub use model::{
    Bias, Cone, Dynamics, EqualityType, Gain, GeomType, Integrator, JointType, Keyframe, Model,
    Options, Pair, Parameter, Solver, Transmission, Wrap,
};
pub use node::Simulation;
pub use rollout::Rollout;
pub use spec::{
    Actuator, Body, ContactPair, Equality, Exclude, Geom, InertiaRules, Inertial, Joint, Pose,
    Site, Softness, Spec, Target, Tendon, Via,
};
