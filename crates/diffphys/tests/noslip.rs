//! The noslip pass against MuJoCo 4.0.1 (tools/reference/generate_diffphys_noslip.py), and that its steps have no derivative.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::{error, model};
use pullback_diffphys::{Cotangent, Data, Error, Options, StepDerivative};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn forces_without_slip_are_those_of_mujoco() {
    let all: Value = serde_json::from_str(include_str!("data/mujoco_noslip.json")).unwrap();
    let mut rows = 0;
    for (name, states) in all["models"].as_object().unwrap() {
        let model = model(&format!("noslip/{name}"));
        for state in states.as_array().unwrap() {
            let mut data = Data::new(&model);
            data.qpos = numbers(&state["qpos"]);
            data.qvel = numbers(&state["qvel"]);
            data.ctrl = numbers(&state["ctrl"]);
            data.qacc_warmstart = numbers(&state["qacc_warmstart"]);
            model.forward(&mut data).unwrap();
            let mut force = data.efc().force().to_vec();
            force.sort_by(f64::total_cmp);
            rows += force.len();
            for (what, got) in [
                ("qacc", data.qacc()),
                ("qfrc_constraint", data.qfrc_constraint()),
                ("efc_force", &force),
            ] {
                let e = error(got, &numbers(&state[what]), 1.0);
                assert!(e < 1e-8, "{name} {what}: {e:.1e}");
            }
            model.step(&mut data).unwrap();
            let next = [data.qpos.as_slice(), &data.qvel, &data.qacc_warmstart].concat();
            let e = error(&next, &numbers(&state["next"]), 1.0);
            assert!(e < 1e-8, "{name} next: {e:.1e}");
        }
    }
    assert!(rows > 100, "{rows}");
}

#[test]
fn steps_without_slip_have_no_derivative() {
    let mut model = model("noslip/cones");
    let data = Data::new(&model);
    let mut step = StepDerivative::new(&model);
    let refused = step.evaluate(&model, &data).unwrap_err();
    assert!(matches!(&refused, Error::NotDifferentiable { what, .. } if what.contains("noslip")));
    let mut out = Cotangent::zeros(&model);
    assert!(step.pull(&model, &Cotangent::zeros(&model), &mut out).is_err());
    let options = Options { noslip_iterations: 0, ..*model.opt() };
    model.set_options(options).unwrap();
    step.evaluate(&model, &data).unwrap();
    let options = Options { noslip_tolerance: -1.0, ..options };
    assert!(model.set_options(options).is_err());
}
