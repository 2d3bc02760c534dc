//! Other Rust crates for derivatives, in this process: num-dual.
//!
//! Not here: echidna 0.15, which needs a newer compiler (1.93) than this workspace asks for; ad_trait 0.3.1, which does not compile
//! without its reflection feature, and with it brings a game engine's crates.

use crate::arm::{ARM, JOINTS};
use crate::objectives::rosenbrock;
use crate::robot::{arm_tape, dense};
use crate::{Bench, Figure, difference};
use anyhow::{Result, ensure};
use benches::peer::fill;
use nalgebra::{SVector, Vector3};
use num_dual::{DualNum, DualSVec64};
use pullback_graph::{Tape, Workspace};

/// The arm's position over the numbers of num-dual.
fn dual_hand<T: DualNum<Primitive = f64> + Copy>(q: &[T]) -> [T; 3] {
    let lit = T::from;
    let mut turn = [[lit(0.0); 3]; 3];
    (0..3).for_each(|i| turn[i][i] = lit(1.0));
    let mut place = [lit(0.0); 3];
    for (i, &[a, d, alpha]) in ARM.iter().enumerate() {
        let (sin, cos) = match q.get(i) {
            Some(&q) => (q.sin(), q.cos()),
            None => (lit(0.0), lit(1.0)),
        };
        let (sa, ca) = (alpha.sin().round(), alpha.cos().round());
        let next =
            [[cos, -sin, lit(0.0)], [sin * ca, cos * ca, lit(-sa)], [sin * sa, cos * sa, lit(ca)]];
        let shift = [a, -sa * d, ca * d];
        let moved = |r: usize| (0..3).fold(place[r], |sum, k| sum + turn[r][k] * shift[k]);
        place = std::array::from_fn(moved);
        let entry = |r: usize, c: usize| {
            (1..3).fold(turn[r][0] * next[0][c], |sum, k| sum + turn[r][k] * next[k][c])
        };
        turn = std::array::from_fn(|r| std::array::from_fn(|c| entry(r, c)));
    }
    place
}

/// Rosenbrock's function over the numbers of num-dual.
fn dual_valley<T: DualNum<Primitive = f64> + Copy>(x: &[T]) -> T {
    x.windows(2).fold(T::from(0.0), |sum, w| {
        let (a, b) = (w[1] - w[0] * w[0], -w[0] + 1.0);
        sum + a * a * 100.0 + b * b
    })
}

/// Variables of Rosenbrock's function.
const VALLEY: usize = 100;

pub(crate) fn all(bench: &mut Bench) -> Result<()> {
    arm(bench)?;
    valley(bench)
}

/// One row: ours against one crate's, in turns.
fn row(
    bench: &mut Bench,
    name: &str,
    system: &str,
    (ours, theirs): (&[f64], &[f64]),
    mine: impl FnMut() -> Result<()>,
    work: impl FnMut() -> Result<()>,
) -> Result<()> {
    let apart = difference(ours, theirs);
    ensure!(ours.len() == theirs.len() && apart <= 1e-12, "{name}, {system}: {apart} apart");
    let (mine, other) = bench.in_turns(mine, work)?;
    let figure =
        Figure { name: &format!("{name}, against num-dual"), unit: "ns", per: 1e9, limit: None };
    let row = bench.row(&figure, mine).against(system, other * 1e9);
    bench.output.push(row.ratio_at_most(1.0))
}

/// By rows, as ours.
fn by_rows(values: &[f64], matrix: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let entries = (0..3).flat_map(|i| (0..JOINTS).map(move |j| (i, j)));
    values.iter().copied().chain(entries.map(|(i, j)| matrix(i, j))).collect()
}

fn arm(bench: &mut Bench) -> Result<()> {
    let name = "arm: value and Jacobian, a single evaluation";
    let ((tape, pattern), x) = (arm_tape()?, fill(0, JOINTS, 1.5));
    let (mut y, mut space) = (vec![0.0; tape.outputs()], Workspace::new(&tape));
    let ours = dense(&pattern, &tape.eval(&x)?);
    let q = SVector::<f64, JOINTS>::from_column_slice(&x);
    let both = || {
        num_dual::jacobian(
            |q: SVector<DualSVec64<JOINTS>, JOINTS>| Vector3::from(dual_hand(q.as_slice())),
            std::hint::black_box(&q),
        )
    };
    let (value, slopes) = both();
    let theirs = by_rows(value.as_slice(), |i, j| slopes[(i, j)]);
    let system = "num-dual 0.15, DualSVec64";
    row(
        bench,
        name,
        system,
        (&ours, &theirs),
        || Ok(tape.run(1, &x, &mut y, &mut space)?),
        || {
            std::hint::black_box(both());
            Ok(())
        },
    )
}

fn valley(bench: &mut Bench) -> Result<()> {
    let name = "Rosenbrock-100: value and gradient";
    let tape = Tape::record(VALLEY, |x| vec![rosenbrock(x)])?.reverse();
    let x = fill(0, VALLEY, 1.0);
    let seeded = [&x[..], &[1.0]].concat();
    let (mut y, mut space) = (vec![0.0; tape.outputs()], Workspace::new(&tape));
    let ours = tape.eval(&seeded)?;
    let at = SVector::<f64, VALLEY>::from_column_slice(&x);
    let both = || {
        num_dual::gradient(
            |x: SVector<DualSVec64<VALLEY>, VALLEY>| dual_valley(x.as_slice()),
            std::hint::black_box(&at),
        )
    };
    let (value, slopes) = both();
    let theirs: Vec<f64> = std::iter::once(value).chain(slopes.iter().copied()).collect();
    row(
        bench,
        name,
        "num-dual 0.15, DualSVec64",
        (&ours, &theirs),
        || Ok(tape.run(1, &seeded, &mut y, &mut space)?),
        || {
            std::hint::black_box(both());
            Ok(())
        },
    )
}
