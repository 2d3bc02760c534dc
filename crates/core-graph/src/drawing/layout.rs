//! Where the nodes of a picture go: columns by depth, rows with few crossings, long edges led around the nodes between.
//!
//! The layered drawing of Sugiyama, Tagawa and Toda (1981): an edge that spans several columns gets a place in each column between, so
//! that it passes between nodes and never behind them; the order inside columns follows the mean position of the neighbours.

use std::collections::HashMap;

/// Height of a passing edge's place, in pixels.
const PASS: f64 = 34.0;
/// Sweeps of the ordering, each once to the right and once to the left.
const SWEEPS: usize = 8;
/// Most places of passing edges; above, long edges are drawn straight.
const PASSES: usize = 20_000;

/// The places of a picture.
pub(super) struct Layout {
    /// Column and middle height in pixels of each node.
    pub(super) nodes: Vec<(usize, f64)>,
    /// The heights at which the edge (parent, child) passes the columns between the two.
    pub(super) passes: HashMap<(usize, usize), Vec<f64>>,
    /// Number of columns.
    pub(super) columns: usize,
    /// Height of the picture in pixels.
    pub(super) height: f64,
}

/// A node, or an edge on its way through a column.
struct Place {
    column: usize,
    extent: f64,
    left: Vec<usize>,
    right: Vec<usize>,
    y: f64,
}

/// `parents[i]`: the parents of node i, all of them before it; `tall`: the height of a node's place in pixels.
pub(super) fn layout(parents: &[Vec<usize>], tall: f64) -> Layout {
    let column = columns(parents);
    let mut places: Vec<Place> = column.iter().map(|&c| Place::new(c, tall)).collect();
    let spans = parents.iter().zip(&column).flat_map(|(p, &c)| p.iter().map(move |&p| (p, c)));
    let long: usize = spans.map(|(p, c)| c.saturating_sub(column[p] + 1)).sum();
    let mut chains: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
    for (child, from) in parents.iter().enumerate() {
        for &parent in from {
            if chains.contains_key(&(parent, child)) {
                continue; // the same variable twice
            }
            let between = (column[parent] + 1..column[child]).filter(|_| long <= PASSES);
            let first = places.len();
            places.extend(between.map(|c| Place::new(c, PASS)));
            let chain: Vec<usize> = (first..places.len()).collect();
            let mut last = parent;
            for &next in chain.iter().chain([&child]) {
                places[last].right.push(next);
                places[next].left.push(last);
                last = next;
            }
            chains.insert((parent, child), chain);
        }
    }
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); column.iter().max().map_or(0, |c| c + 1)];
    for (i, place) in places.iter().enumerate() {
        layers[place.column].push(i);
    }
    let height = order(&mut places, &mut layers, tall);
    let at = |chain: Vec<usize>| chain.into_iter().map(|i| places[i].y).collect();
    Layout {
        nodes: places[..parents.len()].iter().map(|p| (p.column, p.y)).collect(),
        passes: chains.into_iter().map(|(edge, chain)| (edge, at(chain))).collect(),
        columns: layers.len(),
        height,
    }
}

impl Place {
    fn new(column: usize, extent: f64) -> Self {
        Place { column, extent, left: Vec::new(), right: Vec::new(), y: 0.0 }
    }
}

/// The longest path from a leaf; leaves stand just before the first node that they enter.
fn columns(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut column: Vec<usize> = Vec::with_capacity(parents.len());
    for from in parents {
        column.push(from.iter().map(|&p| column[p] + 1).max().unwrap_or(0));
    }
    let mut first = vec![usize::MAX; parents.len()];
    for (child, from) in parents.iter().enumerate() {
        for &p in from {
            first[p] = first[p].min(column[child]);
        }
    }
    for (leaf, from) in parents.iter().enumerate() {
        if from.is_empty() && first[leaf] != usize::MAX {
            column[leaf] = first[leaf] - 1;
        }
    }
    column
}

/// Orders each column by the mean height of the neighbours, and puts every column's middle at one height. Returns the height of all.
fn order(places: &mut [Place], layers: &mut [Vec<usize>], least: f64) -> f64 {
    let tall = |places: &[Place], layer: &[usize]| layer.iter().map(|&i| places[i].extent).sum();
    let height = layers.iter().map(|layer| tall(places, layer)).fold(least, f64::max);
    let stack = |places: &mut [Place], layer: &[usize]| {
        let mut top = 0.5 * (height - tall(places, layer));
        for &i in layer {
            places[i].y = top + 0.5 * places[i].extent;
            top += places[i].extent;
        }
    };
    layers.iter().for_each(|layer| stack(places, layer));
    for sweep in 0..2 * SWEEPS {
        let to_the_right = sweep % 2 == 0;
        for step in 0..layers.len() {
            let layer = &mut layers[if to_the_right { step } else { layers.len() - 1 - step }];
            let mut keyed: Vec<(f64, usize)> = layer
                .iter()
                .map(|&i| {
                    let near = if to_the_right { &places[i].left } else { &places[i].right };
                    let sum: f64 = near.iter().map(|&j| places[j].y).sum();
                    (if near.is_empty() { places[i].y } else { sum / near.len() as f64 }, i)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            layer.clear();
            layer.extend(keyed.into_iter().map(|(_, i)| i));
            stack(places, layer);
        }
    }
    height
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: f64 = 84.0;

    /// No two places of a column overlap, and every edge passes every column between its ends.
    fn check(parents: &[Vec<usize>]) -> Layout {
        let plan = layout(parents, NODE);
        let mut taken: Vec<(usize, f64, f64)> =
            plan.nodes.iter().map(|&(column, y)| (column, y, NODE)).collect();
        for (child, from) in parents.iter().enumerate() {
            for &parent in from {
                let (start, end) = (plan.nodes[parent].0, plan.nodes[child].0);
                assert!(start < end, "parents stand to the left");
                let passes = &plan.passes[&(parent, child)];
                assert_eq!(passes.len(), end - start - 1);
                taken.extend(passes.iter().enumerate().map(|(i, &y)| (start + 1 + i, y, PASS)));
            }
        }
        for (i, a) in taken.iter().enumerate() {
            assert!(0.5 * a.2 <= a.1 + 1e-9 && a.1 + 0.5 * a.2 <= plan.height + 1e-9);
            for b in taken[..i].iter().filter(|b| b.0 == a.0) {
                assert!((a.1 - b.1).abs() >= 0.5 * (a.2 + b.2) - 1e-9, "{a:?} {b:?}");
            }
        }
        plan
    }

    #[test]
    fn long_edges_pass_between_the_nodes() {
        // x → g → f and x → f; then the same with a constant that enters late.
        let plan = check(&[vec![], vec![0], vec![0, 1]]);
        assert_eq!(plan.columns, 3);
        let plan = check(&[vec![], vec![], vec![0], vec![2], vec![3, 1, 0]]);
        assert_eq!(plan.nodes[1].0, 2, "a leaf stands before its first use");
        check(&[vec![], vec![], vec![0, 1], vec![0, 1], vec![2, 3, 0], vec![4, 4, 1, 0]]);
        check(&[vec![]]);
        assert_eq!(layout(&[], NODE).nodes.len(), 0);
    }

    #[test]
    fn a_variable_that_enters_everywhere_does_not_cost_the_square() {
        let chain: Vec<Vec<usize>> =
            (0..5000).map(|i: usize| if i == 0 { vec![] } else { vec![i - 1, 0] }).collect();
        let plan = layout(&chain, NODE);
        assert_eq!(plan.columns, 5000);
        assert!(plan.passes.values().all(Vec::is_empty));
    }
}
