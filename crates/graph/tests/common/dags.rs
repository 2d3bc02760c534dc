//! Random networks replayed through the recorder, against what CasADi says of them.

use pullback_graph::sparsity::Pattern;
use pullback_graph::{Op, Real, Result, Tape};
use serde_json::Value;

use super::instructions::apply;
use super::reasons::{Rules, Simplified};
use super::worst::{Worst, numbers};

/// What the comparison of all networks gives.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) networks: usize,
    pub(crate) values: Worst,
    pub(crate) jacobians: Worst,
    pub(crate) hessians: Worst,
    /// Jacobians of which the places equal CasADi's but for those that no slope leads to.
    pub(crate) equal_but_for_steps: usize,
    /// Jacobians of which every place that only one side has is explained.
    pub(crate) explained: usize,
    /// Jacobians with a place for each reason but steps.
    pub(crate) with_folding: usize,
    pub(crate) with_vanishing: usize,
    pub(crate) with_cancelling: usize,
    pub(crate) places: Reasons,
    pub(crate) unexplained: Vec<String>,
    /// Jacobians of which the places equal CasADi's, and Hessians.
    pub(crate) equal_patterns: [usize; 2],
    /// Places that only CasADi has, and that only we have: of Jacobians, then of Hessians.
    pub(crate) only_theirs: [usize; 2],
    pub(crate) only_ours: [usize; 2],
    pub(crate) hessian_patterns: usize,
    /// Entries that are not 0 at some point and that have no place with us. None may be.
    pub(crate) missed: Vec<String>,
}

/// Places that only one of two Jacobians has, by reason.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Reasons {
    /// Only CasADi's: no slope leads there, since sign, floor, comparisons and conditions stand between.
    pub(crate) steps: usize,
    /// Only CasADi's: folding what is constant or equal, exactly, leaves nothing of it.
    pub(crate) folded: usize,
    /// Only CasADi's: slopes that are 0 once they are added up, 1 − 1.
    pub(crate) vanishing: usize,
    /// Only ours: CasADi takes a/a for 1 and (a·b)/b for a, which is wrong at 0 or rounds differently; we do not.
    pub(crate) cancelled: usize,
    pub(crate) none: usize,
}

impl Reasons {
    fn add(&mut self, other: Reasons) {
        self.steps += other.steps;
        self.folded += other.folded;
        self.vanishing += other.vanishing;
        self.cancelled += other.cancelled;
        self.none += other.none;
    }
}

/// A network in the table: instructions, numbered on after the inputs.
pub(crate) struct Network {
    inputs: usize,
    code: Vec<(Step, [usize; 3])>,
    outputs: Vec<usize>,
}

enum Step {
    Apply(Op),
    Constant(f64),
}

impl Network {
    fn parse(entry: &Value) -> Self {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let whole = |t: &str| t.parse().unwrap_or_else(|e| panic!("the committed table: {t}: {e}"));
        let step = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            if name == "lit" {
                return (Step::Constant(numbers(words.next().unwrap_or_default())[0]), [0; 3]);
            }
            let mut args = [0; 3];
            args.iter_mut().zip(words).for_each(|(arg, word)| *arg = whole(word));
            (Step::Apply(named(name)), args)
        };
        Network {
            inputs: entry["inputs"].as_u64().unwrap_or_default() as usize,
            code: text("code").split("; ").map(step).collect(),
            outputs: text("outputs").split_whitespace().map(whole).collect(),
        }
    }

    /// The network as user code runs it.
    pub(crate) fn run<T: Real>(&self, x: &[T]) -> Vec<T> {
        let mut values = x.to_vec();
        for (step, args) in &self.code {
            values.push(match *step {
                Step::Constant(c) => T::lit(c),
                Step::Apply(op) => apply(op, &args.map(|k| values[k])),
            });
        }
        self.outputs.iter().map(|&k| values[k]).collect()
    }
}

