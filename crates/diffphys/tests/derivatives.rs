//! Every derivative against another way to it: pulls against Jacobians, Jacobians and parameters against differences of our own steps.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{direction, error, model, multiply, multiply_transpose, states};
use pullback_diffphys::{Cotangent, Data, Model, Parameter, Rollout, StepDerivative};

const DIFFERENTIABLE: [&str; 9] =
    ["logs", "shapes", "cones", "pile", "arm", "arm_implicit", "arm_rk", "spinner", "tumbler"];

/// Visits states whose rows are not next to switching, with the step evaluated.
fn each_state(mut visit: impl FnMut(&str, &Model, &Data, &mut StepDerivative)) {
    for name in DIFFERENTIABLE.iter().chain(&common::JOINTS) {
        let model = model(name);
        let mut step = StepDerivative::new(&model);
        let mut used = 0;
        for data in states(&model, 24, 7) {
            step.evaluate(&model, &data).unwrap();
            let contacts = step.data().contact();
            let onset = contacts.iter().any(|c| (c.dist - c.includemargin).abs() < 1e-5);
            if onset || step.report().nearest.is_some_and(|(_, d)| d < 1e-5) {
                continue;
            }
            visit(name, &model, &data, &mut step);
            used += 1;
        }
        assert!(used >= 3, "{name}: {used} states");
    }
}

/// A cotangent or tangent as one list.
fn flat(c: &Cotangent) -> Vec<f64> {
    [c.qpos.as_slice(), &c.qvel, &c.act].concat()
}

fn unflat(model: &Model, x: &[f64]) -> Cotangent {
    let nv = model.nv();
    let mut c = Cotangent::zeros(model);
    c.qpos.copy_from_slice(&x[..nv]);
    c.qvel.copy_from_slice(&x[nv..2 * nv]);
    c.act.copy_from_slice(&x[2 * nv..]);
    c
}

/// The next state as a tangent from `origin`.
fn next(model: &Model, data: &Data, origin: &Data) -> Vec<f64> {
    let mut moved = data.clone();
    model.step(&mut moved).unwrap();
    let mut dq = vec![0.0; model.nv()];
    model.difference(&origin.qpos, &moved.qpos, &mut dq).unwrap();
    [dq, moved.qvel, moved.act].concat()
}

/// Central difference of the next state along a change of the inputs.
fn difference(
    model: &Model,
    data: &Data,
    h: f64,
    mut change: impl FnMut(&mut Data, &mut Model, f64),
) -> Vec<f64> {
    let mut origin = data.clone();
    model.step(&mut origin).unwrap();
    let mut side = |s: f64| {
        let (mut data, mut model) = (data.clone(), model.clone());
        change(&mut data, &mut model, s);
        next(&model, &data, &origin)
    };
    let (plus, minus) = (side(h), side(-h));
    plus.iter().zip(&minus).map(|(p, m)| (p - m) / (2.0 * h)).collect()
}

#[test]
fn pulls_are_the_transposed_jacobians() {
    each_state(|name, model, _, step| {
        let n = 2 * model.nv() + model.na();
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
        step.jacobians(model, &mut a, &mut b).unwrap();
        let y = direction(n);
        let mut x = Cotangent::zeros(model);
        step.pull(model, &unflat(model, &y), &mut x).unwrap();
        let e = error(&flat(&x), &multiply_transpose(&a, &y), 1.0);
        assert!(e < 1e-11, "{name}: A {e:.1e}");
        if model.nu() > 0 {
            let e = error(&x.ctrl, &multiply_transpose(&b, &y), 1.0);
            assert!(e < 1e-11, "{name}: B {e:.1e}");
        }
    });
}

