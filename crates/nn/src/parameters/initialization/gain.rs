//! Gains: by how much a layer's standard deviation is scaled for the activation that follows, as PyTorch's tables have them.

/// No activation, or the sigmoid.
pub const LINEAR: f64 = 1.0;
/// The rectifier, √2: it removes half of the second moment (He et al. 2015).
pub const RELU: f64 = std::f64::consts::SQRT_2;
/// tanh, 5/3.
pub const TANH: f64 = 5.0 / 3.0;
/// SELU, 3/4.
pub const SELU: f64 = 0.75;

/// A rectifier of this slope below 0: √(2 / (1 + slope²)) (He et al. 2015, eq. 15).
#[must_use]
pub fn leaky_relu(slope: f64) -> f64 {
    (2.0 / (1.0 + slope * slope)).sqrt()
}
