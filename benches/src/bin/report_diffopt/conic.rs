//! Conic programs: derivatives against differences and diffcp, and the Maros–Mészáros problems.

use std::sync::Arc;

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;
use pullback_diffopt::Degenerate;
use pullback_diffopt::conic::{ConicData, ConicTangent};

use crate::common::conic_problems::forty;
use crate::common::maros_meszaros::{File, folder, optima};
use crate::common::problems::{apart, dot};
use crate::common::random::Random;
use crate::worse;

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let mut random = Random::new(1);
    let (mut worst, mut law, mut good) = (0f64, 0f64, 0);
    let mut failed = Vec::new();
    let programs = forty();
    for program in &programs {
        let solution = Arc::new(program.conic.solve(1, &program.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        let direction = program.direction(&mut random);
        let [p, q, a, b] = &direction;
        let pushed = match derivative.push(&ConicData { p, q, a, b }) {
            Ok(pushed) => pushed,
            Err(e) => {
                failed.push(format!("{}: {e}", program.name));
                continue;
            }
        };
        let mut error = f64::INFINITY;
        for h in [1e-3, 1e-4, 1e-5] {
            let at = |t: f64| -> Result<Vec<f64>> {
                let [p, q, a, b] = program.moved(&direction, t * h);
                let s = program.conic.solve(1, &ConicData { p: &p, q: &q, a: &a, b: &b })?;
                Ok([s.x(0), s.multipliers(0)].concat())
            };
            let [a, b, c, d] = [at(-2.0)?, at(-1.0)?, at(1.0)?, at(2.0)?];
            let difference: Vec<f64> = (0..a.len())
                .map(|i| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h))
                .collect();
            error = error.min(apart(&difference, &[&pushed.x[..], &pushed.z].concat()));
        }
        worst = worse(worst, error);
        good += usize::from(error <= 1e-7);
        if error > 1e-7 || error.is_nan() {
            failed.push(format!("{}: {error:e}", program.name));
        }
        let (n, m) = program.conic.sizes();
        let cotangent = ConicTangent { x: random.normals(n), z: random.normals(m) };
        let pulled = derivative.pull(&cotangent, [true; 4], [false; 4])?;
        let left = dot(&cotangent.x, &pushed.x) + dot(&cotangent.z, &pushed.z);
        let right: f64 = pulled.iter().zip(&direction).map(|(a, b)| dot(a, b)).sum();
        law = worse(law, (left - right).abs() / left.abs().max(right.abs()));
    }
    explain("conic", &failed)?;
    let name = "cones: programs with derivatives within 10⁻⁷ of differences";
    output.push(Row::new(name, "programs", good as f64).at_least(40.0))?;
    output.push(Row::new("cones: worst derivative against differences", "relative", worst))?;
    output.push(Row::new("cones: ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩", "relative", law).at_most(1e-12))?;
    maros_meszaros(output, quick)
}

/// Objectives within 10⁻⁶ of the known optima.
fn maros_meszaros(output: &mut Output, quick: bool) -> Result<()> {
    let name = "Maros–Mészáros: problems solved to 10⁻⁶";
    let Some(folder) = folder() else {
        explain("skipped", &["../shared/data/maros_meszaros is not there".to_owned()])?;
        return output.push(Row::new(name, "problems", f64::NAN));
    };
    let (mut solved, mut wrong, mut tried) = (0, 0, 0);
    let mut notes = Vec::new();
    for (problem, optimum) in optima(&folder) {
        let path = folder.join(format!("{problem}.npz"));
        if quick && std::fs::metadata(&path)?.len() > 20_000 {
            continue;
        }
        tried += 1;
        let made = File::read(&path).and_then(|f| f.conic()).map_err(anyhow::Error::msg)?;
        let (status, objective) = made.solve().map_err(anyhow::Error::msg)?;
        if !status.is_solved() {
            notes.push(format!("{problem}: {status}"));
            continue;
        }
        let error = (objective - optimum).abs() / optimum.abs().max(1.0);
        if error <= 1e-6 {
            solved += 1;
        } else {
            wrong += 1;
            notes.push(format!("{problem}: objective {objective:e}, not {optimum:e}"));
        }
    }
    explain("Maros–Mészáros", &notes)?;
    let row = Row::new(format!("{name}, of {tried}"), "problems", f64::from(solved));
    output.push(if quick { row } else { row.at_least(51.0) })?;
    let row = Row::new(
        "Maros–Mészáros: called solved with another objective",
        "problems",
        f64::from(wrong),
    );
    output.push(row)
}
