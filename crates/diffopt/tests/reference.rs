//! Gradients against other systems' numbers.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::reference::{conic, conic_differences, quadratic};

#[test]
fn quadratic_programs_have_the_gradients_of_moreau_and_qpth() {
    let found = quadratic("moreau").unwrap();
    assert_eq!(found.programs, 500);
    assert!(found.worst < 1e-7, "{}: {:e} at {}", found.system, found.worst, found.at);
    // Its formula is ours, where it is evaluated at the optimum and without its floor of 10⁻⁸ under multipliers and slacks.
    let found = quadratic("qpth at the optimum").unwrap();
    assert_eq!(found.programs, 500);
    assert!(found.worst < 1e-7, "{}: {:e} at {}", found.system, found.worst, found.at);
    // As it is, it is right to some 10⁻⁶, and in a few programs to one digit only.
    let found = quadratic("qpth").unwrap();
    assert_eq!(found.programs, 500);
    assert!(found.median() < 1e-5, "{}: {:e}", found.system, found.median());
}

#[test]
fn linear_conic_programs_have_the_gradients_of_diffcp() {
    // Its gradients are as exact as SCS's solutions, which end at some 10⁻⁷ with exponential cones.
    let found = conic().unwrap();
    assert_eq!(found.programs, 14);
    assert!(
        found.worst < 1e-6 && found.median() < 1e-9,
        "{}: {:e} at {}",
        found.system,
        found.worst,
        found.at
    );
    let [theirs, ours] = conic_differences().unwrap();
    assert!(ours < 1e-8 && found.worst < theirs + ours + 1e-12, "{ours:e}, {theirs:e}");
}
