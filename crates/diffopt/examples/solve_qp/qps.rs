//! Quadratic programs in QPS files: free or fixed format, sections ROWS, COLUMNS, RHS, RANGES, BOUNDS, QUADOBJ.
//!
//! Source: Maros and Mészáros, A repository of convex quadratic programming problems, 1999, section 2.

use std::collections::HashMap;

use crate::maros_meszaros::File;

/// A row: its kind (N, L, G, E), right-hand side and range.
struct Row {
    kind: char,
    right: f64,
    range: Option<f64>,
}

/// Entries (row, column, value).
type Entries = Vec<(usize, usize, f64)>;

/// The program with a row of A for each row and each bound. Errors: the line, and what is wrong in it.
pub(crate) fn parse(text: &str) -> Result<File, String> {
    let mut name = String::from("QPS");
    let (mut rows, mut row_of): (Vec<Row>, HashMap<String, usize>) = (vec![], HashMap::new());
    let mut column_of: HashMap<String, usize> = HashMap::new();
    let (mut a, mut p): (Entries, Entries) = (vec![], vec![]);
    let mut objective: Option<usize> = None;
    let mut bounds: Vec<[f64; 2]> = vec![];
    let (mut section, mut complete) = (String::new(), false);
    for (k, line) in text.lines().enumerate() {
        let bad = |what: &str| format!("line {}: {what}: {line:?}", k + 1);
        if line.starts_with('*') || line.trim().is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with([' ', '\t']) {
            section = words[0].to_uppercase();
            if section == "NAME" {
                name = words.get(1).copied().unwrap_or("QPS").to_owned();
            }
            if section == "ENDATA" {
                complete = true;
                break;
            }
            continue;
        }
        let number = |w: &str| w.parse::<f64>().map_err(|_| bad("no number"));
        match section.as_str() {
            "ROWS" => {
                let [kind, row] = words[..] else { return Err(bad("kind and row expected")) };
                let kind = kind.chars().next().unwrap_or(' ').to_ascii_uppercase();
                if !"NLGE".contains(kind) {
                    return Err(bad("a kind that is none of N, L, G, E"));
                }
                if kind == 'N' && objective.is_none() {
                    objective = Some(rows.len());
                }
                if row_of.insert(row.to_owned(), rows.len()).is_some() {
                    return Err(bad("a row that is there already"));
                }
                rows.push(Row { kind, right: 0.0, range: None });
            }
            "COLUMNS" => {
                if words.contains(&"'MARKER'") {
                    return Err(bad("integer unknowns are not solved here"));
                }
                let count = column_of.len();
                let column = *column_of.entry(words[0].to_owned()).or_insert(count);
                bounds.resize(column_of.len(), [0.0, f64::INFINITY]);
                for pair in words[1..].chunks(2) {
                    let [row, value] = pair else { return Err(bad("row and value expected")) };
                    let row = *row_of.get(*row).ok_or_else(|| bad("an unknown row"))?;
                    a.push((row, column, number(value)?));
                }
            }
            "RHS" | "RANGES" => {
                // The set's name may be left out.
                let skip = words.len() % 2;
                for pair in words[skip..].chunks(2) {
                    let [row, value] = pair else { return Err(bad("row and value expected")) };
                    let row = *row_of.get(*row).ok_or_else(|| bad("an unknown row"))?;
                    match section.as_str() {
                        "RHS" => rows[row].right = number(value)?,
                        _ => rows[row].range = Some(number(value)?),
                    }
                }
            }
            "BOUNDS" => {
                let kind = words[0].to_uppercase();
                let valued = !["FR", "MI", "PL", "BV"].contains(&kind.as_str());
                let at = (words.len() - 1).checked_sub(usize::from(valued)).filter(|at| *at > 0);
                let column = at.and_then(|at| words.get(at)).and_then(|w| column_of.get(*w));
                let column = *column.ok_or_else(|| bad("an unknown column"))?;
                let value = if valued { number(words[words.len() - 1])? } else { 0.0 };
                let bound = &mut bounds[column];
                match kind.as_str() {
                    "UP" => bound[1] = value,
                    "LO" => bound[0] = value,
                    "FX" => *bound = [value, value],
                    "FR" => *bound = [f64::NEG_INFINITY, f64::INFINITY],
                    "MI" => bound[0] = f64::NEG_INFINITY,
                    "PL" => bound[1] = f64::INFINITY,
                    _ => return Err(bad("a kind of bound that is not known")),
                }
            }
            "QUADOBJ" | "QMATRIX" => {
                let [i, j, value] = words[..] else { return Err(bad("two columns and a value")) };
                let find =
                    |w: &str| column_of.get(w).copied().ok_or_else(|| bad("an unknown column"));
                let (i, j, value) = (find(i)?, find(j)?, number(value)?);
                p.push((i, j, value));
                if section == "QUADOBJ" && i != j {
                    p.push((j, i, value));
                }
            }
            other => return Err(bad(&format!("the section {other} is not known"))),
        }
    }
    if !complete {
        return Err("cut short: no ENDATA".into());
    }
    let n = column_of.len();
    if n == 0 {
        return Err("no columns".into());
    }
    Ok(assemble(name, n, &rows, objective, &a, &bounds, p))
}

