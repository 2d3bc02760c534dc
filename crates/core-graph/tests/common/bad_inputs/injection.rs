//! NaN, ∞ and −∞ injected at every port of every operation, in every sweep: the error names the node where it entered.

use std::sync::Arc;

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::tensor::{is_real, to_f64};
use pullback_core_graph::{Direction, Error, Function, Graph, LinearMap, Phase, Result, Var, Wrt};

use super::super::operations::{Case, cases};
use super::{Tally, names};

const POISONS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

pub(super) fn all(t: &mut Tally) {
    for case in cases() {
        for dtype in [DType::F64, DType::F32] {
            for poison in POISONS {
                values(t, &case, dtype, poison);
                maps(t, &case, dtype, poison);
                seeds(t, &case, dtype, poison);
                neighbours(t, &case, dtype, poison);
            }
        }
    }
    let cases: Vec<Case> = cases().iter().filter_map(Case::long).collect();
    assert!(60 <= cases.len(), "only {} operations take long inputs", cases.len());
    for case in cases {
        for dtype in [DType::F64, DType::F32] {
            for poison in POISONS {
                long(t, &case, dtype, poison);
            }
        }
    }
}

/// Long leaves and cotangents, which the operation itself may look at in passing: they are named as if looked at before.
fn long(t: &mut Tally, case: &Case, dtype: DType, poison: f64) {
    let clean = case.inputs(dtype);
    for port in 0..clean.len() {
        for (at, bad) in poisoned(&clean[port], poison) {
            let mut x = clean.clone();
            x[port] = bad;
            let run = || {
                let graph = Graph::new();
                let vars: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
                let y = (case.body)(&graph, &vars)?;
                y.iter().chain(&vars).try_for_each(|v| v.value().map(|_| ()))
            };
            t.expect(
                || format!("{}: {poison} at {at} of long input {port} ({dtype:?})", case.name),
                run,
                |e| entered(e, Phase::Eval, at, poison) && e.node() == format!("input#{port}"),
            );
        }
    }
    let graph = Graph::new();
    let vars: Vec<Var<'_>> = clean.iter().map(|t| graph.input(t)).collect();
    for (port, y) in (case.body)(&graph, &vars).unwrap().into_iter().enumerate() {
        let value = y.value().unwrap();
        for (at, bad) in poisoned(&value, poison).into_iter().filter(|_| is_real(&value)) {
            let node = format!("direction at {}", graph.node_name(y));
            t.expect(
                || format!("{}: {poison} at {at} of long cotangent {port} ({dtype:?})", case.name),
                || graph.pull(&[(y, bad.clone())], &vars).map(|_| ()),
                |e| entered(e, Phase::Pull, at, poison) && e.node() == node,
            );
        }
    }
}

/// The tensor with one element replaced: the first, a middle one, the last.
fn poisoned(t: &Tensor, poison: f64) -> Vec<(usize, Tensor)> {
    let data = to_f64(t).unwrap();
    let n = data.len();
    let mut places = vec![0, n / 2, n.saturating_sub(1)];
    places.dedup();
    let one = |at: usize| {
        let mut data = data.clone();
        data[at] = poison;
        let moved = Tensor::from_vec(data, t.dims(), &Device::Cpu).unwrap();
        (at, moved.to_dtype(t.dtype()).unwrap())
    };
    places.into_iter().filter(|_| 0 < n).map(one).collect()
}

fn entered(e: &Error, phase: Phase, at: usize, poison: f64) -> bool {
    let same = |value: f64| value == poison || value.is_nan() && poison.is_nan();
    matches!(e, Error::NotFinite { phase: p, index, value, .. } if *p == phase && *index == at && same(*value))
}

