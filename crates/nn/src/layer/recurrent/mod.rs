//! Recurrent layers: one cell, and whole sequences of its steps, in one layer or several, forwards or both ways in time.
//!
//! What a whole sequence contributes to a layer is computed at once, and only the products with the state step by step: on the CPU all
//! steps are one operation, else each is recorded on the graph. Derivatives of every order flow through time.

mod gru;
mod lstm;
mod spec;
mod stack;
mod weights;

pub use gru::{Gru, GruCell};
pub use lstm::{Lstm, LstmCell, LstmState};
pub use spec::RecurrentSpec;
