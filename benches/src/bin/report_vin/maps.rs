//! Every scenario of the shared MovingAI maps against its published length.

use std::path::PathBuf;

use anyhow::Result;
use benches::output::{Output, explain};
use benches::row::Row;
use pullback_vin::grid::movingai::{read_map, read_scenarios};
use pullback_vin::grid::{Connectivity, Corners, GridProcess, GridSpec};
use pullback_vin::solve::best_way;
use rayon::prelude::*;

const MAPS: [&str; 4] = ["Berlin_0_256", "Boston_0_512", "arena2", "maze512-8-0"];

/// The folder of shared maps: beside the checkout, or where `PULLBACK_MOVINGAI` says.
pub(crate) fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/movingai");
    Some(std::env::var_os("PULLBACK_MOVINGAI").map_or(beside, PathBuf::from)).filter(|f| f.is_dir())
}

pub(crate) fn rows(output: &mut Output, quick: bool) -> Result<()> {
    let Some(folder) = folder() else {
        let row = Row::new("MovingAI: SKIPPED, no folder; set PULLBACK_MOVINGAI", "maps", f64::NAN);
        return output.push(row);
    };
    let (mut all, mut solved, mut worst, mut failed) = (0, 0, 0.0f64, vec![]);
    for name in MAPS {
        let map = read_map(folder.join(format!("{name}.map")))?;
        let scenarios = read_scenarios(folder.join(format!("{name}.map.scen")))?;
        let connectivity = Connectivity::octile(Corners::Keep);
        let spec = GridSpec { connectivity, ..GridSpec::default() };
        let cell = |[y, x]: [usize; 2]| y * map.width() + x;
        let base = GridProcess::new(map.clone(), spec, &[(cell(scenarios[0].goal), 0.0)])?;
        let chosen: Vec<_> = scenarios.iter().step_by(if quick { 40 } else { 1 }).collect();
        let errors: Vec<f64> = chosen
            .par_iter()
            .map(|s| {
                let process = base.with_goals(&[(cell(s.goal), 0.0)])?;
                let length = -best_way(&process, cell(s.start))?;
                Ok((length - s.length).abs() / s.length.max(1.0))
            })
            .collect::<pullback_vin::Result<_>>()?;
        for (scenario, error) in chosen.iter().zip(&errors) {
            all += 1;
            solved += usize::from(*error <= 1e-5);
            worst = worst.max(*error);
            if error.is_nan() || *error > 1e-5 {
                failed.push(format!("{name}: {scenario:?}: {error:e}"));
            }
        }
    }
    explain("scenarios", &failed)?;
    let row = Row::new("MovingAI: scenarios at their published length", "scenarios", solved as f64);
    output.push(row.at_least(f64::from(all)))?;
    output.push(Row::new("MovingAI: worst length", "relative", worst).at_most(1e-5))
}
