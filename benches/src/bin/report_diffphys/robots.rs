//! Derivatives of inverse and forward dynamics against Pinocchio on robots read from URDF.

use super::numbers::{apart, files};
use anyhow::Result;
use benches::output::Output;
use benches::peer::Peer;
use benches::row::Row;
use pullback_diffphys::{Data, DynamicsDerivative, Model, urdf};
use serde_json::json;
use std::path::Path;

/// What counts as the same derivative.
const AGREE: f64 = 1e-11;

/// Files whose joints all are scalar and have no mimics, which Pinocchio and we read in different ways.
const ROBOTS: [&str; 16] = [
    "panda",
    "ur3_robot",
    "ur5_robot",
    "ur10_robot",
    "g1_29dof_rev_1_0",
    "talos_reduced",
    "talos_full_v2",
    "solo12",
    "a1",
    "go1",
    "go2",
    "anymal",
    "icub",
    "romeo",
    "kinova",
    "xarm7",
];

/// Positions, velocities and accelerations by a formula in the joint's name; benches/peers/cases_diffphys.py has the same.
fn value(name: &str, k: f64) -> f64 {
    let sum: u32 = name.chars().map(u32::from).sum();
    (0.37 * f64::from(sum) + k).sin()
}

fn robot(path: &Path) -> pullback_diffphys::Result<Model> {
    let options = urdf::Options { collisions: false, ..urdf::Options::default() };
    let mut spec = urdf::load_spec(path, options)?;
    spec.equalities.clear();
    spec.compile()
}

pub(crate) fn rows(output: &mut Output, peer: &mut Peer, quick: bool) -> Result<()> {
    let (mut worst, mut count, mut agree) = ([0.0f64; 2], 0, 0);
    let found = files("urdf", "urdf")?;
    for name in ROBOTS {
        let Some(path) = found.iter().find(|p| p.file_stem().is_some_and(|s| s == name)) else {
            continue;
        };
        if quick && count >= 4 {
            break;
        }
        let model = match robot(path) {
            Ok(model) => model,
            Err(e) => {
                output.push(Row::new(format!("{name}: {e}"), "relative", f64::NAN))?;
                continue;
            }
        };
        let parameters = json!({"path": path, "names": model.jnt_names()});
        let mut data = Data::new(&model);
        let mut third = vec![0.0; model.nv()];
        for (k, joint) in model.jnt_names().iter().enumerate() {
            data.qpos[k] = 0.5 * value(joint, 0.0);
            data.qvel[k] = value(joint, 1.0);
            third[k] = value(joint, 2.0);
        }
        let mut d = DynamicsDerivative::new(&model);
        d.inverse(&model, &mut data, &third)?;
        let ours = [d.tau(), d.dtau_dq(), d.dtau_dv(), data.qM()].concat();
        let case = match peer.load("pinocchio/diffphys_rnea", parameters.clone()) {
            Ok(case) => case,
            Err(e) => {
                output.push(Row::new(format!("{name}: {e}"), "relative", f64::NAN))?;
                continue;
            }
        };
        let inverse = apart(&ours, &peer.values(&case)?);
        d.forward(&model, &mut data, &third)?;
        let ours = [d.qacc(), d.dqacc_dq(), d.dqacc_dv(), d.minv()].concat();
        let case = peer.load("pinocchio/diffphys_aba", parameters)?;
        let forward = apart(&ours, &peer.values(&case)?);
        let condition = condition(model.nv(), data.qM());
        let text = format!(
            "{name}, {} joints, M of condition {condition:.0e}: RNEA derivatives {inverse:.0e}, ABA derivatives {forward:.0e}",
            model.nv()
        );
        output.push(Row::new(text, "relative", inverse.max(forward)))?;
        worst = [worst[0].max(inverse), worst[1].max(forward)];
        count += 1;
        agree += usize::from(inverse <= AGREE && forward <= AGREE);
    }
    output.push(Row::new("robots from URDF", "robots", f64::from(count)))?;
    let row = Row::new(
        "robots whose RNEA and ABA derivatives are Pinocchio's to 10⁻¹¹",
        "robots",
        agree as f64,
    );
    output.push(row.at_least(if quick { 0.0 } else { 10.0 }))?;
    output.push(
        Row::new("RNEA derivatives against Pinocchio: worst", "relative", worst[0]).at_most(AGREE),
    )?;
    // Both systems lose as many digits as M's condition has: this one is not a figure of ours alone.
    output.push(Row::new("ABA derivatives against Pinocchio: worst", "relative", worst[1]))
}

/// The largest over the least eigenvalue, in size.
fn condition(n: usize, matrix: &[f64]) -> f64 {
    let values = nalgebra::DMatrix::from_row_slice(n, n, matrix).symmetric_eigenvalues();
    values.amax() / values.amin()
}
