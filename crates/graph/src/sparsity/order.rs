//! The orders in which greedy colouring takes the vertices.

use super::Pattern;

/// In which order a greedy colouring takes the vertices.
///
/// The degree is that in the graph that is coloured: for rows and columns, the number of others that share a column or row. Ties go to
/// the lower number. Source: Gebremedhin, Manne, Pothen, "What Color Is Your Jacobian?", SIAM Review 47 (2005), section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Order {
    /// As numbered: optimal on bands.
    #[default]
    Natural,
    /// By falling degree.
    LargestFirst,
    /// Last, the vertex of the smallest degree; before it, the vertex of the smallest degree among the others; and so on.
    SmallestLast,
    /// Next, the vertex with the most neighbours that have been taken.
    IncidenceDegree,
}

impl Order {
    /// All orders.
    pub const ALL: [Order; 4] =
        [Order::Natural, Order::LargestFirst, Order::SmallestLast, Order::IncidenceDegree];
}

/// Who is whose neighbour.
pub(super) enum Neighbours<'a> {
    /// Vertices are columns: neighbours are in the same row. The pattern, and its transpose.
    SameRow(&'a Pattern, &'a Pattern),
    /// Vertices are rows and columns of a symmetric pattern; neighbours are its places off the diagonal.
    Adjacent(&'a Pattern),
}

impl Neighbours<'_> {
    pub(super) fn vertices(&self) -> usize {
        match self {
            Neighbours::SameRow(pattern, _) | Neighbours::Adjacent(pattern) => pattern.columns(),
        }
    }

    /// Visits each neighbour of `v` once; `seen` holds a number for each vertex, none of them `stamp`.
    fn each(&self, v: usize, stamp: usize, seen: &mut [usize], mut visit: impl FnMut(usize)) {
        seen[v] = stamp;
        let mut once = |w: u32| {
            if seen[w as usize] != stamp {
                seen[w as usize] = stamp;
                visit(w as usize);
            }
        };
        match self {
            Neighbours::SameRow(rows, columns) => {
                columns.row(v).iter().for_each(|&i| {
                    rows.row(i as usize).iter().for_each(|&w| once(w));
                });
            }
            Neighbours::Adjacent(rows) => rows.row(v).iter().for_each(|&w| once(w)),
        }
    }

    /// The vertices in an order.
    pub(super) fn ordered(&self, order: Order) -> Vec<usize> {
        let n = self.vertices();
        if order == Order::Natural {
            return (0..n).collect();
        }
        let mut seen = vec![usize::MAX; n];
        let mut degree = vec![0usize; n];
        for v in 0..n {
            let mut count = 0;
            self.each(v, v, &mut seen, |_| count += 1);
            degree[v] = count;
        }
        if order == Order::LargestFirst {
            let mut vertices: Vec<usize> = (0..n).collect();
            vertices.sort_by_key(|&v| std::cmp::Reverse(degree[v]));
            return vertices;
        }
        let smallest = order == Order::SmallestLast;
        // IncidenceDegree begins with no neighbour taken, and the vertex of the largest degree first.
        let mut first = degree.iter().enumerate().max_by_key(|&(v, d)| (d, std::cmp::Reverse(v)));
        let keys = if smallest { degree.clone() } else { vec![0; n] };
        let mut queue = Buckets::new(keys);
        let mut vertices = Vec::with_capacity(n);
        for step in 0..n {
            let start = if smallest { None } else { first.take().map(|(v, _)| v) };
            let Some(v) = start.or_else(|| queue.extreme(smallest)) else { break };
            queue.remove(v);
            vertices.push(v);
            self.each(v, n + step, &mut seen, |w| queue.shift(w, !smallest));
        }
        if smallest {
            vertices.reverse();
        }
        vertices
    }
}

/// No vertex.
const NONE: usize = usize::MAX;

/// Vertices in a list for each key, so that a key changes by one in constant time.
struct Buckets {
    key: Vec<usize>,
    /// The first vertex of each key.
    head: Vec<usize>,
    next: Vec<usize>,
    before: Vec<usize>,
    gone: Vec<bool>,
    /// Not above the smallest key, and not below the largest.
    low: usize,
    high: usize,
}

impl Buckets {
    fn new(key: Vec<usize>) -> Self {
        let n = key.len();
        let high = key.iter().copied().max().unwrap_or(0);
        let (next, before) = (vec![NONE; n], vec![NONE; n]);
        let mut buckets = Buckets {
            key,
            head: vec![NONE; n + 1],
            next,
            before,
            gone: vec![false; n],
            low: 0,
            high,
        };
        // The lower number is in front.
        (0..n).rev().for_each(|v| buckets.link(v));
        buckets
    }

    fn link(&mut self, v: usize) {
        let head = &mut self.head[self.key[v]];
        (self.next[v], self.before[v]) = (*head, NONE);
        if *head != NONE {
            self.before[*head] = v;
        }
        *head = v;
    }

    fn unlink(&mut self, v: usize) {
        let (next, before) = (self.next[v], self.before[v]);
        if next != NONE {
            self.before[next] = before;
        }
        if before == NONE {
            self.head[self.key[v]] = next;
        } else {
            self.next[before] = next;
        }
    }

    fn remove(&mut self, v: usize) {
        self.unlink(v);
        self.gone[v] = true;
    }

    /// One more or one less, unless the vertex is gone.
    fn shift(&mut self, v: usize, up: bool) {
        if self.gone[v] {
            return;
        }
        self.unlink(v);
        self.key[v] = if up { self.key[v] + 1 } else { self.key[v] - 1 };
        self.low = self.low.min(self.key[v]);
        self.high = self.high.max(self.key[v]);
        self.link(v);
    }

    /// A vertex of the smallest or of the largest key.
    fn extreme(&mut self, smallest: bool) -> Option<usize> {
        if smallest {
            while *self.head.get(self.low)? == NONE {
                self.low += 1;
            }
            return self.head.get(self.low).copied();
        }
        while self.head[self.high] == NONE {
            self.high = self.high.checked_sub(1)?;
        }
        self.head.get(self.high).copied()
    }
}
