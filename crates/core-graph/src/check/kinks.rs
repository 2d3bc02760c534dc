//! The published convention at every kink, tie and singular point.

/// The convention of one operation at one point.
#[derive(Debug, Clone, Copy)]
pub struct Kink {
    /// The operation, a method of [`Var`](crate::Var).
    pub operation: &'static str,
    /// The point: one number for each input.
    pub at: &'static [f64],
    /// The derivative with respect to each input there.
    pub derivative: &'static [f64],
    /// The rule in words.
    pub rule: &'static str,
}

const fn kink(
    operation: &'static str,
    at: &'static [f64],
    derivative: &'static [f64],
    rule: &'static str,
) -> Kink {
    Kink { operation, at, derivative, rule }
}

/// Every kink of the operations of this crate. The tests read this table.
pub const KINKS: &[Kink] = &[
    kink("abs", &[0.0], &[0.0], "0 at 0, the middle of [−1, 1]"),
    kink("relu", &[0.0], &[0.0], "0 at 0"),
    kink("leaky_relu", &[0.0], &[0.1], "the left slope at 0"),
    kink("elu", &[0.0], &[1.0], "the left slope α at 0"),
    kink("clamp", &[-1.0], &[1.0], "1 on the closed interval"),
    kink("clamp", &[1.0], &[1.0], "1 on the closed interval"),
    kink("clamp", &[1.5], &[0.0], "0 outside"),
    kink("sign", &[0.0], &[0.0], "0 everywhere"),
    kink("step", &[0.0], &[0.0], "0 everywhere"),
    kink("floor", &[2.0], &[0.0], "0 everywhere"),
    kink("ceil", &[2.0], &[0.0], "0 everywhere"),
    kink("round", &[0.5], &[0.0], "0 everywhere"),
    kink("maximum", &[2.0, 2.0], &[0.5, 0.5], "ties share equally"),
    kink("minimum", &[2.0, 2.0], &[0.5, 0.5], "ties share equally"),
    kink("max", &[3.0, 3.0, 1.0], &[0.5, 0.5, 0.0], "ties share equally"),
    kink("min", &[1.0, 1.0, 1.0], &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], "ties share equally"),
    kink("norm", &[0.0, 0.0], &[0.0, 0.0], "0 at the origin"),
    kink("normalize", &[0.0, 0.0], &[0.0, 0.0], "value and derivative 0 at the origin"),
    kink("hypot", &[0.0, 0.0], &[0.0, 0.0], "0 at the origin"),
    kink("atan2", &[0.0, 0.0], &[0.0, 0.0], "0 at the origin"),
    kink("sinc", &[0.0], &[0.0], "the limit"),
    kink("safe_sqrt", &[0.0], &[0.0], "0 where x ≤ 0"),
    kink("safe_log", &[0.0], &[0.0], "0 where x ≤ 0"),
    kink("safe_reciprocal", &[0.0], &[0.0], "value and derivative 0 at 0"),
    kink("safe_div", &[1.0, 0.0], &[0.0, 0.0], "value and derivative 0 where the divisor is 0"),
    kink("safe_acos", &[1.0], &[0.0], "0 at and beyond ±1"),
    kink("safe_asin", &[-1.0], &[0.0], "0 at and beyond ±1"),
    kink("pow", &[0.0, 0.0], &[0.0, 0.0], "0⁰ = 1 with derivative 0"),
    kink("pow", &[0.0, 2.0], &[0.0, 0.0], "the limit"),
    kink(
        "pow",
        &[-2.0, 3.0],
        &[12.0, 0.0],
        "a negative base has no derivative with respect to the exponent: 0",
    ),
    kink("powf0", &[0.0], &[0.0], "x⁰ = 1 with derivative 0"),
    kink("log_times", &[0.0, 0.0], &[0.0, 0.0], "0·ln 0 = 0 with derivative 0"),
    kink("logsumexp", &[1.0, 1.0], &[0.5, 0.5], "smooth"),
    kink("select", &[0.0, 5.0, 7.0], &[0.0, 0.0, 1.0], "only the chosen branch"),
];
