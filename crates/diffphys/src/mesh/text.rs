//! Meshes in text: Wavefront OBJ and STL.

use super::file::Welder;
use super::{MOST_VERTICES, Mesh};

fn number(line: usize, word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err(format!("line {line}: '{word}' is not a finite number")),
    }
}

fn point<'a>(line: usize, words: &mut impl Iterator<Item = &'a str>) -> Result<[f64; 3], String> {
    let mut at = [0.0; 3];
    for x in &mut at {
        let word = words.next().ok_or_else(|| format!("line {line}: three numbers are needed"))?;
        *x = number(line, word)?;
    }
    Ok(at)
}

/// `v` and `f`; faces with more corners become fans. What only draws is skipped.
pub(super) fn obj(text: &str) -> Result<Mesh, String> {
    let mut mesh = Mesh::default();
    for (k, content) in text.lines().enumerate() {
        let line = k + 1;
        let mut words = content.split('#').next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("v") => mesh.vertex.push(point(line, &mut words)?),
            Some("f") => {
                let mut corners = Vec::new();
                for word in words {
                    let index = word.split('/').next().unwrap_or_default();
                    let n: i64 = index
                        .parse()
                        .map_err(|_| format!("line {line}: '{word}' is not a corner"))?;
                    // From 1, or backward from the last.
                    let count = mesh.vertex.len() as i64;
                    let v = if n < 0 { count + n } else { n - 1 };
                    if !(0..count).contains(&v) {
                        return Err(format!("line {line}: corner {n} of {count} vertices"));
                    }
                    corners.push(v as u32);
                }
                if corners.len() < 3 {
                    return Err(format!("line {line}: a face of {} corners", corners.len()));
                }
                for pair in corners[1..].windows(2) {
                    mesh.face.push([corners[0], pair[0], pair[1]]);
                }
            }
            _ => {}
        }
        if mesh.vertex.len() > MOST_VERTICES || mesh.face.len() > MOST_VERTICES {
            return Err(format!("line {line}: more than {MOST_VERTICES} vertices or triangles"));
        }
    }
    Ok(mesh)
}

/// `vertex x y z`, three per triangle; the rest frames them.
pub(super) fn stl(text: &str) -> Result<Mesh, String> {
    if !text.trim_start().starts_with("solid") {
        return Err("is neither a binary nor a text STL".into());
    }
    let mut welder = Welder::default();
    let mut corners = Vec::with_capacity(3);
    let mut ended = false;
    for (k, content) in text.lines().enumerate() {
        let line = k + 1;
        let mut words = content.split_whitespace();
        match words.next() {
            Some("vertex") => {
                corners.push(point(line, &mut words)?);
                if let [a, b, c] = corners[..] {
                    welder.triangle([a, b, c]);
                    corners.clear();
                }
            }
            Some("endfacet") if !corners.is_empty() => {
                return Err(format!("line {line}: a facet of {} corners", corners.len()));
            }
            Some("endsolid") => ended = true,
            _ => {}
        }
        if welder.mesh.face.len() > MOST_VERTICES {
            return Err(format!("line {line}: more than {MOST_VERTICES} triangles"));
        }
    }
    if ended { Ok(welder.mesh) } else { Err("ends too early: endsolid is missing".into()) }
}
