//! Where a number that is NaN or infinite came from: the tape once more, one number at a time.

use super::Tape;
use super::op::Op;
use crate::Error;

impl Tape {
    /// The first number that is not finite on the way to an output, in words; nothing where the output is finite.
    pub(super) fn cause(&self, x: &[f64], output: usize) -> String {
        let mut values: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let of = |port: usize| values[node.args[port] as usize];
            values.push(match (node.op, node.op.arity()) {
                (Op::Const, _) => node.value,
                (Op::Input, _) => x[node.args[0] as usize],
                (op, 1) => op.value(of(0), 0.0, 0.0),
                (op, 2) => op.value(of(0), of(1), 0.0),
                (op, _) => op.value(of(0), of(1), of(2)),
            });
        }
        let Some(&y) = self.outputs.get(output) else { return String::new() };
        let mut at = y as usize;
        if values[at].is_finite() {
            return String::new();
        }
        loop {
            let node = &self.nodes[at];
            let bad = |&&a: &&u32| !values[a as usize].is_finite();
            let before = match (node.op, node.operands()) {
                // The side that is taken, or what it is taken by.
                (Op::Select, &[condition, yes, no]) => {
                    let taken = if values[condition as usize] != 0.0 { yes } else { no };
                    [condition, taken].iter().find(bad).copied()
                }
                (_, operands) => operands.iter().find(bad).copied(),
            };
            let value = values[at];
            match (before, node.op) {
                (Some(operand), _) => at = operand as usize,
                (None, Op::Input) => return format!(": input {} is {value}", node.args[0]),
                (None, Op::Const) => return format!(": a constant is {value}"),
                (None, op) => {
                    let operands = node.operands().iter().map(|&a| values[a as usize].to_string());
                    let operands = operands.collect::<Vec<_>>().join(", ");
                    return format!(": {op:?}({operands}) is {value}");
                }
            }
        }
    }

    /// The error with its cause, which is looked for in the samples from `first` to `last`.
    pub(super) fn caused(
        &self,
        error: Error,
        (first, last): (usize, usize),
        sample: impl Fn(usize) -> Vec<f64>,
    ) -> Error {
        let Error::OutputNotFinite { output, sample: at, value, .. } = error else { return error };
        let mut causes = (first..last).map(|i| self.cause(&sample(i), output));
        let cause = causes.find(|cause| !cause.is_empty()).unwrap_or_default();
        Error::OutputNotFinite { output, sample: at, value, cause }
    }
}
