//! The constrained accelerations: min ½(a − a₀)ᵀ·M·(a − a₀) + s(J·a − aref), a convex problem with one solution.

mod cost;
mod line_search;
mod newton;
mod noslip;

pub(crate) use cost::{Curvature, Zone, forces, row_curvature};
pub(crate) use newton::{Workspace, factor_hessian, solve, solve_factored, solve_to};
pub(crate) use noslip::{NoSlip, remove_slip};
