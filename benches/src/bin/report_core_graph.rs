//! `cargo xtask report core-graph`: how exact core-graph is and how it behaves, from the very tables that its tests read.
//!
//! The modules under crates/core-graph/tests/common are shared with the tests, so that a figure here and a passing test are the
//! same fact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the shared test files fail by panics

#[path = "../../../crates/core-graph/tests/common/mod.rs"]
mod common;
#[path = "report_core_graph/images.rs"]
mod images;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use benches::output::{Options, Output, explain};
use benches::row::Row;
use clap::Parser;
use common::chain::{self, MILLION, on_a_small_stack};
use common::defects::Verdict;
use common::operations::{Case, cases};
use common::reference::{Worst, scalar_table, structured_table};
use pullback_core_graph::candle::DType;
use pullback_core_graph::check::{KINKS, Tolerances, laws, second_order};
use pullback_core_graph::tensor::is_real;
use pullback_core_graph::{Function, Wrt, function};

fn main() -> Result<()> {
    if common::child::serve() {
        return Ok(());
    }
    let options = Options::parse();
    let mut output = Output::new(&options)?;
    derivative_laws(&mut output, options.quick)?;
    reference(&mut output)?;
    bad_inputs(&mut output)?;
    depth(&mut output, options.quick)?;
    defects(&mut output)?;
    conventions(&mut output)?;
    determinism(&mut output)?;
    output.finish()?;
    Ok(())
}

type Law = fn(&Case) -> pullback_core_graph::Result<()>;

fn derivative_laws(output: &mut Output, quick: bool) -> Result<()> {
    let cases = cases();
    let n = cases.len() as f64;
    output.push(Row::new("operations in the table", "operations", n).at_least(100.0))?;
    let orders: [(&str, f64, Law); 4] = [
        ("first order, f64: 6 laws", 6.0, |c| {
            laws(&c.function, &c.inputs(DType::F64), &Tolerances::default()).map(drop)
        }),
        ("first order, f32: 6 laws", 6.0, |c| {
            laws(&c.function, &c.inputs(DType::F32), &Tolerances::single()).map(drop)
        }),
        ("second order, f64: tangent and adjoint with 6 laws each", 14.0, |c| {
            second_order(&c.function, &c.inputs(DType::F64), &Tolerances::default())
        }),
        ("third order, f64: those of the recorded gradient", 14.0, third_order),
    ];
    for (name, each, law) in orders.into_iter().take(if quick { 3 } else { 4 }) {
        let failed: Vec<String> =
            cases.iter().filter_map(|c| law(c).err().map(|e| format!("{}: {e}", c.name))).collect();
        explain(name, &failed)?;
        let passed = n - failed.len() as f64;
        output.push(
            Row::new(format!("{name}, passed"), "laws × operations", passed * each)
                .at_least(n * each),
        )?;
    }
    Ok(())
}

/// The laws of second order for the gradient function.
fn third_order(c: &Case) -> pullback_core_graph::Result<()> {
    let loose = Tolerances { difference: 1e-5, dot: 1e-9, ..Tolerances::default() };
    let x = c.inputs(DType::F64);
    let wrt: Vec<bool> = x.iter().map(is_real).collect();
    let y = c.function.eval(&x)?;
    let (f, n): (Arc<dyn Function>, usize) = (c.function.clone(), x.len());
    let adjoint = f.adjoint(Wrt(&wrt))?;
    let gradient = function(format!("{}.gradient", c.name), move |g, v| {
        let (x, dy) = v.split_at(n);
        let y = g.apply(&f, x)?;
        let all: Vec<_> = x.iter().chain(&y).chain(dy).copied().collect();
        g.apply(&adjoint, &all)
    });
    let dy = y.iter().map(|y| Ok(y.affine(0.5, 0.25)?));
    let point =
        x.iter().cloned().map(Ok).chain(dy).collect::<pullback_core_graph::Result<Vec<_>>>()?;
    second_order(&gradient, &point, &loose)
}

