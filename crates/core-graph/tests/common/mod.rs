//! What several test files share.
#![allow(dead_code)] // each test file uses a part

pub(crate) mod operations;
pub(crate) mod reference;
pub(crate) mod reference_linalg;