impl Network {
    /// For each output, the inputs that it depends on by instructions with a slope, as bits, once some rules have simplified the network.
    fn slopes_lead_to(&self, rules: Rules) -> Vec<u64> {
        let mut made = Simplified::new(rules, self.inputs);
        let mut ids: Vec<usize> = (0..self.inputs).collect();
        for (step, args) in &self.code {
            ids.push(match *step {
                Step::Constant(c) => made.constant(c),
                Step::Apply(op) => made.apply(op, args.map(|k| ids[k])),
            });
        }
        self.outputs.iter().map(|&k| made.reaches(ids[k])).collect()
    }
}

/// CasADi's name of an instruction.
fn named(name: &str) -> Op {
    match name {
        "add" => Op::Add,
        "sub" => Op::Sub,
        "mul" => Op::Mul,
        "div" => Op::Div,
        "neg" => Op::Neg,
        "sqrt" => Op::Sqrt,
        "abs" => Op::Abs,
        "sign" => Op::Sign,
        "fmin" => Op::Min,
        "fmax" => Op::Max,
        "floor" => Op::Floor,
        "exp" => Op::Exp,
        "expm1" => Op::ExpM1,
        "log" => Op::Ln,
        "log1p" => Op::Ln1p,
        "sin" => Op::Sin,
        "cos" => Op::Cos,
        "tan" => Op::Tan,
        "asin" => Op::Asin,
        "acos" => Op::Acos,
        "atan" => Op::Atan,
        "sinh" => Op::Sinh,
        "cosh" => Op::Cosh,
        "tanh" => Op::Tanh,
        "asinh" => Op::Asinh,
        "acosh" => Op::Acosh,
        "atanh" => Op::Atanh,
        "atan2" => Op::Atan2,
        "hypot" => Op::Hypot,
        "pow" => Op::Pow,
        "lt" => Op::Less,
        "le" => Op::LessEqual,
        "eq" => Op::Equal,
        "if_else" => Op::Select,
        _ => panic!("the table has what we lack: {name}"),
    }
}

/// `row,column row,column …`
fn pattern(rows: usize, columns: usize, text: &Value) -> Pattern {
    let place = |t: &str| {
        let (i, j) = t.split_once(',')?;
        Some((i.parse().ok()?, j.parse().ok()?))
    };
    let places = text.as_str().unwrap_or_default().split_whitespace();
    let all: Vec<_> =
        places.map(|t| place(t).unwrap_or_else(|| panic!("the committed table: {t}"))).collect();
    Pattern::new(rows, columns, all)
}

/// All networks of the table.
pub(crate) fn networks() -> Vec<(Network, Value)> {
    let table: Value = serde_json::from_str(include_str!("../data/networks.json"))
        .unwrap_or_else(|e| panic!("the committed table: {e}"));
    let all = table["networks"].as_array().cloned().unwrap_or_default();
    all.into_iter().map(|entry| (Network::parse(&entry), entry)).collect()
}

/// Every network: values, Jacobian and Hessian at every point, and their patterns.
pub(crate) fn compare() -> Outcome {
    let mut outcome = Outcome::default();
    for (k, (network, entry)) in networks().iter().enumerate() {
        outcome.networks += 1;
        if let Err(e) = compare_one(k, network, entry, &mut outcome) {
            outcome.values.fail(format!("network {k}: {e}"));
        }
    }
    outcome
}

