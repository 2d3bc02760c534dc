//! Tapes against the code they were recorded from, and their derivatives against dual numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/networks.rs"]
mod networks;
#[path = "common/numbers.rs"]
mod numbers;

use networks::{Random, network};
use numbers::near;
use pullback_graph::{Dual, Error, Expr, Real, SampleSum, Tape, Workspace};

#[test]
fn random_networks_and_their_derivatives_equal_the_code_and_dual_numbers() {
    for seed in 0..400 {
        let size = 5 + (seed as usize * 7) % 90;
        let tape = Tape::record(4, |x| network(seed, size, x)).unwrap();
        let (jacobian, places) = tape.jacobian();
        let (hessian, second) = tape.hessian();
        let (forward, reverse) = (tape.forward(), tape.reverse());
        let mut random = Random(!seed);
        for _ in 0..4 {
            let x: Vec<f64> = (0..4).map(|_| random.uniform(-1.5, 1.5)).collect();
            let (dx, dy): (Vec<f64>, Vec<f64>) = (
                (0..4).map(|_| random.uniform(-1.0, 1.0)).collect(),
                (0..3).map(|_| random.uniform(-1.0, 1.0)).collect(),
            );
            let y = network(seed, size, &x);
            near("value", &tape.eval(&x).unwrap(), &y, 1e-13);
            let dual: Vec<Dual<f64, 4>> =
                x.iter().enumerate().map(|(i, &x)| Dual::variable(x, i)).collect();
            let exact: Vec<f64> =
                network(seed, size, &dual).iter().flat_map(|y| y.slopes).collect();
            near("Jacobian", &places.dense(&jacobian.eval(&x).unwrap()), &exact, 1e-10);
            let pushed: Vec<f64> =
                exact.chunks(4).map(|row| row.iter().zip(&dx).map(|(j, d)| j * d).sum()).collect();
            let out = forward.eval(&[&x[..], &dx].concat()).unwrap();
            near("value beside the push", &out[..3], &y, 1e-13);
            near("push", &out[3..], &pushed, 1e-10);
            let pulled: Vec<f64> =
                (0..4).map(|j| (0..3).map(|i| dy[i] * exact[4 * i + j]).sum()).collect();
            let out = reverse.eval(&[&x[..], &dy].concat()).unwrap();
            near("pull", &out[3..], &pulled, 1e-10);
            let nested: Vec<Dual<Dual<f64, 4>, 4>> = x
                .iter()
                .enumerate()
                .map(|(i, &x)| Dual::variable(Dual::variable(x, i), i))
                .collect();
            let curved = network(seed, size, &nested);
            let mut expected = vec![0.0; 16];
            for i in 0..4 {
                for j in 0..=i {
                    expected[4 * i + j] =
                        (0..3).map(|k| dy[k] * curved[k].slopes[i].slopes[j]).sum();
                }
            }
            let out = second.dense(&hessian.eval(&[&x[..], &dy].concat()).unwrap());
            near("Hessian", &out, &expected, 1e-8);
        }
    }
}

#[test]
fn a_batch_of_any_size_gives_the_bits_of_single_samples() {
    let tape = Tape::record(4, |x| network(11, 80, x)).unwrap();
    let mut workspace = Workspace::new(&tape);
    let mut random = Random(5);
    for batch in [0, 1, 2, 15, 16, 17, 33, 700] {
        let x: Vec<f64> = (0..4 * batch).map(|_| random.uniform(-1.5, 1.5)).collect();
        let (mut y, mut parallel) = (vec![0.0; 3 * batch], vec![0.0; 3 * batch]);
        tape.run(batch, &x, &mut y, &mut workspace).unwrap();
        tape.run_parallel(batch, &x, &mut parallel).unwrap();
        assert_eq!(y, parallel);
        for (x, y) in x.chunks(4).zip(y.chunks(3)) {
            assert_eq!(tape.eval(x).unwrap(), y);
        }
    }
}

