//! Triangles of the convex hull of points, by Barber, Dobkin and Huhdanpaa's quickhull (ACM Transactions on Mathematical Software 22, 1996).

use crate::spatial::{Vec3, add_scaled, cross, dot, norm, normalize, sub};
use std::ops::Range;

/// More triangles than this are refused.
const MOST_FACETS: usize = 400_000;

/// A triangle of the growing hull with the points that lie outside of it.
struct Facet {
    corner: [usize; 3],
    /// The triangles across the edges from each corner to the next.
    across: [usize; 3],
    normal: Vec3,
    offset: f64,
    alive: bool,
    outside: Vec<usize>,
}

impl Facet {
    fn new(points: &[Vec3], corner: [usize; 3], across: [usize; 3]) -> Self {
        let [a, b, c] = corner.map(|k| points[k]);
        let (normal, _) = normalize(cross(sub(b, a), sub(c, a)));
        Self { corner, across, normal, offset: dot(normal, a), alive: true, outside: Vec::new() }
    }

    fn height(&self, p: Vec3) -> f64 {
        dot(self.normal, p) - self.offset
    }
}

/// The four points that a hull grows from, counter-clockwise seen from outside for the first three with the fourth below.
fn first(points: &[Vec3], slack: f64) -> Result<[usize; 4], String> {
    let farthest = |measure: &dyn Fn(Vec3) -> f64| {
        (0..points.len()).max_by(|&a, &b| measure(points[a]).total_cmp(&measure(points[b])))
    };
    let none = || format!("{} points have no volume", points.len());
    let a = farthest(&|p| -p[0]).ok_or_else(none)?;
    let b = farthest(&|p| norm(sub(p, points[a]))).ok_or_else(none)?;
    let (along, length) = normalize(sub(points[b], points[a]));
    let off = |p: Vec3| {
        let d = sub(p, points[a]);
        norm(add_scaled(d, along, -dot(d, along)))
    };
    let c = farthest(&off).ok_or_else(none)?;
    let (normal, _) = normalize(cross(sub(points[b], points[a]), sub(points[c], points[a])));
    let height = |p: Vec3| dot(normal, sub(p, points[a]));
    let d = farthest(&|p| height(p).abs()).ok_or_else(none)?;
    if length <= slack || off(points[c]) <= slack || height(points[d]).abs() <= slack {
        return Err(none());
    }
    Ok(if height(points[d]) < 0.0 { [a, b, c, d] } else { [a, c, b, d] })
}

/// An edge of the border of what a point sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: usize,
    to: usize,
    /// The triangle beyond it.
    beyond: usize,
    /// Where the border's next edge ends.
    then: usize,
}

struct Growing<'a> {
    points: &'a [Vec3],
    slack: f64,
    facets: Vec<Facet>,
    alive: usize,
    /// Triangles that may have points outside, the last one next.
    pending: Vec<usize>,
}

