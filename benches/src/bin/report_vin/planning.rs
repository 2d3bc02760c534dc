//! Values against LU, ways of differentiating against each other and against differences, the filter against the planner.

use anyhow::Result;
use benches::output::Output;
use benches::row::Row;
use pullback_core_graph::linalg;
use pullback_vin::belief::{expected, predict};
use pullback_vin::gradient::{Plan, Way};
use pullback_vin::policy::policy_of;
use pullback_vin::process::{Backup, Parametric, Process};
use pullback_vin::solve::{Method, Settings, solve};

use crate::common::{Random, Visit, apart, dot, each, grid, grids, laws};

const BACKUPS: [(&str, Backup); 3] = [
    ("hard", Backup::Hard),
    ("soft", Backup::Soft { temperature: 0.05 }),
    ("mellow", Backup::Mellow { temperature: 0.05 }),
];

#[derive(Default)]
struct Measures {
    processes: usize,
    lu: f64,
    ways: [f64; 3],
    adjointness: f64,
    differences: f64,
}

impl Visit for Measures {
    fn visit<P: Parametric>(&mut self, _: &str, process: &P) -> pullback_vin::Result<()> {
        self.processes += 1;
        let exact = solve(process, &Settings { tolerance: 1e-12, ..Settings::default() })?;
        self.lu = self.lu.max(from_lu(process, &exact.values)?);
        for (_, backup) in BACKUPS {
            for (worst, now) in self.ways.iter_mut().zip(laws::ways(process, backup)?) {
                *worst = worst.max(now);
            }
            for way in [Way::Unrolled { sweeps: 9 }, Way::Implicit] {
                let plan = Plan { way, backup, ..Plan::default() };
                self.adjointness = self.adjointness.max(laws::adjointness(process, &plan)?);
                self.differences = self.differences.max(laws::differences(process, &plan, 3)?);
            }
        }
        Ok(())
    }
}

/// How far values are from the exact ones of their own greedy policy; 0 where a state has none, for LU cannot say so.
fn from_lu<P: Process>(process: &P, values: &[f64]) -> pullback_vin::Result<f64> {
    let policy = policy_of(process, values, Backup::Hard)?;
    let states: Vec<usize> = (0..process.states()).filter(|&s| values[s].is_finite()).collect();
    let row_of = |s: usize| states.binary_search(&s).ok();
    let n = states.len();
    let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n]);
    for (row, &s) in states.iter().enumerate() {
        a[row * n + row] = 1.0;
        match process.terminal(s) {
            Some(value) => b[row] = value,
            None => {
                let action = policy.row(s).iter().position(|p| *p == 1.0).unwrap_or(0);
                b[row] = process.reward(s, action).unwrap_or(f64::NAN);
                process.successors(s, action, &mut |next, p| {
                    if let Some(column) = row_of(next) {
                        a[row * n + column] -= process.discount() * p;
                    }
                });
            }
        }
    }
    let (mut lu, mut pivots, mut x) = (vec![0.0; n * n], vec![0; n], vec![0.0; n]);
    if linalg::solve(1, n, 1, &a, &b, &mut lu, &mut pivots, &mut x).is_err() {
        return Ok(f64::NAN);
    }
    let found: Vec<f64> = states.iter().map(|&s| values[s]).collect();
    Ok(apart(&x, &found))
}

pub(crate) fn rows(output: &mut Output) -> Result<()> {
    let mut m = Measures::default();
    each(&mut m)?;
    output.push(Row::new("processes, each with three backups", "processes", m.processes as f64))?;
    output.push(Row::new("V of Jacobi sweeps against LU", "relative", m.lu).at_most(1e-10))?;
    let exact = Settings::by(Method::PolicyIteration);
    let mut worst = 0.0f64;
    for (_, spec, open) in grids() {
        let process = grid(spec, open)?;
        let swept = solve(&process, &Settings { tolerance: 1e-12, ..Settings::default() })?;
        worst = worst.max(apart(&solve(&process, &exact)?.values, &swept.values));
    }
    output.push(
        Row::new("grids: policy iteration against sweeps", "relative", worst).at_most(1e-10),
    )?;
    let [checkpointed, implicit, truncated] = m.ways;
    let name = |way: &str| format!("gradients: {way} against unrolled");
    output.push(Row::new(name("checkpointed"), "relative", checkpointed).at_most(0.0))?;
    output.push(Row::new(name("implicit"), "relative", implicit).at_most(1e-8))?;
    output.push(Row::new(name("truncated (3,000 terms)"), "relative", truncated).at_most(1e-8))?;
    output
        .push(Row::new("gradients against differences", "relative", m.differences).at_most(1e-6))?;
    output
        .push(Row::new("plans: ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩", "relative", m.adjointness).at_most(1e-11))?;
    let mut filter = 0.0f64;
    for (_, spec, open) in grids() {
        let process = grid(spec, open)?;
        let mut random = Random::new(2);
        let (b, v) = (random.normals(process.states()), random.normals(process.states()));
        for action in 0..process.actions() {
            let left = dot(&expected(&process, &v, action)?, &b);
            let right = dot(&v, &predict(&process, &b, action)?);
            filter = filter.max((left - right).abs() / left.abs().max(1.0));
        }
    }
    output.push(
        Row::new("planner and filter: ⟨P·V, b⟩ = ⟨V, Pᵀ·b⟩", "relative", filter).at_most(1e-12),
    )
}
