//! Rows about behaviour: threads, bad input, a million instructions, damaged bytes.

use std::time::Instant;

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;

use crate::common::long_tapes::{MILLION, chain, fan, on_a_small_stack, wide};
use crate::common::{bad_tapes, fuzz_tape, threads};
use crate::explain;

/// Without the messages of panics, which are counted.
fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = f();
    std::panic::set_hook(hook);
    result
}

pub(crate) fn determinism(output: &mut Output) -> Result<()> {
    let differing = threads::differing();
    explain("determinism", &differing)?;
    let (batches, runs) = (threads::BATCHES.len(), threads::count() as f64);
    let name =
        format!("runs with 1, 2, 4 threads and {batches} batches, compared with single samples");
    output.push(Row::new(name, "runs", runs))?;
    output.push(Row::new("runs whose bits differ", "runs", differing.len() as f64).at_most(0.0))
}

pub(crate) fn bad_inputs(output: &mut Output) -> Result<()> {
    let tally = quietly(bad_tapes::try_all);
    explain("bad input", &tally.wrong)?;
    let tried = tally.tried as f64;
    output.push(Row::new("bad inputs tried", "inputs", tried).at_least(10_000.0))?;
    let answered = tally.answered as f64;
    let name = "bad inputs answered with their typed error, or with finite numbers";
    output.push(Row::new(name, "inputs", answered).at_least(tried))?;
    output.push(Row::new("bad inputs that panic", "inputs", tally.panicked as f64).at_most(0.0))
}

pub(crate) fn depth(output: &mut Output, quick: bool) -> Result<()> {
    let n = if quick { MILLION / 10 } else { MILLION };
    type Run = fn(usize) -> pullback_graph::Result<f64>;
    let runs: [(&str, Run, usize, f64); 3] = [
        (
            "instructions in a row, with push, pull, Jacobian and Hessian, on 2 MiB of stack",
            chain,
            n,
            1e-9,
        ),
        ("uses of one variable, the same", fan, n / 2, 1e-9),
        ("inputs and outputs with a sparse Jacobian, the same", wide, n / 10, 1e-12),
    ];
    for (what, run, n, limit) in runs {
        let start = Instant::now();
        let error = on_a_small_stack(move || run(n));
        let seconds = start.elapsed().as_secs_f64();
        if let Err(e) = &error {
            explain(what, &[e.to_string()])?;
        }
        output.push(Row::new(format!("{n} {what}"), "s", seconds))?;
        let error = error.unwrap_or(f64::NAN);
        output.push(Row::new(format!("{n} {what}: error"), "relative", error).at_most(limit))?;
    }
    Ok(())
}

pub(crate) fn damaged_tapes(output: &mut Output, quick: bool) -> Result<()> {
    let count = if quick { 50_000 } else { 1_000_000 };
    let tally = quietly(|| fuzz_tape::fuzz(count, 1));
    let row = Row::new("damaged tapes loaded", "inputs", tally.inputs as f64);
    output.push(if quick { row } else { row.at_least(1e6) })?;
    let names = ["refused with the place in the bytes", "accepted, run, and written as they came"];
    for (name, number) in names.into_iter().zip([tally.refused, tally.accepted]) {
        output.push(Row::new(format!("damaged tapes {name}"), "inputs", number as f64))?;
    }
    let name = "damaged tapes that crash the loader or break a promise";
    output.push(Row::new(name, "inputs", tally.panics as f64).at_most(0.0))
}
