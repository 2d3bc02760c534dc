//! Networks that plan, and networks that do not, as layers of `pullback-nn`: a map in channels ↦ logits of the actions in every cell.
//!
//! Input (batch, channels, height, width); by the papers' convention channel 0 is 1 in walls and channel 1 is 10 at the goal and 0 elsewhere
//! ([`images`]). Output (batch, actions, height, width): one pass plans for every start at once.

mod baseline;
mod calvin;
mod dynamic;
mod gated;
mod propagation;
mod qmdp_net;
mod qmdp_train;
mod symmetry;
mod train;
mod vin;

pub use baseline::{Cnn, CnnSpec, Fcn, FcnSpec};
pub use calvin::{Calvin, CalvinSpec};
pub use dynamic::{DtVin, DtVinSpec, highway_loss};
pub use gated::{Gppn, GppnSpec};
pub use propagation::{MvProp, MvPropSpec};
pub use qmdp_net::{QmdpMaps, QmdpNet, QmdpNetSpec, Readings};
pub use qmdp_train::{HiddenData, HiddenTask, hidden_images, hidden_runs, hidden_share};
pub use train::{PlanningData, PlanningTask, greedy, images};
pub use vin::{Vin, VinSpec};
