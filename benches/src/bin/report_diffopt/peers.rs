//! Gradients in other systems, from the table that the tests read too.

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;

use crate::common::reference::{Found, conic, conic_differences, quadratic};

pub(crate) fn rows(output: &mut Output) -> Result<()> {
    let plain = |e: Box<dyn std::error::Error>| anyhow::anyhow!("{e}");
    // qpth puts a floor of 10⁻⁸ under multipliers and slacks before it differentiates: the formula is right without it.
    for system in ["moreau", "qpth at the optimum"] {
        let Found { system, programs, worst, at, .. } = quadratic(system).map_err(plain)?;
        if worst.is_nan() || 1e-7 < worst {
            explain(&system, &[at])?;
        }
        let name = format!("QP: gradients of {programs} programs against {system}");
        output.push(Row::new(name, "relative", worst).at_most(1e-7))?;
    }
    let found = quadratic("qpth").map_err(plain)?;
    let near = found.each.iter().filter(|e| **e <= 1e-7).count();
    let name = format!(
        "QP: programs of {} in which {} as it is agrees to 10⁻⁷",
        found.programs, found.system
    );
    output.push(Row::new(name, "programs", near as f64))?;
    let Found { system, programs, worst, .. } = conic().map_err(plain)?;
    let [theirs, ours] = conic_differences().map_err(plain)?;
    let name = format!("cones: ours of {programs} programs against differences");
    output.push(Row::new(name, "relative", ours).at_most(1e-7))?;
    let name = format!("cones: {system}'s own error, against the same differences");
    output.push(Row::new(name, "relative", theirs))?;
    // Ours cannot be nearer to it than it is to the truth.
    let name = format!("cones: ours against {system}, over its own error");
    output.push(Row::new(name, "ratio", worst / (theirs + ours)).at_most(1.0 + 1e-6))?;
    Ok(())
}
