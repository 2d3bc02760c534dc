//! Gradients in other systems, from the table that the tests read too.

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;

use crate::common::reference::{Found, conic, quadratic};

pub(crate) fn rows(output: &mut Output) -> Result<()> {
    let plain = |e: Box<dyn std::error::Error>| anyhow::anyhow!("{e}");
    // diffcp's gradients are as exact as SCS's solutions, some 10⁻⁷ with exponential cones.
    for (what, found, limit) in [
        ("QP", quadratic("moreau").map_err(plain)?, 1e-7),
        ("cones", conic().map_err(plain)?, 1e-6),
    ] {
        let Found { system, programs, worst, at, .. } = found;
        if worst.is_nan() || limit < worst {
            explain(&system, &[at])?;
        }
        let name = format!("{what}: gradients of {programs} programs against {system}");
        output.push(Row::new(name, "relative", worst).at_most(limit))?;
    }
    // qpth's own error: moreau and differences agree with us where it does not.
    let found = quadratic("qpth").map_err(plain)?;
    let near = found.each.iter().filter(|e| **e <= 1e-7).count();
    let name =
        format!("QP: gradients against {}, median of {} programs", found.system, found.programs);
    output.push(Row::new(name, "relative", found.median()))?;
    let name = format!("QP: programs in which {} is within 10⁻⁷", found.system);
    output.push(Row::new(name, "programs", near as f64))?;
    Ok(())
}
