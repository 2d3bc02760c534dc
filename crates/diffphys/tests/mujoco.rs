//! Numbers of MuJoCo 4.0.1 on the models of `tests/models` (tools/reference/generate_diffphys.py).
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{JOINTS, MODELS, direction, error, model, multiply, multiply_transpose};
use pullback_diffphys::{Data, Integrator, Model, StepDerivative};
use serde_json::Value;

/// Of every model: its name, and what MuJoCo says of it.
fn references() -> Vec<(&'static str, Value)> {
    let mut all: Value = serde_json::from_str(include_str!("data/mujoco.json")).unwrap();
    let mut joints: Value = serde_json::from_str(include_str!("data/mujoco_joints.json")).unwrap();
    let of = |all: &mut Value, name: &'static str| {
        let stem = name.trim_start_matches("joints/");
        (name, all["models"][stem].take())
    };
    let first = MODELS.iter().map(|name| of(&mut all, name));
    first.chain(JOINTS.iter().map(|name| of(&mut joints, name))).collect()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(what: &str, got: &[f64], want: &Value, floor: f64, tolerance: f64) {
    let e = error(got, &numbers(want), floor);
    assert!(e <= tolerance, "{what}: {e:.1e}\n{got:?}\n{want}");
}

fn at(model: &Model, state: &Value) -> Data {
    let mut data = Data::new(model);
    if model.nmocap() > 0 {
        data.reset_to_key(model, 0).unwrap();
    }
    data.qpos = numbers(&state["qpos"]);
    data.qvel = numbers(&state["qvel"]);
    data.act = numbers(&state["act"]);
    data.ctrl = numbers(&state["ctrl"]);
    data.qacc_warmstart = numbers(&state["qacc_warmstart"]);
    data
}

fn each_state(mut visit: impl FnMut(&str, &Model, &Value)) {
    for (name, reference) in references() {
        let model = model(name);
        let states = reference["states"].as_array().unwrap();
        assert!(!states.is_empty());
        for state in states {
            visit(name, &model, state);
        }
    }
}

#[test]
fn constants_of_the_compiler() {
    for (name, reference) in references() {
        let (m, r) = (model(name), &reference["constants"]);
        for (field, got) in [
            ("body_mass", m.body_mass()),
            ("body_inertia", m.body_inertia().as_flattened()),
            ("body_invweight0", m.body_invweight0().as_flattened()),
            ("dof_invweight0", m.dof_invweight0()),
            ("qpos0", m.qpos0()),
            ("geom_pos", m.geom_pos().as_flattened()),
            ("jnt_range", m.jnt_range().as_flattened()),
            ("jnt_stiffness", m.jnt_stiffness()),
            ("dof_damping", m.dof_damping()),
            ("actuator_biasprm", m.actuator_biasprm().as_flattened()),
            ("actuator_ctrlrange", m.actuator_ctrlrange().as_flattened()),
            ("actuator_actrange", m.actuator_actrange().as_flattened()),
            ("tendon_invweight0", m.tendon_invweight0()),
            ("tendon_length0", m.tendon_length0()),
        ] {
            if r[field].is_null() {
                assert!(!name.starts_with("joints/"), "{name} {field}");
                continue;
            }
            close(&format!("{name} {field}"), got, &r[field], 1e-3, 1e-12);
        }
    }
}

#[test]
fn smooth_terms() {
    each_state(|name, model, state| {
        let mut data = at(model, state);
        model.forward(&mut data).unwrap();
        let weighted = multiply(data.qM(), &direction(model.nv()));
        for (field, got) in [
            ("subtree_com", data.subtree_com().as_flattened()),
            ("M_w", weighted.as_slice()),
            ("qfrc_bias", data.qfrc_bias()),
            ("qfrc_passive", data.qfrc_passive()),
            ("qfrc_actuator", data.qfrc_actuator()),
            ("act_dot", data.act_dot()),
        ] {
            close(&format!("{name} {field}"), got, &state[field], 1.0, 1e-12);
        }
        close(
            &format!("{name} qacc_smooth"),
            data.qacc_smooth(),
            &state["qacc_smooth"],
            1.0,
            1e-11,
        );
    });
}

