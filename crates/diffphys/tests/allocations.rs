//! Steps, pulls and Jacobians allocate nothing once contacts have reached their largest number: counted by the allocator of this test.
#![allow(clippy::unwrap_used, unsafe_code)] // a failed step is a failed test; an allocator is unsafe to write

use pullback_diffphys::{Cotangent, Parameter, StepDerivative};

mod common;
#[path = "../../graph/tests/common/counting.rs"]
mod counting;

/// One test, so that no other allocates meanwhile.
#[test]
fn steps_and_derivatives_allocate_nothing() {
    let own = ["shapes", "cones", "arm", "arm_implicit", "spinner", "blocks", "solids"];
    for name in own.into_iter().chain(common::JOINTS) {
        let model = common::model(name);
        let start = common::states(&model, 1, 12).remove(0);
        let mut data = start.clone();
        let mut run = |count: usize| {
            data.qpos.copy_from_slice(&start.qpos);
            data.qvel.copy_from_slice(&start.qvel);
            data.act.copy_from_slice(&start.act);
            (0..count).for_each(|_| model.step(&mut data).unwrap());
        };
        run(30);
        let before = counting::allocations();
        run(30);
        assert_eq!(counting::allocations() - before, 0, "{name}: steps");
        // A, B of Runge-Kutta go by pulls, into cotangents of their own.
        if ["spinner", "joints/idle_rk"].contains(&name) {
            continue;
        }
        let mut step = StepDerivative::new(&model);
        let (mut next, mut out) = (Cotangent::zeros(&model), Cotangent::zeros(&model));
        next.qvel.fill(1.0);
        let n = 2 * model.nv() + model.na();
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * model.nu()]);
        let mut friction = vec![0.0; model.parameter(Parameter::GeomFriction).len()];
        let mut all = || {
            step.evaluate(&model, &start).unwrap();
            step.pull(&model, &next, &mut out).unwrap();
            step.pull_parameter(&model, Parameter::GeomFriction, &mut friction).unwrap();
            step.jacobians(&model, &mut a, &mut b).unwrap();
        };
        (0..3).for_each(|_| all());
        let before = counting::allocations();
        all();
        assert_eq!(counting::allocations() - before, 0, "{name}: derivatives");
    }
}
