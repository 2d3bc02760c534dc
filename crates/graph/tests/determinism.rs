//! The same numbers, whoever computes them: threads, batches, tapes or dual numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common {
    #![allow(dead_code)] // the report uses the rest
    pub(crate) mod dags;
    pub(crate) mod duals;
    pub(crate) mod instructions;
    pub(crate) mod networks;
    pub(crate) mod reasons;
    pub(crate) mod threads;
    pub(crate) mod worst;
}

use common::{duals, threads};
use pullback_graph::{Expr, Real, SampleSum, Tape, Workspace};

#[test]
fn threads_and_batches_do_not_change_a_bit() {
    let differing = threads::differing();
    assert!(700 <= threads::count());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn dual_numbers_equal_tapes() {
    let worst = duals::compare();
    assert!(40_000 <= worst.compared, "only {} numbers were compared", worst.compared);
    assert!(worst.error <= 1e-12, "{:e}: {}", worst.error, worst.at);
}

/// Where min and max take a side, and where a number is none: alone, in a batch, and without a tape.
#[test]
fn sides_of_min_and_max_are_the_same_for_one_sample_and_many() {
    fn sides<T: Real>(x: &[T]) -> Vec<T> {
        // Equal parts, so that one sample runs grouped.
        let pairs = x.chunks_exact(2).flat_map(|p| [p[0].min(p[1]), p[1].max(p[0])]);
        pairs.map(|side| T::lit(1.0) / side).map(|y| y.atan()).collect()
    }
    let tape = Tape::record(64, |x| sides(x)).unwrap();
    let signed = |i: usize| if i.is_multiple_of(3) { -0.0 } else { 0.0 };
    let x: Vec<f64> = (0..64).map(signed).collect();
    let bits = |y: &[f64]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
    let expected = bits(&sides(&x));
    assert_eq!(bits(&tape.eval(&x).unwrap()), expected);
    let mut y = vec![0.0; 5 * 64];
    tape.run(5, &x.repeat(5), &mut y, &mut Workspace::new(&tape)).unwrap();
    assert_eq!(bits(&y), expected.repeat(5));
    // √−1 on either side is an error, and not the other side.
    let root = Tape::record(2, |x| vec![x[0].sqrt().min(x[1]), x[1].max(x[0].sqrt())]).unwrap();
    assert!(root.eval(&[-1.0, 1.0]).is_err());
    for output in 0..2 {
        let one = root.outputs_only(&[output]).unwrap();
        assert!(one.eval(&[-1.0, 1.0]).is_err(), "output {output}");
        let mut y = [0.0; 8];
        let x = [-1.0, 1.0].repeat(8);
        assert!(one.run(8, &x, &mut y, &mut Workspace::new(&one)).is_err(), "output {output}");
    }
}

/// A tape says what the function says without one.
#[test]
fn simplifying_does_not_change_a_number() {
    fn powers<T: Real>(x: &[T]) -> Vec<T> {
        [-1.0, 0.0, 1.0, 2.0, 3.0].map(|p| x[0].pow(T::lit(p))).to_vec()
    }
    let tape = Tape::record(1, |x| powers(x)).unwrap();
    let variable = Tape::record(2, |x| vec![x[0].pow(x[1])]).unwrap();
    for i in 0..1000 {
        let x = [0.1 + f64::from(i) * 0.00137];
        assert_eq!(tape.eval(&x).unwrap(), powers(&x), "{x:?}");
        for (p, y) in [-1.0, 0.0, 1.0, 2.0, 3.0].iter().zip(powers(&x)) {
            assert_eq!(variable.eval(&[x[0], *p]).unwrap(), [y], "{x:?}^{p}");
        }
    }
    // 0/0 is no number, recorded or not.
    let quotient = Tape::record(1, |x| vec![Expr::lit(0.0) / x[0]]).unwrap();
    assert!(quotient.eval(&[0.0]).is_err());
    assert_eq!(quotient.eval(&[2.0]).unwrap(), [0.0]);
}

/// Sums with shared inputs are those of a loop over the samples, whatever part of a row is shared, for any number of samples.
#[test]
fn sums_with_shared_inputs() {
    let f =
        |x: &[f64]| (x[0] * x[2] - x[1]) * x[3] + 2.5 * x[1] - x[0] * x[1] + (3.0 - x[2]) * x[2];
    let tape = Tape::record(4, |x| {
        vec![(x[0] * x[2] - x[1]) * x[3] + x[1] * 2.5 - x[0] * x[1] + (-x[2] + 3.0) * x[2]]
    });
    let tape = tape.unwrap();
    let numbers: Vec<f64> = (0..2400).map(|i| f64::from(i % 17) - 8.0).collect();
    let mut space = Workspace::new(&tape);
    for shared in [0, 1, 2, 3, 2, 0] {
        let (head, row) = (&numbers[5..5 + shared], 4 - shared);
        for batch in [0, 1, 3, 15, 16, 33, 300] {
            let x = &numbers[..batch * row];
            let each: Vec<f64> = x.chunks_exact(row).map(|own| f(&[head, own].concat())).collect();
            let mut y = vec![0.0; batch];
            tape.run_shared(batch, head, x, &mut y, &mut space).unwrap();
            assert_eq!(y, each, "{shared} shared, {batch} samples");
            let (mut sum, mut parallel) = ([f64::NAN], [f64::NAN]);
            tape.sum_shared(batch, head, x, &mut sum, &mut space).unwrap();
            tape.sum_shared_parallel(batch, head, x, &mut parallel).unwrap();
            assert_eq!(sum, parallel);
            assert_eq!(sum[0], each.iter().sum::<f64>(), "{shared} shared, {batch} samples");
        }
    }
    // Without inputs of their own, all samples are one.
    let (mut sum, mut parallel) = ([0.0], [0.0]);
    tape.sum_shared(usize::MAX, &numbers[..4], &[], &mut sum, &mut space).unwrap();
    tape.sum_shared_parallel(usize::MAX, &numbers[..4], &[], &mut parallel).unwrap();
    assert_eq!(sum, [f(&numbers[..4]) * usize::MAX as f64]);
    assert_eq!(sum, parallel);
    assert!(SampleSum::new(&tape, 2).is_ok());
}
