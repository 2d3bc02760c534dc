//! The conventions at kinks, ties, jumps and singular points: one derivative, the same by every way to it, or an error.

use pullback_graph::{Dual, Error, Op, Real, Result, Tape};

use super::instructions::apply;

/// An instruction at a point where its derivative is a matter of convention.
pub(crate) struct Kink {
    pub(crate) op: Op,
    /// A constant second operand (an exponent) is not differentiated.
    pub(crate) constant: Option<f64>,
    pub(crate) at: &'static [f64],
    /// The derivative, or `None` where there is none that is finite: then it is an error.
    pub(crate) slopes: Option<&'static [f64]>,
}

const fn row(op: Op, at: &'static [f64], slopes: &'static [f64]) -> Kink {
    Kink { op, constant: None, at, slopes: Some(slopes) }
}

const fn power(p: f64, at: &'static [f64], slopes: &'static [f64]) -> Kink {
    Kink { op: Op::Pow, constant: Some(p), at, slopes: Some(slopes) }
}

const fn error(op: Op, at: &'static [f64]) -> Kink {
    Kink { op, constant: None, at, slopes: None }
}

/// The published table.
pub(crate) const KINKS: &[Kink] = &[
    row(Op::Abs, &[0.0], &[0.0]),
    row(Op::Abs, &[-0.0], &[0.0]),
    row(Op::Sign, &[0.0], &[0.0]),
    row(Op::Floor, &[0.0], &[0.0]),
    row(Op::Floor, &[-3.0], &[0.0]),
    row(Op::Min, &[2.0, 2.0], &[0.5, 0.5]),
    row(Op::Max, &[2.0, 2.0], &[0.5, 0.5]),
    row(Op::Min, &[0.0, -0.0], &[0.5, 0.5]),
    row(Op::Max, &[-0.0, 0.0], &[0.5, 0.5]),
    row(Op::Less, &[1.5, 1.5], &[0.0, 0.0]),
    row(Op::LessEqual, &[1.5, 1.5], &[0.0, 0.0]),
    row(Op::Equal, &[1.5, 1.5], &[0.0, 0.0]),
    row(Op::Select, &[0.0, 3.0, 4.0], &[0.0, 0.0, 1.0]),
    row(Op::Select, &[-0.0, 3.0, 4.0], &[0.0, 0.0, 1.0]),
    row(Op::Select, &[1e-300, 3.0, 4.0], &[0.0, 1.0, 0.0]),
    row(Op::Hypot, &[0.0, 0.0], &[0.0, 0.0]),
    row(Op::Hypot, &[0.0, -2.0], &[0.0, -1.0]),
    row(Op::Atan2, &[0.0, 0.0], &[0.0, 0.0]),
    row(Op::Atan2, &[0.0, -2.0], &[-0.5, 0.0]),
    power(0.0, &[0.0], &[0.0]),
    power(0.0, &[-2.0], &[0.0]),
    power(1.0, &[0.0], &[1.0]),
    power(2.0, &[0.0], &[0.0]),
    power(3.0, &[0.0], &[0.0]),
    power(1.5, &[0.0], &[0.0]),
    power(4.0, &[0.0], &[0.0]),
    power(4.0, &[-2.0], &[-32.0]),
    power(-1.0, &[-2.0], &[-0.25]),
    row(Op::GuardedMul, &[0.0, 3.0], &[3.0, 0.0]),
    row(Op::GuardedDiv, &[0.0, 4.0], &[0.25, 0.0]),
    row(Op::Cosh, &[0.0], &[0.0]),
    row(Op::Tanh, &[0.0], &[1.0]),
    error(Op::Sqrt, &[0.0]),
    error(Op::Ln, &[0.0]),
    error(Op::Ln1p, &[-1.0]),
    error(Op::Asin, &[1.0]),
    error(Op::Asin, &[-1.0]),
    error(Op::Acos, &[1.0]),
    error(Op::Acos, &[-1.0]),
    error(Op::Acosh, &[1.0]),
    error(Op::Atanh, &[1.0]),
    error(Op::Div, &[1.0, 0.0]),
    error(Op::Pow, &[0.0, 2.0]),
    error(Op::Pow, &[-2.0, 2.0]),
    Kink { op: Op::Pow, constant: Some(0.5), at: &[0.0], slopes: None },
    Kink { op: Op::Pow, constant: Some(-1.0), at: &[0.0], slopes: None },
];

fn of<T: Real>(kink: &Kink, x: &[T]) -> T {
    match kink.constant {
        Some(c) => apply(kink.op, &[x[0], T::lit(c)]),
        None => apply(kink.op, x),
    }
}

/// (way, derivative) for push, pull and Jacobian; dual numbers carry NaN and ∞ along, which are an error here.
fn ways(kink: &Kink) -> [(&'static str, Result<Vec<f64>>); 4] {
    let (x, n) = (kink.at, kink.at.len());
    let record = || Tape::record(n, |x| vec![of(kink, x)]);
    let push = || {
        let forward = record()?.forward();
        let unit = |i: usize| (0..n).map(move |j| if i == j { 1.0 } else { 0.0 });
        (0..n)
            .map(|i| Ok(forward.eval(&x.iter().copied().chain(unit(i)).collect::<Vec<_>>())?[1]))
            .collect()
    };
    let pull = || Ok(record()?.reverse().eval(&[x, &[1.0]].concat())?[1..].to_vec());
    let jacobian = || {
        let (tape, pattern) = record()?.jacobian();
        Ok(pattern.dense(&tape.eval(x)?))
    };
    let dual = || {
        let x: Vec<Dual<f64, 3>> =
            x.iter().enumerate().map(|(i, &x)| Dual::variable(x, i)).collect();
        let slopes = of(kink, &x).slopes[..n].to_vec();
        match slopes.iter().position(|s| !s.is_finite()) {
            None => Ok(slopes),
            Some(output) => Err(not_finite(output, slopes[output])),
        }
    };
    [("push", push()), ("pull", pull()), ("Jacobian", jacobian()), ("dual numbers", dual())]
}

/// The error of a number that is none, as a tape gives it.
fn not_finite(output: usize, value: f64) -> Error {
    Error::OutputNotFinite { output, sample: 0, value, cause: String::new() }
}

/// Does every way to the derivative give what the table says?
pub(crate) fn verify(kink: &Kink) -> std::result::Result<(), String> {
    for (way, got) in ways(kink) {
        let right = match (&got, kink.slopes) {
            (Ok(got), Some(want)) => got == want,
            (Err(Error::OutputNotFinite { .. }), None) => true,
            _ => false,
        };
        if !right {
            let Kink { op, constant, at, slopes } = kink;
            return Err(format!(
                "{op:?} at {at:?} {constant:?}: {way} gives {got:?} instead of {slopes:?}"
            ));
        }
    }
    Ok(())
}
