//! Elementary functions against the table of mpmath: the worst error of each, in units in the last place.

use std::error::Error;

use pullback_graph::{Real, Tape, Workspace};
use serde_json::Value;

/// The bounds that the crate states, in units in the last place.
pub(crate) const BOUNDS: [(&str, f64); 19] = [
    ("exp", 1.0),
    ("exp_m1", 1.25),
    ("ln", 1.0),
    ("ln_1p", 1.0),
    ("sin", 1.0),
    ("cos", 1.0),
    ("tan", 1.0),
    ("asin", 1.0),
    ("acos", 1.0),
    ("atan", 1.0),
    ("sinh", 1.0),
    ("cosh", 1.0),
    ("tanh", 1.25),
    ("asinh", 1.0),
    ("acosh", 1.0),
    ("atanh", 1.0),
    ("atan2", 1.0),
    ("hypot", 1.25),
    ("pow", 1.0),
];

/// One argument or two, and what comes out: the value, and (exact − value)/ulp.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) x: [f64; 2],
    pub(crate) value: f64,
    pub(crate) residual: f64,
}

/// The rows of one function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) arity: usize,
    pub(crate) rows: Vec<Row>,
    /// Zeros, infinities, NaN: the values are exact, their signs too.
    pub(crate) special: Vec<Row>,
}

/// What a comparison found.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) compared: usize,
    /// Worst error in units in the last place; ∞ where a special value, or a sign of zero, is wrong.
    pub(crate) worst: f64,
    pub(crate) at: [f64; 2],
}

/// The table.
pub(crate) fn table() -> Result<Vec<Function>, Box<dyn Error>> {
    let root: Value = serde_json::from_str(include_str!("../data/elementary.json"))?;
    let mut all = Vec::new();
    for (name, function) in root["functions"].as_object().ok_or("no functions")? {
        let arity = if matches!(&name[..], "atan2" | "hypot" | "pow") { 2 } else { 1 };
        let rows = |key: &str| -> Result<Vec<Row>, Box<dyn Error>> {
            let lines = function[key].as_array().ok_or("no rows")?;
            lines.iter().map(|line| row(line.as_str().ok_or("no text")?, arity)).collect()
        };
        let (rows, special) = (rows("rows")?, rows("special")?);
        all.push(Function { name: name.clone(), arity, rows, special });
    }
    Ok(all)
}

fn row(line: &str, arity: usize) -> Result<Row, Box<dyn Error>> {
    let mut words = line.split(' ');
    let mut number = || -> Result<f64, Box<dyn Error>> {
        Ok(f64::from_bits(u64::from_str_radix(words.next().ok_or("a short row")?, 16)?))
    };
    let x = [number()?, if arity == 2 { number()? } else { 0.0 }];
    let value = number()?;
    let residual = words.next().map_or(Ok(0.0), str::parse::<f64>)? / 1000.0;
    Ok(Row { x, value, residual })
}

/// The function of that name, on any kind of real number.
pub(crate) fn evaluate<T: Real>(name: &str, a: T, b: T) -> Option<T> {
    Some(match name {
        "exp" => a.exp(),
        "exp_m1" => a.exp_m1(),
        "ln" => a.ln(),
        "ln_1p" => a.ln_1p(),
        "sin" => a.sin(),
        "cos" => a.cos(),
        "tan" => a.tan(),
        "asin" => a.asin(),
        "acos" => a.acos(),
        "atan" => a.atan(),
        "sinh" => a.sinh(),
        "cosh" => a.cosh(),
        "tanh" => a.tanh(),
        "asinh" => a.asinh(),
        "acosh" => a.acosh(),
        "atanh" => a.atanh(),
        "atan2" => a.atan2(b),
        "hypot" => a.hypot(b),
        "pow" => a.pow(b),
        _ => return None,
    })
}

/// Distance of `got` from the exact value in units in the last place of the rounded one.
fn error(got: f64, row: Row) -> f64 {
    let Row { value, residual, .. } = row;
    if got.is_nan() && value.is_nan() {
        return 0.0;
    }
    let unusual = value.is_infinite() || got.is_infinite() || value.is_nan() || got.is_nan();
    if unusual || (value == 0.0 && residual == 0.0) {
        return if got.to_bits() == value.to_bits() { 0.0 } else { f64::INFINITY };
    }
    // The unit may be far below the normal numbers: brought to 1 in steps that are exact, as is the difference of neighbours.
    let up = 1075 - ((value.to_bits() >> 52) & 0x7ff).max(1) as i32;
    let units = (got - value) * 2f64.powi(up / 2) * 2f64.powi(up - up / 2);
    (units - residual).abs()
}

/// Compares a function as `f64` computes it.
pub(crate) fn compare(function: &Function) -> Comparison {
    let mut all =
        Comparison { name: function.name.clone(), compared: 0, worst: 0.0, at: [f64::NAN; 2] };
    for &row in function.rows.iter().chain(&function.special) {
        let error = evaluate(&function.name, row.x[0], row.x[1])
            .map_or(f64::INFINITY, |got| error(got, row));
        all.compared += 1;
        if error > all.worst {
            (all.worst, all.at) = (error, row.x);
        }
    }
    all
}

/// The arguments, all of them, at which a tape over a batch of `batch` samples gives other bits than `f64` does.
pub(crate) fn differing(
    function: &Function,
    batch: usize,
) -> Result<Vec<[f64; 2]>, Box<dyn Error>> {
    let n = function.arity;
    let name = &function.name;
    let tape = Tape::record(n, |x| evaluate(name, x[0], x[n - 1]).into_iter().collect())?;
    let mut workspace = Workspace::new(&tape);
    let mut found = Vec::new();
    let rows: Vec<Row> = function.rows.iter().chain(&function.special).copied().collect();
    for group in rows.chunks(batch) {
        let x: Vec<f64> = group.iter().flat_map(|row| &row.x[..n]).copied().collect();
        let mut y = vec![0.0; group.len()];
        // Infinite and NaN outputs are reported, and written all the same.
        match tape.run(group.len(), &x, &mut y, &mut workspace) {
            Ok(()) | Err(pullback_graph::Error::OutputNotFinite { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        for (row, &lane) in group.iter().zip(&y) {
            let single = evaluate(name, row.x[0], row.x[1]).ok_or("unknown")?;
            if lane.to_bits() != single.to_bits() && !(lane.is_nan() && single.is_nan()) {
                found.push(row.x);
            }
        }
    }
    Ok(found)
}
