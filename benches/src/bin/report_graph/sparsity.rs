//! Rows about colours: the path problem of a 7-joint arm over 100 steps.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_graph::sparsity::{Coloring, Order};
use pullback_graph::{Real, Tape};

use crate::common::arm;

const STEPS: usize = 100;

pub(crate) fn colours(output: &mut Output) -> Result<()> {
    let n = STEPS * arm::JOINTS;
    let residuals = Tape::record(n, |q| arm::path(q))?.jacobian_pattern();
    let cost =
        Tape::record(n, |q| vec![arm::path(q).iter().fold(Real::lit(0.0), |s, r| s + r.sqr())])?;
    let second = cost.hessian_pattern();
    let (rows, columns, entries) = (residuals.rows(), residuals.columns(), residuals.len());
    let name = format!("path problem: places of its {rows} × {columns} Jacobian");
    output.push(Row::new(name, "entries", entries as f64))?;
    for (what, coloring) in [
        ("forward", Coloring::columns(&residuals, Order::Natural)),
        ("reverse", Coloring::rows(&residuals, Order::Natural)),
        ("forward and reverse together", Coloring::both(&residuals, Order::Natural)),
    ] {
        coloring.verify(&residuals)?;
        let row =
            Row::new(format!("path problem: colours, {what}"), "colours", coloring.colors() as f64);
        output.push(row.at_most(8.0))?;
    }
    let mut fewest = usize::MAX;
    for order in Order::ALL {
        let coloring = Coloring::symmetric(&second, order)?;
        coloring.verify(&second)?;
        fewest = fewest.min(coloring.colors());
    }
    let name = "path problem: star colours of the Hessian, best of 4 orders";
    output.push(Row::new(name, "colours", fewest as f64).at_most(14.0))
}
