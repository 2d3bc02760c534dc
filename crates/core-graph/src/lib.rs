//! core-graph
