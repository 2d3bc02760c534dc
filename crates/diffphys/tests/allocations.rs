//! Steps, pulls and Jacobians allocate nothing once contacts have reached their largest number: counted by the allocator of this test.
#![allow(clippy::unwrap_used, unsafe_code)] // a failed step is a failed test; an allocator is unsafe to write

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pullback_diffphys::{Cotangent, Parameter, StepDerivative};

mod common;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
struct Counting;

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, so that no other allocates meanwhile.
#[test]
fn steps_and_derivatives_allocate_nothing() {
    for name in ["shapes", "cones", "arm", "arm_implicit", "spinner", "blocks", "solids"] {
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
        let before = ALLOCATIONS.load(Relaxed);
        run(30);
        assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0, "{name}: steps");
        if name == "spinner" {
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
        let before = ALLOCATIONS.load(Relaxed);
        all();
        assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0, "{name}: derivatives");
    }
}
