//! Layers: the derivative laws, PyTorch's numbers, candle's defects, from the very tables that the tests read.

#[path = "../../../../crates/nn/tests/common/layers/mod.rs"]
mod tables;

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;
use pullback_core_graph::candle::DType;
use tables::defects::{Candle, verdicts};
use tables::reference;

/// All rows about layers.
pub(crate) fn report(output: &mut Output) -> Result<()> {
    laws(output)?;
    numbers(output)?;
    defects(output)
}

fn laws(output: &mut Output) -> Result<()> {
    // Six of first order; two agreements and twice six for tangent and adjoint.
    const LAWS: f64 = 20.0;
    for (dtype, name) in [(DType::F64, "f64"), (DType::F32, "f32")] {
        let cases = tables::all(dtype);
        let failed: Vec<String> = cases
            .iter()
            .filter_map(|case| case.check().err().map(|e| format!("{}: {e}", case.name)))
            .collect();
        explain("laws", &failed)?;
        let (all, passed) = (cases.len(), cases.len() - failed.len());
        let what = format!("layers, {name}: laws of first and second order, {all} layers");
        let row = Row::new(what, "laws × layers", passed as f64 * LAWS);
        output.push(row.at_least(all as f64 * LAWS))?;
    }
    Ok(())
}

fn numbers(output: &mut Output) -> Result<()> {
    let table = reference::table();
    for (dtype, name, limit) in [(DType::F64, "f64", 1e-10), (DType::F32, "f32", 1e-5)] {
        let (mut compared, mut worst, mut of) = (0, 0f64, String::new());
        for case in &table {
            let found = case.compare(dtype)?;
            compared += found.compared;
            if found.error.is_nan() || worst < found.error {
                (worst, of) = (found.error, format!("{} ({})", case.name, found.at));
            }
        }
        if worst.is_nan() || limit < worst {
            explain("numbers", std::slice::from_ref(&of))?;
        }
        let peer = format!("PyTorch {}", reference::version());
        let what = format!("layers, {name}: numbers compared with {peer}, {} layers", table.len());
        output.push(Row::new(what, "numbers", compared as f64).at_least(9000.0))?;
        let what = format!("layers, {name}: worst error of values, gradients, running statistics");
        output.push(Row::new(what, "relative", worst).at_most(limit))?;
    }
    Ok(())
}

fn defects(output: &mut Output) -> Result<()> {
    for verdict in verdicts() {
        if matches!(verdict.candle, Candle::Right) {
            explain("defects", &[format!("{}: candle is right after all", verdict.name)])?;
        }
        let what = format!("{}: candle-nn 0.11 gives {}; our error", verdict.name, verdict.candle);
        output.push(Row::new(what, "relative", verdict.ours).at_most(1e-8))?;
    }
    Ok(())
}