#[test]
fn a_tape_with_equal_parts_gives_one_sample_the_bits_of_a_batch() {
    // Paths of random networks: many equal parts, which one sample runs side by side, with irregular ends.
    for (seed, steps) in [(3, 40), (11, 17), (20, 64), (31, 9)] {
        let tape = Tape::record(steps + 3, |x| {
            let mut y: Vec<_> = x.windows(4).flat_map(|x| network(seed, 50, x)).collect();
            let sum = y.iter().fold(x[0] * 0.5, |sum, &y| sum + y);
            y.extend([sum, sum, x[1], Real::lit(0.25), y[0] * x[steps]]);
            y
        })
        .unwrap();
        let (both, _) = tape.value_and_jacobian();
        let mut random = Random(seed);
        for tape in [&tape, &both, &tape.reverse()] {
            let (n, m) = (tape.inputs(), tape.outputs());
            let x: Vec<f64> = (0..4 * n).map(|_| random.uniform(-1.5, 1.5)).collect();
            let mut y = vec![0.0; 4 * m];
            tape.run(4, &x, &mut y, &mut Workspace::new(tape)).unwrap();
            for (x, y) in x.chunks(n).zip(y.chunks(m)) {
                assert_eq!(tape.eval(x).unwrap(), y, "seed {seed}");
            }
        }
    }
}

#[test]
fn shared_inputs_are_inputs_and_sums_are_sums() {
    let tape = Tape::record(4, |x| network(7, 60, x)).unwrap();
    let mut random = Random(9);
    let mut workspace = Workspace::new(&tape);
    for batch in [0, 1, 3, 5, 16, 300, 1111] {
        for common in 0..=4 {
            let shared: Vec<f64> = (0..common).map(|_| random.uniform(-1.0, 1.0)).collect();
            let x: Vec<f64> =
                (0..batch * (4 - common)).map(|_| random.uniform(-1.0, 1.0)).collect();
            let rows: Vec<&[f64]> =
                (0..batch).map(|i| &x[i * (4 - common)..][..4 - common]).collect();
            let full: Vec<f64> = rows.iter().flat_map(|row| [&shared[..], row].concat()).collect();
            let mut expected = vec![0.0; 3 * batch];
            tape.run(batch, &full, &mut expected, &mut workspace).unwrap();
            let (mut y, mut parallel) = (vec![1.0; 3 * batch], vec![2.0; 3 * batch]);
            tape.run_shared(batch, &shared, &x, &mut y, &mut workspace).unwrap();
            tape.run_shared_parallel(batch, &shared, &x, &mut parallel).unwrap();
            assert_eq!((&y, &parallel), (&expected, &expected));
            let (mut sums, mut parallel) = ([7.0; 3], [8.0; 3]);
            tape.sum_shared(batch, &shared, &x, &mut sums, &mut workspace).unwrap();
            tape.sum_shared_parallel(batch, &shared, &x, &mut parallel).unwrap();
            assert_eq!(sums, parallel, "the same bits on threads");
            let direct: Vec<f64> =
                (0..3).map(|k| expected.chunks(3).map(|row| row[k]).sum()).collect();
            near("sums", &sums, &direct, 1e-12 * (1.0 + batch as f64));
        }
    }
    let few = tape.run_shared(1, &[0.0; 5], &[], &mut [0.0; 3], &mut workspace);
    assert!(matches!(few, Err(Error::Length { expected: 4, got: 5, .. })), "{few:?}");
    let sums = tape.sum_shared(1, &[0.0; 4], &[], &mut [0.0; 2], &mut workspace);
    assert!(matches!(sums, Err(Error::Length { what: "sums", expected: 3, got: 2 })), "{sums:?}");
}

