//! core-graph

pub mod kernel;
