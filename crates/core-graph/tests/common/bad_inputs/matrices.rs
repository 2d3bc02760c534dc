//! Matrices outside the domain of a factorization: the error says which of the batch, and why.

use pullback_core_graph::candle::{DType, Device, Tensor};
use pullback_core_graph::linalg::Triangle;
use pullback_core_graph::{Error, Graph, Options, Result, Var};

use super::{Tally, kind, names};

type OfOne = for<'g> fn(Var<'g>) -> Result<Vec<Var<'g>>>;

/// Every factorization, with the node that refuses.
const FACTORIZATIONS: &[(&str, bool, OfOne)] = &[
    ("cholesky", true, |a| Ok(vec![a.cholesky()])),
    ("cholesky", true, |a| Ok(vec![a.logdet()])),
    ("cholesky", true, |a| Ok(vec![a.cholesky_solve(a.ones_like())])),
    ("lu", true, |a| Ok(vec![a.solve(a.ones_like())])),
    ("lu", true, |a| Ok(vec![a.inverse()])),
    ("lu", true, |a| Ok(vec![a.det()])),
    ("lu", true, |a| a.slogdet().map(|y| vec![y.1])),
    ("lu", true, |a| a.lu().map(|y| vec![y.0, y.1])),
    ("triangular_solve", true, |a| Ok(vec![a.triangular_solve(a.ones_like(), Triangle::UPPER)])),
    ("eigh", true, |a| a.eigh().map(|y| vec![y.0, y.1])),
    ("qr", false, |a| a.qr().map(|y| vec![y.0, y.1])),
    ("svd", false, |a| a.svd().map(|y| vec![y.0, y.1, y.2])),
    ("pinv", false, |a| Ok(vec![a.pinv()])),
];

