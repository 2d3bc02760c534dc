//! Exact derivatives of a step, by the implicit-function theorem at the solution of the constrained problem.

mod adjoint;
mod attachment;
mod bend;
mod contact;
mod dense;
mod display;
mod dynamics;
mod forces;
mod gyroscopic;
mod jacobian;
mod medium;
mod parameter;
mod report;
mod rows;
mod runge_kutta;
mod smooth;
mod softness;
mod step;

pub use adjoint::Cotangent;
pub use dynamics::DynamicsDerivative;
pub(crate) use medium::{push_slopes, symmetric_slopes};
pub use report::GradientReport;
pub use step::StepDerivative;
