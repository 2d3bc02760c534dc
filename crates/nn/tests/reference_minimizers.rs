//! L-BFGS and Gauss-Newton on standard problems, beside PyTorch's and SciPy's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "common/minimizers.rs"]
mod minimizers;

use minimizers::{Found, Problem, table};
use pullback_nn::optimizer::{GaussNewton, Lbfgs, Minimizer, Status};

/// All problems, each by a method of its own.
fn solved(make: impl Fn() -> Box<dyn Minimizer>, judge: impl Fn(&Problem, Found, [usize; 2])) {
    let table = table();
    for problem in &table.problems {
        let found = table.solve(problem, &mut *make()).unwrap();
        assert!(found.start_error < 1e-14, "{}: another function: {found:?}", problem.name);
        assert!(found.excess.abs() <= 1e-10, "{}: {found:?}", problem.name);
        assert_ne!(found.status, Status::StepLimit, "{}: {found:?}", problem.name);
        judge(problem, found, found.evaluations.unwrap());
    }
    assert_eq!(table.problems.len(), 12);
}

#[test]
fn lbfgs_needs_as_many_evaluations_as_pytorchs() {
    let lbfgs = || Box::new(Lbfgs::new(Default::default()).unwrap()) as Box<dyn Minimizer>;
    solved(lbfgs, |problem, found, [spent, _]| {
        // PyTorch's does not solve all.
        let Some(theirs) = problem.evaluations.lbfgs else { return };
        let most = theirs + theirs / 5 + 3;
        assert!(spent <= most, "{}: {theirs} there, {found:?}", problem.name);
    });
}

#[test]
fn gauss_newton_needs_about_as_many_evaluations_as_scipys() {
    let method = || Box::new(GaussNewton::new(Default::default()).unwrap()) as Box<dyn Minimizer>;
    solved(method, |problem, found, [_, trials]| {
        // SciPy counts linearizations apart, and its two methods differ as much from each other.
        let (lm, trf) = (problem.evaluations.lm.unwrap(), problem.evaluations.trf.unwrap());
        let most = lm.max(trf) + lm.max(trf) / 2 + 3;
        assert!(trials <= most, "{}: {lm} and {trf} there, {found:?}", problem.name);
    });
}
