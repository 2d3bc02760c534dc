//! What several test files share, and the report program in benches.
#![allow(dead_code)] // each test file uses a part

pub(crate) mod bad_inputs;
pub(crate) mod chain;
pub(crate) mod child;
pub(crate) mod defects;
pub(crate) mod determinism;
pub(crate) mod kinks;
pub(crate) mod operations;
pub(crate) mod reference;
pub(crate) mod reference_linalg;
