//! Colours that everyone tells apart, and a scale that is even to the eye.

/// Okabe and Ito 2008, without yellow, which is faint on white.
pub(super) const LINES: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// Nine colours of viridis (Smith and van der Walt 2015), equally spaced.
const VIRIDIS: [[f64; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// The colour of a share of the scale, 0 dark to 1 bright.
pub(super) fn viridis(share: f64) -> String {
    let u = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let i = (u as usize).min(VIRIDIS.len() - 2);
    let t = u - i as f64;
    let [r, g, b] = std::array::from_fn(|c| {
        (VIRIDIS[i][c] + t * (VIRIDIS[i + 1][c] - VIRIDIS[i][c])).round() as u8
    });
    format!("#{r:02x}{g:02x}{b:02x}")
}
