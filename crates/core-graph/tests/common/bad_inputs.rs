//! Bad inputs: whatever is wrong is answered with its typed error that names the node; nothing panics, hangs or aborts.

mod directions;
mod injection;
mod malformed;
mod matrices;
mod operations;
mod rows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::{Error, Graph, Result, Var};

use super::operations::spread;

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
    /// One bad input: it must give an error that `right` accepts.
    pub(crate) fn expect(
        &mut self,
        name: impl FnOnce() -> String,
        provoke: impl FnOnce() -> Result<()>,
        right: impl FnOnce(&Error) -> bool,
    ) {
        self.expect_unless_harmless(name, || provoke().map(|()| false), right);
    }

    /// One input that may be bad: `Ok(true)` says that it did no harm, and it does not count.
    pub(crate) fn expect_unless_harmless(
        &mut self,
        name: impl FnOnce() -> String,
        provoke: impl FnOnce() -> Result<bool>,
        right: impl FnOnce(&Error) -> bool,
    ) {
        let what = match catch_unwind(AssertUnwindSafe(provoke)) {
            Ok(Ok(true)) => return,
            Ok(Err(e)) if right(&e) => {
                self.tried += 1;
                self.answered += 1;
                return;
            }
            Ok(Err(e)) => format!("the wrong error: {e:?}"),
            Ok(Ok(false)) => "accepted".into(),
            Err(_) => {
                self.panicked += 1;
                "a panic".into()
            }
        };
        self.tried += 1;
        self.wrong.push(format!("{}: {what}", name()));
    }

    fn add(&mut self, other: Tally) {
        self.tried += other.tried;
        self.answered += other.answered;
        self.panicked += other.panicked;
        self.wrong.extend(other.wrong);
    }
}

/// The groups of bad inputs.
const GROUPS: &[(&str, fn(&mut Tally))] = &[
    ("rows", rows::all),
    ("matrices", matrices::all),
    ("operations", operations::all),
    ("directions", directions::all),
    ("malformed functions", malformed::all),
    ("injection", injection::all),
];

/// Everything, each group on a thread that is given up when it hangs.
pub(crate) fn try_all() -> Tally {
    let mut all = Tally::default();
    for &(name, group) in GROUPS {
        let (send, receive) = channel();
        let worker = std::thread::spawn(move || {
            let mut tally = Tally::default();
            group(&mut tally);
            send.send(tally)
        });
        match receive.recv_timeout(Duration::from_secs(600)) {
            Ok(tally) => all.add(tally),
            Err(RecvTimeoutError::Timeout) => all.wrong.push(format!("{name}: hangs")),
            Err(RecvTimeoutError::Disconnected) => {
                all.panicked += 1;
                all.wrong.push(format!(
                    "{name}: the group itself panicked: {:?}",
                    worker.join().is_err()
                ));
            }
        }
    }
    all
}

/// The variants, by name.
pub(super) fn kind(e: &Error) -> &'static str {
    match e {
        Error::Shape { .. } => "Shape",
        Error::Arity { .. } => "Arity",
        Error::DType { .. } => "DType",
        Error::Device { .. } => "Device",
        Error::NotFinite { .. } => "NotFinite",
        Error::Invalid { .. } => "Invalid",
        Error::ForeignVar { .. } => "ForeignVar",
        Error::NotDifferentiable { .. } => "NotDifferentiable",
        Error::NoHigherOrder { .. } => "NoHigherOrder",
        Error::Matrix { .. } => "Matrix",
        Error::NoConvergence { .. } => "NoConvergence",
        Error::Law { .. } => "Law",
        Error::Tensor { .. } => "Tensor",
        Error::External { .. } => "External",
        _ => "another",
    }
}

/// Is the node `name`, `name#17`, or either inside a function?
pub(super) fn names(e: &Error, name: &str) -> bool {
    let last = e.node().rsplit('/').next().unwrap_or("");
    last == name || last.strip_prefix(name).is_some_and(|rest| rest.starts_with('#'))
}

/// A variable with well-spread numbers around 1.
pub(super) fn var<'g>(g: &'g Graph, dims: &[usize]) -> Var<'g> {
    g.input(&spread(dims, 0.5, 1.5, 1))
}

pub(super) fn vector(x: &[f64]) -> Tensor {
    Tensor::new(x, &Device::Cpu).unwrap()
}

/// Integers as a constant.
pub(super) fn integers<'g>(g: &'g Graph, dims: &[usize]) -> Var<'g> {
    g.constant(&Tensor::ones(dims, DType::U32, &Device::Cpu).unwrap())
}

/// The error of the first variable that stands for one.
pub(super) fn first_error(vars: Result<Vec<Var<'_>>>) -> Result<()> {
    vars?.into_iter().try_for_each(|v| v.ok().map(|_| ()))
}
