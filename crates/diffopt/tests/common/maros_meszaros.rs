//! The Maros–Mészáros problems in `../shared/data/maros_meszaros` beside the repository, where they are.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use pullback_diffopt::Status;
use pullback_diffopt::conic::{Cone, Conic, ConicData, ConicSettings, Pattern};

/// The most bytes that an archive may unpack to.
const LARGEST: u64 = 1 << 30;

/// min ½xᵀPx + qᵀx + r s.t. l ≤ Ax ≤ u, as it lies in a file.
pub struct File {
    pub name: String,
    pub arrays: HashMap<String, Vec<f64>>,
}

/// The same as a conic program: rows with l = u first.
pub struct Bounded {
    pub conic: Conic,
    pub p: Vec<f64>,
    pub q: Vec<f64>,
    pub a: Vec<f64>,
    pub b: Vec<f64>,
    pub constant: f64,
}

/// The folder with the problems; `None` where there is none.
pub fn folder() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = path.ancestors().find(|a| a.join("Cargo.lock").is_file())?;
    Some(root.parent()?.join("shared/data/maros_meszaros")).filter(|f| f.is_dir())
}

/// Names and optima, POWELL20 and YAO from the literature.
pub fn optima(folder: &Path) -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(folder.join("optima.csv")).unwrap_or_default();
    let mut out: Vec<(String, f64)> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.split(',');
            let name = cells.next()?.trim().to_owned();
            let value = cells.next_back().and_then(|c| c.trim().parse::<f64>().ok());
            folder
                .join(format!("{name}.npz"))
                .is_file()
                .then_some((name, value.unwrap_or(f64::NAN)))
        })
        .collect();
    for (name, value) in &mut out {
        // I. Maros, C. Mészáros, A repository of convex quadratic programming problems, 1999, table of optima.
        match name.as_str() {
            "POWELL20" => *value = 5.208_958_28e10,
            "YAO" => *value = 1.977_042_56e2,
            // clarabel's own error; Hock and Schittkowski's 268 has the optimum 0.
            "S268" => *value = 0.0,
            _ => {}
        }
    }
    out
}

impl Bounded {
    /// Status and objective, at tolerance 10⁻⁸; at 10⁻⁶ where that is not reached.
    pub fn solve(&self) -> Result<(Status, f64), String> {
        let data = ConicData { p: &self.p, q: &self.q, a: &self.a, b: &self.b };
        let mut out = (Status::Solved, f64::NAN);
        for tolerance in [1e-8, 1e-6] {
            let settings = ConicSettings { tolerance, ..ConicSettings::default() };
            let conic = self.conic.clone().settings(settings);
            let solution = conic.solve(1, &data).map_err(|e| e.to_string())?;
            let x = solution.x(0);
            let mut px = vec![0.0; x.len()];
            conic.curvature_product(&self.p, x, &mut px);
            let value: f64 =
                x.iter().zip(&px).zip(&self.q).map(|((x, p), q)| x * (0.5 * p + q)).sum();
            out = (solution.status(0).clone(), value + self.constant);
            if out.0.is_solved() {
                break;
            }
        }
        Ok(out)
    }
}

