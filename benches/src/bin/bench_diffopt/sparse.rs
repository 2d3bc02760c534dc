//! Sparse programs: forward against clarabel, the adjoint against diffcp.

use std::sync::Arc;

use anyhow::Result;
use benches::row::Row;
use pullback_diffopt::Degenerate;
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicTangent, Pattern};
use serde_json::json;

use crate::Bench;
use crate::common::random::Random;

/// min ½xᵀPx + qᵀx, Ax + s = b, s ≥ 0, dense row-major: P, q, A, b; the same numbers as in benches/peers/cases_diffopt.py.
fn program(n: usize, m: usize, density: f64) -> [Vec<f64>; 4] {
    let mut random = Random::new(1);
    // By columns, the places first and then the values.
    let mut draw = |rows: usize, columns: usize| -> Vec<f64> {
        let keep: Vec<bool> = (0..rows * columns).map(|_| random.uniform() < density).collect();
        let mut out = vec![0.0; rows * columns];
        let values: Vec<f64> =
            keep.iter().map(|k| if *k { random.normal() } else { 0.0 }).collect();
        for j in 0..columns {
            for i in 0..rows {
                out[i * columns + j] = values[j * rows + i];
            }
        }
        out
    };
    let factor: Vec<f64> = draw(n, n).iter().map(|x| 0.3 * x).collect();
    let a = draw(m, n);
    let mut p = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            let row = |i: usize| &factor[i * n..(i + 1) * n];
            p[i * n + j] = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
        }
        p[i * n + i] += 1e-3;
    }
    let x = random.normals(n);
    let b: Vec<f64> =
        (0..m).map(|i| a[i * n..(i + 1) * n].iter().zip(&x).map(|(a, x)| a * x).sum()).collect();
    let b = b.into_iter().map(|b: f64| b + random.uniform()).collect();
    let q = random.normals(n);
    [p, q, a, b]
}

fn upper(n: usize, p: &[f64]) -> Vec<f64> {
    (0..n * n).map(|k| if k % n < k / n { 0.0 } else { p[k] }).collect()
}

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    let n = if bench.quick { 100 } else { 400 };
    let density = if bench.quick { 0.03 } else { 0.01 };
    let [p, q, a, b] = program(n, n, density);
    let (p, p_values) = Pattern::of_dense(n, n, &upper(n, &p))?;
    let (pattern, a_values) = Pattern::of_dense(n, n, &a)?;
    let conic = Conic::new(p, pattern, vec![Cone::NonNegative(n)])?;
    let data = ConicData { p: &p_values, q: &q, a: &a_values, b: &b };
    let solution = Arc::new(conic.solve(1, &data)?);
    let parameters = json!({"n": n, "m": n, "density": density});
    let name = format!("sparse QP, n = m = {n}");
    let forward = || {
        conic.solve(1, &data)?;
        Ok(())
    };
    let t_forward = bench.time(forward)?;
    bench.output.push(Row::new(format!("{name}: forward"), "ms", t_forward * 1e3))?;
    let cotangent = ConicTangent { x: vec![1.0; n], z: vec![] };
    let t = bench.time(|| {
        let derivative = solution.derivative(&Degenerate::Average)?;
        derivative.pull(&cotangent, [true; 4], [false; 4])?;
        Ok(())
    })?;
    bench.output.push(Row::new(
        format!("{name}: backward, factorization included"),
        "ms",
        t * 1e3,
    ))?;
    let row = Row::new(format!("{name}: backward over forward"), "ratio", t / t_forward);
    bench.output.push(row.at_most(0.2))?;
    let case = ("clarabel/diffopt_sparse", parameters.clone());
    bench.against(&format!("{name}: forward"), case, 1.1, solution.x(0), forward)?;
    linear(bench, n, [&q, &a, &b], parameters)
}

/// The linear program with bounds ±10, which diffcp can differentiate.
fn linear(
    bench: &mut Bench,
    n: usize,
    [q, a, b]: [&[f64]; 3],
    parameters: serde_json::Value,
) -> Result<()> {
    let mut rows = a.to_vec();
    for sign in [1.0, -1.0] {
        for i in 0..n {
            let mut row = vec![0.0; n];
            row[i] = sign;
            rows.extend(row);
        }
    }
    let right = [b, &vec![10.0; 2 * n]].concat();
    let (pattern, values) = Pattern::of_dense(3 * n, n, &rows)?;
    let conic = Conic::new(Pattern::empty(n, n), pattern, vec![Cone::NonNegative(3 * n)])?;
    let data = ConicData { p: &[], q, a: &values, b: &right };
    let solution = Arc::new(conic.solve(1, &data)?);
    let cotangent = ConicTangent { x: vec![1.0; n], z: vec![] };
    let derivative = solution.derivative(&Degenerate::Average)?;
    let [_, dq, _, db] = derivative.pull(&cotangent, [true; 4], [false; 4])?;
    let numbers = [solution.x(0), &db, &dq].concat();
    let name = format!("sparse LP, n = {n}: backward");
    bench.against(&name, ("diffcp/diffopt_sparse", parameters), 0.1, &numbers, || {
        let derivative = solution.derivative(&Degenerate::Average)?;
        derivative.pull(&cotangent, [true; 4], [false; 4])?;
        Ok(())
    })
}
