//! A recurrent cell over a whole sequence as one operation.

use std::sync::Arc;

use pullback_core_graph::primitive::Slots;
use pullback_core_graph::{Function, Result, Var, function};

use super::fused::{Fused, FusedKernel, Made};
use crate::kernel::matrix::Element;
use crate::kernel::recurrent::{Cell, Inputs, Sequence, backward, forward};

/// The part of all gates (…, gates·n) that `many` of them from gate k on have.
fn gate(v: Var<'_>, n: usize, k: usize, many: usize) -> Var<'_> {
    v.narrow(-1, k * n, many * n)
}

/// h' of a gated recurrent unit of n units from the input's and the state's part of the gates r, z, n: r, z = σ(x + s),
/// n = tanh(x + r∘s), h' = n + z∘(h − n).
pub(crate) fn gru_step<'g>(
    n: usize,
    [of_input, of_state]: [Var<'g>; 2],
    h: Var<'g>,
) -> Result<Var<'g>> {
    let gates = (gate(of_input, n, 0, 2) + gate(of_state, n, 0, 2)).sigmoid();
    let (reset, update) = (gate(gates, n, 0, 1), gate(gates, n, 1, 1));
    let new = (gate(of_input, n, 2, 1) + reset * gate(of_state, n, 2, 1)).tanh();
    (new + update * (h - new)).ok()
}

/// (h', c') of a long short-term memory of n units from the input's and the state's part of the gates i, f, g, o:
/// c' = σ(f)∘c + σ(i)∘tanh g, h' = σ(o)∘tanh c'.
pub(crate) fn lstm_step<'g>(
    n: usize,
    [of_input, of_state]: [Var<'g>; 2],
    c: Var<'g>,
) -> Result<[Var<'g>; 2]> {
    let all = of_input + of_state;
    let first = gate(all, n, 0, 2).sigmoid();
    let (enter, forget) = (gate(first, n, 0, 1), gate(first, n, 1, 1));
    let (new, out) = (gate(all, n, 2, 1).tanh(), gate(all, n, 3, 1).sigmoid());
    let c = (forget * c + enter * new).ok()?;
    Ok([(out * c.tanh()).ok()?, c])
}

/// The states (batch, time, hidden) of a gated recurrent unit, from the input's part of the gates (batch, time, 3·hidden), the state's
/// weight (3·hidden, hidden) and bias (3·hidden), and the state before (batch, hidden). No size may be 0.
pub(crate) fn gru_sequence<'g>(
    input: Var<'g>,
    [weight, bias]: [Var<'g>; 2],
    start: Var<'g>,
) -> Result<Var<'g>> {
    Ok(sequence(Cell::Gru, &[input, weight, bias, start])?[0])
}

/// The hidden states and the cells (batch, time, hidden) of a long short-term memory; as [`gru_sequence`], with four gates and two
/// states.
pub(crate) fn lstm_sequence<'g>(
    input: Var<'g>,
    [weight, bias]: [Var<'g>; 2],
    [hidden, cell]: [Var<'g>; 2],
) -> Result<[Var<'g>; 2]> {
    let out = sequence(Cell::Lstm, &[input, weight, bias, hidden, cell])?;
    Ok([out[0], out[1]])
}

fn sequence<'g>(cell: Cell, x: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
    let (dims, hidden) = (x[0].dims()?, x[3].dims()?[1]);
    let plan = Plan(Sequence { cell, batch: dims[0], time: dims[1], hidden });
    let results = plan.states();
    let op = Fused {
        name: plan.name(),
        formula: function(plan.name(), move |_, x| plan.compose(x)),
        carried: x.len(),
        results,
        gradient: Some(Box::new(move |x: &[Var<'_>], y: &[Var<'_>], dy| plan.pull(x, y, dy))),
        kernel: Forward(plan),
    };
    Ok(x[0].graph().record_all(Arc::new(op), x)?.into_iter().collect())
}

#[derive(Clone, Copy)]
struct Plan(Sequence);

