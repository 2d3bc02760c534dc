//! Measures of plans that tests assert and `report vin` prints.

use pullback_vin::Result;
use pullback_vin::gradient::{Cotangent, Gradient, Plan, Tangent, Way};
use pullback_vin::process::{Backup, Parametric};

use super::{Random, apart, dot};

/// Sweeps after which all of the processes have converged.
pub const SWEEPS: usize = 3000;

/// A random cotangent at V and Q, 0 where there is no value.
pub fn cotangent<P: Parametric>(process: &P, values: &[f64], q: &[f64], seed: u64) -> Cotangent {
    let mut random = Random::new(seed);
    let at = |x: &f64, random: &mut Random| if x.is_finite() { random.normal() } else { 0.0 };
    let of_values = values.iter().map(|v| at(v, &mut random)).collect();
    let of_q = q.iter().map(|q| at(q, &mut random)).collect();
    let _ = process;
    Cotangent { values: of_values, action_values: of_q }
}

/// All numbers of a gradient but that by V₀.
pub fn numbers(g: &Gradient) -> Vec<f64> {
    [&g.parameters[..], &[g.discount, g.temperature], &g.terminal].concat()
}

pub fn direction<P: Parametric>(process: &P, seed: u64) -> Tangent {
    let mut random = Random::new(seed);
    let n = process.states();
    Tangent {
        parameters: random.normals(process.parameters().len()),
        discount: random.normal(),
        temperature: random.normal(),
        initial: random.normals(n),
        terminal: random.normals(n),
    }
}

/// ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩: the relative difference, with a cotangent of V.
pub fn adjointness<P: Parametric>(process: &P, plan: &Plan) -> Result<f64> {
    let planned = plan.of(process, &[])?;
    let mut v = cotangent(process, &planned.values, &[], 11);
    v.action_values.clear();
    let u = direction(process, 12);
    let pushed = planned.push(&u)?;
    let g = planned.pull(&v)?;
    let left = dot(&pushed, &v.values);
    let right = dot(&g.parameters, &u.parameters)
        + g.discount * u.discount
        + g.temperature * u.temperature
        + dot(&g.initial, &u.initial)
        + dot(&g.terminal, &u.terminal);
    Ok((left - right).abs() / left.abs().max(right.abs()).max(1e-300))
}

/// The gradients of every way against the first, at convergence: unrolled, checkpointed, implicit, truncated after as many terms.
pub fn ways<P: Parametric>(process: &P, backup: Backup) -> Result<[f64; 3]> {
    let of = |way: Way| -> Result<Vec<f64>> {
        let planned = Plan { way, backup, ..Plan::default() }.of(process, &[])?;
        let v = cotangent(process, &planned.values, &planned.action_values(), 5);
        Ok(numbers(&planned.pull(&v)?))
    };
    let unrolled = of(Way::Unrolled { sweeps: SWEEPS })?;
    let others =
        [Way::Checkpointed { sweeps: SWEEPS }, Way::Implicit, Way::Truncated { terms: SWEEPS }];
    let mut apart_by = [0.0; 3];
    for (way, by) in others.into_iter().zip(&mut apart_by) {
        *by = apart(&of(way)?, &unrolled);
    }
    Ok(apart_by)
}

/// The gradient against fourth-order differences of L = ⟨c, V⟩ along a random direction of θ: the best of three steps, relative.
pub fn differences<P: Parametric>(process: &P, plan: &Plan, seed: u64) -> Result<f64> {
    let planned = plan.of(process, &[])?;
    let mut v = cotangent(process, &planned.values, &[], seed);
    v.action_values.clear();
    let g = planned.pull(&v)?;
    let mut u = Random::new(seed + 1).normals(g.parameters.len());
    // Probabilities keep the sum of their row: a direction across would leave the domain.
    project(process, &mut u);
    let theta = process.parameters();
    let loss = |t: f64| -> Result<f64> {
        let moved: Vec<f64> = theta.iter().zip(&u).map(|(x, u)| x + t * u).collect();
        let moved = process.with_parameters(&moved)?;
        let values = plan.of(&moved, &[])?.values;
        Ok(values.iter().zip(&v.values).filter(|(v, _)| v.is_finite()).map(|(a, b)| a * b).sum())
    };
    let want = dot(&g.parameters, &u);
    let mut best = f64::INFINITY;
    for h in [1e-3, 1e-4, 1e-5] {
        let [a, b, c, d] = [loss(-2.0 * h)?, loss(-h)?, loss(h)?, loss(2.0 * h)?];
        let slope = (a - 8.0 * b + 8.0 * c - d) / (12.0 * h);
        best = best.min((slope - want).abs() / want.abs().max(1e-3));
    }
    Ok(best)
}

fn project<P: Parametric>(process: &P, u: &mut [f64]) {
    let blocks = process.blocks();
    for (block, range) in blocks.iter().zip(pullback_vin::process::ranges(&blocks)) {
        match block.name {
            // Rows of P: the process itself knows which entries belong together, so every entry of a row gets what keeps its sum.
            "transition" => {
                let mut at = range.start;
                for s in 0..process.states() {
                    for a in 0..process.actions() {
                        let count = if block.dims.len() == 3 {
                            process.states()
                        } else {
                            row_length(process, s, a)
                        };
                        let row = &mut u[at..at + count];
                        let mean = row.iter().sum::<f64>() / count.max(1) as f64;
                        row.iter_mut().for_each(|x| *x = 0.1 * (*x - mean));
                        at += count;
                    }
                }
            }
            // Probabilities at the edge of their domain stay there.
            "slip" | "stay" => {
                for i in range {
                    u[i] *= if process.parameters()[i] > 0.0 { 0.1 } else { 0.0 };
                }
            }
            "open" => range.for_each(|i| u[i] *= 0.01),
            _ => {}
        }
    }
}

fn row_length<P: Parametric>(process: &P, s: usize, a: usize) -> usize {
    let mut count = 0;
    if process.reward(s, a).is_some() {
        process.successors(s, a, &mut |_, _| count += 1);
    }
    count
}