/// A batch of five n×n matrices 3·1 + small, of which number `bad` is replaced.
fn batch(n: usize, bad: usize, replaced: impl Fn(usize, usize) -> f64, dtype: DType) -> Tensor {
    let entry = |k: usize| {
        let (b, i, j) = (k / (n * n), k / n % n, k % n);
        if b == bad {
            return replaced(i, j);
        }
        if i == j { 3.0 + i as f64 * 0.5 } else { 0.1 / (1 + i + j) as f64 }
    };
    let data: Vec<f64> = (0..5 * n * n).map(entry).collect();
    Tensor::from_vec(data, (5, n, n), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

pub(super) fn all(t: &mut Tally) {
    singular(t);
    not_square(t);
    not_finite(t);
    coinciding(t);
    without_full_rank(t);
    huge(t);
}

fn run(a: &Tensor, f: OfOne) -> Result<()> {
    super::first_error(f(Graph::new().input(a)))
}

fn singular(t: &mut Tally) {
    // Zeros, equal rows, an indefinite and a negative definite matrix.
    let zeros = |_: usize, _: usize| 0.0;
    let equal = |_: usize, j: usize| 1.0 + j as f64;
    let indefinite =
        |i: usize, j: usize| if i == j { if i == 1 { -1.0 } else { 1.0 } } else { 0.0 };
    let negative = |i: usize, j: usize| if i == j { -2.0 } else { 0.0 };
    let kinds: [(&str, &dyn Fn(usize, usize) -> f64, &[&str]); 4] = [
        ("zeros", &zeros, &["cholesky", "lu", "triangular_solve"]),
        ("equal rows", &equal, &["cholesky", "lu"]),
        ("indefinite", &indefinite, &["cholesky"]),
        ("negative definite", &negative, &["cholesky"]),
    ];
    for (what, entries, refuse) in kinds {
        for (node, _, f) in FACTORIZATIONS.iter().filter(|(node, ..)| refuse.contains(node)) {
            for n in [1, 2, 3, 6, 20] {
                if n == 1 && matches!(what, "equal rows" | "indefinite") {
                    continue;
                }
                for bad in 0..5 {
                    for dtype in [DType::F64, DType::F32] {
                        let a = batch(n, bad, entries, dtype);
                        let right = |e: &Error| {
                            matches!(e, Error::Matrix { batch, .. } if *batch == bad)
                                && names(e, node)
                        };
                        t.expect(
                            || format!("{node} of {what}, {n}×{n}, number {bad}, {dtype:?}"),
                            || run(&a, *f),
                            right,
                        );
                    }
                }
            }
        }
    }
}

fn not_square(t: &mut Tally) {
    for (node, needs_square, f) in FACTORIZATIONS {
        let flat: &[&[usize]] = &[&[], &[3]];
        let oblong: &[&[usize]] = &[&[2, 3], &[3, 2], &[4, 2, 3], &[1, 3], &[3, 0], &[0, 1]];
        for dims in flat.iter().chain(if *needs_square { oblong } else { &[] }) {
            let a = Tensor::ones(*dims, DType::F64, &Device::Cpu).unwrap();
            let right =
                |e: &Error| kind(e) == "Shape" && (names(e, node) || names(e, "linear solve"));
            t.expect(|| format!("{node} of {dims:?}"), || run(&a, *f), right);
        }
    }
}

/// Where a graph does not check its values, the factorizations still do: NaN would make some of them iterate for ever.
fn not_finite(t: &mut Tally) {
    for (node, _, f) in FACTORIZATIONS {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for n in [1, 2, 4, 9] {
                for (i, j) in [(0, 0), (n - 1, 0), (n - 1, n - 1), (0, n - 1)] {
                    let upper = *node == "triangular_solve" && j < i;
                    if upper {
                        continue; // not read
                    }
                    let spoiled = |r: usize, c: usize| {
                        if (r, c) == (i, j) {
                            value
                        } else if r == c {
                            2.0
                        } else {
                            0.25
                        }
                    };
                    let a = batch(n, 3, spoiled, DType::F64);
                    let run = || {
                        let graph = Graph::with_options(Options { finite: false });
                        super::first_error(f(graph.input(&a)))
                    };
                    let right = |e: &Error| kind(e) == "NotFinite" && names(e, node);
                    t.expect(
                        || format!("{node} with {value} at ({i}, {j}) of {n}×{n}, unchecked graph"),
                        run,
                        right,
                    );
                }
            }
        }
    }
}

/// Equal eigenvalues or singular values: what depends on the choice of vectors has no derivative.
fn coinciding(t: &mut Tally) {
    let twice = |i: usize, j: usize| if i == j { 2.0 } else { 0.0 };
    let of: &[(&str, OfOne)] = &[
        ("eigh", |a| a.eigh().map(|y| vec![y.1])),
        ("svd", |a| a.svd().map(|y| vec![y.0])),
        ("svd", |a| a.svd().map(|y| vec![y.2])),
    ];
    for (node, f) in of {
        for n in [2, 3, 5] {
            let a = batch(n, 2, twice, DType::F64);
            for forward in [false, true] {
                let run = || {
                    let graph = Graph::new();
                    let x = graph.input(&a);
                    let y = f(x)?.remove(0);
                    let uneven = super::super::operations::spread(a.dims(), -1.0, 1.0, 4);
                    if forward {
                        graph.push(&[(x, uneven)], &[y]).map(|_| ())
                    } else {
                        graph.pull(&[(y, uneven)], &[x]).map(|_| ())
                    }
                };
                let right = |e: &Error| kind(e) == "NotDifferentiable" && names(e, node);
                t.expect(|| format!("vectors of {node} with equal values, {n}×{n}"), run, right);
            }
        }
    }
}

/// A column that depends on the others: QR has a value but no derivative.
fn without_full_rank(t: &mut Tally) {
    let equal = |i: usize, j: usize| if j == 2 { 0.0 } else { 1.0 + (i * i + j) as f64 };
    let run = |forward: bool| {
        let graph = Graph::new();
        let a = batch(3, 1, equal, DType::F64);
        let x = graph.input(&a);
        let (_, r) = x.qr()?;
        if forward {
            graph.push(&[(x, a.ones_like()?)], &[r]).map(|_| ())
        } else {
            graph.pull(&[(r, a.ones_like()?)], &[x]).map(|_| ())
        }
    };
    for forward in [false, true] {
        let right = |e: &Error| kind(e) == "Matrix" && names(e, "qr");
        t.expect(|| "derivative of QR without full rank".into(), || run(forward), right);
    }
}

/// Numbers near the end of the range: an error or a finite result, but no panic and no hang.
fn huge(t: &mut Tally) {
    for (node, _, f) in FACTORIZATIONS {
        for scale in [1e308, 1e300, 1e160, 1e-160, 1e-300, 5e-324] {
            for n in [2, 4, 9] {
                let entries = |i: usize, j: usize| {
                    scale * if i == j { 1.5 } else { 0.25 / (1 + i + j) as f64 }
                };
                let a = batch(n, 4, entries, DType::F64);
                // A finite result is right too.
                let run = || run(&a, *f).map(|()| true);
                t.expect_unless_harmless(
                    || format!("{node} of entries near {scale:e}, {n}×{n}"),
                    run,
                    |e| matches!(kind(e), "NotFinite" | "Matrix" | "NoConvergence"),
                );
            }
        }
    }
}
