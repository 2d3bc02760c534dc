//! Every way of differentiating every kind of process: against each other, against differences, the transpose law.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{Visit, apart, dense, dot, each, grid, laws};
use pullback_vin::gradient::{Cotangent, Plan, Tangent, Way};
use pullback_vin::grid::GridSpec;
use pullback_vin::process::{Backup, Dense, Parametric, Process};
use pullback_vin::{Error, Result};

const BACKUPS: [Backup; 3] =
    [Backup::Hard, Backup::Soft { temperature: 0.05 }, Backup::Mellow { temperature: 0.05 }];

struct Ways;

impl Visit for Ways {
    fn visit<P: Parametric>(&mut self, name: &str, process: &P) -> Result<()> {
        for backup in BACKUPS {
            let [checkpointed, implicit, truncated] = laws::ways(process, backup)?;
            // The sums of the checkpointed way are the same sums.
            assert!(checkpointed == 0.0, "{name}, {backup:?}: checkpointed {checkpointed:e}");
            assert!(implicit < 1e-8, "{name}, {backup:?}: implicit {implicit:e}");
            assert!(truncated < 1e-8, "{name}, {backup:?}: truncated {truncated:e}");
        }
        Ok(())
    }
}

#[test]
fn all_ways_agree_at_convergence() -> Result<()> {
    each(&mut Ways)
}

struct Adjoint;

impl Visit for Adjoint {
    fn visit<P: Parametric>(&mut self, name: &str, process: &P) -> Result<()> {
        for backup in BACKUPS {
            for way in [
                Way::Unrolled { sweeps: 13 },
                Way::Checkpointed { sweeps: 13 },
                Way::Implicit,
                Way::Truncated { terms: 5 },
            ] {
                let plan = Plan { way, backup, ..Plan::default() };
                let apart = laws::adjointness(process, &plan)?;
                assert!(apart < 1e-11, "{name}, {backup:?}, {way:?}: {apart:e}");
            }
        }
        Ok(())
    }
}

#[test]
fn pushed_and_pulled_are_transposes() -> Result<()> {
    each(&mut Adjoint)
}

struct Differences;

impl Visit for Differences {
    fn visit<P: Parametric>(&mut self, name: &str, process: &P) -> Result<()> {
        for backup in BACKUPS {
            for way in [Way::Unrolled { sweeps: 9 }, Way::Implicit] {
                let apart =
                    laws::differences(process, &Plan { way, backup, ..Plan::default() }, 3)?;
                assert!(apart < 1e-6, "{name}, {backup:?}, {way:?}: {apart:e}");
            }
        }
        Ok(())
    }
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    each(&mut Differences)
}

/// By γ, τ, V₀ and the terminal values: the process is made anew, for they are not in θ.
#[test]
fn slopes_by_everything_else() -> Result<()> {
    let of = |discount: f64, ends: [f64; 2]| -> Result<Dense> {
        let base = dense(8, [7, 3], 0.9, true)?;
        let (reward, transition) = {
            let all = base.parameters();
            (all[..21].to_vec(), all[21..].to_vec())
        };
        Dense::new([7, 3], reward, transition, discount, &[(1, ends[0]), (3, ends[1])])
    };
    let c = [0.3, -1.0, 0.8, 0.2, 1.1, -0.4, 0.6];
    for (way, k) in [(Way::Implicit, 0), (Way::Unrolled { sweeps: 6 }, 6)] {
        for base in [Backup::Soft { temperature: 0.3 }, Backup::Mellow { temperature: 0.3 }] {
            let v0: Vec<f64> = (0..7).map(|i| 0.1 * f64::from(i)).collect();
            let loss = |x: &[f64; 5]| -> Result<f64> {
                let plan = Plan { way, backup: base.with_temperature(x[1]), ..Plan::default() };
                let mut start = v0.clone();
                start[2] = x[4];
                Ok(dot(&c, &plan.of(&of(x[0], [x[2], x[3]])?, &start)?.values))
            };
            let x = [0.9, 0.3, 0.7, -0.4, 0.2];
            let plan = Plan { way, backup: base, ..Plan::default() };
            let process = of(0.9, [0.7, -0.4])?;
            let planned = plan.of(&process, &v0)?;
            let g = planned.pull(&Cotangent { values: c.to_vec(), ..Cotangent::default() })?;
            let got = [g.discount, g.temperature, g.terminal[1], g.terminal[3], g.initial[2]];
            for i in 0..5 {
                let at = |t: f64| {
                    let mut y = x;
                    y[i] += t;
                    loss(&y)
                };
                let h = 1e-4;
                let slope =
                    (at(-2.0 * h)? - 8.0 * at(-h)? + 8.0 * at(h)? - at(2.0 * h)?) / (12.0 * h);
                assert!(
                    (slope - got[i]).abs() < 1e-7,
                    "{way:?}, {base:?}, {i}: {slope} {}",
                    got[i]
                );
            }
            assert!(k > 0 || g.initial.iter().all(|g| *g == 0.0));
        }
    }
    Ok(())
}