impl File {
    /// Reads an npz archive: zip of npy arrays of f64 or of integers.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = std::fs::File::open(path).map_err(|e| text(&e))?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        File::unpack(name, file).map_err(|e| text(&e))
    }

    /// The same from anything that holds the bytes.
    pub fn unpack(name: String, from: impl Read + Seek) -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let mut archive = zip::ZipArchive::new(from).map_err(|e| text(&e))?;
        let mut arrays = HashMap::new();
        let mut left = LARGEST;
        for i in 0..archive.len() {
            let entry = archive.by_index(i).map_err(|e| text(&e))?;
            let key = entry.name().map_err(|e| text(&e))?.trim_end_matches(".npy").to_owned();
            let mut bytes = Vec::new();
            // One more than allowed shows that there is more.
            entry.take(left + 1).read_to_end(&mut bytes).map_err(|e| text(&e))?;
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| format!("{key} unpacks to more than {LARGEST} bytes in all"))?;
            let values = npy(&bytes).map_err(|e| format!("{key}: {e}"))?;
            if arrays.insert(key.clone(), values).is_some() {
                return Err(format!("the array {key} is there twice"));
            }
        }
        Ok(File { name, arrays })
    }

    fn array(&self, name: &str) -> Result<&[f64], String> {
        let found = self.arrays.get(name).map(Vec::as_slice);
        found.ok_or_else(|| format!("{}: no array {name}", self.name))
    }

    /// An array of whole numbers, each at most `most`.
    fn index(&self, name: &str, most: usize) -> Result<Vec<usize>, String> {
        let whole = |(k, x): (usize, &f64)| {
            if 0.0 <= *x && *x <= most as f64 && x.fract() == 0.0 {
                return Ok(*x as usize);
            }
            Err(format!("{}: {name}[{k}] is {x}, no whole number from 0 to {most}", self.name))
        };
        self.array(name)?.iter().enumerate().map(whole).collect()
    }

    /// An array of this length.
    fn vector(&self, name: &str, length: usize) -> Result<&[f64], String> {
        let found = self.array(name)?;
        if found.len() == length {
            return Ok(found);
        }
        Err(format!("{}: {name} has {} numbers, not {length}", self.name, found.len()))
    }

    /// The columns of a matrix, as (row, value).
    fn columns(
        &self,
        matrix: char,
        (rows, n): (usize, usize),
    ) -> Result<Vec<Vec<(usize, f64)>>, String> {
        let values = self.array(&format!("{matrix}_data"))?;
        let starts = self.index(&format!("{matrix}_indptr"), values.len())?;
        let indices = self.index(&format!("{matrix}_indices"), rows.saturating_sub(1))?;
        let name = &self.name;
        if starts.len() != n + 1 || indices.len() != values.len() {
            return Err(format!(
                "{name}: {matrix} has {} starts for {n} columns, and {} rows for {} values",
                starts.len(),
                indices.len(),
                values.len()
            ));
        }
        let one = |j: usize| {
            let column = starts[j]..starts[j + 1];
            if column.is_empty() && starts[j] != starts[j + 1] {
                return Err(format!("{name}: the starts of {matrix} fall after column {j}"));
            }
            Ok(column.map(|k| (indices[k], values[k])).collect())
        };
        (0..n).map(one).collect()
    }

    /// Rows with l = u become equalities, finite bounds inequalities. Errors: arrays that are missing or do not fit together.
    pub fn conic(&self) -> Result<Bounded, String> {
        let q = self.array("q")?.to_vec();
        let (n, rows) = (q.len(), self.array("l")?.len());
        let [columns, lines] = self.index("shape", usize::MAX >> 12)?[..] else {
            return Err(format!("{}: shape is not (columns, rows)", self.name));
        };
        if (columns, lines) != (n, rows) {
            return Err(format!(
                "{}: shape is ({columns}, {lines}), with {n} numbers in q and {rows} in l",
                self.name
            ));
        }
        let (l, u) = (self.array("l")?, self.vector("u", rows)?);
        for i in 0..rows {
            if l[i].is_nan() || u[i].is_nan() || l[i] >= 1e20 || u[i] <= -1e20 {
                let (name, l, u) = (&self.name, l[i], u[i]);
                return Err(format!("{name}: row {i} is between {l} and {u}"));
            }
        }
        let mut columns = self.columns('P', (n, n))?;
        columns.iter_mut().enumerate().for_each(|(j, c)| c.retain(|(i, _)| *i <= j));
        let (p, p_values) = compress(n, n, columns)?;
        // Where each row goes: its equality, its upper, its lower bound.
        let equal: Vec<usize> = (0..rows).filter(|&i| l[i] == u[i]).collect();
        let free = |x: f64| x.abs() >= 1e20;
        let upper: Vec<usize> = (0..rows).filter(|&i| l[i] != u[i] && !free(u[i])).collect();
        let lower: Vec<usize> = (0..rows).filter(|&i| l[i] != u[i] && !free(l[i])).collect();
        let mut targets = vec![Vec::new(); rows];
        let mut b = Vec::new();
        for (set, sign, bound) in [(&equal, 1.0, u), (&upper, 1.0, u), (&lower, -1.0, l)] {
            for &i in set {
                targets[i].push((b.len(), sign));
                b.push(sign * bound[i]);
            }
        }
        let mut columns = vec![Vec::new(); n];
        for (out, column) in columns.iter_mut().zip(self.columns('A', (rows, n))?) {
            for (i, value) in column {
                out.extend(targets[i].iter().map(|&(row, sign)| (row, sign * value)));
            }
        }
        let (a, a_values) = compress(b.len(), n, columns)?;
        let cones = vec![Cone::Zero(equal.len()), Cone::NonNegative(upper.len() + lower.len())];
        let conic = Conic::new(p, a, cones).map_err(|e| e.to_string())?.name(self.name.clone());
        let constant = self.array("r").ok().and_then(|r| r.first().copied()).unwrap_or(0.0);
        Ok(Bounded { conic, p: p_values, q, a: a_values, b, constant })
    }
}

fn compress(
    rows: usize,
    n: usize,
    mut columns: Vec<Vec<(usize, f64)>>,
) -> Result<(Pattern, Vec<f64>), String> {
    let (mut starts, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for column in &mut columns {
        column.sort_by_key(|(i, _)| *i);
        for (i, v) in column.iter() {
            indices.push(*i);
            values.push(*v);
        }
        starts.push(indices.len());
    }
    Ok((Pattern::new(rows, n, starts, indices).map_err(|e| e.to_string())?, values))
}

/// An npy array as numbers (NEP 1; versions 1 and 2, little-endian).
fn npy(bytes: &[u8]) -> Result<Vec<f64>, String> {
    if bytes.get(..6) != Some(b"\x93NUMPY") {
        return Err("not an npy array".into());
    }
    let word = |at: usize| bytes.get(at).copied().map(usize::from).ok_or("npy array cut short");
    let (start, length) = match bytes.get(6) {
        Some(1) => (10, word(8)? + 256 * word(9)?),
        _ => (12, word(8)? + 256 * (word(9)? + 256 * (word(10)? + 256 * word(11)?))),
    };
    let header = bytes.get(start..start + length).ok_or("npy header cut short")?;
    let header = String::from_utf8_lossy(header);
    let data = &bytes[start + length..];
    let kind = header.split("'descr':").nth(1).and_then(|s| s.split('\'').nth(1)).unwrap_or("");
    let read = |width: usize, f: &dyn Fn(&[u8]) -> Option<f64>| -> Result<Vec<f64>, String> {
        if !data.len().is_multiple_of(width) {
            return Err(format!("npy array cut short: {} bytes of {width} each", data.len()));
        }
        data.chunks_exact(width).map(|c| f(c).ok_or_else(|| "npy numbers".to_owned())).collect()
    };
    match kind {
        "<f8" => read(8, &|c| Some(f64::from_le_bytes(c.try_into().ok()?))),
        "<i8" => read(8, &|c| Some(i64::from_le_bytes(c.try_into().ok()?) as f64)),
        "<i4" => read(4, &|c| Some(f64::from(i32::from_le_bytes(c.try_into().ok()?)))),
        other => Err(format!("npy numbers of the kind {other:?}")),
    }
}
