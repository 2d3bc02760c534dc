//! Training.

mod curriculum;

pub use curriculum::{Curriculum, Stage};
