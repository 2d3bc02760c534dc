//! Second derivatives at kinks and beside singular branches: one number by every way to it, or an error.

use pullback_graph::{Dual, Error, Real, Result, Tape};

/// A function of two variables at a point where its second derivative is a matter of convention.
pub(crate) struct SecondKink {
    pub(crate) name: &'static str,
    at: [f64; 2],
    /// The Hessian, row-major, or `None` where it is not finite: then it is an error.
    hessian: Option<[f64; 4]>,
}

const fn row(name: &'static str, at: [f64; 2], hessian: [f64; 4]) -> SecondKink {
    SecondKink { name, at, hessian: Some(hessian) }
}

const fn error(name: &'static str, at: [f64; 2]) -> SecondKink {
    SecondKink { name, at, hessian: None }
}

/// The table; the functions are in `of`.
pub(crate) const SECOND_KINKS: &[SecondKink] = &[
    row("select(0 < x, √x, x²)", [-1.0, 0.0], [2.0, 0.0, 0.0, 0.0]),
    row("select(0 < x, √x, x²)", [0.0, 0.0], [2.0, 0.0, 0.0, 0.0]),
    row("select(0 < x, x·ln x, x²)", [0.0, 0.0], [2.0, 0.0, 0.0, 0.0]),
    row("select(0 < x, y/x, x·y)", [0.0, 3.0], [0.0, 1.0, 1.0, 0.0]),
    row("select(x < 1, select(0 < x, √x, x³), y²)", [-2.0, 1.0], [-12.0, 0.0, 0.0, 0.0]),
    row("√x·select(0 < y, √y, y)", [4.0, 0.0], [0.0, 0.25, 0.25, 0.0]),
    row("|x|", [0.0, 0.0], [0.0; 4]),
    row("x·|x|", [0.0, 0.0], [0.0; 4]),
    row("min(x, y)", [2.0, 2.0], [0.0; 4]),
    row("hypot(x, 1)", [0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    row("x^2", [0.0, 0.0], [2.0, 0.0, 0.0, 0.0]),
    row("x^3", [0.0, 0.0], [0.0; 4]),
    error("hypot(x, y)", [0.0, 0.0]),
    error("x^1.5", [0.0, 0.0]),
    error("√x", [0.0, 0.0]),
];

fn of<T: Real>(name: &str, [x, y]: [T; 2]) -> T {
    let zero = T::lit(0.0);
    let positive = zero.less(x);
    match name {
        "select(0 < x, √x, x²)" => T::select(positive, x.sqrt(), x * x),
        "select(0 < x, x·ln x, x²)" => T::select(positive, x.ln() * x, x * x),
        "select(0 < x, y/x, x·y)" => T::select(positive, y / x, x * y),
        "select(x < 1, select(0 < x, √x, x³), y²)" => {
            T::select(x.less(T::lit(1.0)), T::select(positive, x.sqrt(), x * x * x), y * y)
        }
        "√x·select(0 < y, √y, y)" => x.sqrt() * T::select(zero.less(y), y.sqrt(), y),
        "|x|" => x.abs(),
        "x·|x|" => x * x.abs(),
        "min(x, y)" => x.min(y),
        "hypot(x, 1)" => x.hypot(T::lit(1.0)),
        "x^2" => x.pow(T::lit(2.0)),
        "x^3" => x.pow(T::lit(3.0)),
        "hypot(x, y)" => x.hypot(y),
        "x^1.5" => x.pow(T::lit(1.5)),
        _ => x.sqrt(),
    }
}

/// (way, Hessian) for each order of the two chain rules, the sparse Hessian and dual numbers of dual numbers.
fn ways(kink: &SecondKink) -> Vec<(&'static str, Result<Vec<f64>>)> {
    let x = kink.at;
    let tape = || Tape::record(2, |x| vec![of(kink.name, [x[0], x[1]])]);
    let unit = |i: usize| [[1.0, 0.0], [0.0, 1.0]][i];
    // One row or entry at a time: (inputs, outputs that are read).
    let rows = |tape: Result<Tape>, input: &dyn Fn(usize) -> Vec<f64>, read: [usize; 2]| {
        let tape = tape?;
        let each = (0..2).map(|i| {
            let y = tape.eval(&[&x[..], &input(i)].concat())?;
            Ok(read.map(|at| y[at]))
        });
        Ok(each.collect::<Result<Vec<_>>>()?.concat())
    };
    let push_push = || {
        let tape = tape()?.forward().forward();
        let mut hessian = Vec::new();
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let inputs = [x, unit(i), unit(j), [0.0; 2]].concat();
            hessian.push(tape.eval(&inputs)?[3]);
        }
        Ok(hessian)
    };
    let sparse = || {
        let (tape, pattern) = tape()?.hessian();
        let lower = pattern.dense(&tape.eval(&[x[0], x[1], 1.0])?);
        Ok(vec![lower[0], lower[2], lower[2], lower[3]])
    };
    let duals = || {
        let variable = |i: usize| {
            let inner = Dual::<f64, 2>::variable(x[i], i);
            Dual::<Dual<f64, 2>, 2>::variable(inner, i)
        };
        let second = of(kink.name, [variable(0), variable(1)]).slopes.map(|slope| slope.slopes);
        let hessian = second.concat();
        match hessian.iter().position(|h| !h.is_finite()) {
            Some(output) => Err(not_finite(output, hessian[output])),
            None => Ok(hessian),
        }
    };
    let pull_push = |i: usize| [&[1.0][..], &unit(i), &[0.0]].concat();
    let push_pull = |i: usize| [&unit(i)[..], &[0.0, 1.0]].concat();
    let pull_pull = |i: usize| [&[1.0, 0.0][..], &unit(i)].concat();
    vec![
        ("push of push", push_push()),
        ("push of pull", rows(tape().map(|t| t.reverse().forward()), &pull_push, [4, 5])),
        ("pull of push", rows(tape().map(|t| t.forward().reverse()), &push_pull, [2, 3])),
        ("pull of pull", rows(tape().map(|t| t.reverse().reverse()), &pull_pull, [3, 4])),
        ("sparse Hessian", sparse()),
        ("dual numbers of dual numbers", duals()),
    ]
}

/// The error of a number that is none, as a tape gives it.
fn not_finite(output: usize, value: f64) -> Error {
    Error::OutputNotFinite { output, sample: 0, value, cause: String::new() }
}

/// Does every way to the Hessian give what the table says?
pub(crate) fn verify(kink: &SecondKink) -> std::result::Result<(), String> {
    for (way, got) in ways(kink) {
        let right = match (&got, kink.hessian) {
            (Ok(got), Some(want)) => got[..] == want,
            (Err(Error::OutputNotFinite { .. }), None) => true,
            _ => false,
        };
        if !right {
            let SecondKink { name, at, hessian } = kink;
            return Err(format!("{name} at {at:?}: {way} gives {got:?} instead of {hessian:?}"));
        }
    }
    Ok(())
}