/// Evaluation, with and without derivatives, alone and as a node: the leaf where it entered is named.
fn values(t: &mut Tally, case: &Case, dtype: DType, poison: f64) {
    let clean = case.inputs(dtype);
    for port in 0..clean.len() {
        for (at, bad) in poisoned(&clean[port], poison) {
            let mut x = clean.clone();
            x[port] = bad;
            let name = |what: &str| {
                format!("{}: {poison} at {at} of input {port} ({dtype:?}), {what}", case.name)
            };
            let leaf = |e: &Error, what: &str| {
                entered(e, Phase::Eval, at, poison)
                    && e.node() == format!("{}/{what}#{port}", case.name)
            };
            t.expect(
                || name("eval"),
                || case.function.eval(&x).map(|_| ()),
                |e| leaf(e, "constant"),
            );
            let all = vec![true; x.len()];
            let linearize = || case.function.linearize(&x, Wrt(&all)).map(|_| ());
            t.expect(|| name("linearize"), linearize, |e| leaf(e, "input"));
            let node = || {
                let graph = Graph::new();
                let vars: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
                graph.apply(&case.function, &vars).map(|_| ())
            };
            t.expect(
                || name("apply"),
                node,
                |e| entered(e, Phase::Eval, at, poison) && e.node() == format!("input#{port}"),
            );
        }
    }
}

/// Directions and cotangents handed to the linear map.
fn maps(t: &mut Tally, case: &Case, dtype: DType, poison: f64) {
    let x = case.inputs(dtype);
    let (y, map) = case.function.linearize(&x, Wrt(&vec![true; x.len()])).unwrap();
    for (phase, ports) in [(Phase::Push, &x), (Phase::Pull, &y)] {
        let ones: Direction = ports.iter().map(|t| Some(t.ones_like().unwrap())).collect();
        for port in (0..ports.len()).filter(|&i| is_real(&ports[i])) {
            for (at, bad) in poisoned(&ports[port], poison) {
                let mut d = ones.clone();
                d[port] = Some(bad);
                let run = || match phase {
                    Phase::Push => map.push(&d).map(|_| ()),
                    _ => map.pull(&d).map(|_| ()),
                };
                t.expect(
                    || {
                        format!(
                            "{}: {poison} at {at} of slot {port} ({dtype:?}), {phase}",
                            case.name
                        )
                    },
                    run,
                    |e| {
                        entered(e, phase, at, poison)
                            && e.node() == case.name
                            && matches!(e, Error::NotFinite { port: p, .. } if *p == port)
                    },
                );
            }
        }
    }
}

/// The same as seeds of a graph's sweeps, on values and recorded.
fn seeds(t: &mut Tally, case: &Case, dtype: DType, poison: f64) {
    let graph = Graph::new();
    let vars: Vec<Var<'_>> = case.inputs(dtype).iter().map(|t| graph.input(t)).collect();
    let outputs = graph.apply(&case.function, &vars).unwrap();
    for (phase, ports) in [(Phase::Push, &vars), (Phase::Pull, &outputs)] {
        for (port, &v) in ports.iter().enumerate().filter(|(_, v)| is_real(&v.value().unwrap())) {
            let (at, bad) = poisoned(&v.value().unwrap(), poison).remove(0);
            let run = || match phase {
                Phase::Push => graph.push(&[(v, bad.clone())], &outputs).map(|_| ()),
                _ => graph.pull(&[(v, bad.clone())], &vars).map(|_| ()),
            };
            let node = format!("direction at {}", graph.node_name(v));
            t.expect(
                || format!("{}: {poison} as a seed at port {port} ({dtype:?}), {phase}", case.name),
                run,
                |e| entered(e, phase, at, poison) && e.node() == node,
            );
            let run = || match phase {
                Phase::Push => {
                    graph.record_push(&[(v, graph.constant(&bad))], &outputs).map(|_| ())
                }
                _ => graph.record_pull(&[(v, graph.constant(&bad))], &vars).map(|_| ()),
            };
            t.expect(
                || {
                    format!(
                        "{}: {poison} as a recorded seed at port {port} ({dtype:?}), {phase}",
                        case.name
                    )
                },
                run,
                |e| entered(e, Phase::Eval, at, poison) && names(e, "constant"),
            );
        }
    }
}

