//! The fused loop against a plain one, its transpose, differences.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

mod common;

use common::{Random, apart, dot};
use pullback_vin::Result;
use pullback_vin::kernel::{
    DynamicShape, LoopShape, LoopTape, Real, dynamic_backward, dynamic_forward, dynamic_push,
    loop_backward, loop_forward, loop_push, set_cross_entropy, set_cross_entropy_gradient,
};

fn shapes() -> Vec<LoopShape> {
    let base = LoopShape {
        batch: 3,
        height: 5,
        width: 7,
        channels: 4,
        kernel: 3,
        iterations: 6,
        untied: false,
        per_action: false,
    };
    vec![
        base,
        LoopShape { width: 16, height: 3, ..base },
        LoopShape { width: 33, kernel: 5, ..base },
        LoopShape { kernel: 11, iterations: 1, ..base },
        LoopShape { untied: true, iterations: 3, ..base },
        LoopShape { height: 1, width: 1, kernel: 7, ..base },
        LoopShape { per_action: true, width: 20, channels: 9, ..base },
        LoopShape { per_action: true, untied: true, kernel: 5, ..base },
    ]
}

struct Data {
    r: Vec<f64>,
    w: Vec<f64>,
    u: Vec<f64>,
}

fn data(shape: &LoopShape, seed: u64) -> Data {
    let mut random = Random::new(seed);
    let n = shape.batch * shape.height * shape.width;
    let mut small = |n: usize| random.normals(n).iter().map(|x| 0.3 * x).collect::<Vec<f64>>();
    let (r, w) = match shape.per_action {
        true => (small(n * shape.channels), vec![]),
        false => (small(n), small(shape.weights())),
    };
    Data { r, w, u: small(shape.weights()) }
}

/// The formula, cell by cell.
fn plain(shape: &LoopShape, d: &Data, pad: f64) -> Vec<f64> {
    let LoopShape { batch, height, width, channels, kernel, iterations, .. } = *shape;
    let (untied, per_action) = (shape.untied, shape.per_action);
    let (cells, half) = (height * width, kernel / 2);
    let rewards = if per_action { channels * cells } else { cells };
    let mut out = vec![];
    for n in 0..batch {
        let r = &d.r[n * rewards..(n + 1) * rewards];
        let q = |k: usize, v: Option<&[f64]>| -> Vec<f64> {
            let mut q = vec![0.0; channels * cells];
            for c in 0..channels {
                for y in 0..height {
                    for x in 0..width {
                        for t in 0..kernel * kernel {
                            let (ty, tx) = (y + t / kernel, x + t % kernel);
                            let inside = (half..half + height).contains(&ty)
                                && (half..half + width).contains(&tx);
                            let i = if inside { (ty - half) * width + tx - half } else { 0 };
                            let j =
                                (if untied { k * channels } else { 0 } + c) * kernel * kernel + t;
                            let mut sum = match (per_action, inside) {
                                // Once for each cell.
                                (true, _) if t == 0 => r[c * cells + y * width + x],
                                (false, true) => d.w[j] * r[i],
                                _ => 0.0,
                            };
                            if let Some(v) = v {
                                sum += d.u[j] * if inside { v[i] } else { pad };
                            }
                            q[c * cells + y * width + x] += sum;
                        }
                    }
                }
            }
            q
        };
        let best = |q: &[f64]| -> Vec<f64> {
            (0..cells)
                .map(|i| (0..channels).map(|c| q[c * cells + i]).fold(f64::NEG_INFINITY, f64::max))
                .collect()
        };
        let mut v = best(&q(0, None));
        for k in 1..iterations {
            v = best(&q(k, Some(&v)));
        }
        out.extend(q(iterations, Some(&v)));
    }
    out
}

#[test]
fn the_loop_is_its_formula() -> Result<()> {
    for shape in shapes() {
        for pad in [0.0, -1.5] {
            let d = data(&shape, 1);
            let (q, tape) = loop_forward(shape, &d.r, &d.w, &d.u, pad)?;
            let error = apart(&q, &plain(&shape, &d, pad));
            assert!(error < 1e-13, "{shape:?}: {error:e}");
            let per_cell = 9 * shape.iterations * shape.batch * shape.height * shape.width;
            assert_eq!(tape.bytes(), per_cell);
        }
    }
    Ok(())
}

#[test]
fn the_backward_loop_is_the_transpose_and_the_slope() -> Result<()> {
    for shape in shapes() {
        let (d, along) = (data(&shape, 2), data(&shape, 3));
        let (q, tape) = loop_forward(shape, &d.r, &d.w, &d.u, -0.2)?;
        let c = Random::new(4).normals(q.len());
        let at = (&d.r[..], &d.w[..], &d.u[..]);
        let [dr, dw, du] = loop_backward(shape, at, -0.2, &tape, &c)?;
        let pushed = loop_push(shape, at, -0.2, &tape, (&along.r, &along.w, &along.u))?;
        let left = dot(&pushed, &c);
        let right = dot(&dr, &along.r) + dot(&dw, &along.w) + dot(&du, &along.u);
        assert!((left - right).abs() < 1e-11 * left.abs().max(1.0), "{shape:?}: {left} {right}");
        let loss = |t: f64| -> Result<f64> {
            let go = |x: &[f64], d: &[f64]| -> Vec<f64> {
                x.iter().zip(d).map(|(x, d)| x + t * d).collect()
            };
            let (r, w, u) = (go(&d.r, &along.r), go(&d.w, &along.w), go(&d.u, &along.u));
            Ok(dot(&loop_forward(shape, &r, &w, &u, -0.2)?.0, &c))
        };
        let h = 1e-6;
        let slope = (loss(h)? - loss(-h)?) / (2.0 * h);
        assert!((slope - right).abs() < 1e-6 * right.abs().max(1.0), "{shape:?}: {slope} {right}");
    }
    Ok(())
}

