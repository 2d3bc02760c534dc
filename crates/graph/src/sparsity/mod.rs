//! Sparse derivatives: where they may be other than zero, how few sweeps find them all, and plans that are made once and used often.

mod pattern;

pub use pattern::Pattern;
