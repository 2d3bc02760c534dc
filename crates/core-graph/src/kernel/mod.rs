//! Numerical kernels on plain slices: no tensors, no graph, no derivative rules.

pub mod linalg;
