//! Ranges, ticks and numbers of an axis.

/// How numbers are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// Beyond, differences overflow.
const LARGEST: f64 = 1e300;

impl Scale {
    /// The number as it is laid out; `None` where it has no place.
    pub(super) fn place(self, x: f64) -> Option<f64> {
        match self {
            Scale::Linear => Some(x),
            Scale::Logarithmic => Some(x.log10()).filter(|_| 0.0 < x),
        }
        .filter(|x| x.abs() < LARGEST)
    }
}

/// An axis from one number to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// The axis over these numbers, or within limits, with a margin relative to its length.
    pub(super) fn over(
        scale: Scale,
        limits: Option<[f64; 2]>,
        numbers: impl Iterator<Item = f64>,
        margin: f64,
    ) -> Self {
        let fold = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
        let of = |numbers: &mut dyn Iterator<Item = f64>| {
            numbers.filter_map(|x| scale.place(x)).fold((f64::INFINITY, f64::NEG_INFINITY), fold)
        };
        let given = limits.map(|l| of(&mut l.into_iter())).filter(|(low, high)| low < high);
        if let Some((low, high)) = given {
            return Axis { scale, low, high };
        }
        let (low, high) = of(&mut { numbers });
        if high < low {
            return Axis { scale, low: 0.0, high: 1.0 };
        }
        // A single number gets room around it.
        let pad = if low == high { 0.5_f64.max(0.1 * low.abs()) } else { margin * (high - low) };
        Axis { scale, low: low - pad, high: high + pad }
    }

    /// Where a number lies, 0 at the low end and 1 at the high end.
    pub(super) fn at(&self, x: f64) -> Option<f64> {
        let u = (self.scale.place(x)? - self.low) / (self.high - self.low);
        Some(u).filter(|u| u.is_finite())
    }

    /// The number at a share of the axis.
    pub(super) fn value(&self, share: f64) -> f64 {
        let x = self.low + share * (self.high - self.low);
        if self.scale == Scale::Linear { x } else { 10f64.powf(x) }
    }

    /// About `count` round numbers on the axis, with their texts.
    pub(super) fn ticks(&self, count: f64) -> Vec<(f64, String)> {
        let span = self.high - self.low;
        if self.scale == Scale::Logarithmic {
            return self.powers(count);
        }
        // 1, 2 or 5 times a power of ten.
        let raw = span / count.max(1.0);
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| raw <= *s);
        let step = step.unwrap_or(10.0 * power);
        let largest = self.low.abs().max(self.high.abs());
        let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
        let all = (0..=(last - first).clamp(0.0, 50.0) as usize).map(|k| (first + k as f64) * step);
        all.map(|x| (x, text(x, step, largest))).collect()
    }

    fn powers(&self, count: f64) -> Vec<(f64, String)> {
        let (first, last) = ((self.low - 1e-9).ceil() as i32, (self.high + 1e-9).floor() as i32);
        let every = (f64::from(last - first) / count.max(1.0)).ceil().max(1.0) as i32;
        let powers = (first..=last).filter(|p| p.rem_euclid(every) == 0);
        let mut all: Vec<(f64, String)> =
            powers.map(|p| (10f64.powi(p), format!("10{}", superscript(p)))).collect();
        if last - first < 1 {
            // Less than two powers: the numbers between them too.
            for p in first - 1..=last {
                for m in [1.0, 2.0, 5.0] {
                    let x = m * 10f64.powi(p);
                    let inside = self.at(x).is_some_and(|u| (0.0..=1.0).contains(&u));
                    if inside && !all.iter().any(|(y, _)| *y == x) {
                        all.push((x, text(x, x, x)));
                    }
                }
            }
        }
        all
    }
}

/// A number with the digits that its step needs.
pub(super) fn text(x: f64, step: f64, largest: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let out = if (1e-3..1e5).contains(&largest) {
        let digits = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        format!("{x:.digits$}")
    } else {
        let digits = ((largest / step).log10() + 1e-9).ceil().clamp(0.0, 3.0) as usize;
        format!("{x:.digits$e}")
    };
    out.replace('-', "−")
}

fn superscript(p: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).and_then(|d| DIGITS.get(d as usize)).copied();
    p.to_string().chars().map(|c| digit(c).unwrap_or('⁻')).collect()
}
