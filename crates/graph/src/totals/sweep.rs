//! The two chain rules over the variables of a network, term by term.

use pullback_core_graph::Phase;

use super::network::Network;
use super::{Explanation, Jacobian};
use crate::Result;

/// One line of a sweep: a variable, the products that are added, and their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The variable, as a position in [`Explanation::variables`].
    pub variable: usize,
    /// One product for each edge; none for the variable where the sweep starts, and for those it does not reach.
    pub terms: Vec<Term>,
    /// Their sum; 1 where the sweep starts.
    pub sum: Jacobian,
}

/// The product of an edge's partial derivative and the running total at its other end.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The edge, as a position in [`Explanation::edges`].
    pub edge: usize,
    /// The product.
    pub product: Jacobian,
}

/// dv/dx = Σ over edges u → v of ∂v/∂u · du/dx for each variable, in recording order.
pub(super) fn forward(network: &mut Network, x: &str) -> Result<()> {
    let columns = elements(network, 0);
    for k in 0..network.variables.len() {
        let mut sum = match k {
            0 => Jacobian::identity(columns),
            _ => Jacobian::zeros(elements(network, k), columns),
        };
        for edge in entering(network, k) {
            let edge = &network.edges[edge];
            sum.add(&edge.partial.times(&network.variables[edge.from].forward)?, 1.0);
        }
        let name = || format!("d {}/d {x}", network.variables[k].name);
        network.variables[k].forward = sum.finite(name, Phase::Push)?;
    }
    Ok(())
}

/// df/du = Σ over edges u → v of df/dv · ∂v/∂u for each variable, in reverse.
pub(super) fn backward(network: &mut Network, f: &str) -> Result<()> {
    let Some(last) = network.variables.len().checked_sub(1) else { return Ok(()) };
    let rows = elements(network, last);
    let mut sums: Vec<Jacobian> =
        (0..=last).map(|k| Jacobian::zeros(rows, elements(network, k))).collect();
    sums[last] = Jacobian::identity(rows);
    // Edges are ordered by the variable that they enter: in reverse, every df/dv is complete before it is used.
    for edge in network.edges.iter().rev() {
        let term = sums[edge.to].times(&edge.partial)?;
        sums[edge.from].add(&term, 1.0);
    }
    for (variable, sum) in network.variables.iter_mut().zip(sums) {
        let name = || format!("d {f}/d {}", variable.name);
        variable.backward = sum.finite(name, Phase::Pull)?;
    }
    Ok(())
}

/// A bound on the sum of the contributions' sizes: against it, rounding is judged.
pub(super) fn mass(network: &Network) -> f64 {
    let mut mass = vec![0.0f64; network.variables.len()];
    mass[0] = 1.0;
    for edge in &network.edges {
        mass[edge.to] += edge.partial.norm() * mass[edge.from];
    }
    mass[mass.len() - 1]
}

fn elements(network: &Network, k: usize) -> usize {
    network.variables[k].dims.iter().product()
}

/// The edges that enter variable `k`.
fn entering(network: &Network, k: usize) -> std::ops::Range<usize> {
    let from = network.edges.partition_point(|e| e.to < k);
    from..network.edges.partition_point(|e| e.to <= k)
}

impl Explanation {
    /// The forward chain rule term by term: dv/dx = Σ over parents u of ∂v/∂u · du/dx, in recording order.
    ///
    /// # Errors
    /// None that [`explain`](super::explain) has not met before.
    pub fn sweep_forward(&self) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = (0..self.variables.len())
            .map(|k| Row { variable: k, terms: Vec::new(), sum: self.variables[k].forward.clone() })
            .collect();
        for (edge, e) in self.edges.iter().enumerate() {
            let product = e.partial.times(&self.variables[e.from].forward)?;
            rows[e.to].terms.push(Term { edge, product });
        }
        Ok(rows)
    }

    /// The backward chain rule term by term: df/du = Σ over children v of df/dv · ∂v/∂u, in reverse.
    ///
    /// # Errors
    /// None that [`explain`](super::explain) has not met before.
    pub fn sweep_backward(&self) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = (0..self.variables.len())
            .map(|k| Row {
                variable: k,
                terms: Vec::new(),
                sum: self.variables[k].backward.clone(),
            })
            .collect();
        for (edge, e) in self.edges.iter().enumerate().rev() {
            let product = self.variables[e.to].backward.times(&e.partial)?;
            rows[e.from].terms.push(Term { edge, product });
        }
        rows.reverse();
        Ok(rows)
    }
}
