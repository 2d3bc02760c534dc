//! Recurrent layers: one cell, and a sequence of its steps.
//!
//! Sequences are (batch, time, features), as with PyTorch's `batch_first`. What a whole sequence contributes is computed at once, and
//! only the products with the state step by step; each step is recorded on the graph, so derivatives of every order flow through time.

mod gru;
mod lstm;
mod weights;

pub use gru::{Gru, GruCell};
pub use lstm::{Lstm, LstmCell, LstmState};