#[test]
fn a_taylor_remainder_of_second_order() -> Result<()> {
    let process =
        grid(GridSpec { slip: 0.2, stay: 0.1, discount: 0.95, ..GridSpec::default() }, true)?;
    let plan = Plan { backup: Backup::Soft { temperature: 0.2 }, ..Plan::default() };
    let planned = plan.of(&process, &[])?;
    let mut u = common::Random::new(3).normals(process.parameters().len());
    u.iter_mut().for_each(|u| *u *= 0.1);
    let slope = planned.push(&Tangent { parameters: u.clone(), ..Tangent::default() })?;
    let remainder = |t: f64| -> Result<f64> {
        let theta = process.parameters();
        let moved: Vec<f64> = theta.iter().zip(&u).map(|(x, u)| x + t * u).collect();
        let after = plan.of(&process.with_parameters(&moved)?, &[])?.values;
        let each =
            after.iter().zip(&planned.values).zip(&slope).filter(|((a, _), _)| a.is_finite());
        Ok(each.map(|((a, b), s)| (a - b - t * s).abs()).fold(0.0, f64::max))
    };
    let order = (remainder(2e-3)? / remainder(1e-3)?).log2();
    assert!((order - 2.0).abs() < 0.1, "order {order}");
    Ok(())
}

#[test]
fn hard_ties_go_to_the_first_action() -> Result<()> {
    // Two actions of the same worth.
    let process = Dense::new([2, 2], vec![-1.0; 4], [0.0, 1.0].repeat(4), 0.9, &[(1, 0.0)])?;
    for way in [Way::Implicit, Way::Unrolled { sweeps: 3 }] {
        let planned = Plan { way, ..Plan::default() }.of(&process, &[])?;
        let g = planned.pull(&Cotangent { values: vec![1.0, 0.0], ..Cotangent::default() })?;
        assert_eq!(g.parameters[..2], [1.0, 0.0], "{way:?}");
    }
    Ok(())
}

/// A robot with a heading does not slip: its Q does not depend on the probability of it.
#[test]
fn a_heading_has_no_slope_by_slip() -> Result<()> {
    for (name, spec, open) in common::grids() {
        if spec.connectivity != pullback_vin::grid::Connectivity::Heading {
            continue;
        }
        let process = grid(spec, open)?;
        let planned = Plan::default().of(&process, &[])?;
        let (cells, theta) = (process.map().cells(), process.parameters());
        let valued = planned.values.iter().map(|v| f64::from(u8::from(v.is_finite())));
        let cotangent = Cotangent { values: valued.collect(), ..Cotangent::default() };
        let g = planned.pull(&cotangent)?.parameters;
        assert_eq!((g[cells], g[cells + 1] < 0.0), (0.0, true), "{name}");
        let mut along = vec![0.0; theta.len()];
        along[cells] = 1.0;
        let pushed = planned.push(&Tangent { parameters: along, ..Tangent::default() })?;
        assert!(pushed.iter().all(|d| *d == 0.0), "{name}");
    }
    Ok(())
}