#[test]
fn a_sum_over_samples_is_the_sum_and_its_gradient_the_sum_of_gradients() {
    let mut random = Random(21);
    for seed in 0..40 {
        let one = Tape::record(4, |x| vec![network(seed, 70, x)[1]]).unwrap();
        for shared in 0..=4 {
            let sum = SampleSum::new(&one, shared).unwrap();
            let rows = if shared == 4 { 0 } else { 37 };
            let theta: Vec<f64> = (0..shared).map(|_| random.uniform(-1.0, 1.0)).collect();
            let x: Vec<f64> = (0..rows * (4 - shared)).map(|_| random.uniform(-1.0, 1.0)).collect();
            let gradient = one.gradient(0..shared).unwrap();
            let mut expected = vec![0.0; 1 + shared];
            for row in 0..rows.max(1) {
                let point = [
                    &theta[..],
                    x.get(row * (4 - shared)..(row + 1) * (4 - shared)).unwrap_or(&[]),
                ];
                let of_one = gradient.eval(&point.concat()).unwrap();
                expected.iter_mut().zip(of_one).for_each(|(sum, d)| *sum += d);
            }
            let mut slope = vec![0.0; shared];
            let value = sum.gradient(&theta, &x, &mut slope).unwrap();
            near("value", &[value, sum.value(&theta, &x).unwrap()], &[expected[0]; 2], 1e-10);
            near("gradient", &slope, &expected[1..], 1e-10);
        }
    }
    let two = Tape::record(2, |x| vec![x[0], x[1]]).unwrap();
    assert!(matches!(SampleSum::new(&two, 1), Err(Error::Invalid { .. })));
    let one = Tape::record(3, |x| vec![x[0] * x[1] + x[2]]).unwrap();
    assert!(matches!(SampleSum::new(&one, 4), Err(Error::Invalid { .. })));
    let sum = SampleSum::new(&one, 1).unwrap();
    let odd = sum.value(&[1.0], &[1.0; 3]);
    assert!(matches!(odd, Err(Error::Length { expected: 4, got: 3, .. })), "{odd:?}");
    let short = sum.gradient(&[1.0], &[1.0; 4], &mut []);
    assert!(matches!(short, Err(Error::Length { what: "gradient", .. })), "{short:?}");
}

#[test]
fn a_gradient_has_the_rows_that_are_asked_for() {
    let f = |x: &[Dual<f64, 4>]| network(5, 70, x)[0] + network(5, 70, x)[1];
    let tape = Tape::record(4, |x| vec![network(5, 70, x)[0] + network(5, 70, x)[1]]).unwrap();
    let x = [0.3, -0.8, 1.1, 0.2];
    let dual: Vec<Dual<f64, 4>> = (0..4).map(|i| Dual::variable(x[i], i)).collect();
    let exact = f(&dual);
    for wrt in [0..4, 1..3, 2..2, 3..4] {
        let y = tape.gradient(wrt.clone()).unwrap().eval(&x).unwrap();
        near("value", &y[..1], &[exact.value], 1e-14);
        near("gradient", &y[1..], &exact.slopes[wrt], 1e-11);
    }
    assert!(matches!(tape.gradient(2..5), Err(Error::Invalid { .. })));
    let two = Tape::record(1, |x| vec![x[0], x[0] * 2.0]).unwrap();
    assert!(matches!(two.gradient(0..1), Err(Error::Invalid { .. })));
    assert_eq!(two.outputs_only(&[1, 1, 0]).unwrap().eval(&[3.0]).unwrap(), [6.0, 6.0, 3.0]);
    assert!(matches!(two.outputs_only(&[2]), Err(Error::Invalid { .. })));
}

