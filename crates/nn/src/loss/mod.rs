//! Losses: one number for each example, so that the caller chooses weights and means.

mod cross_entropy;
mod huber;

pub use cross_entropy::{cross_entropy, cross_entropy_at};
pub use huber::huber;
