//! What the tests, the report and the benches share: seeded problems and tables of cases.
#![allow(dead_code, unreachable_pub)] // each program uses a part

pub mod conic_problems;
pub mod degenerate;
pub mod maros_meszaros;
pub mod problems;
pub mod random;
pub mod reference;
