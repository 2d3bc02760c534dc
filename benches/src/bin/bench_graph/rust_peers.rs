//! Other Rust crates for derivatives, in this process: num-dual (dual numbers) and ad_trait (dual numbers, and a tape).
//!
//! Not here: echidna 0.15, which needs a newer compiler (1.93) than this workspace asks for.

use crate::arm::{ARM, JOINTS};
use crate::objectives::rosenbrock;
use crate::robot::arm_tape;
use crate::{Bench, Figure, difference};
use ad_trait::AD;
use ad_trait::differentiable_function::{DifferentiableFunctionTrait, ForwardADMulti, ReverseAD};
use ad_trait::forward_ad::adfn::adfn;
use ad_trait::function_engine::FunctionEngine;
use ad_trait::reverse_ad::adr::adr;
use anyhow::{Result, ensure};
use benches::peer::fill;
use nalgebra::{SVector, Vector3};
use num_dual::{DualNum, DualSVec64};
use pullback_graph::{Tape, Workspace};

/// The arm's position and Rosenbrock's function over the numbers of a crate, whose `$lit` makes a constant.
macro_rules! functions {
    ($module:ident, $bound:path, $lit:expr) => {
        mod $module {
            use super::*;

            pub(super) fn hand<T: $bound + Copy>(q: &[T]) -> [T; 3] {
                let lit = $lit;
                let mut turn = [[lit(0.0); 3]; 3];
                (0..3).for_each(|i| turn[i][i] = lit(1.0));
                let mut place = [lit(0.0); 3];
                for (i, &[a, d, alpha]) in ARM.iter().enumerate() {
                    let (sin, cos) = match q.get(i) {
                        Some(&q) => (q.sin(), q.cos()),
                        None => (lit(0.0), lit(1.0)),
                    };
                    let (sa, ca) = (alpha.sin().round(), alpha.cos().round());
                    let next = [
                        [cos, -sin, lit(0.0)],
                        [sin * lit(ca), cos * lit(ca), lit(-sa)],
                        [sin * lit(sa), cos * lit(sa), lit(ca)],
                    ];
                    let shift = [lit(a), lit(-sa * d), lit(ca * d)];
                    place = std::array::from_fn(|r| {
                        (0..3).fold(place[r], |sum, k| sum + turn[r][k] * shift[k])
                    });
                    turn = std::array::from_fn(|r| {
                        std::array::from_fn(|c| {
                            (1..3).fold(turn[r][0] * next[0][c], |sum, k| {
                                sum + turn[r][k] * next[k][c]
                            })
                        })
                    });
                }
                place
            }

            pub(super) fn valley<T: $bound + Copy>(x: &[T]) -> T {
                let lit = $lit;
                x.windows(2).fold(lit(0.0), |sum, w| {
                    let (a, b) = (w[1] - w[0] * w[0], lit(1.0) - w[0]);
                    sum + a * a * lit(100.0) + b * b
                })
            }
        }
    };
}
functions!(dual, DualNum<f64>, |x: f64| T::from(x));
functions!(traits, AD, |x: f64| T::constant(x));

#[derive(Clone)]
struct Arm;
impl<T: AD> DifferentiableFunctionTrait<T> for Arm {
    const NAME: &'static str = "arm";
    fn call(&self, q: &[T], _freeze: bool) -> Vec<T> {
        traits::hand(q).to_vec()
    }
    fn num_inputs(&self) -> usize {
        JOINTS
    }
    fn num_outputs(&self) -> usize {
        3
    }
}

/// Variables of Rosenbrock's function.
const VALLEY: usize = 100;

#[derive(Clone)]
struct Valley;
impl<T: AD> DifferentiableFunctionTrait<T> for Valley {
    const NAME: &'static str = "valley";
    fn call(&self, x: &[T], _freeze: bool) -> Vec<T> {
        vec![traits::valley(x)]
    }
    fn num_inputs(&self) -> usize {
        VALLEY
    }
    fn num_outputs(&self) -> usize {
        1
    }
}

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
    let figure = Figure { name, unit: "ns", per: 1e9, limit: None };
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
    let (tape, x) = (arm_tape()?, fill(0, JOINTS, 1.5));
    let (mut y, mut space) = (vec![0.0; tape.outputs()], Workspace::new(&tape));
    let ours = tape.eval(&x)?;
    let q = SVector::<f64, JOINTS>::from_column_slice(&x);
    let both = || {
        num_dual::jacobian(
            |q: SVector<DualSVec64<JOINTS>, JOINTS>| Vector3::from(dual::hand(q.as_slice())),
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
    )?;
    let engine = FunctionEngine::new(Arm, Arm, ForwardADMulti::<adfn<JOINTS>>::new());
    let (value, slopes) = engine.derivative(&x);
    let theirs = by_rows(&value, |i, j| slopes[(i, j)]);
    let system = "ad_trait 0.3, forward";
    row(
        bench,
        name,
        system,
        (&ours, &theirs),
        || Ok(tape.run(1, &x, &mut y, &mut space)?),
        || {
            std::hint::black_box(engine.derivative(std::hint::black_box(&x)));
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
            |x: SVector<DualSVec64<VALLEY>, VALLEY>| dual::valley(x.as_slice()),
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
    )?;
    let engine = FunctionEngine::new(Valley, Valley, ReverseAD::new());
    let check = FunctionEngine::new(Valley, Valley, ReverseAD::new()).derivative(&x);
    let theirs: Vec<f64> = check.0.iter().chain(check.1.iter()).copied().collect();
    row(
        bench,
        name,
        "ad_trait 0.3, reverse",
        (&ours, &theirs),
        || Ok(tape.run(1, &seeded, &mut y, &mut space)?),
        || {
            std::hint::black_box(engine.derivative(std::hint::black_box(&x)));
            Ok(())
        },
    )
}
