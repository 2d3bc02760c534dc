//! The convex hull of a mesh: faces that lie in one plane are one polygon.

use super::quickhull::triangles;
use crate::spatial::{Vec3, add_scaled, cross, dot, norm, normalize, scale, sub};
use std::collections::HashSet;

/// Cosine above which neighbouring triangles are one face.
const SAME_PLANE: f64 = 1.0 - 1e-10;

/// A convex polyhedron with the neighbourhoods that collisions ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Hull {
    vertex: Vec<Vec3>,
    /// Vertices of all faces, each counter-clockwise seen from outside; where each face starts, and the end.
    polygon: Vec<u32>,
    face_start: Vec<usize>,
    normal: Vec<Vec3>,
    /// Neighbours along edges and faces, per vertex.
    neighbor: Vec<u32>,
    around: Vec<u32>,
    neighbor_start: Vec<usize>,
    around_start: Vec<usize>,
}

impl Hull {
    pub(crate) fn corners(&self) -> &[Vec3] {
        &self.vertex
    }

    pub(crate) fn vertex(&self, v: u32) -> Vec3 {
        self.vertex[v as usize]
    }

    /// The radius of a sphere around the origin that holds its bounding box, as MuJoCo takes it.
    pub(crate) fn reach(&self) -> f64 {
        norm([0, 1, 2].map(|k| self.vertex.iter().fold(0.0f64, |m, v| m.max(v[k].abs()))))
    }

    pub(crate) fn normal(&self, f: u32) -> Vec3 {
        self.normal[f as usize]
    }

    pub(crate) fn polygon(&self, f: u32) -> &[u32] {
        let f = f as usize;
        &self.polygon[self.face_start[f]..self.face_start[f + 1]]
    }

    /// A point of a face.
    pub(crate) fn origin(&self, f: u32) -> Vec3 {
        self.vertex(self.polygon(f)[0])
    }

    /// Two unit directions in a face.
    pub(crate) fn basis(&self, f: u32) -> (Vec3, Vec3) {
        let polygon = self.polygon(f);
        let (u, _) = normalize(sub(self.vertex(polygon[1]), self.vertex(polygon[0])));
        (u, cross(self.normal(f), u))
    }

    /// Is a point of a face's plane, in coordinates of `basis` from `origin`, on the face?
    pub(crate) fn on_face(&self, f: u32, at: [f64; 2], slack: f64) -> bool {
        let (u, v) = self.basis(f);
        let point = add_scaled(add_scaled(self.origin(f), u, at[0]), v, at[1]);
        let polygon = self.polygon(f);
        (0..polygon.len()).all(|k| {
            let (p, q) = (self.vertex(polygon[k]), self.vertex(polygon[(k + 1) % polygon.len()]));
            let (outward, _) = normalize(cross(sub(q, p), self.normal(f)));
            dot(outward, sub(point, p)) <= slack
        })
    }

    /// Its faces as triangles, outward.
    pub(crate) fn triangles(&self) -> impl Iterator<Item = [Vec3; 3]> {
        (0..self.normal.len() as u32).flat_map(|f| {
            let polygon = self.polygon(f);
            let corner = |k: usize| self.vertex(polygon[k]);
            (2..polygon.len()).map(move |k| [corner(0), corner(k - 1), corner(k)])
        })
    }

    pub(crate) fn neighbors(&self, v: u32) -> &[u32] {
        let v = v as usize;
        &self.neighbor[self.neighbor_start[v]..self.neighbor_start[v + 1]]
    }

    pub(crate) fn faces_of(&self, v: u32) -> &[u32] {
        let v = v as usize;
        &self.around[self.around_start[v]..self.around_start[v + 1]]
    }

    /// The vertex that is farthest in a direction: by climbing from `hint`, or by looking at all of a small hull.
    pub(crate) fn support(&self, n: Vec3, hint: Option<u32>) -> u32 {
        if self.vertex.len() < 16 {
            let mut best = 0;
            for k in 1..self.vertex.len() {
                if dot(self.vertex[k], n) > dot(self.vertex[best], n) {
                    best = k;
                }
            }
            return best as u32;
        }
        let mut best = hint.unwrap_or(0);
        let mut height = dot(self.vertex(best), n);
        loop {
            let here = best;
            for &w in self.neighbors(here) {
                let h = dot(self.vertex(w), n);
                if h > height {
                    (best, height) = (w, h);
                }
            }
            if best == here {
                return best;
            }
        }
    }

    /// The vertex that is farthest against a direction, the first of equal ones.
    pub(crate) fn lowest(&self, up: Vec3) -> u32 {
        self.support(scale(up, -1.0), None)
    }

    /// The hull of points, or why there is none: fewer than 4, or all (nearly) in one plane.
    pub(crate) fn new(points: &[Vec3]) -> Result<Self, String> {
        let triangles = triangles(points)?;
        Ok(Self::merged(points, &triangles))
    }

