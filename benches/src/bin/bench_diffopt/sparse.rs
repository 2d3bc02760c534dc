//! Sparse and conic programs: forward against clarabel, both ways against moreau, the adjoint against diffcp.

use std::sync::Arc;

use anyhow::Result;
use benches::bench::Bench;
use benches::row::Row;
use pullback_diffopt::Degenerate;
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicTangent, Pattern};
use serde_json::json;

use crate::common::conic_problems::ConicProblem;
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
    let batch = if bench.quick { 8 } else { 32 };
    for items in [1, batch] {
        let slopes: Vec<f64> =
            (0..items).flat_map(|i| q.iter().map(move |q| q * (1.0 + 0.01 * i as f64))).collect();
        let data = ConicData { q: &slopes, ..data };
        let name = format!("sparse QPs, n = m = {n}, batch {items}");
        let mut parameters = parameters.clone();
        parameters["batch"] = json!(items);
        both(bench, &name, "moreau/diffopt_sparse", parameters, (&conic, items, &data))?;
    }
    cones(bench)?;
    linear(bench, n, [&q, &a, &b], parameters)
}

/// Forward, and forward with the gradients of Σ x by all data.
fn both(
    bench: &mut Bench,
    name: &str,
    case: &str,
    parameters: serde_json::Value,
    (conic, batch, data): (&Conic, usize, &ConicData<'_>),
) -> Result<()> {
    let cotangent = ConicTangent { x: vec![1.0; batch * conic.sizes().0], z: vec![] };
    let forward = || {
        conic.solve(batch, data)?;
        Ok(())
    };
    let gradients = || {
        let solution = Arc::new(conic.solve(batch, data)?);
        let derivative = solution.derivative(&Degenerate::Average)?;
        Ok((derivative.pull(&cotangent, [true; 4], [false; 4])?, solution))
    };
    let ([_, dq, _, db], solution): ([Vec<f64>; 4], _) = gradients()?;
    let x: Vec<f64> = (0..batch).flat_map(|i| solution.x(i)).copied().collect();
    let numbers = [&x[..], &dq, &db].concat();
    if batch == 1 {
        differences(bench, name, conic, data, [&dq, &db])?;
    }
    for backward in [false, true] {
        let mut parameters = parameters.clone();
        parameters["backward"] = json!(backward);
        if backward {
            let name = format!("{name}: forward and backward");
            bench.against(&name, (case, parameters), None, &numbers, || gradients().map(|_| ()))?;
        } else {
            bench.against(&format!("{name}: forward"), (case, parameters), None, &x, forward)?;
        }
    }
    Ok(())
}

/// Our gradients of Σ x against fourth-order differences along one direction of q and b: says who is right where systems differ.
fn differences(
    bench: &mut Bench,
    name: &str,
    conic: &Conic,
    data: &ConicData<'_>,
    [dq, db]: [&[f64]; 2],
) -> Result<()> {
    let mut random = Random::new(3);
    let (along_q, along_b) = (random.normals(dq.len()), random.normals(db.len()));
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let ours = sum(dq, &along_q) + sum(db, &along_b);
    let mut error = f64::INFINITY;
    for h in [1e-5, 1e-6, 1e-7] {
        let at = |t: f64| -> Result<f64> {
            let moved = |v: &[f64], d: &[f64]| -> Vec<f64> {
                v.iter().zip(d).map(|(v, d)| v + t * h * d).collect()
            };
            let (q, b) = (moved(data.q, &along_q), moved(data.b, &along_b));
            let solution = conic.solve(1, &ConicData { q: &q, b: &b, ..*data })?;
            Ok(solution.x(0).iter().sum())
        };
        let difference = (at(-2.0)? - 8.0 * at(-1.0)? + 8.0 * at(1.0)? - at(2.0)?) / (12.0 * h);
        error = error.min((difference - ours).abs() / difference.abs());
    }
    let row = Row::new(format!("{name}: our gradients against differences"), "relative", error);
    bench.output.push(row.at_most(1e-6))
}

/// A program with second-order and exponential cones.
fn cones(bench: &mut Bench) -> Result<()> {
    let n = 60;
    let mut cones = vec![Cone::Zero(20), Cone::NonNegative(60)];
    cones.extend([Cone::SecondOrder(5); 20]);
    cones.extend([Cone::Exponential; 10]);
    let Some(program) = ConicProblem::random("cones", 1, n, cones, false) else {
        anyhow::bail!("the conic program is refused");
    };
    let name = format!("cone program, n = {n}, 210 rows");
    let (conic, data) = (&program.conic, program.data());
    let solution = conic.solve(1, &data)?;
    let case = ("clarabel/diffopt_conic", json!({"n": n}));
    bench.against(&format!("{name}: forward"), case, 1.1, solution.x(0), || {
        conic.solve(1, &data)?;
        Ok(())
    })?;
    both(bench, &name, "moreau/diffopt_conic", json!({"n": n}), (conic, 1, &data))
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
