//! Rows about scans: Revolve's forward steps against the optimum, and gradients against those of the unrolled graph.

use std::sync::Arc;

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::candle::{Device, Tensor};
use pullback_core_graph::tensor::to_f64;
use pullback_core_graph::{Function, Wrt, function};
use pullback_graph::revolve::{Action, advances, schedule};
use pullback_graph::{Checkpoints, Scan};

use crate::common::splits;

/// Splits against the recurrence, and schedules against dynamic programming.
pub(crate) fn revolve(output: &mut Output) -> Result<()> {
    // All numbers of snapshots from 2 to 20: so the optimum is proved by induction. Two more beside them.
    let snapshots: Vec<usize> = (2..=20).chain([50, 100]).collect();
    let tally = splits::splits(100_000, &snapshots);
    let (all, counts) = (tally.looked_at as f64, snapshots.len());
    for (what, broken) in [
        ("whose split m attains m + t(m, s) + t(l − m, s − 1) = t(l, s)", tally.not_attained),
        ("whose split is the least over all m", tally.not_least),
    ] {
        let name = format!("Revolve: chains of 2 … 10⁵ steps × {counts} snapshot counts {what}");
        output.push(Row::new(name, "chains", all - broken as f64).at_least(all))?;
    }
    let (wrong, all) = splits::dynamic_program(500, 20);
    let name = "Revolve: schedules of up to 500 steps and 20 snapshots with the forward steps of dynamic programming";
    output.push(Row::new(name, "schedules", (all - wrong) as f64).at_least(all as f64))?;
    let (mut same, mut schedules) = (0, 0);
    for steps in [1_000, 4_097, 10_000, 31_623, 99_999, 100_000] {
        for snapshots in [2, 3, 5, 10, 20, 50, 100] {
            let mut forward = 0;
            for action in schedule(steps, snapshots)? {
                if let Action::Advance { from, to } = action {
                    forward += (to - from) as u128;
                }
            }
            schedules += 1;
            same += u32::from(forward == advances(steps, snapshots)?);
        }
    }
    let name = "Revolve: schedules of up to 10⁵ steps, run, with as many forward steps as t(l, s)";
    output.push(Row::new(name, "schedules", f64::from(same)).at_least(f64::from(schedules)))
}

/// Peaks of the process; the first rows of all, since a peak stays.
#[cfg(target_os = "linux")]
pub(crate) fn memory(output: &mut Output) -> Result<()> {
    use crate::common::memory::{SNAPSHOTS, peaks};
    for peak in peaks() {
        let name = format!(
            "memory of the {} of a scan of {} steps with {SNAPSHOTS} snapshots",
            peak.what, peak.steps
        );
        output.push(Row::new(name, "states", peak.states).at_most(peak.limit))?;
    }
    Ok(())
}

/// x ← tanh(θ·x + u), and x² beside it.
fn step() -> Arc<dyn Function> {
    function("step", |_, v| {
        let next = (v[2] * v[0] + v[1]).tanh();
        Ok(vec![next, next * next])
    })
}

/// All derivatives of a scan, with every way to keep states, against those of the graph that it stands for.
pub(crate) fn gradients(output: &mut Output) -> Result<()> {
    const STEPS: usize = 60;
    const WIDTH: usize = 5;
    let wave = |n: usize, dims: &[usize]| {
        let x: Vec<f64> = (0..n).map(|i| 0.8 * (1.3 * i as f64 + n as f64).sin()).collect();
        Tensor::from_vec(x, dims, &Device::Cpu)
    };
    let x = [
        wave(WIDTH, &[WIDTH])?,
        wave(STEPS * WIDTH, &[STEPS, WIDTH])?,
        (wave(WIDTH, &[WIDTH])? + 0.6)?,
    ];
    let inner = step();
    let unrolled = function("unrolled", move |g, v| {
        let (mut state, mut outputs) = (v[0], vec![]);
        for t in 0..STEPS {
            let out = g.apply(&inner, &[state, v[1].get(0, t), v[2]])?;
            state = out[0];
            outputs.push(out[1]);
        }
        Ok(vec![state, g.stack(&outputs, 0)])
    });
    let gradient = |f: &Arc<dyn Function>| -> Result<Vec<f64>> {
        let (y, map) = f.linearize(&x, Wrt(&[true; 3]))?;
        let seeds: Vec<_> = y.iter().map(|y| Some(y.affine(0.5, 0.25))).collect();
        let seeds =
            seeds.into_iter().map(Option::transpose).collect::<candle_core::Result<Vec<_>>>()?;
        let pulled = map.pull(&seeds)?;
        Ok(pulled
            .iter()
            .flatten()
            .map(to_f64)
            .collect::<pullback_core_graph::Result<Vec<_>>>()?
            .concat())
    };
    let want = gradient(&unrolled)?;
    let scale = want.iter().fold(0.0f64, |s, w| s.max(w.abs()));
    for (name, way) in [
        ("all maps kept", Checkpoints::Maps),
        ("all states kept", Checkpoints::States),
        ("1 state kept", Checkpoints::Revolve(1)),
        ("4 states kept", Checkpoints::Revolve(4)),
    ] {
        let scan = Scan::new("scan", step(), 1).inputs(1).outputs(1).checkpoints(way).build()?;
        let got = gradient(&scan)?;
        let error = got.iter().zip(&want).fold(0.0f64, |e, (a, b)| e.max((a - b).abs() / scale));
        let error = if got.len() == want.len() { error } else { f64::NAN };
        let name =
            format!("gradient of a scan of {STEPS} steps against the unrolled graph, {name}");
        output.push(Row::new(name, "relative", error).at_most(1e-13))?;
    }
    Ok(())
}