fn assemble(
    name: String,
    n: usize,
    rows: &[Row],
    objective: Option<usize>,
    a: &[(usize, usize, f64)],
    bounds: &[[f64; 2]],
    p: Entries,
) -> File {
    let mut q = vec![0.0; n];
    let (mut place, mut l, mut u) = (vec![None; rows.len()], vec![], vec![]);
    for (k, row) in rows.iter().enumerate() {
        if row.kind == 'N' {
            continue;
        }
        place[k] = Some(l.len());
        let (b, range) = (row.right, row.range);
        let (low, high) = match (row.kind, range) {
            ('L', r) => (r.map_or(f64::NEG_INFINITY, |r| b - r.abs()), b),
            ('G', r) => (b, r.map_or(f64::INFINITY, |r| b + r.abs())),
            (_, None) => (b, b),
            (_, Some(r)) => (b.min(b + r), b.max(b + r)),
        };
        l.push(low);
        u.push(high);
    }
    let mut entries: Entries = Vec::new();
    for &(row, column, value) in a {
        match place[row] {
            Some(at) => entries.push((at, column, value)),
            None if Some(row) == objective => q[column] += value,
            None => {}
        }
    }
    for (j, [low, high]) in bounds.iter().enumerate() {
        entries.push((l.len(), j, 1.0));
        l.push(*low);
        u.push(*high);
    }
    // The right-hand side of the objective is minus its constant.
    let constant = objective.map_or(0.0, |k| -rows[k].right);
    let shape = vec![n as f64, l.len() as f64];
    let mut arrays = HashMap::new();
    for (prefix, entries) in [("P", p), ("A", entries)] {
        let [starts, indices, values] = compress(n, entries);
        arrays.insert(format!("{prefix}_indptr"), starts);
        arrays.insert(format!("{prefix}_indices"), indices);
        arrays.insert(format!("{prefix}_data"), values);
    }
    for (key, value) in [("q", q), ("l", l), ("u", u), ("r", vec![constant]), ("shape", shape)] {
        arrays.insert(key.to_owned(), value);
    }
    File { name, arrays }
}

/// Compressed columns; entries at one place are added.
fn compress(n: usize, mut entries: Entries) -> [Vec<f64>; 3] {
    entries.sort_by_key(|(i, j, _)| (*j, *i));
    let (mut starts, mut indices, mut values) = (vec![0.0], vec![], vec![]);
    let (mut last, mut rest) = (None, entries.iter().peekable());
    for j in 0..n {
        while let Some((i, _, value)) = rest.next_if(|e| e.1 == j) {
            match values.last_mut() {
                Some(sum) if last == Some((*i, j)) => *sum += value,
                _ => {
                    indices.push(*i as f64);
                    values.push(*value);
                }
            }
            last = Some((*i, j));
        }
        starts.push(indices.len() as f64);
    }
    [starts, indices, values]
}