impl Growing<'_> {
    /// Gives each point to the triangle of `range` that it is farthest above, if any.
    fn assign(&mut self, range: Range<usize>, list: &[usize]) {
        for &p in list {
            let heights = range.clone().map(|f| (f, self.facets[f].height(self.points[p])));
            if let Some((f, height)) = heights.max_by(|a, b| a.1.total_cmp(&b.1))
                && height > self.slack
            {
                self.facets[f].outside.push(p);
            }
        }
    }

    /// The triangles that a point above triangle `from` sees, connected with it, and their border. They are no longer alive.
    fn visible(&mut self, from: usize, apex: Vec3) -> (Vec<usize>, Vec<Edge>) {
        let (mut seen, mut sides) = (vec![from], Vec::new());
        self.facets[from].alive = false;
        let mut next = 0;
        while let Some(&f) = seen.get(next) {
            next += 1;
            for k in 0..3 {
                let other = self.facets[f].across[k];
                let neighbor = &mut self.facets[other];
                if neighbor.alive && neighbor.height(apex) > self.slack {
                    neighbor.alive = false;
                    seen.push(other);
                } else if neighbor.alive {
                    sides.push((f, k));
                }
            }
        }
        self.alive -= seen.len();
        let mut border: Vec<Edge> = sides.iter().map(|&(f, k)| self.edge(f, k)).collect();
        seen.sort_unstable();
        border.sort_unstable();
        (seen, border)
    }

    /// Side `k` of triangle `f` as an edge of the border. The next one is found around its end, because borders may touch themselves.
    fn edge(&self, f: usize, k: usize) -> Edge {
        let Facet { corner, across, .. } = &self.facets[f];
        let (from, to) = (corner[k], corner[(k + 1) % 3]);
        let (mut at, mut side) = (f, (k + 1) % 3);
        while !self.facets[self.facets[at].across[side]].alive {
            at = self.facets[at].across[side];
            side = self.facets[at].corner.iter().position(|&c| c == to).unwrap_or(side);
        }
        let then = self.facets[at].corner[(side + 1) % 3];
        Edge { from, to, beyond: across[k], then }
    }

    /// A triangle from every edge of a border to the apex.
    fn cover(&mut self, border: &[Edge], apex: usize) -> Range<usize> {
        let start = self.facets.len();
        let place = |from: usize, to: usize| {
            start + border.partition_point(|e| (e.from, e.to) < (from, to))
        };
        for (k, edge) in border.iter().enumerate() {
            let after = place(edge.to, edge.then);
            let across = [edge.beyond, after, usize::MAX];
            self.facets.push(Facet::new(self.points, [edge.from, edge.to, apex], across));
            let beyond = &mut self.facets[edge.beyond];
            if let Some(side) = beyond.corner.iter().position(|&c| c == edge.to) {
                beyond.across[side] = start + k;
            }
        }
        // The third side of the triangle after this one is this one's.
        let end = self.facets.len();
        for k in start..end {
            let after = self.facets[k].across[1];
            self.facets[after].across[2] = k;
        }
        self.alive += border.len();
        start..end
    }

    /// Drops what is not alive.
    fn compact(&mut self) {
        let mut number = vec![usize::MAX; self.facets.len()];
        let mut count = 0;
        for (k, facet) in self.facets.iter().enumerate().filter(|(_, f)| f.alive) {
            debug_assert!(facet.across.iter().all(|&f| self.facets[f].alive));
            number[k] = count;
            count += 1;
        }
        self.facets.retain(|f| f.alive);
        for facet in &mut self.facets {
            facet.across = facet.across.map(|f| number[f]);
        }
        self.pending = self.pending.iter().map(|&f| number[f]).filter(|&f| f < count).collect();
    }
}

/// Triangles of the convex hull.
pub(super) fn triangles(points: &[Vec3]) -> Result<Vec<[usize; 3]>, String> {
    let size = points.iter().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
    let slack = 1e-12 * size;
    let [a, b, c, d] = first(points, 1e3 * slack)?;
    let start = [
        ([a, b, c], [1, 2, 3]),
        ([a, d, b], [3, 2, 0]),
        ([b, d, c], [1, 3, 0]),
        ([c, d, a], [2, 1, 0]),
    ];
    let facets = start.map(|(corner, across)| Facet::new(points, corner, across)).into();
    let mut hull = Growing { points, slack, facets, alive: 4, pending: (0..4).collect() };
    let all: Vec<usize> = (0..points.len()).collect();
    hull.assign(0..4, &all);
    while let Some(f) = hull.pending.pop() {
        if !hull.facets[f].alive || hull.facets[f].outside.is_empty() {
            continue;
        }
        let facet = &hull.facets[f];
        let heights = facet.outside.iter().map(|&p| (p, facet.height(points[p])));
        let Some((apex, _)) = heights.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        // What the apex sees goes; its border gets new triangles.
        let (seen, border) = hull.visible(f, points[apex]);
        let mut loose = Vec::new();
        seen.iter().for_each(|&f| loose.append(&mut hull.facets[f].outside));
        // It is a corner now, whatever rounding says: every turn takes a point away.
        loose.retain(|&p| p != apex);
        let new = hull.cover(&border, apex);
        hull.assign(new.clone(), &loose);
        hull.pending.extend(new);
        if hull.alive > MOST_FACETS {
            return Err(format!("its hull has more than {MOST_FACETS} triangles"));
        }
        if hull.facets.len() > 64 && hull.alive * 2 < hull.facets.len() {
            hull.compact();
        }
    }
    Ok(hull.facets.iter().filter(|x| x.alive).map(|x| x.corner).collect())
}