fn compare_one(k: usize, network: &Network, entry: &Value, outcome: &mut Outcome) -> Result<()> {
    let (n, m) = (network.inputs, network.outputs.len());
    let tape = Tape::record(n, |x| network.run(x))?;
    let (jacobian, ours) = tape.jacobian();
    let theirs = pattern(m, n, &entry["jacobian"]);
    let second =
        entry["hessian"].as_str().map(|_| (tape.hessian(), pattern(n, n, &entry["hessian"])));
    let weights = numbers(entry["weights"].as_str().unwrap_or_default());
    // Entries that are not 0 at some point.
    let mut live = vec![false; m * n];
    let mut live_second = vec![false; n * n];
    for point in entry["points"].as_array().into_iter().flatten() {
        let part = |i: usize| numbers(point[i].as_str().unwrap_or_default());
        let x = part(0);
        let at = |what: &str| format!("network {k} at {x:?}, {what}");
        for (i, (y, want)) in tape.eval(&x)?.iter().zip(part(1)).enumerate() {
            outcome.values.compare(&[*y], &[want], || at(&format!("output {i}")));
        }
        let want = theirs.dense(&part(2));
        live.iter_mut().zip(&want).for_each(|(l, w)| *l |= *w != 0.0);
        let got = ours.dense(&jacobian.eval(&x)?);
        for (i, (got, want)) in got.chunks(n).zip(want.chunks(n)).enumerate() {
            outcome.jacobians.compare(got, want, || at(&format!("row {i}")));
        }
        if let Some(((hessian, places), expected)) = &second {
            let want = expected.dense(&part(3));
            live_second.iter_mut().zip(&want).for_each(|(l, w)| *l |= *w != 0.0);
            let got = places.dense(&hessian.eval(&[&x[..], &weights].concat())?);
            outcome.hessians.compare(&got, &want, || at("Hessian"));
        }
    }
    outcome.judge(k, 0, &ours, &theirs, &live);
    outcome.explain(k, network, &ours, &theirs);
    if let Some(((_, places), expected)) = &second {
        outcome.hessian_patterns += 1;
        outcome.judge(k, 1, places, expected, &live_second);
    }
    Ok(())
}

impl Outcome {
    /// Gives every place that only one of two Jacobians has its reason.
    fn explain(&mut self, k: usize, network: &Network, ours: &Pattern, theirs: &Pattern) {
        let [written, exact, slopes, cancelled] =
            [Rules::None, Rules::Exact, Rules::Slopes, Rules::Cancelling]
                .map(|rules| network.slopes_lead_to(rules));
        let has = |sets: &[u64], i: usize, j: usize| sets[i] >> j & 1 == 1;
        let mut found = Reasons::default();
        for (i, j) in theirs.places().filter(|&(i, j)| ours.position(i, j).is_none()) {
            match (has(&written, i, j), has(&exact, i, j), has(&slopes, i, j)) {
                (false, ..) => found.steps += 1,
                (true, false, _) => found.folded += 1,
                (true, true, false) => found.vanishing += 1,
                (true, true, true) => {
                    found.none += 1;
                    self.unexplained.push(format!("network {k}: only CasADi has ({i}, {j})"));
                }
            }
        }
        for (i, j) in ours.places().filter(|&(i, j)| theirs.position(i, j).is_none()) {
            match (has(&exact, i, j), has(&cancelled, i, j)) {
                (true, false) => found.cancelled += 1,
                _ => {
                    found.none += 1;
                    self.unexplained.push(format!("network {k}: only we have ({i}, {j})"));
                }
            }
        }
        self.places.add(found);
        let other = found.folded + found.vanishing + found.cancelled + found.none;
        self.explained += usize::from(found.none == 0);
        self.equal_but_for_steps += usize::from(other == 0);
        self.with_folding += usize::from(0 < found.folded);
        self.with_vanishing += usize::from(0 < found.vanishing);
        self.with_cancelling += usize::from(0 < found.cancelled);
    }

    /// Compares two patterns; `kind` is 0 for a Jacobian, 1 for a Hessian.
    fn judge(&mut self, k: usize, kind: usize, ours: &Pattern, theirs: &Pattern, live: &[bool]) {
        self.equal_patterns[kind] += usize::from(ours == theirs);
        for (i, j) in theirs.places().filter(|&(i, j)| ours.position(i, j).is_none()) {
            self.only_theirs[kind] += 1;
            if live[i * ours.columns() + j] {
                let of = ["Jacobian", "Hessian"][kind];
                self.missed.push(format!("network {k}: {of} has no place ({i}, {j})"));
            }
        }
        self.only_ours[kind] +=
            ours.places().filter(|&(i, j)| theirs.position(i, j).is_none()).count();
    }
}
