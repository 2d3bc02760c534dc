//! The readers of `solve_qp` with files that others wrote badly: an error or a program, never a panic.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

#[path = "common/maros_meszaros.rs"]
#[allow(dead_code, unreachable_pub)] // other tests use the rest
mod maros_meszaros;
#[path = "../examples/solve_qp/qps.rs"]
mod qps;
#[path = "common/random.rs"]
#[allow(dead_code, unreachable_pub)] // other tests use the rest
mod random;

use std::collections::HashMap;
use std::io::{Cursor, Write};

use maros_meszaros::File;
use random::Random;

/// Hock and Schittkowski's problem 21 in free format, with what else the format has: a range, a bound on each side, a second N row.
const QPS: &str = "\
NAME          HS21
ROWS
 N  COST
 N  SPARE
 G  R1
 E  R2
COLUMNS
    X1        COST      0.0          R1        10.0
    X2        R1        -1.0
    X2        R2        0.0          SPARE     3.0
RHS
    RHS       COST      100.0        R1        10.0
RANGES
    RNG       R1        1e3
BOUNDS
 LO BND       X1        2.0
 UP BND       X1        50.0
 LO BND       X2        -50.0
 UP BND       X2        50.0
QUADOBJ
    X1        X1        0.02
    X2        X2        2.0
ENDATA
";

/// min ½·(0.02x₁² + 2x₂²) − 100 s.t. 10x₁ − x₂ ≥ 10, 2 ≤ x₁ ≤ 50, −50 ≤ x₂ ≤ 50.
fn arrays() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("P_data", vec![0.02, 2.0]),
        ("P_indices", vec![0.0, 1.0]),
        ("P_indptr", vec![0.0, 1.0, 2.0]),
        ("A_data", vec![10.0, 1.0, -1.0, 1.0]),
        ("A_indices", vec![0.0, 1.0, 0.0, 2.0]),
        ("A_indptr", vec![0.0, 2.0, 4.0]),
        ("q", vec![0.0, 0.0]),
        ("l", vec![10.0, 2.0, -50.0]),
        ("u", vec![1e20, 50.0, 50.0]),
        ("r", vec![-100.0]),
        ("shape", vec![2.0, 3.0]),
    ]
}

fn npy(values: &[f64]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", values.len());
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    values.iter().for_each(|x| out.extend(x.to_le_bytes()));
    out
}

