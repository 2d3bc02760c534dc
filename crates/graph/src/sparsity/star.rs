//! Star colouring of a symmetric pattern: any two colours leave nothing connected but stars.
//!
//! The algorithm of Gebremedhin, Tarafdar, Manne, Pothen, "New Acyclic and Star Coloring Algorithms with Application to Computing
//! Hessians", SIAM J. Sci. Comput. 29 (2007), algorithm 4.1: it keeps for each edge the two-coloured star that the edge belongs to, so that a
//! vertex looks no further than two edges. A star of two edges or more has a hub; each of its leaves has one neighbour of the hub's colour
//! (the hub), so the entry of an edge stands alone in its leaf's row.

use super::Pattern;
use super::coloring::NEUTRAL;

/// No edge, star or vertex.
const NONE: usize = usize::MAX;

/// Colours of the vertices, and how many there are. The pattern is symmetric; vertices without entries stay neutral.
pub(super) fn color(pattern: &Pattern, order: &[usize]) -> (Vec<u32>, usize) {
    let n = pattern.rows();
    let mut s = State {
        pattern,
        mirror: mirrors(pattern),
        color: vec![NEUTRAL; n],
        forbidden: Vec::new(),
        treated: vec![NONE; n],
        first: Vec::new(),
        star: vec![NONE; pattern.len()],
        hub: Vec::new(),
    };
    for &v in order.iter().filter(|&&v| !pattern.row(v).is_empty()) {
        s.forbid(v);
        let free = s.forbidden.iter().position(|&by| by != v).unwrap_or(s.forbidden.len());
        if free == s.forbidden.len() {
            s.forbidden.push(NONE);
            s.first.push((NONE, NONE, NONE));
        }
        s.color[v] = free as u32;
        s.join_stars(v);
    }
    (s.color, s.forbidden.len())
}

/// The position of each entry's mirror image.
fn mirrors(pattern: &Pattern) -> Vec<usize> {
    let mut next = pattern.starts().to_vec();
    // Column j's entries come by ascending row, which is the order of row j.
    let place = |&j: &u32| {
        next[j as usize] += 1;
        next[j as usize] - 1
    };
    pattern.indices().iter().map(place).collect()
}

struct State<'a> {
    pattern: &'a Pattern,
    mirror: Vec<usize>,
    color: Vec<u32>,
    /// The last vertex that each colour was forbidden to.
    forbidden: Vec<usize>,
    /// The last vertex for which the vertex's neighbours' colours were forbidden.
    treated: Vec<usize>,
    /// For each colour: (v, q, edge from v to q) with q the first neighbour of v seen that has it.
    first: Vec<(usize, usize, usize)>,
    /// The star of each edge, at both of its entries.
    star: Vec<usize>,
    /// The hub of each star; `NONE` while it has one edge.
    hub: Vec<usize>,
}

impl State<'_> {
    /// Forbids the colours that `v` cannot have.
    fn forbid(&mut self, v: usize) {
        for edge in self.edges(v) {
            let w = self.pattern.indices()[edge] as usize;
            let c = self.color[w];
            if w == v || c == NEUTRAL {
                continue;
            }
            self.forbidden[c as usize] = v;
            let (p, q, _) = self.first[c as usize];
            if p == v {
                // Two neighbours of one colour: what is next to either would make a path of 4 with v inside.
                if self.treated[q] != v {
                    self.treat(v, q);
                }
                self.treat(v, w);
            } else {
                self.first[c as usize] = (v, w, edge);
                // A star's hub next to w: a path of 4 with v at its end.
                for e in self.edges(w) {
                    let x = self.pattern.indices()[e] as usize;
                    let colored = x != v && x != w && self.color[x] != NEUTRAL;
                    if colored && self.hub[self.star[e]] == x {
                        self.forbidden[self.color[x] as usize] = v;
                    }
                }
            }
        }
    }

    fn edges(&self, v: usize) -> std::ops::Range<usize> {
        self.pattern.starts()[v]..self.pattern.starts()[v + 1]
    }

    /// Forbids the colours next to `w`.
    fn treat(&mut self, v: usize, w: usize) {
        for edge in self.edges(w) {
            let x = self.pattern.indices()[edge] as usize;
            if let (true, Some(by)) = (x != w, self.forbidden.get_mut(self.color[x] as usize)) {
                *by = v;
            }
        }
        self.treated[w] = v;
    }

    /// Puts the edges from `v`, which has got its colour, into stars.
    fn join_stars(&mut self, v: usize) {
        for edge in self.edges(v) {
            let w = self.pattern.indices()[edge] as usize;
            let c = self.color[w];
            if w == v || c == NEUTRAL {
                continue;
            }
            let own = self.color[v];
            let mut around = self.edges(w);
            let other = around.find(|&e| {
                let x = self.pattern.indices()[e] as usize;
                x != v && x != w && self.color[x] == own
            });
            let (p, q, toward) = self.first[c as usize];
            let star = if let Some(other) = other {
                let star = self.star[other];
                self.hub[star] = w;
                star
            } else if p == v && q != w {
                let star = self.star[toward];
                self.hub[star] = v;
                star
            } else {
                self.hub.push(NONE);
                self.hub.len() - 1
            };
            self.star[edge] = star;
            self.star[self.mirror[edge]] = star;
        }
    }
}
