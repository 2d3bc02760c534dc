//! Conic programs with sparse data: linear, quadratic, second-order, exponential, power and semidefinite, solved and differentiated.
//!
//! > min ½xᵀPx + qᵀx  subject to  Ax + s = b,  s ∈ K
//!
//! [`Conic`] has the patterns, the cones and the settings, [`ConicData`] the values of a batch. clarabel's interior point solves (our own
//! splitting where there are semidefinite cones); Newton steps on the optimality conditions sharpen; every claim is verified by us before it
//! becomes a [`Status`](crate::Status). [`ConicSolution::derivative`] is the linear map of (P, q, A, b) ↦ (x, z).

mod central;
mod certificate;
mod cone;
mod convex;
mod critical;
mod derivative;
mod directional;
mod ldl;
mod node;
mod problem;
mod scale;
mod solution;
mod solve;
mod sparse;
mod splitting;
mod system;
mod three;
mod units;

pub use cone::Cone;
pub use derivative::{ConicDerivative, ConicTangent};
pub use node::ConicFunction;
pub use problem::{CONIC_ARGUMENTS, Conic, ConicData, ConicSettings};
pub use solution::{ConicEstimate, ConicSolution};
pub use sparse::Pattern;
