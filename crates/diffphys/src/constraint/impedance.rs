//! The impedance d(r) of a constraint: how much of the constraint force acts at residual r (MuJoCo, "Solver parameters").

/// Bounds of d (`mjMINIMP`, `mjMAXIMP`).
const LEAST: f64 = 1e-4;
const MOST: f64 = 0.9999;

/// `solimp` inside its domain.
pub(crate) fn clamp_impedance(s: &[f64; 5]) -> [f64; 5] {
    [
        s[0].clamp(LEAST, MOST),
        s[1].clamp(LEAST, MOST),
        s[2].max(0.0),
        s[3].clamp(LEAST, MOST),
        s[4].max(1.0),
    ]
}

/// d and ∂d/∂r at residual r less the margin: a sigmoid in x = |r|/width from d₀ to d_width, made of two powers that meet at the midpoint.
pub(crate) fn impedance(solimp: &[f64; 5], residual: f64) -> (f64, f64) {
    let [low, high, width, middle, power] = clamp_impedance(solimp);
    if low == high || width <= crate::spatial::MINVAL {
        return (0.5 * (low + high), 0.0);
    }
    let sign = if residual < 0.0 { -1.0 } else { 1.0 };
    let x = residual.abs() / width;
    if x >= 1.0 {
        return (high, 0.0);
    }
    if x == 0.0 {
        return (low, 0.0);
    }
    let (y, slope) = if power == 1.0 {
        (x, 1.0)
    } else if x <= middle {
        let scale = middle.powf(1.0 - power);
        (scale * x.powf(power), scale * power * x.powf(power - 1.0))
    } else {
        let scale = (1.0 - middle).powf(1.0 - power);
        (1.0 - scale * (1.0 - x).powf(power), scale * power * (1.0 - x).powf(power - 1.0))
    };
    (low + y * (high - low), slope * sign * (high - low) / width)
}

/// ∂d/∂solimp at that residual; 0 for numbers outside their domain, which are held at its border.
pub(crate) fn impedance_partials(solimp: &[f64; 5], residual: f64) -> [f64; 5] {
    let clamped = clamp_impedance(solimp);
    let [low, high, width, middle, power] = clamped;
    let x = if width > crate::spatial::MINVAL { residual.abs() / width } else { 0.0 };
    // Where d₀ = d_width, d is one number, but moving either of them still moves it by its own share.
    let mut out = if width <= crate::spatial::MINVAL {
        [0.5, 0.5, 0.0, 0.0, 0.0]
    } else if x >= 1.0 {
        [0.0, 1.0, 0.0, 0.0, 0.0]
    } else if x == 0.0 {
        [1.0, 0.0, 0.0, 0.0, 0.0]
    } else {
        // y, ∂y/∂x, ∂y/∂middle, ∂y/∂power.
        let (y, by_x, by_middle, by_power) = if power == 1.0 && x <= middle {
            (x, 1.0, 0.0, x * (x / middle).ln())
        } else if x <= middle {
            let y = middle.powf(1.0 - power) * x.powf(power);
            (y, power * y / x, (1.0 - power) * y / middle, y * (x / middle).ln())
        } else {
            let (u, n) = (1.0 - x, 1.0 - middle);
            let rest = n.powf(1.0 - power) * u.powf(power);
            (1.0 - rest, power * rest / u, (1.0 - power) * rest / n, -rest * (u / n).ln())
        };
        let span = high - low;
        [1.0 - y, y, -span * by_x * x / width, span * by_middle, span * by_power]
    };
    for k in 0..5 {
        if clamped[k] != solimp[k] {
            out[k] = 0.0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{impedance, impedance_partials};

    #[test]
    fn the_partials_are_difference_quotients() {
        let table =
            [[0.9, 0.95, 0.001, 0.5, 2.0], [0.1, 0.95, 0.01, 0.3, 3.0], [0.7, 0.7, 0.01, 0.4, 2.0]];
        for solimp in table {
            for x in [-0.7, -0.2, 0.1, 0.45, 0.9] {
                let r = x * solimp[2];
                let partials = impedance_partials(&solimp, r);
                for k in 0..5 {
                    let h = 1e-6 * solimp[k];
                    let at = |s: f64| {
                        let mut moved = solimp;
                        moved[k] += s;
                        impedance(&moved, r).0
                    };
                    let quotient = (at(h) - at(-h)) / (2.0 * h);
                    let error = (quotient - partials[k]).abs() * solimp[k];
                    assert!(error <= 1e-8, "{k}: {quotient} {}", partials[k]);
                }
            }
        }
    }

    #[test]
    fn the_slope_is_the_difference_quotient() {
        let table =
            [[0.9, 0.95, 0.001, 0.5, 2.0], [0.0, 0.95, 0.01, 0.3, 3.0], [0.2, 0.8, 0.1, 0.6, 1.0]];
        for solimp in table {
            for x in [-0.7, -0.2, 0.1, 0.45, 0.9] {
                let r = x * solimp[2];
                let h = 1e-6 * solimp[2];
                let quotient =
                    (impedance(&solimp, r + h).0 - impedance(&solimp, r - h).0) / (2.0 * h);
                let slope = impedance(&solimp, r).1;
                assert!(
                    (quotient - slope).abs() <= 1e-7 * (1.0 + slope.abs()),
                    "{slope} {quotient}"
                );
            }
        }
    }
}
