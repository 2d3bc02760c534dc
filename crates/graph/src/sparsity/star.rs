//! Star colouring of a symmetric pattern: any two colours leave nothing connected but stars.
//!
//! After Gebremedhin, Tarafdar, Manne, Pothen, "New Acyclic and Star Coloring Algorithms with Application to Computing Hessians",
//! SIAM J. Sci. Comput. 29 (2007), algorithm 4.1: each edge knows the two-coloured star that it belongs to. A star of two edges or more has a
//! hub; each of its leaves has one neighbour of the hub's colour (the hub), so the entry of an edge stands alone in its leaf's row.
//!
//! Where the paper walks over the neighbours of a neighbour, a vertex here keeps the colours around it and those of its hubs: the steps are
//! at most entries × colours, also where a row is full.

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
        around: vec![Vec::new(); n],
        hubs: vec![Vec::new(); n],
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
    /// The last vertex for which the colours around the vertex were forbidden.
    treated: Vec<usize>,
    /// For each colour: (v, q, edge from v to q) with q the first neighbour of v seen that has it.
    first: Vec<(usize, usize, usize)>,
    /// The star of each edge, at both of its entries.
    star: Vec<usize>,
    /// The hub of each star; `NONE` while it has one edge.
    hub: Vec<usize>,
    /// The colours around each vertex, once each, and the edge to the first neighbour that has it.
    around: Vec<Vec<(u32, usize)>>,
    /// The colours of the hubs whose leaf each vertex is.
    hubs: Vec<Vec<u32>>,
}

impl State<'_> {
    /// Entries of `v`'s row.
    fn edges(&self, v: usize) -> std::ops::Range<usize> {
        self.pattern.starts()[v]..self.pattern.starts()[v + 1]
    }

    fn end(&self, edge: usize) -> usize {
        self.pattern.indices()[edge] as usize
    }

    /// Forbids the colours that `v` cannot have.
    fn forbid(&mut self, v: usize) {
        for edge in self.edges(v) {
            let w = self.end(edge);
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
                // The hub of a star whose leaf is w: a path of 4 with v at its end.
                self.hubs[w].iter().for_each(|&c| self.forbidden[c as usize] = v);
            }
        }
    }

    /// Forbids the colours around `w`.
    fn treat(&mut self, v: usize, w: usize) {
        self.around[w].iter().for_each(|&(c, _)| self.forbidden[c as usize] = v);
        self.treated[w] = v;
    }

    /// Puts the edges from `v`, which has got its colour, into stars.
    fn join_stars(&mut self, v: usize) {
        let own = self.color[v];
        for edge in self.edges(v) {
            let w = self.end(edge);
            if w == v {
                continue;
            }
            let other = self.around[w].iter().find(|&&(c, _)| c == own).map(|&(_, edge)| edge);
            if other.is_none() {
                self.around[w].push((own, self.mirror[edge]));
            }
            let c = self.color[w];
            if c == NEUTRAL {
                continue;
            }
            let (p, q, toward) = self.first[c as usize];
            let star = if let Some(other) = other {
                self.grow(self.star[other], w, self.end(other), v)
            } else if p == v && q != w {
                self.grow(self.star[toward], v, q, w)
            } else {
                self.hub.push(NONE);
                self.hub.len() - 1
            };
            self.star[edge] = star;
            self.star[self.mirror[edge]] = star;
        }
    }

    /// Adds a leaf to a star around `hub`, of which `first` is a leaf already.
    fn grow(&mut self, star: usize, hub: usize, first: usize, leaf: usize) -> usize {
        let color = self.color[hub];
        if self.hub[star] == NONE {
            self.hub[star] = hub;
            self.hubs[first].push(color);
        }
        self.hubs[leaf].push(color);
        star
    }
}