/// What stands behind a branch that is not taken is not felt, whatever its slope is there; norms and angles have slope 0 at the origin.
#[test]
fn derivatives_stay_finite_beside_singular_branches() {
    fn guarded<T: Real>(x: &[T]) -> Vec<T> {
        let zero = T::lit(0.0);
        let positive = zero.less(x[0]);
        vec![
            T::select(positive, x[0].sqrt(), zero),
            T::select(positive, x[0].ln() * x[1], x[0]),
            T::select(positive, (x[0] * 1e3).exp().ln(), x[1] / 1.0),
            T::select(zero.less(x[0] - 2.0), x[1] / (x[0] - x[0].floor()), x[1]),
            x[0].hypot(x[0] * 2.0) + x[1].sin(),
            x[0].atan2(x[0] * 3.0) + x[1],
        ]
    }
    let tape = Tape::record(2, |x| guarded(x)).unwrap();
    let x = [0.0, 0.7];
    let expected =
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.7f64.cos()], [0.0, 1.0]].concat();
    let (jacobian, pattern) = tape.jacobian();
    near("columns pushed", &pattern.dense(&jacobian.eval(&x).unwrap()), &expected, 1e-15);
    for row in 0..6 {
        let one = tape.outputs_only(&[row]).unwrap();
        let slopes = &one.gradient(0..2).unwrap().eval(&x).unwrap()[1..];
        near("row pulled", slopes, &expected[2 * row..][..2], 1e-15);
        let (jacobian, pattern) = one.jacobian();
        let dense = pattern.dense(&jacobian.eval(&x).unwrap());
        near("row of a Jacobian", &dense, &expected[2 * row..][..2], 1e-15);
        let reverse = one.reverse().eval(&[0.0, 0.7, 1.0]).unwrap();
        near("pull", &reverse[1..], &expected[2 * row..][..2], 1e-15);
    }
    let forward = tape.forward().eval(&[0.0, 0.7, 1.0, 0.0]).unwrap();
    let first: Vec<f64> = expected.chunks(2).map(|row| row[0]).collect();
    near("push", &forward[6..], &first, 1e-15);
    let duals = guarded(&[Dual::<f64, 2>::variable(0.0, 0), Dual::variable(0.7, 1)]);
    let slopes: Vec<f64> = duals.iter().flat_map(|y| y.slopes).collect();
    near("duals", &slopes, &expected, 1e-15);
    // Without a branch around it an infinite slope is an error, not a number.
    let root = Tape::record(1, |x| vec![x[0].sqrt()]).unwrap();
    assert!(matches!(root.jacobian().0.eval(&[0.0]), Err(Error::OutputNotFinite { .. })));
    // No change, no derivative.
    assert_eq!(root.forward().eval(&[0.0, 0.0]).unwrap(), [0.0, 0.0]);
}

#[test]
fn equal_work_is_done_once_and_dead_work_not_at_all() {
    let tape = Tape::record(2, |x| {
        let unused = (x[0] * 3.0).exp();
        let _ = unused.sin();
        let (a, b) = (x[0] * x[1] + x[1].sin(), x[1].sin() + x[1] * x[0]);
        vec![a - b, a + x[0] * 0.0, -(-a) * 1.0, x[0].lit_times_zero()]
    });
    // a − b is 0, and a is computed once: product, sine, sum.
    let tape = tape.unwrap();
    assert_eq!(tape.len(), 3);
    let x = [0.3f64, 0.8];
    let a = x[0] * x[1] + x[1].sin();
    assert_eq!(tape.eval(&x).unwrap(), [0.0, a, a, 0.0]);
    // A chain needs few registers, however long.
    let chain =
        Tape::record(1, |x| vec![(0..1000).fold(x[0], |y, i| (y * 1.01).sin() + f64::from(i % 2))]);
    assert!(chain.unwrap().registers() <= 6);
}

trait Zero: Real {
    fn lit_times_zero(self) -> Self {
        Self::lit(0.0) * self
    }
}
impl<T: Real> Zero for T {}