#[test]
fn pushes_are_the_jacobians() {
    each_state(|name, model, _, step| {
        let (n, nu) = (2 * model.nv() + model.na(), model.nu());
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * nu]);
        step.jacobians(model, &mut a, &mut b).unwrap();
        let mut x = unflat(model, &direction(n));
        x.ctrl.copy_from_slice(&direction(nu));
        let mut y = Cotangent::zeros(model);
        step.push(model, &x, &mut y).unwrap();
        let mut want = multiply(&a, &direction(n));
        for (w, by) in want.iter_mut().zip(multiply(&b, &direction(nu))) {
            *w += by;
        }
        let e = error(&flat(&y), &want, 1.0);
        assert!(e < 1e-11, "{name}: {e:.1e}");
        // Applied forces: ⟨push(τ), w⟩ = ⟨τ, pull(w)⟩.
        let mut x = Cotangent::zeros(model);
        x.qfrc_applied.copy_from_slice(&direction(model.nv()));
        step.push(model, &x, &mut y).unwrap();
        let w = direction(n);
        let mut back = Cotangent::zeros(model);
        step.pull(model, &unflat(model, &w), &mut back).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (pushed, pulled) = (dot(&flat(&y), &w), dot(&back.qfrc_applied, &x.qfrc_applied));
        assert!(
            (pushed - pulled).abs() < 1e-11 * (1.0 + pushed.abs()),
            "{name}: {pushed} {pulled}"
        );
    });
}

#[test]
fn jacobians_are_difference_quotients() {
    each_state(|name, model, data, step| {
        let (nv, na, nu) = (model.nv(), model.na(), model.nu());
        let n = 2 * nv + na;
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * nu]);
        step.jacobians(model, &mut a, &mut b).unwrap();
        let w = direction(n);
        // The best step size differs from state to state: curvature against rounding.
        let e = [1e-6, 1e-7, 1e-8].map(|h| {
            let quotient = difference(model, data, h, |d, m, s| {
                let dq: Vec<f64> = w[..nv].iter().map(|x| s * x).collect();
                m.integrate(&mut d.qpos, &dq, 1.0).unwrap();
                d.qvel.iter_mut().zip(&w[nv..]).for_each(|(v, x)| *v += s * x);
                d.act.iter_mut().zip(&w[2 * nv..]).for_each(|(v, x)| *v += s * x);
            });
            error(&multiply(&a, &w), &quotient, 1.0)
        });
        let e = e.into_iter().fold(f64::INFINITY, f64::min);
        assert!(e < 3e-5, "{name}: A {e:.1e}");
        if nu > 0 {
            let u = direction(nu);
            let quotient = difference(model, data, 1e-6, |d, _, s| {
                d.ctrl.iter_mut().zip(&u).for_each(|(v, x)| *v += s * x);
            });
            let e = error(&multiply(&b, &u), &quotient, 1.0);
            assert!(e < 1e-6, "{name}: B {e:.1e}");
        }
    });
}

#[test]
fn applied_forces() {
    each_state(|name, model, data, step| {
        let y = direction(2 * model.nv() + model.na());
        let mut x = Cotangent::zeros(model);
        step.pull(model, &unflat(model, &y), &mut x).unwrap();
        let w = direction(model.nv());
        let quotient = difference(model, data, 1e-5, |d, _, s| {
            d.qfrc_applied.iter_mut().zip(&w).for_each(|(v, x)| *v += s * x);
        });
        let got: f64 = x.qfrc_applied.iter().zip(&w).map(|(a, b)| a * b).sum();
        let want: f64 = y.iter().zip(&quotient).map(|(a, b)| a * b).sum();
        assert!((got - want).abs() < 1e-6 * (1.0 + want.abs()), "{name}: {got} {want}");
    });
}

#[test]
fn parameters_are_difference_quotients() {
    let mut tested = std::collections::HashMap::new();
    each_state(|name, model, data, step| {
        let y = direction(2 * model.nv() + model.na());
        let mut x = Cotangent::zeros(model);
        step.pull(model, &unflat(model, &y), &mut x).unwrap();
        for parameter in Parameter::ALL {
            let values = model.parameter(parameter).to_vec();
            let mut gradient = vec![0.0; values.len()];
            let pulled = step.pull_parameter(model, parameter, &mut gradient);
            if parameter == Parameter::GeomSize && name.starts_with("joints/strings") {
                assert!(pulled.is_err());
                continue;
            }
            pulled.unwrap();
            // Only numbers that may be moved to both sides.
            let moves: Vec<f64> = values
                .iter()
                .enumerate()
                .map(
                    |(k, v)| if *v == 0.0 { 0.0 } else { v.abs() * (1.0 + 0.3 * (k as f64).sin()) },
                )
                .collect();
            let quotient = difference(model, data, 1e-6, |_, m, s| {
                let moved: Vec<f64> = values.iter().zip(&moves).map(|(v, d)| v + s * d).collect();
                m.set_parameter(parameter, &moved).unwrap();
            });
            let got: f64 = gradient.iter().zip(&moves).map(|(a, b)| a * b).sum();
            let want: f64 = y.iter().zip(&quotient).map(|(a, b)| a * b).sum();
            let e = (got - want).abs() / (1e-2 + want.abs());
            assert!(e < 2e-5, "{name} {}: {got} {want} {e:.1e}", parameter.name());
            if want.abs() > 1e-6 {
                *tested.entry(parameter).or_insert(0) += 1;
            }
        }
    });
    let never: Vec<_> = Parameter::ALL.iter().filter(|p| !tested.contains_key(p)).collect();
    assert!(never.is_empty(), "never moved: {never:?}");
}

