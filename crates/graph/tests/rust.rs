//! Generated source, compiled by the toolchain's own compiler and compared with the tape.
#![allow(clippy::unwrap_used, clippy::panic)] // a failed step is a failed test

#[path = "common/arm.rs"]
mod arm;
#[path = "common/networks.rs"]
mod networks;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use networks::{Random, network};
use pullback_graph::{Error, Op, Real, Tape};

/// A tape under a name, and the points at which it is compared.
struct Case {
    name: String,
    tape: Tape,
    points: Vec<Vec<f64>>,
    ulps: f64,
}

/// The program that includes all functions as a crate does what its build script wrote, runs every case on the bits it reads, and prints
/// the bits of the results.
fn program(cases: &[Case]) -> String {
    let mut source = String::from("#![deny(warnings)]\n");
    source += "include!(concat!(env!(\"OUT_DIR\"), \"/functions.rs\"));\n";
    source += "fn main() {\n    let text = std::io::read_to_string(std::io::stdin()).unwrap();\n";
    source += "    let mut words = text.split_ascii_whitespace();\n";
    source += "    while let Some(case) = words.next() {\n        match case {\n";
    for Case { name, tape, .. } in cases {
        let (n, m) = (tape.inputs(), tape.outputs());
        writeln!(
            source,
            "            {name:?} => {{\n                let x: [f64; {n}] = std::array::from_fn(|_| {{\n                    \
             f64::from_bits(u64::from_str_radix(words.next().unwrap(), 16).unwrap())\n                }});\n                \
             let mut y = [0.0; {m}];\n                {name}(&x, &mut y);\n                \
             y.iter().for_each(|y| println!(\"{{:016x}}\", y.to_bits()));\n            }}"
        )
        .unwrap();
    }
    source + "            _ => unreachable!(),\n        }\n    }\n}\n"
}

fn compiled(folder: &Path, cases: &[Case], level: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let (file, binary) = (folder.join("generated.rs"), folder.join("generated"));
    std::fs::write(&file, program(cases)).unwrap();
    let functions: String =
        cases.iter().map(|case| case.tape.to_rust(&case.name).unwrap()).collect();
    std::fs::write(folder.join("functions.rs"), functions).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let options = ["--edition", "2021", "-C", level, "-o"];
    let done = Command::new(rustc)
        .env("OUT_DIR", folder)
        .args(options)
        .arg(&binary)
        .arg(&file)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    binary
}