impl Plan {
    fn name(self) -> &'static str {
        match self.0.cell {
            Cell::Gru => "gru",
            Cell::Lstm => "lstm",
        }
    }

    /// How many states the cell has.
    fn states(self) -> usize {
        match self.0.cell {
            Cell::Gru => 1,
            Cell::Lstm => 2,
        }
    }

    /// The same step by step: the states of all times, stacked.
    fn compose<'g>(self, x: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let n = self.0.hidden;
        let (input, weight, bias) = (x[0], x[1], x[2]);
        let (mut h, mut c) = (x[3], x[x.len() - 1]);
        let (mut hidden, mut cells) = (vec![], vec![]);
        for t in 0..self.0.time {
            let gates = [input.get(1, t), h.matmul(weight.t()) + bias];
            match self.0.cell {
                Cell::Gru => h = gru_step(n, gates, h)?,
                Cell::Lstm => {
                    [h, c] = lstm_step(n, gates, c)?;
                    cells.push(c);
                }
            }
            hidden.push(h);
        }
        let graph = input.graph();
        let mut out = vec![graph.stack(&hidden, 1).ok()?];
        if !cells.is_empty() {
            out.push(graph.stack(&cells, 1).ok()?);
        }
        Ok(out)
    }

    /// (inputs, dhidden) ↦ the gradients of the inputs.
    fn gradient_formula(self, inputs: usize) -> Arc<dyn Function> {
        function(self.name(), move |graph, v| {
            let (x, dy) = v.split_at(inputs);
            let y = self.compose(x)?;
            let dx = graph.record_pull(&[(y[0], dy[0])], x)?;
            Ok(dx.into_iter().zip(x).map(|(d, x)| d.unwrap_or_else(|| x.zeros_like())).collect())
        })
    }

    fn pull<'g>(self, x: &[Var<'g>], y: &[Var<'g>], dy: Var<'g>) -> Result<Slots<'g>> {
        let inputs: Vec<Var<'g>> = x.iter().copied().chain([dy]).chain(y.iter().copied()).collect();
        let op = Fused {
            name: self.name(),
            kernel: Backward(self),
            formula: self.gradient_formula(x.len()),
            carried: x.len() + 1,
            results: x.len(),
            gradient: None,
        };
        Ok(dy.graph().record_all(Arc::new(op), &inputs)?.into_iter().map(Some).collect())
    }

    fn inputs<'a, T>(self, x: &[&'a [T]]) -> Inputs<'a, T> {
        let second = if self.states() == 2 { x[4] } else { &[] };
        Inputs { input: x[0], weight: x[1], bias: x[2], start: [x[3], second] }
    }
}

struct Forward(Plan);
struct Backward(Plan);

impl FusedKernel for Forward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let sizes = self.0.0;
        let made = forward(&sizes, self.0.inputs(x))?;
        let dims = |n| vec![sizes.batch, sizes.time, n];
        let mut out = vec![(made.hidden, dims(sizes.hidden))];
        if self.0.states() == 2 {
            out.push((made.cell, dims(sizes.hidden)));
        }
        out.push((made.gates, dims(sizes.saved())));
        Ok(out.into())
    }
}

impl FusedKernel for Backward {
    fn run<T: Element>(&self, x: &[&[T]]) -> Result<Made<T>> {
        let (sizes, states) = (self.0.0, self.0.states());
        let (inputs, rest) = x.split_at(3 + states);
        let (dy, y) = (rest[0], &rest[1..]);
        let cells = if states == 2 { y[1] } else { &[] };
        let known = (y[0], cells, y[states]);
        let made = backward(&sizes, self.0.inputs(inputs), known, dy)?;
        let Sequence { batch, time, hidden, .. } = sizes;
        let gates = sizes.gates();
        let mut out = vec![
            (made.input, vec![batch, time, gates]),
            (made.weight, vec![gates, hidden]),
            (made.bias, vec![gates]),
        ];
        out.extend(made.start.into_iter().take(states).map(|d| (d, vec![batch, hidden])));
        Ok(out.into())
    }
}