    /// Joins triangles of one plane.
    fn merged(points: &[Vec3], triangles: &[[usize; 3]]) -> Self {
        let mut edges: Vec<(usize, usize, usize)> = Vec::with_capacity(3 * triangles.len());
        for (t, tri) in triangles.iter().enumerate() {
            edges.extend((0..3).map(|k| (tri[k], tri[(k + 1) % 3], t)));
        }
        edges.sort_unstable();
        let across = |a: usize, b: usize| {
            edges.binary_search_by_key(&(b, a), |e| (e.0, e.1)).ok().map(|k| edges[k].2)
        };
        let normals: Vec<Vec3> = triangles
            .iter()
            .map(|t| {
                let [a, b, c] = t.map(|k| points[k]);
                normalize(cross(sub(b, a), sub(c, a))).0
            })
            .collect();
        // Groups of triangles by flood from the first of each, compared with its normal.
        let mut group = vec![usize::MAX; triangles.len()];
        let mut seeds = Vec::new();
        for seed in 0..triangles.len() {
            if group[seed] != usize::MAX {
                continue;
            }
            let id = seeds.len();
            seeds.push(seed);
            group[seed] = id;
            let mut stack = vec![seed];
            while let Some(t) = stack.pop() {
                for k in 0..3 {
                    let next = across(triangles[t][k], triangles[t][(k + 1) % 3]);
                    if let Some(next) = next
                        && group[next] == usize::MAX
                        && dot(normals[next], normals[seed]) > SAME_PLANE
                    {
                        group[next] = id;
                        stack.push(next);
                    }
                }
            }
        }
        // Borders of groups, walked from edge to edge.
        let mut border: Vec<Vec<(usize, usize)>> = vec![Vec::new(); seeds.len()];
        for &(a, b, t) in &edges {
            if across(a, b).is_none_or(|other| group[other] != group[t]) {
                border[group[t]].push((a, b));
            }
        }
        let mut hull = Self { face_start: vec![0], ..Self::default() };
        let mut number = vec![u32::MAX; points.len()];
        for (list, &seed) in border.iter().zip(&seeds) {
            let Some(&(start, _)) = list.first() else { continue };
            let (mut at, mut steps) = (start, 0);
            let from = hull.polygon.len();
            let mut weighted = [0.0; 3];
            loop {
                if number[at] == u32::MAX {
                    number[at] = hull.vertex.len() as u32;
                    hull.vertex.push(points[at]);
                }
                hull.polygon.push(number[at]);
                // Sorted, as the edges are.
                let place = list.partition_point(|e| e.0 < at);
                let next = list.get(place).filter(|e| e.0 == at).map_or(start, |e| e.1);
                let anchor = points[start];
                weighted = add_scaled(
                    weighted,
                    cross(sub(points[at], anchor), sub(points[next], anchor)),
                    1.0,
                );
                at = next;
                steps += 1;
                if at == start || steps > list.len() {
                    break;
                }
            }
            if hull.polygon.len() - from < 3 {
                hull.polygon.truncate(from);
                continue;
            }
            let (n, area) = normalize(weighted);
            hull.normal.push(if area > 0.0 { n } else { normals[seed] });
            hull.face_start.push(hull.polygon.len());
        }
        hull.index();
        hull
    }

    /// Neighbours of vertices.
    fn index(&mut self) {
        let count = self.vertex.len();
        let (mut near, mut faces) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let mut seen = HashSet::new();
        for f in 0..self.normal.len() as u32 {
            let polygon = self.polygon(f);
            for k in 0..polygon.len() {
                let (v, w) = (polygon[k], polygon[(k + 1) % polygon.len()]);
                for (a, b) in [(v, w), (w, v)] {
                    if seen.insert((a, b)) {
                        near[a as usize].push(b);
                    }
                }
                faces[v as usize].push(f);
            }
        }
        (self.neighbor_start, self.around_start) = (vec![0], vec![0]);
        for (near, faces) in near.iter().zip(&faces) {
            self.neighbor.extend(near);
            self.around.extend(faces);
            self.neighbor_start.push(self.neighbor.len());
            self.around_start.push(self.around.len());
        }
    }
}

/// The volume, centroid and second moments ∫x·xᵀ (xx, yy, zz, xy, xz, yz) of what triangles enclose, seen from `from`; outward volumes count
/// positive, or all of them if `absolute`.
pub(crate) fn moments(
    triangles: impl Iterator<Item = [Vec3; 3]>,
    from: Vec3,
    absolute: bool,
) -> (f64, Vec3, [f64; 6]) {
    const PAIRS: [(usize, usize); 6] = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)];
    let (mut volume, mut first, mut second) = (0.0, [0.0; 3], [0.0; 6]);
    for corners in triangles {
        let [a, b, c] = corners.map(|p| sub(p, from));
        let signed = dot(a, cross(b, c)) / 6.0;
        let v = if absolute { signed.abs() } else { signed };
        volume += v;
        for k in 0..3 {
            first[k] += v * (a[k] + b[k] + c[k]) / 4.0;
        }
        // ∫ over the tetrahedron of 0, a, b, c: v/20·(Σ p·pᵀ + s·sᵀ), s = a + b + c.
        for (slot, (i, j)) in second.iter_mut().zip(PAIRS) {
            let sum = (a[i] + b[i] + c[i]) * (a[j] + b[j] + c[j]);
            *slot += v / 20.0 * (a[i] * a[j] + b[i] * b[j] + c[i] * c[j] + sum);
        }
    }
    let center = if volume == 0.0 { [0.0; 3] } else { scale(first, 1.0 / volume) };
    (volume, center, second)
}
