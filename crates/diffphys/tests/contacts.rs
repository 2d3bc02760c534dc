//! Contacts of MuJoCo 4.0.1 for pairs of shapes in random poses (tools/reference/generate_diffphys_contacts.py).
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use pullback_diffphys::{Data, Model, mjcf};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/contacts.json")).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn largest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (x, y)| m.max((x - y).abs()))
}

/// (distance, position, normal) of all contacts.
fn contacts(model: &Model, pose: &Value) -> Vec<Vec<f64>> {
    let mut data = Data::new(model);
    data.qpos = numbers(&pose["qpos"]);
    model.forward(&mut data).unwrap();
    data.contact().iter().map(|c| [&[c.dist][..], &c.pos, &c.frame[..3]].concat()).collect()
}

/// How far the contacts are from the nearest ones of the other list: distances, positions, normals. `None` where their number differs.
fn apart(ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Option<[f64; 3]> {
    let mut free = theirs.to_vec();
    let mut worst = [0.0f64; 3];
    for own in ours {
        let far = |t: &Vec<f64>| largest(&own[1..4], &t[1..4]);
        let (k, _) = free.iter().enumerate().min_by(|a, b| far(a.1).total_cmp(&far(b.1)))?;
        let other = free.remove(k);
        for (slot, range) in worst.iter_mut().zip([0..1, 1..4, 4..7]) {
            *slot = slot.max(largest(&own[range.clone()], &other[range]));
        }
    }
    free.is_empty().then_some(worst)
}

/// Every contact of boxes and of meshes on planes agrees; of other pairs those with one contact do, as far as MuJoCo's solver goes, and nearly all that have
/// several.
#[test]
fn contacts_are_those_of_mujoco() {
    let (mut single, mut several, mut differ) = (0, 0, 0);
    for case in cases().iter().filter(|case| !is_flat(case)) {
        let pair = &case["pair"];
        let model = mjcf::parse(case["xml"].as_str().unwrap()).unwrap();
        for (k, pose) in case["poses"].as_array().unwrap().iter().enumerate() {
            let ours = contacts(&model, pose);
            let theirs: Vec<_> = pose["contact"].as_array().unwrap().iter().map(numbers).collect();
            let found = apart(&ours, &theirs);
            if pair[0] == "plane" || (pair[0] == "box" && pair[1] == "box") {
                let [dist, pos, normal] = found.unwrap();
                assert!(dist.max(pos).max(normal) < 1e-12, "{pair} {k}: {dist} {pos} {normal}");
                continue;
            }
            match found {
                Some([dist, pos, normal]) if theirs.len() == 1 => {
                    if dist < 1e-7 && pos < 1e-5 && normal < 1e-4 {
                        single += 1;
                    } else {
                        differ += 1;
                    }
                }
                Some([dist, pos, normal]) if dist < 1e-7 && pos < 1e-6 && normal < 1e-6 => {
                    several += 1;
                }
                _ => differ += 1,
            }
        }
    }
    // Of 168: a line more or less near the limit of lying on a flat.
    assert!(single >= 145 && several >= 15 && differ <= 2, "{single} {several} {differ}");
}

/// Nearly flat contacts have MuJoCo's number, distances and normals. Where there are more than four corners within the margin, equal areas and
/// where a hull's polygon begins decide which four.
#[test]
fn nearly_flat_contacts_are_those_of_mujoco() {
    let (mut fewer, mut four, mut differ) = (0, 0, 0);
    for case in cases().iter().filter(|case| is_flat(case)) {
        let pair = &case["pair"];
        let model = mjcf::parse(case["xml"].as_str().unwrap()).unwrap();
        for (k, pose) in case["poses"].as_array().unwrap().iter().enumerate() {
            let ours = contacts(&model, pose);
            let theirs: Vec<_> = pose["contact"].as_array().unwrap().iter().map(numbers).collect();
            let [dist, pos, normal] = apart(&ours, &theirs).unwrap();
            assert!(normal < 1e-11, "{pair} {k}: {normal:.1e}");
            // Where a capsule lies on an edge, the direction to it is as exact as MuJoCo's solver.
            let same = dist < 1e-10 && pos < 1e-8;
            if theirs.len() < 4 {
                assert!(same, "{pair} {k}: {dist:.1e} {pos:.1e}");
                fewer += 1;
            } else {
                *if same { &mut four } else { &mut differ } += 1;
            }
        }
    }
    assert!(fewer > 70 && four > 50 && differ <= 11, "{fewer} {four} {differ}");
}

fn is_flat(case: &Value) -> bool {
    case["flat"] == true
}

/// Masses, frames and bounds of meshes.
#[test]
fn mesh_constants_are_those_of_mujoco() {
    for case in cases().iter().filter(|case| !is_flat(case)) {
        let (model, r) = (mjcf::parse(case["xml"].as_str().unwrap()).unwrap(), &case["constants"]);
        for (field, got) in [
            ("body_mass", model.body_mass()),
            ("body_inertia", model.body_inertia().as_flattened()),
            ("body_ipos", model.body_ipos().as_flattened()),
            ("geom_pos", model.geom_pos().as_flattened()),
            ("geom_rbound", model.geom_rbound()),
        ] {
            let want = numbers(&r[field]);
            let scale = want.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            let e = largest(got, &want) / scale;
            assert!(e < 1e-6, "{} {field}: {e:.1e}", case["pair"]);
        }
    }
}
