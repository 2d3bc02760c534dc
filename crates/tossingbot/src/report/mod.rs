//! What a run shows: a self-contained page, and rows of figures.

mod affordance;
mod color;
mod curves;
mod page;
pub mod png;
pub mod rows;
mod svg;
mod table;
mod throws;

pub use page::page;
