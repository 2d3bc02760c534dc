//! The sweep finds what looking at all pairs finds, in the same order.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use super::broad::Broad;
use crate::{Body, Data, Geom, GeomType, Joint, JointType, Spec};

/// Boxes and balls on slides, a plane under them.
fn crowd(count: usize, spread: f64) -> crate::Model {
    let mut spec = Spec::new("crowd");
    spec.world().geoms.push(Geom::plane());
    for k in 0..count {
        let at = |p: f64| spread * (p * k as f64).sin();
        let mut body = Body::new(format!("b{k}")).at([at(1.3), at(2.1), 0.3 * at(0.7)]);
        body.joints.push(Joint::new(format!("j{k}"), JointType::Slide).axis([1.0, 0.0, 0.0]));
        let mut geom = Geom::new(GeomType::Box, [0.1, 0.15, 0.2]);
        geom.margin = 0.01 * (k % 3) as f64;
        body.geoms.push(geom);
        body.geoms.push(Geom::sphere(0.12));
        spec.add(0, body).unwrap();
    }
    spec.compile().unwrap()
}

#[test]
fn a_sweep_finds_what_all_pairs_do_in_their_order() {
    for spread in [0.2, 1.0, 5.0] {
        let model = crowd(60, spread);
        let mut data = Data::new(&model);
        for step in 0..3 {
            for (k, q) in data.qpos.iter_mut().enumerate() {
                *q = 0.2 * (f64::from(step) + 1.7 * k as f64).sin();
            }
            model.forward(&mut data).unwrap();
            let (mut swept, mut all) = (Broad::default(), Broad::default());
            swept.look(&model, &data);
            all.look_at_all(&model, &data);
            assert!(!all.near().is_empty());
            assert_eq!(swept.near(), all.near());
        }
    }
}
