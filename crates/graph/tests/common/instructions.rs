//! Every instruction of a tape against the committed table: value, push, pull, Jacobian with pattern, Hessian, third derivative.

use std::collections::BTreeMap;

use pullback_graph::{Dual, Op, Real, Result, Tape};
use serde_json::Value;

use super::worst::{Worst, numbers};

/// One entry of the table: an instruction, and for powers with a constant exponent that exponent.
pub(crate) struct Entry {
    pub(crate) name: String,
    op: Op,
    exponent: Option<f64>,
    points: Vec<Point>,
}

struct Point {
    x: Vec<f64>,
    /// Value, gradient, lower triangle of the Hessian, perhaps the third derivative.
    d: Vec<f64>,
}

/// The instruction as user code writes it.
pub(crate) fn apply<T: Real>(op: Op, x: &[T]) -> T {
    let [a, b, c] = std::array::from_fn(|k| x.get(k).copied().unwrap_or(T::lit(0.0)));
    match op {
        Op::Const | Op::Input => a,
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Neg => -a,
        Op::Sqrt => a.sqrt(),
        Op::Abs => a.abs(),
        Op::Sign => a.sign(),
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Floor => a.floor(),
        Op::Exp => a.exp(),
        Op::ExpM1 => a.exp_m1(),
        Op::Ln => a.ln(),
        Op::Ln1p => a.ln_1p(),
        Op::Sin => a.sin(),
        Op::Cos => a.cos(),
        Op::Tan => a.tan(),
        Op::Asin => a.asin(),
        Op::Acos => a.acos(),
        Op::Atan => a.atan(),
        Op::Sinh => a.sinh(),
        Op::Cosh => a.cosh(),
        Op::Tanh => a.tanh(),
        Op::Asinh => a.asinh(),
        Op::Acosh => a.acosh(),
        Op::Atanh => a.atanh(),
        Op::Atan2 => a.atan2(b),
        Op::Hypot => a.hypot(b),
        Op::Pow => a.pow(b),
        Op::Less => a.less(b),
        Op::LessEqual => a.less_equal(b),
        Op::Equal => a.equal(b),
        Op::Select => T::select(a, b, c),
        Op::GuardedMul => a.guarded_mul(b),
        Op::GuardedDiv => a.guarded_div(b),
    }
}

/// Does the derivative with respect to this operand have a place in the pattern?
pub(crate) fn has_slope(op: Op, port: usize) -> bool {
    match op {
        Op::Const | Op::Sign | Op::Floor | Op::Less | Op::LessEqual | Op::Equal => false,
        Op::Select => 0 < port,
        _ => true,
    }
}

impl Entry {
    fn of<T: Real>(&self, x: &[T], constant: f64) -> T {
        match (self.op, self.exponent) {
            (Op::Const, _) => T::lit(constant),
            (Op::Pow, Some(p)) => x[0].pow(T::lit(p)),
            _ => apply(self.op, x),
        }
    }

    /// Compares all points.
    pub(crate) fn compare(&self) -> Worst {
        let mut worst = Worst::default();
        for point in &self.points {
            if let Err(e) = self.compare_point(point, &mut worst) {
                worst.fail(format!("{} at {:?}: {e}", self.name, point.x));
            }
        }
        worst
    }

