//! What MuJoCo 4.0.1's compiler makes of small files (tools/reference/generate_diffphys_compiler.py).
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::{direction, error};
use pullback_diffphys::{Data, Options, mjcf};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn files() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/mujoco_compiler.json")).unwrap();
    all["files"].as_array().unwrap().clone()
}

#[test]
fn constants_steps_and_the_order_of_contacts() {
    for file in files() {
        let name = file["name"].as_str().unwrap();
        let mut m =
            mjcf::parse(&format!("<mujoco>{}</mujoco>", file["xml"].as_str().unwrap())).unwrap();
        for (field, got) in [
            ("qpos0", m.qpos0()),
            ("body_pos", m.body_pos().as_flattened()),
            ("body_quat", m.body_quat().as_flattened()),
            ("body_ipos", m.body_ipos().as_flattened()),
            ("body_iquat", m.body_iquat().as_flattened()),
            ("body_mass", m.body_mass()),
            ("body_inertia", m.body_inertia().as_flattened()),
            ("geom_pos", m.geom_pos().as_flattened()),
            ("geom_quat", m.geom_quat().as_flattened()),
            ("site_pos", m.site_pos().as_flattened()),
            ("site_quat", m.site_quat().as_flattened()),
            ("jnt_pos", m.jnt_pos().as_flattened()),
            ("jnt_axis", m.jnt_axis().as_flattened()),
            ("jnt_margin", m.jnt_margin()),
            ("jnt_range", m.jnt_range().as_flattened()),
            ("jnt_stiffness", m.jnt_stiffness()),
            ("dof_damping", m.dof_damping()),
            ("actuator_gear", m.actuator_gear().as_flattened()),
            ("eq_data", m.eq_data().as_flattened()),
        ] {
            // Meshes have single precision.
            let tolerance = if name == "aligned by the joint" { 1e-6 } else { 1e-12 };
            let want = numbers(&file["constants"][field]);
            let e = error(got, &want, 1.0);
            assert!(e <= tolerance, "{name}: {field} {e:.1e}\n{got:?}\n{want:?}");
        }
        let options = Options { tolerance: 0.0, iterations: 100, ls_iterations: 100, ..*m.opt() };
        m.set_options(options).unwrap();
        let mut data = Data::new(&m);
        data.qvel = direction(m.nv()).iter().map(|x| 0.1 * x).collect();
        m.step(&mut data).unwrap();
        let geoms: Vec<f64> =
            data.contact().iter().flat_map(|c| c.geom).map(|g| g as f64).collect();
        let want: Vec<f64> = file["contact"].as_array().unwrap().iter().flat_map(numbers).collect();
        assert_eq!(geoms, want, "{name}");
        let next = [data.qpos, data.qvel].concat();
        let e = error(&next, &numbers(&file["next"]), 1.0);
        assert!(
            e < if name == "aligned by the joint" { 1e-6 } else { 1e-9 },
            "{name}: next {e:.1e}"
        );
    }
}