/// Compiles all cases into one program, and compares.
fn compare(folder: &str, cases: &[Case], level: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let binary = compiled(&folder, cases, level);
    let mut input = String::new();
    for case in cases {
        for x in &case.points {
            input += &case.name;
            x.iter().for_each(|x| write!(input, " {:x}", x.to_bits()).unwrap());
            input.push('\n');
        }
    }
    let mut child =
        Command::new(binary).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut values = text.lines().map(|l| f64::from_bits(u64::from_str_radix(l, 16).unwrap()));
    for case in cases {
        for x in &case.points {
            let theirs: Vec<f64> = values.by_ref().take(case.tape.outputs()).collect();
            let scale = theirs.iter().fold(0.0f64, |top, y| top.max(y.abs()));
            match case.tape.eval(x) {
                Ok(ours) => {
                    assert_eq!(ours.len(), theirs.len());
                    for (a, b) in ours.iter().zip(&theirs) {
                        let unit = if 4.0 < case.ulps { scale } else { a.abs().max(b.abs()) };
                        let error = (a - b).abs() / (unit.max(f64::MIN_POSITIVE) * f64::EPSILON);
                        assert!(error <= case.ulps, "{}({x:?}): {a:e}, {b:e}", case.name);
                    }
                }
                Err(Error::OutputNotFinite { output, value, .. }) => {
                    let other = theirs[output];
                    assert!(value == other || value.is_nan() && other.is_nan(), "{}", case.name);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(values.next(), None);
}

/// An instruction on its bare operands.
fn bare<T: Real>(op: Op, x: &[T]) -> T {
    let (a, b, c) = (x[0], x[1], x[2]);
    match op {
        Op::Const => T::lit(-0.1),
        Op::Input => b,
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Neg => -a,
        Op::Sqrt => a.sqrt(),
        Op::Abs => a.abs(),
        Op::Sign => a.sign(),
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Floor => a.floor(),
        Op::Exp => a.exp(),
        Op::ExpM1 => a.exp_m1(),
        Op::Ln => a.ln(),
        Op::Ln1p => a.ln_1p(),
        Op::Sin => a.sin(),
        Op::Cos => a.cos(),
        Op::Tan => a.tan(),
        Op::Asin => a.asin(),
        Op::Acos => a.acos(),
        Op::Atan => a.atan(),
        Op::Sinh => a.sinh(),
        Op::Cosh => a.cosh(),
        Op::Tanh => a.tanh(),
        Op::Asinh => a.asinh(),
        Op::Acosh => a.acosh(),
        Op::Atanh => a.atanh(),
        Op::Atan2 => a.atan2(b),
        Op::Hypot => a.hypot(b),
        Op::Pow => a.pow(b),
        Op::Less => a.less(b),
        Op::LessEqual => a.less_equal(b),
        Op::Equal => a.equal(b),
        Op::Select => T::select(a, b, c),
        // Made by derivatives only; compared there.
        Op::GuardedMul => a * b,
        Op::GuardedDiv => a / b,
    }
}

/// Kinks, ties, ends of domains and far away, then ordinary numbers.
fn triples() -> Vec<Vec<f64>> {
    let special = [-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 20.0, 1e-9, 1e10, f64::INFINITY];
    let pairs = special.iter().flat_map(|&a| special.iter().map(move |&b| vec![a, b, 3.25]));
    let mut random = Random(3);
    let ordinary = (0..200).map(|_| (0..3).map(|_| random.uniform(-3.0, 3.0)).collect());
    pairs.chain(ordinary.collect::<Vec<_>>()).collect()
}

#[test]
fn every_instruction_computes_what_the_tape_computes() {
    let mut cases: Vec<Case> = Op::ALL
        .into_iter()
        .map(|op| {
            let tape = Tape::record(3, |x| vec![bare(op, x)]).unwrap();
            let name = format!("op_{op:?}").to_lowercase();
            // Between std's inverse hyperbolic functions and ours lie the errors of both.
            Case { name, tape, points: triples(), ulps: 4.0 }
        })
        .collect();
    // Far out, and outside of where they are defined.
    let far = [1e308, -1e308, 1e200, -1e16, 1e16, 1e8, -3e8, -1.0, 1.0, 0.5, 1e-300, 0.0, f64::NAN];
    for (name, op) in [("far_asinh", Op::Asinh), ("far_acosh", Op::Acosh), ("far_atanh", Op::Atanh)]
    {
        let tape = Tape::record(1, |x| vec![bare(op, &[x[0], x[0], x[0]])]).unwrap();
        let points = far.iter().map(|&x| vec![x]).collect();
        cases.push(Case { name: name.into(), tape, points, ulps: 4.0 });
    }
    let norm = Tape::record(2, |x| vec![x[0].hypot(x[1])]).unwrap().reverse();
    cases.push(Case { name: "ratio".into(), tape: norm, points: triples(), ulps: 4.0 });
    let root = Tape::record(1, |x| vec![x[0].sqrt()]).unwrap().forward();
    let points = [[0.0, 0.0], [0.0, 1.0], [4.0, 3.0]].map(|x| x.to_vec()).to_vec();
    cases.push(Case { name: "product".into(), tape: root, points, ulps: 4.0 });
    for (helper, case) in [("guarded_ratio(", "ratio"), ("guarded_product(", "product")] {
        let source = |c: &Case| c.name == case && c.tape.to_rust(case).unwrap().contains(helper);
        assert!(cases.iter().any(source), "{helper}");
    }
    compare("instructions", &cases, "opt-level=1");
}

#[test]
fn networks_arms_and_long_tapes_compute_what_the_tape_computes() {
    let mut random = Random(9);
    let mut points = |n: usize| -> Vec<Vec<f64>> {
        (0..5).map(|_| (0..n).map(|_| random.uniform(-1.5, 1.5)).collect()).collect()
    };
    let mut cases = Vec::new();
    for seed in 0..12 {
        let tape = Tape::record(4, |x| network(seed, 40 + seed as usize, x)).unwrap();
        // Differences grow on the way; the outputs are of unit scale.
        cases.push(Case { name: format!("net{seed}"), tape, points: points(4), ulps: 1e5 });
    }
    let hand = Tape::record(7, |q| arm::hand(q).to_vec()).unwrap();
    let (jacobian, _) = hand.jacobian();
    cases.push(Case { name: "hand".into(), tape: hand, points: points(7), ulps: 100.0 });
    cases.push(Case { name: "_jacobian".into(), tape: jacobian, points: points(7), ulps: 100.0 });
    // Longer than a block: numbers, sines beside cosines and outputs cross from one into another.
    let long = Tape::record(3, |x| {
        let (mut a, mut all) = (x[0], vec![x[1], Real::lit(0.25)]);
        let early = x.iter().map(|x| x.sin()).collect::<Vec<_>>();
        for i in 0..1500 {
            a = (a * 0.9 + early[i % 3] * 0.3).sin() + x[2] * f64::from(i as u32 % 7);
            if i % 300 == 0 {
                all.push(a);
            }
        }
        all.extend(x.iter().zip(&early).map(|(x, s)| x.cos() * a + *s));
        all
    });
    cases.push(Case { name: "long".into(), tape: long.unwrap(), points: points(3), ulps: 1e5 });
    // More numbers alive than the stack is given.
    let wide = Tape::record(2, |x| {
        let many: Vec<_> = (0..4_400).map(|i| x[i % 2] * (1.5 + i as f64)).collect();
        vec![many.iter().rev().fold(x[1], |sum, y| sum * 0.5 + *y)]
    });
    let wide = wide.unwrap();
    assert!(wide.to_rust("wide").unwrap().contains("vec![0.0_f64; "));
    cases.push(Case { name: "wide".into(), tape: wide, points: points(2), ulps: 100.0 });
    compare("networks", &cases, "opt-level=1");
}

#[test]
fn sines_and_cosines_are_one_call_and_helpers_are_written_if_used() {
    let tape = Tape::record(2, |x| vec![x[0].sin() * x[0].cos(), x[1].cos(), x[1].min(x[0])]);
    let source = tape.unwrap().to_rust("f").unwrap();
    assert_eq!(source.matches(".sin_cos()").count(), 1);
    assert_eq!(source.matches(".cos()").count(), 1);
    assert_eq!(source.matches("fn ").count(), 2, "{source}");
    assert!(source.contains("fn least("));
}

#[test]
fn constants_are_exact() {
    let numbers = [0.1, -1.0 / 3.0, 5e-324, f64::MAX, 1e22, -2.5e-10, f64::NAN, f64::NEG_INFINITY];
    let tape = Tape::record(1, |_| numbers.map(Real::lit).to_vec()).unwrap();
    let source = tape.to_rust("f").unwrap();
    for (i, number) in numbers.into_iter().enumerate() {
        let line = source.lines().find(|l| l.contains(&format!("y[{i}] = "))).unwrap();
        let literal = line.trim_matches(|c| " (;)".contains(c)).rsplit("= ").next().unwrap();
        let bits = match literal.strip_prefix("f64::from_bits(0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
            None => {
                let digits = literal.trim_matches(|c| "()".contains(c)).trim_end_matches("_f64");
                digits.parse::<f64>().unwrap().to_bits()
            }
        };
        assert_eq!(bits, number.to_bits(), "{line}");
    }
}

#[test]
fn names_that_are_no_identifiers_are_refused() {
    let tape = Tape::record(1, |x| vec![x[0]]).unwrap();
    for name in ["", "_", "fn", "Self", "gen", "a b", "9f", "f()", "f\n", "größe", "a-b", "r#f"] {
        let found = tape.to_rust(name);
        let named = |what: &str| what.contains(&format!("{name:?}"));
        assert!(matches!(&found, Err(Error::Invalid { what, .. }) if named(what)), "{found:?}");
    }
    for name in ["f", "_f", "forward_2", "Camel", "x", "v1", "block_0", "sign"] {
        assert!(tape.to_rust(name).unwrap().contains(&format!("pub fn {name}(")));
    }
}