    fn compare_point(&self, point: &Point, worst: &mut Worst) -> Result<()> {
        let Point { x, d } = point;
        let n = x.len();
        let at = |what: &str| format!("{} at {x:?}, {what}", self.name);
        let (value, gradient) = (&d[..1], &d[1..=n]);
        let hessian = &d[n + 1..n + 1 + n * (n + 1) / 2];
        let tape = Tape::record(n, |x| vec![self.of(x, point.x[0])])?;
        worst.compare(&tape.eval(x)?, value, || at("value"));
        worst.compare(&[self.of(x, x[0])], value, || at("value as f64"));

        let forward = tape.forward();
        let mut pushed = Vec::new();
        for i in 0..n {
            let unit = (0..n).map(|j| if i == j { 1.0 } else { 0.0 });
            let out = forward.eval(&x.iter().copied().chain(unit).collect::<Vec<_>>())?;
            worst.compare(&out[..1], value, || at("value beside the push"));
            pushed.push(out[1]);
        }
        worst.compare(&pushed, gradient, || at("push"));

        let seeded: Vec<f64> = x.iter().copied().chain([1.0]).collect();
        let out = tape.reverse().eval(&seeded)?;
        worst.compare(&out[..1], value, || at("value beside the pull"));
        worst.compare(&out[1..], gradient, || at("pull"));

        let (jacobian, pattern) = tape.jacobian();
        worst.compare(&pattern.dense(&jacobian.eval(x)?), gradient, || at("Jacobian"));
        let places: Vec<_> = pattern.places().collect();
        // A power whose exponent is 1 is its base, and so on: a constant slope has its place, too.
        let expected: Vec<_> = (0..n).filter(|&j| has_slope(self.op, j)).map(|j| (0, j)).collect();
        if places != expected {
            worst.fail(format!("{}: pattern {places:?} instead of {expected:?}", self.name));
        }

        let (second, pattern) = tape.hessian();
        let dense = pattern.dense(&second.eval(&seeded)?);
        let lower: Vec<f64> = (0..n).flat_map(|i| dense[i * n..=i * n + i].to_vec()).collect();
        worst.compare(&lower, hessian, || at("Hessian"));
        if let (1, Some(&third)) = (n, d.get(3)) {
            // By x; the other input is the weight of the output.
            let (tape, pattern) = second.jacobian();
            let dense = pattern.dense(&tape.eval(&seeded)?);
            let ours = dense.first().copied().unwrap_or(0.0);
            // Products of three tiny factors underflow before a third derivative does.
            if third == 0.0 || 1e-200 < third.abs() {
                worst.compare(&[ours], &[third], || at("third derivative"));
            }
        }

        type Nested = Dual<Dual<f64, 3>, 3>;
        let duals: Vec<Nested> =
            x.iter().enumerate().map(|(i, &x)| Dual::variable(Dual::variable(x, i), i)).collect();
        let y = self.of(&duals, x[0]);
        worst.compare(&[y.value.value], value, || at("value of a dual number"));
        worst.compare(&y.value.slopes[..n], gradient, || at("dual number"));
        let lower: Vec<f64> = (0..n).flat_map(|i| y.slopes[i].slopes[..=i].to_vec()).collect();
        worst.compare(&lower, hessian, || at("nested dual number"));
        Ok(())
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    pub(crate) fn op(&self) -> Op {
        self.op
    }
}

/// The committed table.
pub(crate) fn entries() -> Vec<Entry> {
    let table: Value = serde_json::from_str(include_str!("../data/instructions.json"))
        .unwrap_or_else(|e| panic!("the committed table: {e}"));
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    list(&table["instructions"])
        .iter()
        .map(|entry| {
            let name = entry["op"].as_str().unwrap_or_default();
            let op = Op::ALL.into_iter().find(|op| format!("{op:?}") == name);
            let op = op.unwrap_or_else(|| panic!("the table has what we lack: {name}"));
            let exponent = entry["exponent"].as_f64();
            let points = list(&entry["points"]).iter().map(point).collect();
            let name = exponent.map_or(name.into(), |p| format!("{name}, exponent {p}"));
            Entry { name, op, exponent, points }
        })
        .collect()
}

fn point(text: &Value) -> Point {
    let (x, d) = text
        .as_str()
        .and_then(|t| t.split_once(" : "))
        .unwrap_or_else(|| panic!("the committed table: {text}"));
    Point { x: numbers(x), d: numbers(d) }
}

/// Instruction → worst error over all points and orders.
pub(crate) fn table() -> BTreeMap<String, Worst> {
    entries().iter().map(|e| (e.name.clone(), e.compare())).collect()
}
