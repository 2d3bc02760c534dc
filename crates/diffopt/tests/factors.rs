//! Solutions with and without the factors that derivatives need, and gradients into memory that is used again.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use std::sync::Arc;

use common::problems::Problem;
use pullback_diffopt::Degenerate;
use pullback_diffopt::qp::{QpTangent, Settings};

#[test]
fn values_without_factors_are_the_same_and_have_no_derivative() {
    for (n, p, m, batch) in [(6, 0, 12, 100), (5, 2, 7, 9), (40, 3, 30, 2)] {
        let problem = Problem::random(3, (n, p, m, batch), 1e-2);
        let settings = Settings { factors: false, ..Settings::default() };
        let with = problem.qp().solve(batch, &problem.data()).unwrap();
        let qp = problem.qp().settings(settings);
        let without = Arc::new(qp.solve(batch, &problem.data()).unwrap());
        assert_eq!(with.all_x(), without.all_x());
        assert_eq!(with.all_multipliers(), without.all_multipliers());
        assert!((0..batch).all(|i| without.is_solved(i)));
        let error = without.derivative(&Degenerate::Average).unwrap_err();
        assert!(error.to_string().contains("factors"), "{error}");
        assert!(without.certificate(0).is_err());
        assert!(without.directional(&problem.data()).is_err());
        // As a start it has nothing to start from.
        let cold = problem.qp().solve_from(&without, batch, &problem.data()).unwrap();
        assert_eq!(cold.all_x(), with.all_x());
    }
}

#[test]
fn gradients_written_over_others_are_the_same() {
    let wrt = [true, true, false, true, true, true];
    let mut kept: [Vec<f64>; 6] = Default::default();
    for (seed, (n, p, m, batch)) in [(1, (6, 1, 9, 21)), (2, (12, 2, 10, 8)), (3, (3, 0, 4, 5))] {
        let problem = Problem::random(seed, (n, p, m, batch), 1e-2);
        let solution = Arc::new(problem.qp().solve(batch, &problem.data()).unwrap());
        let derivative = solution.derivative(&Degenerate::Average).unwrap();
        let x = (0..n * batch).map(|i| (i as f64).sin()).collect();
        let cotangent = QpTangent { x, ..QpTangent::default() };
        for shared in [[false; 6], [false, true, false, false, true, false]] {
            let fresh = derivative.pull(&cotangent, wrt, shared).unwrap();
            derivative.pull_into(&cotangent, wrt, shared, &mut kept).unwrap();
            assert_eq!(fresh, kept);
            assert!(fresh[2].is_empty() && fresh[0].iter().any(|x| *x != 0.0));
        }
    }
}
