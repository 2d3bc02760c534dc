//! Quadratic programs: dense, batched, solved and differentiated.
//!
//! > x* = argmin ½xᵀQx + qᵀx  subject to  Ax = b (multipliers ν), Gx ≤ h (multipliers λ ≥ 0)
//!
//! [`Qp`] has the sizes and the settings, [`QpData`] the numbers of a batch, [`QpSolution`] what comes out, one [`Status`](crate::Status)
//! for each item: one that fails does not touch the others. [`QpSolution::derivative`] is the linear map of (Q, q, A, b, G, h) ↦ (x, ν, λ),
//! from the factor that solving left behind.

mod data;
mod derivative;
mod direction;
mod directional;
mod gradient;
mod group;
mod infeasible;
mod interior_point;
mod kkt;
mod local;
mod node;
mod polish;
mod residual;
mod second;
mod sensitivity;
mod solution;
mod solve;

pub use data::{ARGUMENTS, QpData};
pub use node::QpFunction;
pub use sensitivity::{QpDerivative, QpTangent};
pub use solution::{ItemStats, QpSolution};
pub use solve::{Qp, Settings};

pub(crate) use group::root_scale;
pub(crate) use local::{Local, eigen as symmetric};
