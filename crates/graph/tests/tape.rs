//! Tapes against the code they were recorded from, and their derivatives against dual numbers.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

use pullback_graph::{Dual, Error, Real, Tape, Workspace};

#[path = "common/networks.rs"]
mod networks;

use networks::{Random, network};

fn near(what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        let scale = 1.0f64.max(a.abs()).max(b.abs());
        assert!((a - b).abs() <= tolerance * scale, "{what}: {a} ≠ {b}");
    }
}

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
        Err(Error::OutputNotFinite { output: 1, sample: 1, value }) if value == f64::INFINITY
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