fn reference(output: &mut Output) -> Result<()> {
    let tables: [(&str, f64, BTreeMap<String, Worst>); 2] = [
        ("scalar functions, values and derivatives to third order", 1e-12, scalar_table()),
        ("structured operations and linear algebra, to second order", 1e-9, structured_table()),
    ];
    for (what, limit, table) in tables {
        let compared: usize = table.values().map(|w| w.compared).sum();
        let worst = table.iter().max_by(|a, b| a.1.error.total_cmp(&b.1.error));
        let (name, error) = worst.map_or(("none", f64::NAN), |(n, w)| (n.as_str(), w.error));
        let over: Vec<String> = table
            .iter()
            .filter(|(_, w)| w.error.is_nan() || limit < w.error)
            .map(|(n, w)| format!("{n}: {:e} ({})", w.error, w.at))
            .collect();
        explain(what, &over)?;
        output.push(
            Row::new(format!("{what}: numbers compared with JAX"), "numbers", compared as f64)
                .at_least(5000.0),
        )?;
        let of = format!("{what}: worst error of {} functions, of {name}", table.len());
        output.push(Row::new(of, "relative", error).at_most(limit))?;
    }
    Ok(())
}

fn bad_inputs(output: &mut Output) -> Result<()> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // counted, not printed
    let tally = common::bad_inputs::try_all();
    std::panic::set_hook(hook);
    explain("bad input", &tally.wrong)?;
    let tried = tally.tried as f64;
    output.push(Row::new("bad inputs tried", "inputs", tried).at_least(10_000.0))?;
    output.push(
        Row::new("bad inputs answered with their typed error", "inputs", tally.answered as f64)
            .at_least(tried),
    )?;
    output.push(Row::new("bad inputs that panic", "inputs", tally.panicked as f64).at_most(0.0))
}

fn depth(output: &mut Output, quick: bool) -> Result<()> {
    let n = if quick { MILLION / 10 } else { MILLION };
    type Run = fn(usize) -> pullback_core_graph::Result<chain::Outcome>;
    let runs: [(&str, Run, usize, f64); 5] = [
        ("operations in a row: record, pull, push, drop on 2 MiB of stack", chain::chain, n, 1e-9),
        (
            "operations in a row, derivative recorded and pulled again",
            chain::recorded_chain,
            n / 10,
            1e-9,
        ),
        ("operations that read one variable", chain::fan_out, n, 1e-12),
        ("inputs of one operation, all one variable", chain::fan_in, n, 1e-12),
        ("functions inside one another", chain::nesting, n / 100, 1e-9),
    ];
    for (what, run, n, limit) in runs {
        let outcome = on_a_small_stack(move || run(n));
        if let Err(e) = &outcome {
            explain(what, &[e.to_string()])?;
        }
        let (seconds, error) =
            outcome.map_or((f64::NAN, f64::NAN), |o| (o.seconds, o.worst_relative_error));
        output.push(Row::new(format!("{n} {what}"), "s", seconds))?;
        output.push(Row::new(format!("{n} {what}: error"), "relative", error).at_most(limit))?;
    }
    Ok(())
}

fn defects(output: &mut Output) -> Result<()> {
    for Verdict { name, candle, ours } in
        common::defects::verdicts().into_iter().chain(images::verdicts())
    {
        output.push(
            Row::new(format!("{name} (candle: {candle}): our error"), "relative", ours)
                .at_most(1e-6),
        )?;
    }
    Ok(())
}

fn conventions(output: &mut Output) -> Result<()> {
    let broken: Vec<String> = KINKS.iter().filter_map(|k| common::kinks::verify(k).err()).collect();
    explain("convention", &broken)?;
    let (all, held) = (KINKS.len() as f64, (KINKS.len() - broken.len()) as f64);
    output.push(
        Row::new("conventions at kinks that hold, by pull, push and recorded pull", "rows", held)
            .at_least(all),
    )
}

fn determinism(output: &mut Output) -> Result<()> {
    let differing = common::determinism::differing();
    explain("determinism", &differing)?;
    let cases = common::determinism::count() as f64;
    output.push(Row::new("computations compared for 1, 2, 4 threads", "cases", cases))?;
    let name = "computations whose bits differ between 1, 2, 4 threads";
    output.push(Row::new(name, "cases", differing.len() as f64).at_most(0.0))
}
