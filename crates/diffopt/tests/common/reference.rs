//! Gradients in other systems: the table that tools/reference/generate_diffopt.py writes, and how far ours are from it.

use std::sync::Arc;

use pullback_diffopt::Degenerate;
use pullback_diffopt::conic::{ConicData, ConicTangent};
use pullback_diffopt::qp::QpTangent;
use serde_json::Value;

use super::conic_problems::forty;
use super::problems::{Problem, dot};

const TABLE: &str = include_str!("../reference/gradients.json");

/// What a comparison found.
pub struct Found {
    /// System and version.
    pub system: String,
    pub programs: usize,
    /// The largest difference, relative to the gradient's norm.
    pub worst: f64,
    /// Where that is.
    pub at: String,
    /// The largest difference in each program.
    pub each: Vec<f64>,
}

impl Found {
    /// The difference in the middle program.
    pub fn median(&self) -> f64 {
        let mut each = self.each.clone();
        each.sort_by(f64::total_cmp);
        each.get(each.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Element i is sin(0.7·i + 1.3·stream).
fn wave(stream: usize, k: usize) -> Vec<f64> {
    (0..k).map(|i| (0.7 * i as f64 + 1.3 * stream as f64).sin()).collect()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().map(|a| a.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

/// (table, found so far) ↦ with one more comparison.
fn compare(found: &mut Found, at: &str, gradients: &[(usize, &[f64])], theirs: &[f64]) {
    found.programs += 1;
    let mut here = 0.0;
    for ((stream, gradient), theirs) in gradients.iter().zip(theirs) {
        let ours = dot(gradient, &wave(*stream, gradient.len()));
        let error = (ours - theirs).abs() / dot(gradient, gradient).sqrt().max(1e-3);
        here = if error.is_nan() || here < error { error } else { here };
        if error.is_nan() || found.worst < error {
            (found.worst, found.at) = (error, format!("{at}, argument {stream}"));
        }
    }
    found.each.push(here);
}

/// Quadratic programs against one system.
pub fn quadratic(system: &str) -> Result<Found, Box<dyn std::error::Error>> {
    let table: Value = serde_json::from_str(TABLE)?;
    let mut found = empty(&table, system);
    for row in table["quadratic"].as_array().into_iter().flatten() {
        let whole = |k: &str| row[k].as_u64().unwrap_or(0) as usize;
        let (n, m, batch) = (whole("n"), whole("m"), whole("batch"));
        let ridge = row["ridge"].as_f64().unwrap_or(f64::NAN);
        let problem = Problem::random(whole("seed") as u64, (n, 0, m, batch), ridge);
        let solution = Arc::new(problem.qp().solve(batch, &problem.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        let x = wave(9, n).repeat(batch);
        let cotangent = QpTangent { x, ..QpTangent::default() };
        let [q_matrix, q, _, _, g, h] = derivative.pull(&cotangent, [true; 6], [false; 6])?;
        for (i, theirs) in row[system].as_array().into_iter().flatten().enumerate() {
            let one = |v: &[f64], k: usize| v[i * k..(i + 1) * k].to_vec();
            let parts = [one(&q_matrix, n * n), one(&q, n), one(&g, m * n), one(&h, m)];
            let parts: Vec<(usize, &[f64])> =
                parts.iter().enumerate().map(|(k, p)| (k, p.as_slice())).collect();
            compare(&mut found, &format!("n = {n}, m = {m}, item {i}"), &parts, &numbers(theirs));
        }
    }
    Ok(found)
}

/// Linear conic programs against diffcp.
pub fn conic() -> Result<Found, Box<dyn std::error::Error>> {
    let table: Value = serde_json::from_str(TABLE)?;
    let mut found = empty(&table, "diffcp");
    let programs = forty();
    for row in table["conic"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default();
        let Some(program) = programs.iter().find(|p| p.name == name) else {
            return Err(format!("no program {name:?}").into());
        };
        let solution = Arc::new(program.conic.solve(1, &program.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        let (n, _) = program.conic.sizes();
        let cotangent = ConicTangent { x: wave(9, n), z: vec![] };
        let [_, q, a, b] = derivative.pull(&cotangent, [true; 4], [false; 4])?;
        compare(&mut found, name, &[(1, &q), (2, &a), (3, &b)], &numbers(&row["diffcp"]));
    }
    Ok(found)
}

/// The worst errors of diffcp and of ours against fourth-order differences of the solution map, in the programs of [`conic`].
pub fn conic_differences() -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let table: Value = serde_json::from_str(TABLE)?;
    let programs = forty();
    let mut worst = [0.0f64; 2];
    for row in table["conic"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default();
        let Some(program) = programs.iter().find(|p| p.name == name) else {
            return Err(format!("no program {name:?}").into());
        };
        let solution = Arc::new(program.conic.solve(1, &program.data())?);
        let derivative = solution.derivative(&Degenerate::Refuse)?;
        let x = wave(9, program.conic.sizes().0);
        let cotangent = ConicTangent { x: x.clone(), z: vec![] };
        let gradients = derivative.pull(&cotangent, [true; 4], [false; 4])?;
        let theirs = numbers(&row["diffcp"]);
        for k in 1..4 {
            let mut direction =
                [&program.p, &program.q, &program.a, &program.b].map(|v| vec![0.0; v.len()]);
            direction[k] = wave(k, direction[k].len());
            let mut errors = [f64::INFINITY; 2];
            let ours = dot(&gradients[k], &direction[k]);
            let size = dot(&gradients[k], &gradients[k]).sqrt().max(1e-3);
            for h in [1e-3, 1e-4, 1e-5] {
                let at = |t: f64| -> Result<f64, Box<dyn std::error::Error>> {
                    let [p, q, a, b] = program.moved(&direction, t * h);
                    let data = ConicData { p: &p, q: &q, a: &a, b: &b };
                    Ok(dot(&x, program.conic.solve(1, &data)?.x(0)))
                };
                let [a, b, c, d] = [at(-2.0)?, at(-1.0)?, at(1.0)?, at(2.0)?];
                let difference = (a - 8.0 * b + 8.0 * c - d) / (12.0 * h);
                let mine = (ours - difference).abs() / size;
                // The step that suits ours best is the one that says most.
                if mine < errors[1] {
                    errors = [(theirs[k - 1] - difference).abs() / size, mine];
                }
            }
            for (worst, error) in worst.iter_mut().zip(errors) {
                *worst = if error.is_nan() || *worst < error { error } else { *worst };
            }
        }
    }
    Ok(worst)
}

fn empty(table: &Value, system: &str) -> Found {
    // "qpth at the optimum" is qpth's version.
    let (name, how) = system.split_once(' ').unwrap_or((system, ""));
    let version = table["versions"][name].as_str().unwrap_or("");
    Found {
        system: format!("{name} {version} {how}").trim_end().to_owned(),
        programs: 0,
        worst: 0.0,
        at: String::new(),
        each: vec![],
    }
}
