//! Colours that are told apart by everyone (Okabe and Ito), and two colour scales.

use crate::method::Method;

/// A success.
pub(super) const HIT: &str = "#0072b2";
/// A failure.
pub(super) const MISS: &str = "#d55e00";

/// The colour of a method.
pub(super) fn of(method: Method) -> &'static str {
    match method {
        Method::Residual => "#0072b2",
        Method::Physics => "#d55e00",
        Method::LearnedGravity => "#009e73",
    }
}

fn mix(a: [f64; 3], b: [f64; 3], t: f64) -> [f64; 3] {
    std::array::from_fn(|i| a[i] + t * (b[i] - a[i]))
}

fn bytes(color: [f64; 3]) -> [u8; 3] {
    color.map(|c| c.round().clamp(0.0, 255.0) as u8)
}

/// A height map's grey (0 the table, 1 the highest) under a heat of strength `heat` in 0..1.
pub(super) fn heat_over_height(height: f64, heat: f64) -> [u8; 3] {
    let grey = [38.0 + 150.0 * height.clamp(0.0, 1.0); 3];
    let heat = heat.clamp(0.0, 1.0);
    let hot = if heat < 0.5 {
        mix([70.0, 20.0, 120.0], [230.0, 80.0, 60.0], 2.0 * heat)
    } else {
        mix([230.0, 80.0, 60.0], [255.0, 240.0, 120.0], 2.0 * heat - 1.0)
    };
    bytes(mix(grey, hot, (1.6 * heat).min(0.92)))
}

/// Blue for −1, white for 0, red for +1, over grey where `weight` is 0.
pub(super) fn diverging(value: f64, weight: f64) -> [u8; 3] {
    let v = value.clamp(-1.0, 1.0);
    let white = [248.0, 248.0, 248.0];
    let color = if v < 0.0 {
        mix(white, [5.0, 80.0, 170.0], -v)
    } else {
        mix(white, [190.0, 30.0, 40.0], v)
    };
    bytes(mix([58.0, 58.0, 62.0], color, weight.clamp(0.0, 1.0)))
}