#[test]
fn mistakes_are_named() {
    let frozen = Tape::record(2, |x| if x[0] < x[1] { vec![x[0]] } else { vec![x[1]] });
    assert!(
        matches!(&frozen, Err(Error::FrozenBranch { comparison: "<", left, right })
        if left == "x[0]" && right == "x[1]"),
        "{frozen:?}"
    );
    assert!(matches!(
        Tape::record(1, |x| if x[0] == x[0].sin() { vec![] } else { vec![x[0]] }),
        Err(Error::FrozenBranch { comparison: "==", .. })
    ));
    // Constants may be compared: the branch does not depend on the inputs.
    let folded = Tape::record(1, |x| {
        let two = x[0] - x[0] + 2.0;
        if two < Real::lit(3.0) { vec![x[0] * two] } else { vec![] }
    });
    assert_eq!(folded.unwrap().eval(&[4.0]).unwrap(), [8.0]);

    let tape = Tape::record(2, |x| vec![x[0].ln(), x[0] / x[1]]).unwrap();
    assert!(matches!(
        tape.eval(&[1.0]),
        Err(Error::Length { what: "inputs", expected: 2, got: 1 })
    ));
    let mut workspace = Workspace::new(&tape);
    let mut y = [0.0; 4];
    assert!(matches!(
        tape.run(2, &[1.0, 1.0, 1.0, 0.0], &mut y, &mut workspace),
        Err(Error::OutputNotFinite { output: 1, sample: 1, value, .. }) if value == f64::INFINITY
    ));
    assert!(matches!(
        tape.run(2, &[1.0; 4], &mut y[..3], &mut workspace),
        Err(Error::Length { what: "outputs", expected: 4, got: 3 })
    ));
    let other = Tape::record(1, |x| vec![x[0].ln()]).unwrap();
    assert!(matches!(
        other.run(1, &[1.0], &mut y[..1], &mut workspace),
        Err(Error::ForeignTape { .. })
    ));
    let nothing = Tape::record(0, |_| vec![]).unwrap();
    assert_eq!(nothing.eval(&[]).unwrap(), Vec::<f64>::new());
    let constant = Tape::record(0, |_| vec![Real::lit(2.5)]).unwrap();
    assert_eq!(constant.eval(&[]).unwrap(), [2.5]);
}

/// A recording inside a recording: what one takes from the other is an error of both.
#[test]
fn expressions_of_two_recordings_do_not_mix() {
    let inner = |f: for<'a> fn(Expr<'a>, Expr<'a>) -> Expr<'a>| {
        let mut of_inner = None;
        let outer = Tape::record(1, |x| {
            let x = x[0];
            of_inner = Some(Tape::record(1, |z| {
                // The lifetimes of two recordings are not the same; a closure that takes both makes them so.
                let _ = f(x, z[0]);
                vec![z[0]]
            }));
            vec![x]
        });
        (of_inner.unwrap(), outer)
    };
    for f in [(|x, z| x + z) as for<'a> fn(Expr<'a>, Expr<'a>) -> Expr<'a>, |x, z| z * x] {
        let (inner, outer) = inner(f);
        assert!(matches!(inner, Err(Error::ForeignExpression)), "{inner:?}");
        assert!(matches!(outer, Err(Error::ForeignExpression)), "{outer:?}");
    }
    let (compared, outer) = inner(|x, z| if x < z { x } else { z });
    assert!(matches!(compared, Err(Error::FrozenBranch { .. })), "{compared:?}");
    assert!(matches!(outer, Err(Error::FrozenBranch { .. })), "{outer:?}");
    assert!(matches!(Tape::record(usize::MAX, |_| vec![]), Err(Error::Invalid { .. })));
}

/// What θ alone leads to may be anything where no sample takes the branch; where one does, the error says so.
#[test]
fn a_sum_over_samples_does_not_feel_branches_that_none_takes() {
    let tape = Tape::record(2, |v| {
        let root = (v[0].ln() * 2.0).exp().sqrt();
        vec![Real::select(v[1], root, v[0] * v[0])]
    });
    let tape = tape.unwrap();
    let sum = SampleSum::new(&tape, 1).unwrap();
    let mut slope = [0.0];
    assert_eq!(sum.gradient(&[-3.0], &[0.0, 0.0], &mut slope).unwrap(), 18.0);
    assert_eq!((slope, sum.value(&[-3.0], &[0.0]).unwrap()), ([-12.0], 9.0));
    assert!(matches!(sum.value(&[-3.0], &[0.0, 1.0]), Err(Error::OutputNotFinite { .. })));
    let root = Tape::record(2, |v| vec![v[0].sqrt() * v[1]]).unwrap();
    let sum = SampleSum::new(&root, 1).unwrap();
    let error = sum.gradient(&[0.0], &[1.0], &mut slope).unwrap_err();
    assert!(error.to_string().contains("input 0 is inf"), "{error}");
}

