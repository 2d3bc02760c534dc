//! Mesh files: STL, binary and text, MuJoCo's MSH, and OBJ.

use super::{MOST_VERTICES, Mesh, text};
use std::collections::HashMap;
use std::path::Path;

/// Bytes of a file that are read at most.
const MOST_BYTES: u64 = 256 << 20;

/// Reads a mesh by the extension of its file; what is wrong with it, if it is.
pub(crate) fn read(path: &Path) -> Result<Mesh, String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("is not a file".into());
    }
    if meta.len() > MOST_BYTES {
        return Err(format!("{} bytes; {MOST_BYTES} are allowed", meta.len()));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "stl" => stl(&bytes),
        "msh" => msh(&bytes),
        "obj" => text::obj(&String::from_utf8_lossy(&bytes)),
        other => Err(format!("'{other}' is no kind of mesh; obj, stl and msh are")),
    }
}

/// Numbers of a binary file, from its start on.
struct Numbers<'a> {
    bytes: &'a [u8],
}

impl Numbers<'_> {
    fn four(&mut self) -> Result<[u8; 4], String> {
        match self.bytes.split_first_chunk::<4>() {
            Some((four, rest)) => {
                self.bytes = rest;
                Ok(*four)
            }
            None => Err("ends too early".into()),
        }
    }

    fn float(&mut self) -> Result<f64, String> {
        Ok(f64::from(f32::from_le_bytes(self.four()?)))
    }

    fn point(&mut self) -> Result<[f64; 3], String> {
        Ok([self.float()?, self.float()?, self.float()?])
    }

    fn count(&mut self, what: &str) -> Result<usize, String> {
        let n = i32::from_le_bytes(self.four()?);
        match usize::try_from(n) {
            Ok(count) if count <= MOST_VERTICES => Ok(count),
            _ => Err(format!("{n} {what}; at most {MOST_VERTICES} are supported")),
        }
    }
}

/// Corners that stand at the same place are one.
#[derive(Default)]
pub(super) struct Welder {
    known: HashMap<[u64; 3], u32>,
    pub(super) mesh: Mesh,
}

impl Welder {
    pub(super) fn corner(&mut self, at: [f64; 3]) -> u32 {
        // −0 is 0.
        let key = at.map(|x| (x + 0.0).to_bits());
        let next = self.mesh.vertex.len() as u32;
        let number = *self.known.entry(key).or_insert(next);
        if number == next {
            self.mesh.vertex.push(at);
        }
        number
    }

    pub(super) fn triangle(&mut self, corners: [[f64; 3]; 3]) {
        let face = corners.map(|at| self.corner(at));
        if face[0] != face[1] && face[1] != face[2] && face[2] != face[0] {
            self.mesh.face.push(face);
        }
    }
}

/// 80 bytes, a count, then 50 bytes per triangle: a normal, three corners, two bytes.
fn stl(bytes: &[u8]) -> Result<Mesh, String> {
    let counted = bytes.get(80..84).and_then(|b| <[u8; 4]>::try_from(b).ok());
    let Some(count) = counted.map(|b| u32::from_le_bytes(b) as usize) else {
        return text::stl(&String::from_utf8_lossy(bytes));
    };
    let fits = count.checked_mul(50).and_then(|n| n.checked_add(84)) == Some(bytes.len());
    if !fits && bytes.starts_with(b"solid") {
        return text::stl(&String::from_utf8_lossy(bytes));
    }
    if count > MOST_VERTICES {
        return Err(format!("{count} triangles; at most {MOST_VERTICES} are supported"));
    }
    let mut welder = Welder::default();
    let mut numbers = Numbers { bytes: &bytes[84..] };
    for k in 0..count {
        let mut triangle = || -> Result<_, String> {
            numbers.point()?;
            let corners = [numbers.point()?, numbers.point()?, numbers.point()?];
            numbers.bytes = numbers.bytes.get(2..).ok_or("ends too early")?;
            Ok(corners)
        };
        let corners = triangle().map_err(|e| format!("{e}, in triangle {k} of {count}"))?;
        welder.triangle(corners);
    }
    Ok(welder.mesh)
}

/// Counts of vertices, normals, texture coordinates and triangles, then those.
fn msh(bytes: &[u8]) -> Result<Mesh, String> {
    let mut numbers = Numbers { bytes };
    let vertices = numbers.count("vertices")?;
    let normals = numbers.count("normals")?;
    let texture = numbers.count("texture coordinates")?;
    let faces = numbers.count("triangles")?;
    let want = 12 * vertices + 12 * normals + 8 * texture + 12 * faces;
    if numbers.bytes.len() != want {
        let what = format!("{} bytes after the counts, which ask for {want}", numbers.bytes.len());
        return Err(what);
    }
    let mut mesh = Mesh::default();
    for _ in 0..vertices {
        mesh.vertex.push(numbers.point()?);
    }
    numbers.bytes = &numbers.bytes[12 * normals + 8 * texture..];
    for _ in 0..faces {
        let mut face = [0; 3];
        for v in &mut face {
            *v = numbers.count("as a vertex")? as u32;
        }
        mesh.face.push(face);
    }
    Ok(mesh)
}
