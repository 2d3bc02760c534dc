//! Bad input for tapes: wrong lengths, foreign workspaces and expressions, frozen branches, places that are not there, numbers that
//! are none. Each is answered with its typed error, or with finite numbers; nothing panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pullback_graph::{Error, Expr, Op, Real, Result, Tape, Workspace};

use super::bad_numbers;
use super::instructions::apply;

/// What was tried and how it was answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tried: usize,
    pub(crate) answered: usize,
    pub(crate) panicked: usize,
    /// Wrong answers, in words.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    /// One bad input, and whether its answer is right; `Err` says what came instead.
    pub(crate) fn judge(
        &mut self,
        name: impl FnOnce() -> String,
        answer: impl FnOnce() -> std::result::Result<(), String>,
    ) {
        self.tried += 1;
        match catch_unwind(AssertUnwindSafe(answer)) {
            Ok(Ok(())) => self.answered += 1,
            Ok(Err(what)) => self.wrong.push(format!("{}: {what}", name())),
            Err(_) => {
                self.panicked += 1;
                self.wrong.push(format!("{}: a panic", name()));
            }
        }
    }

    /// One bad input that must give an error which `right` accepts.
    fn expect<T>(
        &mut self,
        name: impl FnOnce() -> String,
        provoke: impl FnOnce() -> Result<T>,
        right: impl FnOnce(&Error) -> bool,
    ) {
        self.judge(name, || match provoke() {
            Ok(_) => Err("accepted".into()),
            Err(e) if right(&e) => Ok(()),
            Err(e) => Err(format!("the wrong error: {e:?}")),
        });
    }
}

/// Everything.
pub(crate) fn try_all() -> Tally {
    let mut tally = Tally::default();
    lengths(&mut tally);
    foreign_workspaces(&mut tally);
    frozen_branches(&mut tally);
    foreign_expressions(&mut tally);
    places(&mut tally);
    nothing_at_all(&mut tally);
    bad_numbers::all(&mut tally);
    tally
}

pub(super) fn ops() -> impl Iterator<Item = Op> {
    Op::ALL.into_iter()
}

/// The number of inputs of an instruction's tape.
pub(super) fn width(op: Op) -> usize {
    op.arity().max(1)
}

/// A tape of one instruction, and of its derivatives, with their names.
pub(super) fn tapes(op: Op) -> Result<Vec<(&'static str, Tape)>> {
    let tape = match op {
        Op::Const => Tape::record(1, |_| vec![Real::lit(0.75)])?,
        Op::Input => Tape::record(1, |x| vec![x[0]])?,
        _ => Tape::record(op.arity(), |x| vec![apply(op, x)])?,
    };
    Ok(vec![
        ("push", tape.forward()),
        ("pull", tape.reverse()),
        ("Jacobian", tape.jacobian().0),
        ("Hessian", tape.hessian().0),
        ("value", tape),
    ])
}

fn every_tape(tally: &mut Tally, mut each: impl FnMut(&mut Tally, &str, &Tape)) {
    for op in ops() {
        match tapes(op) {
            Ok(all) => {
                all.iter().for_each(|(what, tape)| each(tally, &format!("{what} of {op:?}"), tape))
            }
            Err(e) => tally.wrong.push(format!("{op:?}: {e}")),
        }
    }
}

/// Every slice of every call, too short and too long.
fn lengths(tally: &mut Tally) {
    every_tape(tally, |tally, name, tape| {
        let (n, m) = (tape.inputs(), tape.outputs());
        for batch in [1, 3, 40, usize::MAX] {
            let (x, y) = (n * batch.min(64), m * batch.min(64));
            for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1), (5, 0), (0, 7)] {
                let (x, y) = (x.saturating_add_signed(dx), y.saturating_add_signed(dy));
                let wrong = |each: usize, got: usize| batch.saturating_mul(each) != got;
                if !wrong(n, x) && !wrong(m, y) {
                    continue;
                }
                let (x, mut y) = (vec![0.5; x], vec![0.0; y]);
                let typed =
                    |e: &Error| matches!(e, Error::Length { expected, got, .. } if expected != got);
                let name = |call: &str| {
                    format!("{name}, {call}, batch {batch}, {dx:+} inputs, {dy:+} outputs")
                };
                let mut workspace = Workspace::new(tape);
                tally.expect(|| name("run"), || tape.run(batch, &x, &mut y, &mut workspace), typed);
                tally.expect(
                    || name("run_parallel"),
                    || tape.run_parallel(batch, &x, &mut y),
                    typed,
                );
                if batch == 1 && dy == 0 {
                    tally.expect(|| name("eval"), || tape.eval(&x), typed);
                }
            }
        }
    });
}

/// A workspace of another tape.
fn foreign_workspaces(tally: &mut Tally) {
    let all: Vec<Tape> = ops().filter_map(|op| tapes(op).ok()?.pop().map(|(_, t)| t)).collect();
    for (i, tape) in all.iter().enumerate() {
        for (j, other) in all.iter().enumerate().filter(|(_, o)| o.hash() != tape.hash()) {
            let (x, mut y) = (vec![0.5; tape.inputs()], vec![0.0; tape.outputs()]);
            tally.expect(
                || format!("tape {i} with the workspace of tape {j}"),
                || tape.run(1, &x, &mut y, &mut Workspace::new(other)),
                |e| {
                    let (want, is) = (other.hash(), tape.hash());
                    matches!(e, Error::ForeignTape { expected, got, .. } if (*expected, *got) == (want, is))
                },
            );
        }
    }
}