fn archive(arrays: &[(&str, Vec<f64>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, values) in arrays {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(&npy(values)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn unpack(bytes: Vec<u8>) -> Result<File, String> {
    File::unpack("fuzz".into(), Cursor::new(bytes))
}

/// Solves what can be read; the objective.
fn objective(file: Result<File, String>) -> Result<f64, String> {
    let (status, value) = file?.conic()?.solve()?;
    if status.is_solved() { Ok(value) } else { Err(status.to_string()) }
}

#[test]
fn both_formats_hold_the_same_program() {
    for found in [objective(unpack(archive(&arrays()))), objective(qps::parse(QPS))] {
        // The optimum of the literature is −99.96.
        assert!((found.as_ref().unwrap() + 99.96).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn arrays_that_do_not_fit_together_are_errors_that_name_one() {
    let with = |name: &str, values: Option<Vec<f64>>| {
        let mut arrays: HashMap<String, Vec<f64>> =
            arrays().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        match values {
            Some(values) => arrays.insert(name.to_owned(), values),
            None => arrays.remove(name),
        };
        File { name: "bad".into(), arrays }.conic().err()
    };
    for name in
        ["P_data", "P_indices", "P_indptr", "A_data", "A_indices", "A_indptr", "q", "l", "u"]
    {
        let error = with(name, None).unwrap();
        assert!(error.contains(name), "{name}: {error}");
        assert!(with(name, Some(vec![])).is_some(), "{name}");
    }
    for name in ["P_indices", "P_indptr", "A_indices", "A_indptr", "shape"] {
        for bad in [f64::NAN, -1.0, 0.5, 1e300, f64::INFINITY, 7e15] {
            let (_, mut values) = arrays().into_iter().find(|(k, _)| *k == name).unwrap();
            let last = values.len() - 1;
            values[last] = bad;
            assert!(with(name, Some(values)).is_some(), "{name}: {bad}");
        }
    }
    assert!(with("A_indptr", Some(vec![0.0, 4.0, 2.0])).is_some());
    assert!(with("shape", Some(vec![2.0])).is_some());
    assert!(with("A_indices", Some(vec![0.0, 0.0, 0.0, 2.0])).is_some(), "an entry twice");
}

#[test]
fn numbers_that_are_none_have_a_status() {
    for name in ["P_data", "A_data", "q", "l", "u"] {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut all = arrays();
            for (key, values) in &mut all {
                if *key == name {
                    values[0] = bad;
                }
            }
            let found = objective(unpack(archive(&all)));
            // A bound of ∞ is none, and the program then another one.
            let free = name == "u" && bad == f64::INFINITY;
            assert_eq!(found.is_ok(), free, "{name}: {bad}: {found:?}");
        }
    }
}

#[test]
fn damaged_archives_are_errors() {
    let good = archive(&arrays());
    let mut random = Random::new(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..4000 {
        let mut bytes = good.clone();
        match round % 4 {
            0 => bytes.truncate(random.below(good.len())),
            1 => {
                let at = random.below(good.len());
                bytes[at] = random.below(256) as u8;
            }
            2 => {
                for _ in 0..1 + random.below(8) {
                    let at = random.below(good.len());
                    bytes[at] ^= 1 << random.below(8);
                }
            }
            _ => {
                let (a, b) = (random.below(good.len()), random.below(good.len()));
                bytes.splice(a.min(b)..a.max(b), vec![0xff; random.below(9)]);
            }
        }
        match unpack(bytes).and_then(|f| f.conic().map(|_| ())) {
            Ok(()) => read += 1,
            Err(e) => {
                assert!(!e.is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 2000, "{read} read, {refused} refused");
    // An array's own header: cut short, another kind, another magic.
    for (from, to) in [("NUMPY", "NUMPX"), ("<f8", ">f8"), ("<f8", "|O8")] {
        let mut bytes = npy(&[1.0, 2.0]);
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file("q.npy", options).unwrap();
        writer.write_all(&bytes).unwrap();
        let found = unpack(writer.finish().unwrap().into_inner());
        assert!(found.is_err_and(|e| e.starts_with("q: ")), "{from} → {to}");
    }
}

#[test]
fn damaged_text_is_an_error_with_its_line() {
    let parse = |text: &str| qps::parse(text).and_then(|f| f.conic().map(|_| ()));
    for (from, to, what) in [
        ("ENDATA", "", "cut short"),
        ("COST      100.0", "COST      1OO.0", "no number"),
        (" G  R1", " K  R1", "none of N, L, G, E"),
        (" E  R2", " E  R1", "there already"),
        ("R2        0.0", "R9        0.0", "an unknown row"),
        (" UP BND       X1        50.0", " UP", "an unknown column"),
        (" UP BND       X1        50.0", " UP X9 1.0", "an unknown column"),
        (" UP BND       X1        50.0", " ZZ BND X1 1.0", "not known"),
        ("QUADOBJ", "QUADRATIC", "not known"),
        ("    X1        X1        0.02", "    X1        X1", "two columns"),
    ] {
        assert!(QPS.contains(from), "{from}");
        let error = parse(&QPS.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(what), "{from} → {to}: {error}");
    }
    let mut random = Random::new(2);
    let words =
        ["nan", "1e999", "-", "", "X1", "R1", "'MARKER'", "RHS", "\u{fffd}", "0x10", "-inf"];
    for _ in 0..4000 {
        let mut lines: Vec<String> = QPS.lines().map(str::to_owned).collect();
        for _ in 0..1 + random.below(3) {
            let at = random.below(lines.len());
            match random.below(4) {
                0 => drop(lines.remove(at)),
                1 => {
                    let other = random.below(lines.len());
                    lines.swap(at, other);
                }
                2 => {
                    let keep = random.below(lines[at].chars().count() + 1);
                    lines[at] = lines[at].chars().take(keep).collect();
                }
                _ => {
                    let mut parts: Vec<&str> = lines[at].split(' ').collect();
                    let k = random.below(parts.len());
                    parts[k] = words[random.below(words.len())];
                    lines[at] = parts.join(" ");
                }
            }
        }
        // Whatever comes of it, nothing panics, and an error says something.
        if let Err(e) = parse(&lines.join("\n")) {
            assert!(!e.is_empty());
        }
    }
}
