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

#[cfg(test)]
mod tests {
    use super::impedance;

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
