//! Sparse derivatives: where they may be other than zero, how few sweeps find them all, and plans that are made once and used often.

mod both;
mod coloring;
mod hessian;
mod jacobian;
mod normal;
mod options;
mod order;
mod pattern;
mod picture;
mod pushes;
mod star;
mod sweep;

pub use coloring::{Coloring, Side, Source};
pub use hessian::HessianPlan;
pub use jacobian::JacobianPlan;
pub use normal::NormalPlan;
pub use options::{Mode, PlanOptions};
pub use order::Order;
pub use pattern::Pattern;
pub use picture::svg;
