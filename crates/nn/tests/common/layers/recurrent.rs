//! The table of recurrent layers.

use std::sync::Arc;

use pullback_core_graph::Var;
use pullback_nn::Result;
use pullback_nn::layer::*;
use pullback_nn::parameters::Scope;

use super::Forward;
use super::build::one;

/// What the layers of `name` are made from, but for their sizes.
fn spec(name: &str, inputs: usize, hidden: usize) -> RecurrentSpec {
    let layers = match name {
        _ if name.contains("two layers") => 2,
        _ if name.contains("three layers") => 3,
        _ => 1,
    };
    RecurrentSpec {
        layers,
        bidirectional: name.contains("both ways"),
        batch_first: !name.contains("time first"),
        bias: !name.contains("without bias"),
        ..RecurrentSpec::new(inputs, hidden)
    }
}

/// The gated recurrent unit of this name.
pub(super) fn gru(name: &str, r: &mut Scope<'_>) -> Result<Forward> {
    if name == "gru cell" {
        let cell = GruCell::new(r, 3, 2)?;
        return Ok(Arc::new(move |p, x| cell.step(p, x[0], x[1])));
    }
    let [inputs, hidden] = match name {
        "gru" => [3, 4],
        "gru from a state" | "gru without bias" => [2, 3],
        "gru of two layers" | "gru both ways, time first" => [3, 2],
        "gru of two layers both ways from a state" => [2, 3],
        "gru of two layers both ways, the ends" => [2, 2],
        _ => panic!("no layer `{name}`"),
    };
    let mut scope = r.scope("layer");
    let gru = match name {
        "gru" => Gru::new(&mut scope, inputs, hidden)?,
        _ => Gru::with_spec(&mut scope, spec(name, inputs, hidden))?,
    };
    let ends = name.ends_with("the ends");
    Ok(if name.contains("state") || ends {
        Arc::new(move |p, x| {
            let (states, last) = gru.run(p, x[0], Some(x[1]))?;
            Ok(if ends { last } else { states })
        })
    } else {
        one(gru)
    })
}

fn state<'g>(x: &[Var<'g>]) -> LstmState<'g> {
    LstmState { hidden: x[1], cell: x[2] }
}

fn beside<'g>(state: LstmState<'g>, axis: i32) -> pullback_core_graph::Result<Var<'g>> {
    state.hidden.graph().cat(&[state.hidden, state.cell], axis).ok()
}

/// The long short-term memory of this name.
pub(super) fn lstm(name: &str, r: &mut Scope<'_>) -> Result<Forward> {
    if name == "lstm cell" {
        let cell = LstmCell::new(&mut r.scope("cell"), 3, 2)?;
        return Ok(Arc::new(move |p, x| beside(cell.step(p, x[0], state(x))?, 1)));
    }
    let [inputs, hidden] = match name {
        "lstm" => [3, 4],
        "lstm from a state" | "lstm without bias" => [2, 3],
        "lstm both ways" => [3, 2],
        "lstm of three layers"
        | "lstm of two layers both ways, time first, from a state"
        | "lstm of two layers both ways, the ends" => [2, 2],
        _ => panic!("no layer `{name}`"),
    };
    let mut scope = r.scope("layer");
    let lstm = match name {
        "lstm" => Lstm::new(&mut scope, inputs, hidden)?,
        _ => Lstm::with_spec(&mut scope, spec(name, inputs, hidden))?,
    };
    let ends = name.ends_with("the ends");
    Ok(if name.contains("state") || ends {
        Arc::new(move |p, x| {
            let (states, last) = lstm.run(p, x[0], Some(state(x)))?;
            if ends { beside(last, 2) } else { Ok(states) }
        })
    } else {
        one(lstm)
    })
}