#[test]
fn slopes_far_out_and_at_a_power_of_zero() {
    let acosh = Tape::record(1, |x| vec![x[0].acosh()]).unwrap().gradient(0..1).unwrap();
    for x in [1e200, 1e16, 3.0] {
        let slope = acosh.eval(&[x]).unwrap()[1];
        let expected = 1.0 / ((x - 1.0).sqrt() * (x + 1.0).sqrt());
        assert!((slope / expected - 1.0).abs() < 1e-15, "{x}: {slope}");
        assert_eq!(Dual::<f64, 1>::variable(x, 0).acosh().slopes, [slope]);
    }
    // x⁰ is 1 everywhere, also where the exponent is a variable.
    let power = Tape::record(2, |x| vec![x[0].pow(x[1])]).unwrap();
    let forward = power.forward().eval(&[0.0, 0.0, 1.0, 0.0]).unwrap();
    assert_eq!(forward, [1.0, 0.0]);
}

/// An error says which number was the first that is none.
#[test]
fn errors_name_their_cause() {
    let tape =
        Tape::record(3, |x| vec![x[0] * 2.0, (x[0] - x[1]).ln() * x[2].exp(), x[2]]).unwrap();
    let message = |x: &[f64]| tape.eval(x).unwrap_err().to_string();
    assert_eq!(message(&[1.0, 3.0, 1.0]), "output 1 of sample 0 is NaN: Ln(-2) is NaN");
    assert_eq!(message(&[1.0, 0.5, 1e3]), "output 1 of sample 0 is -inf: Exp(1000) is inf");
    assert_eq!(message(&[f64::NAN, 0.5, 1.0]), "output 0 of sample 0 is NaN: input 0 is NaN");
    let x = [2.0, 1.0, 0.0].repeat(40);
    let mut bad = x.clone();
    bad[3 * 33 + 1] = 5.0;
    let mut y = vec![0.0; 3 * 40];
    let rows = tape.run_parallel(40, &bad, &mut y).unwrap_err().to_string();
    assert_eq!(rows, "output 1 of sample 33 is NaN: Ln(-3) is NaN");
    let sums = tape.sum_shared_parallel(40, &[], &bad, &mut [0.0; 3]).unwrap_err().to_string();
    assert_eq!(sums, "output 1 of sample 0 is NaN: Ln(-3) is NaN");
    // Of a branch that is taken, and not of the other.
    let branch = Tape::record(2, |x| vec![Real::select(x[0], x[1].sqrt(), x[1].ln())]).unwrap();
    let error = branch.eval(&[1.0, -4.0]).unwrap_err().to_string();
    assert!(error.ends_with("Sqrt(-4) is NaN"), "{error}");
}

/// What people write first: constants on both sides, `+=` and sums.
#[test]
fn operators_are_there_on_both_sides() {
    fn generic<T: Real>(x: &[T]) -> T {
        let mut y: T = x.iter().map(|x| *x * *x).sum();
        y += x[0];
        y -= x[1] * 3.0;
        y *= x[1];
        y /= x[0] + 4.0;
        y
    }
    let x = [1.5, -0.5];
    let tape =
        Tape::record(2, |x| vec![generic(x), 2.0 * x[0] + 1.0 / x[1] - (3.0 - x[0])]).unwrap();
    let expected = [generic(&x), 2.0 * x[0] + 1.0 / x[1] - (3.0 - x[0])];
    assert_eq!(tape.eval(&x).unwrap(), expected);
    let d = [Dual::<f64, 2>::variable(x[0], 0), Dual::variable(x[1], 1)];
    let duals = [generic(&d), 2.0 * d[0] + 1.0 / d[1] - (3.0 - d[0])];
    let jacobian = tape.jacobian().0.eval(&x).unwrap();
    let slopes: Vec<f64> = duals.iter().flat_map(|y| y.slopes).collect();
    near("slopes", &jacobian, &slopes, 1e-14);
}