/// Comparisons that would freeze a branch, of every instruction's result.
fn frozen_branches(tally: &mut Tally) {
    type Compare = for<'r> fn(Expr<'r>, Expr<'r>) -> bool;
    let comparisons: [(&str, &str, Compare); 6] = [
        ("<", "<", |a, b| a < b),
        ("≤", "<", |a, b| a <= b),
        (">", "<", |a, b| b < a),
        ("≥", "<", |a, b| b <= a),
        ("=", "==", |a, b| a == b),
        ("≠", "==", |a, b| a != b),
    ];
    for op in ops().filter(|&op| op != Op::Const) {
        for (sign, named, compare) in comparisons {
            for with_number in [false, true] {
                tally.expect(
                    || format!("{op:?} {sign}"),
                    || {
                        Tape::record(width(op) + 1, |x| {
                            let right = if with_number { Real::lit(0.5) } else { x[width(op)] };
                            let y = apply(op, x);
                            if compare(y, right) { vec![y] } else { vec![right] }
                        })
                    },
                    |e| matches!(e, Error::FrozenBranch { comparison, .. } if *comparison == named),
                );
            }
        }
    }
}

/// An expression of the recording around this one, as each operand of each instruction.
fn foreign_expressions(tally: &mut Tally) {
    for op in ops().filter(|op| 2 <= op.arity()) {
        for port in 1..op.arity() {
            tally.expect(
                || format!("{op:?} with a foreign operand {port}"),
                || {
                    let mut inner = Ok(());
                    Tape::record(1, |outer| {
                        let recorded = Tape::record(3, |x| {
                            let mut operands = [x[0], x[1], x[2]];
                            operands[port] = outer[0];
                            let _ = apply(op, &operands);
                            vec![x[0]]
                        });
                        inner = recorded.map(drop);
                        vec![outer[0]]
                    })?;
                    inner
                },
                |e| matches!(e, Error::ForeignExpression),
            );
        }
    }
}

/// Outputs and inputs that are not there.
fn places(tally: &mut Tally) {
    every_tape(tally, |tally, name, tape| {
        let (n, m) = (tape.inputs(), tape.outputs());
        let invalid = |e: &Error| matches!(e, Error::Invalid { .. });
        for output in [m, m + 1, usize::MAX] {
            let call = || tape.outputs_only(&[output]);
            tally.expect(|| format!("{name}: output {output}"), call, invalid);
        }
        for wrt in [0..n + 1, n + 1..n + 2, 0..usize::MAX] {
            let call = || tape.gradient(wrt.clone());
            tally.expect(|| format!("{name}: inputs {wrt:?}"), call, invalid);
        }
        if m != 1 {
            tally.expect(|| format!("{name}: gradient of {m}"), || tape.gradient(0..n), invalid);
        }
        let mut workspace = Workspace::new(tape);
        let (shared, mut y) = (vec![0.5; n + 1], vec![0.0; m]);
        tally.expect(
            || format!("{name}: shared inputs that it lacks"),
            || tape.run_shared(1, &shared, &[], &mut y, &mut workspace),
            |e| matches!(e, Error::Length { .. }),
        );
        let mut sums = vec![0.0; m + 1];
        tally.expect(
            || format!("{name}: sums that it lacks"),
            || tape.sum_shared(1, &shared[..n], &[], &mut sums, &mut workspace),
            |e| matches!(e, Error::Length { what: "sums", .. }),
        );
    });
}

/// Tapes without inputs, without outputs, with neither, and batches of none: all of them work.
fn nothing_at_all(tally: &mut Tally) {
    for (n, m) in [(0, 0), (0, 2), (3, 0), (1, 1)] {
        for batch in [0, 1, 5, 300] {
            tally.judge(
                || format!("{n} inputs, {m} outputs, batch {batch}"),
                || empty(n, m, batch).map_err(|e| e.to_string()),
            );
        }
    }
}

fn empty(n: usize, m: usize, batch: usize) -> Result<()> {
    let tape = Tape::record(n, |_| vec![Real::lit(0.5); m])?;
    let (jacobian, pattern) = tape.jacobian();
    let (hessian, second) = tape.hessian();
    let sized = (pattern.rows(), pattern.columns(), second.rows()) == (m, n, n);
    if !sized || !pattern.is_empty() || !second.is_empty() {
        return Err(Error::Invalid { place: "pattern".into(), what: format!("{pattern:?}") });
    }
    for tape in [&tape, &jacobian, &hessian, &tape.forward(), &tape.reverse()] {
        let x = vec![0.25; batch * tape.inputs()];
        let (mut y, mut z) = (vec![1.0; batch * tape.outputs()], vec![2.0; batch * tape.outputs()]);
        tape.run(batch, &x, &mut y, &mut Workspace::new(tape))?;
        tape.run_parallel(batch, &x, &mut z)?;
        if y != z {
            return Err(Error::Invalid { place: "batch".into(), what: format!("{y:?}, {z:?}") });
        }
    }
    Ok(())
}