#[test]
fn contacts_and_rows() {
    let mut seen = 0;
    each_state(|name, model, state| {
        let mut data = at(model, state);
        model.forward(&mut data).unwrap();
        let theirs = state["contact"].as_array().unwrap();
        assert_eq!(data.contact().len(), theirs.len(), "{name}");
        let mut free: Vec<_> = theirs.iter().collect();
        for contact in data.contact() {
            let nearest = free
                .iter()
                .enumerate()
                .filter(|(_, t)| numbers(&t["geom"]) == contact.geom.map(|g| g as f64))
                .min_by(|(_, a), (_, b)| {
                    let far = |t: &Value| error(&contact.pos, &numbers(&t["pos"]), 1.0);
                    far(a).total_cmp(&far(b))
                })
                .map(|(k, _)| k)
                .unwrap_or_else(|| panic!("{name}: no contact of {:?}", contact.geom));
            let t = free.remove(nearest);
            close(&format!("{name} pos"), &contact.pos, &t["pos"], 1.0, 1e-10);
            close(&format!("{name} frame"), &contact.frame, &t["frame"], 1.0, 1e-10);
            close(&format!("{name} friction"), &contact.friction, &t["friction"], 1.0, 1e-12);
            close(&format!("{name} solref"), &contact.solref, &t["solref"], 1.0, 1e-12);
            close(&format!("{name} solimp"), &contact.solimp, &t["solimp"], 1.0, 1e-12);
            assert!((contact.dist - t["dist"].as_f64().unwrap()).abs() <= 1e-10);
            assert!((contact.includemargin - t["margin"].as_f64().unwrap()).abs() <= 1e-15);
            seen += 1;
        }
        let sorted = |v: &[f64]| {
            let mut v = v.to_vec();
            v.sort_by(f64::total_cmp);
            v
        };
        let efc = data.efc();
        close(&format!("{name} pos"), &sorted(efc.pos()), &state["efc_pos"], 1.0, 1e-10);
        close(&format!("{name} D"), &sorted(efc.D()), &state["efc_D"], 1.0, 1e-10);
        close(&format!("{name} aref"), &sorted(efc.aref()), &state["efc_aref"], 1.0, 1e-10);
        close(&format!("{name} force"), &sorted(efc.force()), &state["efc_force"], 1.0, 1e-8);
    });
    assert!(seen > 30, "{seen}");
}

#[test]
fn accelerations_steps_and_inverse_dynamics() {
    each_state(|name, model, state| {
        let mut data = at(model, state);
        model.forward(&mut data).unwrap();
        close(&format!("{name} qacc"), data.qacc(), &state["qacc"], 1.0, 1e-9);
        let force = data.qfrc_constraint().to_vec();
        close(&format!("{name} qfrc_constraint"), &force, &state["qfrc_constraint"], 1.0, 1e-9);
        model.inverse(&mut data, &numbers(&state["inverse_qacc"])).unwrap();
        close(&format!("{name} inverse"), data.qfrc_inverse(), &state["qfrc_inverse"], 1.0, 1e-9);
        let mut data = at(model, state);
        model.step(&mut data).unwrap();
        let next: Vec<f64> = [data.qpos, data.qvel, data.act].concat();
        close(&format!("{name} step"), &next, &state["next"], 1.0, 1e-11);
    });
}

#[test]
fn jacobians_of_the_step() {
    each_state(|name, model, state| {
        if model.opt().integrator == Integrator::RungeKutta4 {
            return;
        }
        let data = at(model, state);
        let mut step = StepDerivative::new(model);
        step.evaluate(model, &data).unwrap();
        let n = 2 * model.nv() + model.na();
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
        step.jacobians(model, &mut a, &mut b).unwrap();
        // Their differences have an error of 1e-7 or so.
        let w = direction(n);
        close(&format!("{name} A·w"), &multiply(&a, &w), &state["A_w"], 1.0, 2e-6);
        close(&format!("{name} wᵀ·A"), &multiply_transpose(&a, &w), &state["wA"], 1.0, 2e-6);
        if model.nu() > 0 {
            let bw = multiply(&b, &direction(model.nu()));
            close(&format!("{name} B·w"), &bw, &state["B_w"], 1.0, 2e-6);
        }
    });
}

/// Strings around and through a sphere and a cylinder, with and without a side: lengths and Jacobians at random ends. MuJoCo stops the
/// search for the point inside at an angle's error of 10⁻⁶; ours goes on.
#[test]
fn strings_around_obstacles() {
    let reference: Value = serde_json::from_str(include_str!("data/mujoco_joints.json")).unwrap();
    let model = model("joints/wraps");
    let mut data = Data::new(&model);
    let (mut straight, mut touching) = ([0; 6], [0; 6]);
    for case in reference["wraps"].as_array().unwrap() {
        data.qpos = numbers(&case["qpos"]);
        model.forward(&mut data).unwrap();
        let (lengths, jacobian) = (numbers(&case["ten_length"]), numbers(&case["ten_J"]));
        for t in 0..6 {
            let inside = t >= 4;
            let e = (data.ten_length()[t] - lengths[t]).abs();
            assert!(e <= if inside { 1e-9 } else { 1e-13 }, "{t}: {e:.1e}");
            let row = |all: &[f64]| all[6 * t..6 * t + 6].to_vec();
            let e = error(&row(data.ten_J()), &row(&jacobian), 1.0);
            assert!(e <= if inside { 1e-5 } else { 1e-12 }, "{t}: J {e:.1e}");
            let apart = (0..3).map(|k| (data.qpos[k] - data.qpos[3 + k]).powi(2)).sum::<f64>();
            let longer = lengths[t] > apart.sqrt() + 1e-6;
            *if longer { &mut touching[t] } else { &mut straight[t] } += 1;
        }
    }
    assert!(straight.iter().chain(&touching).all(|&n| n >= 3), "{straight:?} {touching:?}");
}
