//! Wavefront OBJ: vertices and faces, one part for each `o` or `g` group.
//!
//! Texture coordinates, normals and materials are read over. Face indices are counted from 1 through the whole file, or backwards from
//! the newest vertex if negative. Polygons become fans of triangles.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nalgebra::Vector3;

use super::{Mesh, Part};
use crate::error::{Error, FileProblem, Result};

/// Largest file that is read, in bytes (64 MiB).
pub const MAX_BYTES: u64 = 64 << 20;
/// Largest number of triangles in one file.
pub const MAX_TRIANGLES: usize = 1_000_000;

/// Reads an OBJ file. Units are the file's.
///
/// # Errors
/// `Io` if it cannot be read; `File` with the line for everything that is wrong inside.
pub fn read_obj(path: &Path) -> Result<Vec<Part>> {
    let text = read_text(path)?;
    parse_obj(&text).map_err(|(line, problem)| Error::File { path: path.to_owned(), line, problem })
}

/// Parses the text of an OBJ file into its parts.
///
/// # Errors
/// The line, from 1 (0 for the whole file), and what is wrong there.
pub fn parse_obj(text: &str) -> std::result::Result<Vec<Part>, (usize, FileProblem)> {
    let mut reader = Reader::default();
    for (number, line) in text.lines().enumerate() {
        reader.statement(line).map_err(|problem| (number + 1, problem))?;
    }
    reader.finish().map_err(|problem| (0, problem))
}

/// The text of a regular file of at most [`MAX_BYTES`].
pub(super) fn read_text(path: &Path) -> Result<String> {
    let io =
        |error: std::io::Error| Error::Io { path: path.to_owned(), message: error.to_string() };
    let file = File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(Error::Io { path: path.to_owned(), message: "not a regular file".into() });
    }
    let mut bytes = Vec::new();
    // The size may change while reading, so the limit is enforced on what arrives.
    let length = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)? as u64;
    if length > MAX_BYTES {
        let problem = FileProblem::TooLarge { bytes: meta.len().max(length), limit: MAX_BYTES };
        return Err(Error::File { path: path.to_owned(), line: 0, problem });
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A number from the file.
pub(super) fn number(token: &str) -> std::result::Result<f64, FileProblem> {
    token
        .parse()
        .map_err(|_| FileProblem::BadNumber { token: shortened(token), expected: "a number" })
}

/// A token as it may stand in an error message.
fn shortened(token: &str) -> String {
    token.chars().take(32).collect()
}

#[derive(Default)]
struct Reader {
    vertices: Vec<Vector3<f64>>,
    /// Name and triangles (global vertex numbers) of each group.
    groups: Vec<(String, Vec<[u32; 3]>)>,
    triangles: usize,
}

impl Reader {
    fn statement(&mut self, line: &str) -> std::result::Result<(), FileProblem> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("v") => self.vertex(words),
            Some("f") => self.face(words),
            Some("o" | "g") => {
                self.group(words.collect::<Vec<_>>().join(" "));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn vertex<'a>(
        &mut self,
        mut words: impl Iterator<Item = &'a str>,
    ) -> std::result::Result<(), FileProblem> {
        let mut position = [0.0; 3];
        for (found, coordinate) in position.iter_mut().enumerate() {
            let word =
                words.next().ok_or(FileProblem::Truncated { statement: "v", found, needed: 3 })?;
            *coordinate = number(word)?;
        }
        if position.iter().any(|c| !c.is_finite()) {
            return Err(FileProblem::NonFiniteVertex { index: self.vertices.len() + 1 });
        }
        self.vertices.push(Vector3::from(position));
        Ok(())
    }

    fn face<'a>(
        &mut self,
        words: impl Iterator<Item = &'a str>,
    ) -> std::result::Result<(), FileProblem> {
        if self.groups.is_empty() {
            self.group(String::new());
        }
        let (mut found, mut first, mut previous) = (0, 0, 0);
        for word in words {
            let vertex = self.resolve(word)?;
            found += 1;
            match found {
                1 => first = vertex,
                2 => {}
                _ => self.triangle([first, previous, vertex])?,
            }
            previous = vertex;
        }
        if found < 3 {
            return Err(FileProblem::Truncated { statement: "f", found, needed: 3 });
        }
        Ok(())
    }

    fn triangle(&mut self, [a, b, c]: [u32; 3]) -> std::result::Result<(), FileProblem> {
        self.triangles += 1;
        if self.triangles > MAX_TRIANGLES {
            return Err(FileProblem::TooManyFaces { limit: MAX_TRIANGLES });
        }
        if a != b
            && b != c
            && c != a
            && let Some((_, triangles)) = self.groups.last_mut()
        {
            triangles.push([a, b, c]);
        }
        Ok(())
    }

    /// The vertex number, from 0, of `7`, `7/1`, `7//3`, `7/1/3` or `-2`.
    fn resolve(&self, word: &str) -> std::result::Result<u32, FileProblem> {
        let token = word.split('/').next().unwrap_or_default();
        let index: i64 = token.parse().map_err(|_| FileProblem::BadNumber {
            token: shortened(word),
            expected: "a vertex index",
        })?;
        let count = self.vertices.len();
        let absolute = if index < 0 { count as i64 + index } else { index - 1 };
        match u32::try_from(absolute) {
            Ok(vertex) if (vertex as usize) < count => Ok(vertex),
            _ => Err(FileProblem::IndexOutOfRange { index, count }),
        }
    }

    /// Starts a group; one that has no faces yet is only renamed.
    fn group(&mut self, name: String) {
        match self.groups.last_mut() {
            Some((current, triangles)) if triangles.is_empty() => *current = name,
            _ => self.groups.push((name, Vec::new())),
        }
    }

    fn finish(self) -> std::result::Result<Vec<Part>, FileProblem> {
        let mut local = vec![u32::MAX; self.vertices.len()];
        let mut parts = Vec::new();
        for (name, triangles) in
            self.groups.into_iter().filter(|(_, triangles)| !triangles.is_empty())
        {
            let mut mesh = Mesh::default();
            let mut used = Vec::new();
            for triangle in triangles {
                mesh.triangles.push(triangle.map(|global| {
                    let slot = &mut local[global as usize];
                    if *slot == u32::MAX {
                        *slot = mesh.vertices.len() as u32;
                        mesh.vertices.push(self.vertices[global as usize]);
                        used.push(global);
                    }
                    *slot
                }));
            }
            for global in used {
                local[global as usize] = u32::MAX;
            }
            parts.push(Part { name, mesh });
        }
        if parts.is_empty() { Err(FileProblem::Empty) } else { Ok(parts) }
    }
}