#[test]
fn rollouts_pull_what_they_push() {
    for name in ["arm", "cones", "pile"] {
        let model = model(name);
        let mut start = Data::new(&model);
        if !model.key().is_empty() {
            start.reset_to_key(&model, 0).unwrap();
        }
        let (n, nu, steps) = (2 * model.nv() + model.na(), model.nu(), 25);
        let controls: Vec<f64> = direction(steps * nu).iter().map(|x| 0.4 * x).collect();
        let mut rollout = Rollout::new(&model);
        if nu == 0 {
            rollout.run_free(&model, &start, steps).unwrap();
        } else {
            rollout.run(&model, &start, &controls).unwrap();
        }
        assert_eq!(rollout.states().len(), (steps + 1) * (model.nq() + model.nv() + model.na()));
        let (dx, du) = (direction(n), direction(steps * nu + 1)[1..].to_vec());
        let mut tangents = Vec::new();
        rollout.push(&model, &controls, &dx, &du, &[], &mut tangents).unwrap();
        let dy = direction((steps + 1) * n);
        let mut bar = Cotangent::zeros(&model);
        let mut control_bar = vec![0.0; steps * nu];
        rollout.pull(&model, &controls, &dy, &mut bar, &mut control_bar, &mut []).unwrap();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (pushed, pulled) =
            (dot(&tangents, &dy), dot(&flat(&bar), &dx) + dot(&control_bar, &du));
        assert!(
            (pushed - pulled).abs() <= 1e-9 * (1.0 + pushed.abs()),
            "{name}: {pushed} {pulled}"
        );
    }
}

#[test]
fn a_rollout_of_parameters_is_a_difference_quotient() {
    let model = model("arm");
    let start = Data::new(&model);
    let controls: Vec<f64> = direction(30 * model.nu()).iter().map(|x| 0.4 * x).collect();
    let n = 2 * model.nv() + model.na();
    let mut rollout = Rollout::new(&model);
    rollout.run(&model, &start, &controls).unwrap();
    let last = |rollout: &Rollout| {
        // Velocities of the last time.
        let width = model.nq() + model.nv() + model.na();
        let from = 30 * width + model.nq();
        rollout.states()[from..from + model.nv()].to_vec()
    };
    let y = direction(model.nv());
    let mut states = vec![0.0; 31 * n];
    states[30 * n + model.nv()..30 * n + 2 * model.nv()].copy_from_slice(&y);
    let mut parameters = [Parameter::BodyMass, Parameter::DofDamping, Parameter::ActuatorGainprm]
        .map(|p| (p, vec![0.0; model.parameter(p).len()]));
    let mut bar = Cotangent::zeros(&model);
    let mut control_bar = vec![0.0; controls.len()];
    rollout.pull(&model, &controls, &states, &mut bar, &mut control_bar, &mut parameters).unwrap();
    for (parameter, gradient) in &parameters {
        let values = model.parameter(*parameter).to_vec();
        let side = |s: f64| {
            let mut moved = model.clone();
            let list: Vec<f64> = values.iter().map(|v| v * (1.0 + s)).collect();
            moved.set_parameter(*parameter, &list).unwrap();
            let mut rollout = Rollout::new(&moved);
            rollout.run(&moved, &start, &controls).unwrap();
            last(&rollout).iter().zip(&y).map(|(a, b)| a * b).sum::<f64>()
        };
        let want = (side(1e-6) - side(-1e-6)) / 2e-6;
        let got: f64 = gradient.iter().zip(&values).map(|(a, b)| a * b).sum();
        assert!(
            (got - want).abs() <= 1e-5 * (0.1 + want.abs()),
            "{}: {got} {want}",
            parameter.name()
        );
    }
}
