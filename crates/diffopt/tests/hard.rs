//! Quadratic programs with rows that are nearly active, far away or of another size, and items without numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use pullback_diffopt::qp::{Qp, QpData};
use pullback_diffopt::Status;

#[test]
fn a_row_of_small_coefficients_does_not_hide_that_another_one_is_violated() {
    // min ½x² + qx s.t. 3x ≤ 3 and εx ≤ 1, q a little below −1: x = 1 with λ₀ = −(1 + q)/3.
    for (excess, small) in [(1e-3, 1e-10), (1e-5, 1e-8), (1e-7, 1e-10), (1e-6, 1e-12)] {
        let (q, g) = ([-1.0 - excess], [3.0, small]);
        let data = QpData::inequalities(&[1.0], &q, &g, &[3.0, 1.0]);
        let solution = Qp::new(1).inequalities(2).solve(1, &data).unwrap();
        let at = format!("q = −1 − {excess:e}, ε = {small:e}");
        assert!(solution.is_solved(0), "{at}: {}", solution.status(0));
        assert!((solution.x(0)[0] - 1.0).abs() < 1e-12, "{at}: x = {:?}", solution.x(0));
        let lambda = solution.inequality_multipliers(0);
        assert!((lambda[0] - excess / 3.0).abs() < 1e-12 && lambda[1] == 0.0, "{at}: {lambda:?}");
        assert!(solution.slacks(0)[0].abs() < 1e-12, "{at}: {:?}", solution.slacks(0));
    }
}

#[test]
fn slacks_of_an_item_do_not_depend_on_its_neighbours() {
    // The first has a slack that is negative by rounding; the second, infeasible, is worked on for longer.
    let (q, g) = ([-(1.0 + 1e-11), 0.0], [3.0, 0.0]);
    let h = [3.0, -1.0];
    let qp = Qp::new(1).inequalities(1);
    let both = qp.solve(2, &QpData::inequalities(&[1.0], &q, &g, &h)).unwrap();
    let alone = qp.solve(1, &QpData::inequalities(&[1.0], &q[..1], &g[..1], &h[..1])).unwrap();
    assert_eq!(both.status(1), &Status::PrimalInfeasible);
    assert_eq!(both.x(0), alone.x(0));
    assert_eq!(both.slacks(0), alone.slacks(0));
    assert!(0.0 <= alone.slacks(0)[0]);
}