#[test]
fn temperature_to_zero_is_the_hard_maximum() -> Result<()> {
    let process = dense(21, [15, 4], 0.9, false)?;
    let hard = Plan::default().of(&process, &[])?.values;
    let mut before = f64::INFINITY;
    for temperature in [1.0, 0.1, 0.01, 0.001] {
        let soft = Plan { backup: Backup::Soft { temperature }, ..Plan::default() };
        let values = soft.of(&process, &[])?.values;
        // 0 ≤ V_τ − V ≤ τ·ln A/(1 − γ).
        let gap = values.iter().zip(&hard).map(|(a, b)| a - b).fold(0.0, f64::max);
        assert!(gap <= temperature * 4f64.ln() / 0.1 + 1e-12 && gap < before);
        before = gap;
        let mellow = Plan { backup: Backup::Mellow { temperature }, ..Plan::default() };
        let below = mellow.of(&process, &[])?.values;
        assert!(below.iter().zip(&hard).all(|(a, b)| a <= &(b + 1e-12)));
    }
    Ok(())
}

#[test]
fn the_tape_of_checkpoints_is_a_root() -> Result<()> {
    let process = grid(GridSpec::default(), false)?;
    let bytes = |way: Way| -> Result<usize> {
        Ok(Plan { way, ..Plan::default() }.of(&process, &[])?.trace_bytes())
    };
    let n = process.states();
    assert_eq!(bytes(Way::Unrolled { sweeps: 400 })?, 400 * 9 * n);
    assert_eq!(bytes(Way::Checkpointed { sweeps: 400 })?, 20 * 8 * n);
    assert!(bytes(Way::Implicit)? < 100 * n);
    Ok(())
}

#[test]
fn what_has_no_derivative_is_refused() -> Result<()> {
    let process = grid(GridSpec::default(), false)?;
    let planned = Plan::default().of(&process, &[])?;
    let wall = process.map().solid().iter().position(|s| *s).unwrap();
    let mut values = vec![0.0; process.states()];
    values[wall] = 1.0;
    let error = planned.pull(&Cotangent { values, ..Cotangent::default() });
    assert!(error.unwrap_err().to_string().contains(&format!("state {wall}")));
    let error = planned.pull(&Cotangent { values: vec![f64::NAN], ..Cotangent::default() });
    assert!(matches!(error, Err(Error::Length { expected: 104, got: 1, .. })));
    // Entropy pays for going round in circles: no fixed point with γ = 1.
    let hot = Plan { backup: Backup::Soft { temperature: 5.0 }, ..Plan::default() };
    let refused = hot.of(&process, &[]);
    assert!(matches!(refused, Err(Error::NotSolved { .. } | Error::NotContracting { .. })));
    let unset = Plan { backup: Backup::Soft { temperature: 0.0 }, ..Plan::default() };
    assert!(matches!(unset.of(&process, &[]), Err(Error::Invalid { .. })));
    Ok(())
}

#[test]
fn the_same_bits_for_any_number_of_threads() -> Result<()> {
    let process = grid(GridSpec { slip: 0.1, discount: 0.99, ..GridSpec::default() }, false)?;
    let run = |threads: usize| -> Vec<f64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let planned = Plan::default().of(&process, &[]).unwrap();
            let mut v = laws::cotangent(&process, &planned.values, &[], 1);
            v.action_values.clear();
            laws::numbers(&planned.pull(&v).unwrap())
        })
    };
    assert_eq!(run(1), run(3));
    assert!(apart(&run(1), &run(2)) == 0.0);
    Ok(())
}
