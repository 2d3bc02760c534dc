//! Every derivative against another way to it: pulls against Jacobians, Jacobians and parameters against differences of our own steps.
#![allow(clippy::unwrap_used)]

mod common;

use common::{direction, error, model, multiply, multiply_transpose, states};
use pullback_diffphys::{Cotangent, Data, Model, Parameter, StepDerivative};

const DIFFERENTIABLE: [&str; 5] = ["shapes", "cones", "pile", "arm", "arm_implicit"];

/// Visits states whose rows are not next to switching, with the step evaluated.
fn each_state(mut visit: impl FnMut(&str, &Model, &Data, &mut StepDerivative)) {
    for name in DIFFERENTIABLE {
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
fn jacobians_are_difference_quotients() {
    each_state(|name, model, data, step| {
        let (nv, na, nu) = (model.nv(), model.na(), model.nu());
        let n = 2 * nv + na;
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * nu]);
        step.jacobians(model, &mut a, &mut b).unwrap();
        let w = direction(n);
        let quotient = difference(model, data, 2e-8, |d, m, s| {
            let dq: Vec<f64> = w[..nv].iter().map(|x| s * x).collect();
            m.integrate(&mut d.qpos, &dq, 1.0).unwrap();
            d.qvel.iter_mut().zip(&w[nv..]).for_each(|(v, x)| *v += s * x);
            d.act.iter_mut().zip(&w[2 * nv..]).for_each(|(v, x)| *v += s * x);
        });
        let e = error(&multiply(&a, &w), &quotient, 1.0);
        assert!(e < 1e-5, "{name}: A {e:.1e}");
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
            step.pull_parameter(model, parameter, &mut gradient).unwrap();
            // Only numbers that may be moved to both sides.
            let moves: Vec<f64> = values
                .iter()
                .enumerate()
                .map(|(k, v)| if *v == 0.0 { 0.0 } else { v.abs() * (1.0 + 0.3 * (k as f64).sin()) })
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
    for parameter in Parameter::ALL {
        assert!(tested.contains_key(&parameter), "{} was never moved", parameter.name());
    }
}
