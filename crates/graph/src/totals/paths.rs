//! The paths of a network: how many there are, and those that contribute most.

use pullback_core_graph::Phase;

use super::{Edge, Jacobian, Path};
use crate::Result;

/// How many paths lead from the first variable to the last; the largest number there is stands for any larger one.
///
/// N(first) = 1, N(v) = Σ over edges u → v of N(u).
pub(super) fn count(variables: usize, edges: &[Edge]) -> u128 {
    let mut paths = vec![0u128; variables.max(1)];
    paths[0] = 1;
    edges.iter().for_each(|e| paths[e.to] = paths[e.to].saturating_add(paths[e.from]));
    paths[paths.len() - 1]
}

/// One of the best ways to a variable: the last edge, and which of the ways to the edge's start it goes on from.
#[derive(Clone, Copy)]
struct Way {
    /// Σ ln ‖∂‖ along it.
    weight: f64,
    edge: usize,
    rank: usize,
}

/// The `limit` paths whose products of norms are largest, the largest contribution first.
///
/// For single numbers that product is the size of the contribution; for matrices it is a bound on it. Each variable keeps its `limit`
/// best ways, which are among the best ways of its parents, each prolonged by an edge.
pub(super) fn largest(
    total: &Jacobian,
    variables: usize,
    edges: &[Edge],
    limit: usize,
    name: impl Fn() -> String,
) -> Result<Vec<Path>> {
    let mut ways: Vec<Vec<Way>> = vec![Vec::new(); variables.max(1)];
    ways[0].push(Way { weight: 0.0, edge: usize::MAX, rank: 0 });
    let mut next = 0;
    for to in 1..variables {
        let mut candidates = Vec::new();
        while let Some(edge) = edges.get(next).filter(|e| e.to == to) {
            let longer = edge.partial.norm().ln();
            let from = ways[edge.from].iter().enumerate();
            candidates.extend(from.map(|(rank, w)| Way {
                weight: w.weight + longer,
                edge: next,
                rank,
            }));
            next += 1;
        }
        candidates.sort_by(|a, b| b.weight.total_cmp(&a.weight)); // stable: equal ones in order
        candidates.truncate(limit);
        ways[to] = candidates;
    }
    let mut paths = Vec::new();
    for &way in ways[ways.len() - 1].iter().take(limit) {
        let (mut way, mut along) = (way, Vec::new());
        while way.edge != usize::MAX {
            along.push(way.edge);
            way = ways[edges[way.edge].from][way.rank];
        }
        along.reverse();
        paths.push(along);
    }
    let mut paths: Vec<Path> = paths
        .into_iter()
        .map(|along| {
            Ok(Path {
                product: product(edges, &along, total.columns)?.finite(&name, Phase::Push)?,
                edges: along,
            })
        })
        .collect::<Result<_>>()?;
    paths.sort_by(|a, b| b.product.norm().total_cmp(&a.product.norm()));
    Ok(paths)
}

/// The product of the partial derivatives along a path, multiplied from its smaller end; 1 for no edge at all, where x with its
/// `elements` is f.
fn product(edges: &[Edge], along: &[usize], elements: usize) -> Result<Jacobian> {
    let (Some(&first), Some(&last)) = (along.first(), along.last()) else {
        return Ok(Jacobian::identity(elements));
    };
    let (first, last) = (&edges[first].partial, &edges[last].partial);
    if first.columns <= last.rows {
        along[1..].iter().try_fold(first.clone(), |so_far, &e| edges[e].partial.times(&so_far))
    } else {
        let back = along[..along.len() - 1].iter().rev();
        back.copied().try_fold(last.clone(), |so_far, e| so_far.times(&edges[e].partial))
    }
}
