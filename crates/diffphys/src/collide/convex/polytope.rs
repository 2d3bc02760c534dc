//! Depth of two overlapping convex solids: the face of the difference of their cores that is nearest to the origin, found by adding vertices
//! to a polytope inside of it (van den Bergen's expanding polytope).

use super::feature::Solid;
use super::simplex::Vertex;
use crate::spatial::{Vec3, add_scaled, cross, dot, norm, normalize, scale, sub};

const MOST_VERTICES: usize = 96;
const MOST_FACES: usize = 320;
const MOST_EDGES: usize = 320;

#[derive(Clone, Copy)]
struct Face {
    corner: [u8; 3],
    /// Outward.
    normal: Vec3,
    offset: f64,
}

struct Polytope {
    vertex: [Vertex; MOST_VERTICES],
    vertices: usize,
    face: [Face; MOST_FACES],
    faces: usize,
}

/// The nearest face: unit normal in which the second solid leaves the first on the shortest way, the deepest points of the cores, depth.
pub(super) struct Deepest {
    pub(super) normal: Vec3,
    pub(super) on: [Vec3; 2],
    pub(super) depth: f64,
}

impl Polytope {
    /// Adds a face; false if it has no area, or there is no room.
    fn add(&mut self, corner: [u8; 3]) -> bool {
        let [a, b, c] = corner.map(|k| self.vertex[k as usize].at);
        let (normal, area) = normalize(cross(sub(b, a), sub(c, a)));
        if area == 0.0 || self.faces == MOST_FACES {
            return false;
        }
        self.face[self.faces] = Face { corner, normal, offset: dot(normal, a) };
        self.faces += 1;
        true
    }

    fn nearest(&self) -> usize {
        (1..self.faces).fold(
            0,
            |best, k| {
                if self.face[k].offset < self.face[best].offset { k } else { best }
            },
        )
    }

    /// Puts a vertex in: what it sees goes, the border of that is joined to it.
    fn expand(&mut self, new: u8, slack: f64) -> bool {
        let apex = self.vertex[new as usize].at;
        let mut edge = [(0u8, 0u8); MOST_EDGES];
        let mut edges = 0;
        let mut k = 0;
        while k < self.faces {
            let face = self.face[k];
            if dot(face.normal, apex) - face.offset <= slack {
                k += 1;
                continue;
            }
            for i in 0..3 {
                let (p, q) = (face.corner[i], face.corner[(i + 1) % 3]);
                // An edge that two visible faces share is not on the border.
                match edge[..edges].iter().position(|e| *e == (q, p)) {
                    Some(at) => {
                        edges -= 1;
                        edge[at] = edge[edges];
                    }
                    None if edges < MOST_EDGES => {
                        edge[edges] = (p, q);
                        edges += 1;
                    }
                    None => return false,
                }
            }
            self.faces -= 1;
            self.face[k] = self.face[self.faces];
        }
        edges >= 3 && edge[..edges].iter().all(|&(p, q)| self.add([p, q, new]))
    }
}

/// Completes a simplex that touches the origin to a tetrahedron around or beside it.
fn fill(
    solids: [&Solid<'_, f64>; 2],
    simplex: [Vertex; 4],
    mut len: usize,
    size: f64,
) -> Option<[Vertex; 4]> {
    let mut hint = [None; 2];
    let mut out = simplex;
    let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    while len < 4 {
        let at = out.map(|v| v.at);
        let spread = |p: Vec3| match len {
            1 => norm(sub(p, at[0])),
            2 => norm(cross(sub(at[1], at[0]), sub(p, at[0]))) / size,
            _ => {
                let n = cross(sub(at[1], at[0]), sub(at[2], at[0]));
                (dot(n, sub(p, at[0])) / (size * size)).abs()
            }
        };
        let mut best = (1e-9 * size, None);
        let mut look = |d: Vec3| {
            let (d, length) = normalize(d);
            if length > 0.0 {
                for d in [d, scale(d, -1.0)] {
                    let v = Vertex::farthest(solids, d, &mut hint);
                    let gain = spread(v.at);
                    if gain > best.0 {
                        best = (gain, Some(v));
                    }
                }
            }
        };
        match len {
            1 => axes.into_iter().for_each(&mut look),
            2 => axes.into_iter().for_each(|e| look(cross(e, sub(at[1], at[0])))),
            _ => look(cross(sub(at[1], at[0]), sub(at[2], at[0]))),
        }
        out[len] = best.1?;
        len += 1;
    }
    Some(out)
}

/// `None` where the difference of the cores has no volume, or rounding stops the search at its start.
pub(super) fn deepest(
    solids: [&Solid<'_, f64>; 2],
    simplex: [Vertex; 4],
    len: usize,
    tolerance: f64,
) -> Option<Deepest> {
    let size = solids.iter().map(|s| norm(s.shape.size)).fold(0.0, f64::max);
    let size = simplex[..len].iter().fold(size, |m, v| m.max(norm(v.at)));
    let start = fill(solids, simplex, len, size)?;
    let none = Face { corner: [0; 3], normal: [0.0; 3], offset: 0.0 };
    let mut p = Polytope {
        vertex: [Vertex::ZERO; MOST_VERTICES],
        vertices: 4,
        face: [none; MOST_FACES],
        faces: 0,
    };
    p.vertex[..4].copy_from_slice(&start);
    let [a, b, c, d] = start.map(|v| v.at);
    let below = dot(cross(sub(b, a), sub(c, a)), sub(d, a)) < 0.0;
    let faces: [[u8; 3]; 4] = if below {
        [[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]]
    } else {
        [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]
    };
    if !faces.into_iter().all(|f| p.add(f)) {
        return None;
    }
    let mut hint = [None; 2];
    let mut found = p.face[p.nearest()];
    while p.vertices < MOST_VERTICES {
        found = p.face[p.nearest()];
        let vertex = Vertex::farthest(solids, found.normal, &mut hint);
        let gain = dot(vertex.at, found.normal) - found.offset;
        let known = p.vertex[..p.vertices].iter().any(|v| v.at == vertex.at);
        if gain <= tolerance || known {
            break;
        }
        p.vertex[p.vertices] = vertex;
        p.vertices += 1;
        if !p.expand((p.vertices - 1) as u8, 1e-14 * size) {
            break;
        }
    }
    // The origin's projection on the face, in its corners' shares.
    let corner = found.corner.map(|k| p.vertex[k as usize]);
    let [a, b, c] = corner.map(|v| v.at);
    let foot = scale(found.normal, found.offset);
    let n = cross(sub(b, a), sub(c, a));
    let area = dot(n, n);
    let share = |p: Vec3, q: Vec3| dot(cross(sub(p, foot), sub(q, foot)), n) / area;
    let shares = [share(b, c), share(c, a), share(a, b)];
    let on =
        [0, 1].map(|k| (0..3).fold([0.0; 3], |x, v| add_scaled(x, corner[v].on[k], shares[v])));
    // Outside of the difference the way out is the other way round: b − a is moved by −normal·offset.
    Some(Deepest { normal: scale(found.normal, -1.0), on, depth: found.offset })
}