#[test]
fn a_tie_goes_to_the_first_channel() -> Result<()> {
    let shape = LoopShape {
        batch: 1,
        height: 1,
        width: 1,
        channels: 3,
        kernel: 3,
        iterations: 1,
        untied: false,
        per_action: false,
    };
    // With U = 0 and equal W all channels are equal.
    let (w, u) = (vec![1.0; 27], vec![0.0; 27]);
    let (_, tape) = loop_forward(shape, &[1.0], &w, &u, 0.0)?;
    assert_eq!(tape.winners, [0]);
    Ok(())
}

#[test]
fn sets_of_right_actions() -> Result<()> {
    let mut random = Random::new(8);
    let (dims, logits) = ([2, 5, 7], random.normals(70));
    let sets: Vec<u8> = (0..14).map(|i| (i * 7 % 32) as u8).collect();
    let (loss, labelled) = set_cross_entropy(dims, &logits, &sets)?;
    assert_eq!(labelled, sets.iter().filter(|s| **s != 0).count());
    let (same, gradient) = set_cross_entropy_gradient(dims, &logits, &sets, 1.0)?;
    assert_eq!(same.to_bits(), loss.to_bits());
    for i in 0..70 {
        let at = |h: f64| -> Result<f64> {
            let mut moved = logits.clone();
            moved[i] += h;
            Ok(set_cross_entropy(dims, &moved, &sets)?.0)
        };
        let slope = (at(1e-5)? - at(-1e-5)?) / 2e-5;
        assert!((slope - gradient[i]).abs() < 1e-9, "{i}: {slope} {}", gradient[i]);
    }
    // All actions right: nothing to learn. Right ones far below: no overflow.
    assert!(set_cross_entropy([1, 2, 1], &[3.0, -1.0], &[3])?.0.abs() < 1e-15);
    let (far, _) = set_cross_entropy([1, 2, 1], &[2000.0, -1000.0], &[2])?;
    assert_eq!(far, 3000.0);
    let (_, slope) = set_cross_entropy_gradient([1, 2, 1], &[2000.0, -1000.0], &[2], 1.0)?;
    assert_eq!(slope, [1.0, -1.0]);
    assert!(loss > 0.0 && set_cross_entropy([1, 2, 1], &[0.0, 0.0], &[0]).is_err());
    assert!(set_cross_entropy([1, 2, 1], &[0.0, 0.0], &[4]).is_err());
    Ok(())
}

#[test]
fn the_same_bits_for_any_number_of_threads() -> Result<()> {
    fn run<T: Real>(threads: usize) -> Vec<T> {
        let shape = shapes()[2];
        let d = data(&shape, 5);
        let cast = |x: &[f64]| -> Vec<T> { x.iter().map(|x| T::of(*x)).collect() };
        let (r, w, u) = (cast(&d.r), cast(&d.w), cast(&d.u));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (q, tape) = loop_forward(shape, &r, &w, &u, T::of(0.0)).unwrap();
            loop_backward(shape, (&r, &w, &u), T::of(0.0), &tape, &q).unwrap().concat()
        })
    }
    assert_eq!(run::<f32>(1), run::<f32>(4));
    assert_eq!(run::<f64>(2), run::<f64>(3));
    Ok(())
}

#[test]
fn wrong_sizes_are_errors() {
    let shape = shapes()[0];
    let d = data(&shape, 1);
    let at = (&d.r[..], &d.w[..], &d.u[..]);
    let (q, tape) = loop_forward(shape, &d.r, &d.w, &d.u, 0.0).unwrap();
    let grid = DynamicShape { batch: 1, actions: 2, height: 2, width: 3, iterations: 4 };
    let (kernels, r) = (vec![0.1; 108], vec![1.0; 6]);
    let (dq, dynamic) = dynamic_forward(grid, (&kernels, &r), &[4]).unwrap();
    let is_short = |what: String, got: usize| {
        assert!(what.contains(&format!("tape holds {got} numbers")), "{what}");
    };
    // Either half of a tape may be short.
    for half in [0, 1] {
        let cut = |tape: &LoopTape<f64>| {
            let mut cut = tape.clone();
            let got = tape.values.len() - 1;
            if half == 0 {
                cut.values.truncate(got)
            } else {
                cut.winners.truncate(got)
            }
            (cut, got)
        };
        let (short, got) = cut(&tape);
        is_short(loop_push(shape, at, 0.0, &short, at).unwrap_err().to_string(), got);
        is_short(loop_backward(shape, at, 0.0, &short, &q).unwrap_err().to_string(), got);
        let (short, got) = cut(&dynamic);
        let x = (&kernels[..], &r[..]);
        is_short(dynamic_push(grid, x, &[4], &short, x).unwrap_err().to_string(), got);
        let back = dynamic_backward(grid, x, &[4], &short, &[&dq[0]]);
        is_short(back.unwrap_err().to_string(), got);
    }
    assert!(loop_forward(shape, &d.r[1..], &d.w, &d.u, 0.0).is_err());
    assert!(loop_forward(LoopShape { kernel: 4, ..shape }, &d.r, &d.w, &d.u, 0.0).is_err());
    assert!(loop_forward(LoopShape { iterations: 0, ..shape }, &d.r, &d.w, &d.u, 0.0).is_err());
    assert!(loop_forward(LoopShape { channels: 300, ..shape }, &d.r, &d.w, &d.u, 0.0).is_err());
}
