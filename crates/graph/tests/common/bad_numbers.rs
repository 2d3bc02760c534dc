//! NaN, ∞, the largest and the smallest numbers in every operand of every instruction, by value and by every derivative.

use pullback_graph::{Error, Tape, Workspace};

use super::bad_tapes::{Tally, ops, tapes};

const SPECIAL: [f64; 16] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    1e308,
    -1e308,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e22,
    -745.5,
];
/// Operands at which every instruction and its derivatives are finite but for those of arcosh and artanh & co., which take the other.
const BENIGN: [[f64; 3]; 2] = [[0.4, 0.6, 0.7], [1.5, 0.6, 0.7]];
/// Samples of a batch, and the one that is bad: among the lanes of one step, in another step, alone.
const PLACES: [(usize, usize); 3] = [(21, 2), (21, 19), (1, 0)];

/// Every combination of special numbers in the operands.
pub(super) fn all(tally: &mut Tally) {
    for op in ops() {
        let Ok(all) = tapes(op) else {
            tally.wrong.push(format!("{op:?} cannot be recorded"));
            continue;
        };
        let width = super::bad_tapes::width(op);
        for (what, tape) in &all {
            let mut injection = Injection::new(tape);
            for k in 0..SPECIAL.len().pow(width as u32) {
                let operand = |i: usize| SPECIAL[k / SPECIAL.len().pow(i as u32) % SPECIAL.len()];
                let x: Vec<f64> = (0..width).map(operand).collect();
                let (batch, bad) = PLACES[k % PLACES.len()];
                tally.judge(
                    || format!("{what} of {op:?} at {x:?}, sample {bad} of {batch}"),
                    || injection.judge(&x, batch, bad),
                );
            }
        }
    }
}

struct Injection<'a> {
    tape: &'a Tape,
    workspace: Workspace,
    /// A sample at which all outputs are finite, and the outputs.
    clean: (Vec<f64>, Vec<f64>),
}

impl<'a> Injection<'a> {
    fn new(tape: &'a Tape) -> Self {
        let full = |x: &[f64; 3]| -> Vec<f64> {
            (0..tape.inputs()).map(|i| x.get(i).copied().unwrap_or(1.0)).collect()
        };
        let sample = |x: &[f64; 3]| Some((full(x), tape.eval(&full(x)).ok()?));
        let clean = BENIGN.iter().find_map(sample).unwrap_or_default();
        Injection { tape, workspace: Workspace::new(tape), clean }
    }

    /// The bad sample gives finite numbers, or an error that names it; the others give what they give without it.
    fn judge(&mut self, x: &[f64], batch: usize, bad: usize) -> Result<(), String> {
        let (n, m) = (self.tape.inputs(), self.tape.outputs());
        let (good, expected) = &self.clean;
        if good.len() != n || expected.len() != m {
            return Err("no sample at which it is finite".into());
        }
        let mut inputs = good.repeat(batch);
        // Directions and weights behind the operands stay as they are.
        let own = &mut inputs[bad * n..(bad + 1) * n];
        own.iter_mut().zip(x).for_each(|(to, &x)| *to = x);
        let mut y = vec![0.0; batch * m];
        let answer = self.tape.run(batch, &inputs, &mut y, &mut self.workspace);
        let finite = y.iter().all(|v| v.is_finite());
        match answer {
            Ok(()) if finite => {}
            Err(Error::OutputNotFinite { output, sample, value, cause })
                if sample == bad
                    && value.to_bits() == y[bad * m + output].to_bits()
                    && cause.starts_with(": ") => {}
            other => return Err(format!("{other:?}, finite: {finite}")),
        }
        for (k, row) in y.chunks(m.max(1)).enumerate().filter(|(k, _)| *k != bad) {
            if row != expected {
                return Err(format!("sample {k} is {row:?} instead of {expected:?}"));
            }
        }
        Ok(())
    }
}