/// A function before or after the operation makes it: that function is named, though the operation carries it on.
fn neighbours(t: &mut Tally, case: &Case, dtype: DType, poison: f64) {
    let x = case.inputs(dtype);
    for phase in [Phase::Eval, Phase::Push, Phase::Pull] {
        let source: Arc<dyn Function> = Arc::new(Source { phase, poison });
        for port in 0..x.len() {
            let before = || {
                let graph = Graph::new();
                let leaves: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
                let mut vars = leaves.clone();
                vars[port] = graph.apply(&source, &[leaves[port]])?[0];
                let y = graph.apply(&case.function, &vars)?;
                sweep(&graph, phase, &leaves, &y)
            };
            t.expect_unless_harmless(
                || format!("{}: {poison} made before input {port} ({dtype:?}), {phase}", case.name),
                before,
                |e| from_source(e, phase),
            );
        }
        let outputs = case.function.eval(&x).unwrap();
        for port in (0..outputs.len()).filter(|&i| is_real(&outputs[i])) {
            let after = || {
                let graph = Graph::new();
                let leaves: Vec<Var<'_>> = x.iter().map(|t| graph.input(t)).collect();
                let y = graph.apply(&case.function, &leaves)?[port];
                let y = graph.apply(&source, &[y])?[0];
                sweep(&graph, phase, &leaves, &[y])
            };
            t.expect_unless_harmless(
                || format!("{}: {poison} made after output {port} ({dtype:?}), {phase}", case.name),
                after,
                |e| from_source(e, phase),
            );
        }
    }
}

fn from_source(e: &Error, phase: Phase) -> bool {
    matches!(e, Error::NotFinite { phase: p, .. } if *p == phase) && names(e, "source")
}

/// Did nothing come through, because the operation's derivative is a structural zero? Then no number can be wrong.
fn sweep<'g>(graph: &'g Graph, phase: Phase, x: &[Var<'g>], y: &[Var<'g>]) -> Result<bool> {
    let ones = |vars: &[Var<'g>]| -> Result<Vec<(Var<'g>, Tensor)>> {
        let real = vars.iter().filter(|v| v.value().is_ok_and(|t| is_real(&t)));
        real.map(|v| Ok((*v, v.value()?.ones_like()?))).collect()
    };
    let out = match phase {
        Phase::Push => graph.push(&ones(x)?, y)?,
        _ => graph.pull(&ones(y)?, x)?,
    };
    let reached =
        out.iter().flatten().any(|t| to_f64(t).is_ok_and(|v| v.iter().any(|v| *v != 0.0)));
    Ok(!reached)
}

/// The identity, but for one phase, in which it gives the poison everywhere.
struct Source {
    phase: Phase,
    poison: f64,
}

impl Source {
    fn like(&self, phase: Phase, t: &Tensor) -> Result<Tensor> {
        match self.phase == phase {
            true => Ok(Tensor::full(self.poison, t.dims(), t.device())?.to_dtype(t.dtype())?),
            false => Ok(t.clone()),
        }
    }
}

impl Function for Source {
    fn name(&self) -> &str {
        "source"
    }
    fn eval(&self, x: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(vec![self.like(Phase::Eval, &x[0])?])
    }
    fn linearize(&self, x: &[Tensor], _: Wrt<'_>) -> Result<(Vec<Tensor>, Box<dyn LinearMap>)> {
        Ok((self.eval(x)?, Box::new(Source { ..*self })))
    }
}

impl LinearMap for Source {
    fn push(&self, dx: &[Option<Tensor>]) -> Result<Direction> {
        dx.iter().map(|d| d.as_ref().map(|d| self.like(Phase::Push, d)).transpose()).collect()
    }
    fn pull(&self, dy: &[Option<Tensor>]) -> Result<Direction> {
        dy.iter().map(|d| d.as_ref().map(|d| self.like(Phase::Pull, d)).transpose()).collect()
    }
}
