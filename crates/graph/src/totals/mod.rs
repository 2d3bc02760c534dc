//! Total derivatives explained: the paths between two variables of a recorded graph, and the products along them.

mod display;
mod draw;
mod jacobian;
mod network;
mod paths;
mod sweep;

pub use jacobian::Jacobian;
pub use sweep::{Row, Term};

use network::Network;
use pullback_core_graph::{Graph, Var};

use crate::Result;

/// Bounds on an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Paths that are listed; the others are given as one number. Default: 12. Above 12, at most 2²² divided by the number of variables
    /// and of entries of df/dx: each variable keeps so many ways, each path its product.
    pub paths: usize,
    /// Variables between the two. Default: 2,000.
    pub variables: usize,
    /// Numbers in all Jacobians together, those of the running totals included. Default: 2²⁴.
    pub numbers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { paths: 12, variables: 2000, numbers: 1 << 24 }
    }
}

/// The most paths, times what each costs.
const LISTED: usize = 1 << 22;

/// Why the total derivative df/dx is what it is: the sum over all paths from x to f of the products of partial derivatives.
///
/// The variables are the named ones between the two, in recording order, x first and f last; unnamed operations belong to the function
/// that computes the next named variable. A variable on which f, or which on x, does not depend has no part in it.
///
/// `Display` writes it as on a blackboard; [`Explanation::drawing`] and its companions draw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The variables, x first and f last.
    pub variables: Vec<Variable>,
    /// The partial derivatives that are not zero by structure, ordered by the variable that they enter.
    pub edges: Vec<Edge>,
    /// The paths with the largest contributions, the largest first: the largest of all if the variables are single numbers, else those
    /// with the largest products of norms.
    pub paths: Vec<Path>,
    /// How many paths there are, exactly; `u128::MAX` stands for that many or more.
    pub count: u128,
    /// What the paths that are not listed contribute together: the total without those that are; 0 where all are listed.
    pub rest: Jacobian,
    /// df/dx, the sum over all paths.
    pub total: Jacobian,
    /// df/dx by the graph's forward sweeps, through every operation.
    pub forward: Jacobian,
    /// df/dx by the graph's backward sweeps, through every operation.
    pub backward: Jacobian,
    /// How far apart the sweeps may be by rounding.
    tolerance: f64,
}

/// A variable of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name; with the number of its node where two have the same.
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its value, if it is a single number.
    pub value: Option<f64>,
    /// The Euclidean norm of its value.
    pub norm: f64,
    /// dv/dx, the running total of the forward sweep.
    pub forward: Jacobian,
    /// df/dv, the running total of the backward sweep.
    pub backward: Jacobian,
}

/// A partial derivative: how one variable acts on the next, all others held fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The variable that acts, as a position in [`Explanation::variables`].
    pub from: usize,
    /// The variable that it acts on.
    pub to: usize,
    /// ∂to/∂from.
    pub partial: Jacobian,
}

/// A path from x to f.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its edges from x to f, as positions in [`Explanation::edges`]; none where x is f.
    pub edges: Vec<usize>,
    /// The product of its partial derivatives.
    pub product: Jacobian,
}

/// Explains the total derivative d `of`/d `wrt` of a recorded graph.
///
/// Cost: for each variable between the two, one pull per element; and both of the graph's sweeps.
///
/// ```
/// use pullback_core_graph::{Graph, candle::{Device, Tensor}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let graph = Graph::new();
/// let x = graph.input(&Tensor::new(1.0f64, &Device::Cpu)?).named("x");
/// let g = (2.0 * x).named("g");
/// let f = (3.0 * x + 2.0 * g).named("f");
/// let why = pullback_graph::totals::explain(&graph, f, x)?;
/// assert_eq!(why.total.scalar(), Some(7.0)); // 2·2 through g, and 3
/// assert_eq!(why.count, 2);
/// assert!(why.to_string().contains("x → g → f"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A variable of another graph or one that stands for an error; `Invalid` above a limit (with the numbers); an element type without
/// derivatives; a derivative that is not finite. A variable that does not depend on the other is no error: no path, total 0.
pub fn explain<'g>(graph: &'g Graph, of: Var<'g>, wrt: Var<'g>) -> Result<Explanation> {
    explain_within(graph, of, wrt, &Limits::default())
}

/// [`explain`] within other limits.
///
/// # Errors
/// As [`explain`].
pub fn explain_within<'g>(
    graph: &'g Graph,
    of: Var<'g>,
    wrt: Var<'g>,
    limits: &Limits,
) -> Result<Explanation> {
    // Foreign and failed variables are found here, before anything is computed.
    graph.pull(&[], &[of, wrt])?;
    let mut network = Network::between(graph, of, wrt, limits)?;
    let (f, x) = (graph.node_name(of), graph.node_name(wrt));
    sweep::forward(&mut network, &x)?;
    sweep::backward(&mut network, &f)?;
    let (n, edges) = (network.variables.len(), &network.edges);
    let count = paths::count(n, edges);
    let total = network.variables[n - 1].forward.clone();
    let (rows, columns) = (total.rows, total.columns);
    let most = (LISTED / (n + rows * columns)).max(Limits::default().paths);
    let paths =
        paths::largest(&total, n, edges, limits.paths.min(most), || format!("d {f}/d {x}"))?;
    let mut rest = Jacobian::zeros(rows, columns);
    if (paths.len() as u128) < count {
        rest.add(&total, 1.0);
        paths.iter().for_each(|p| rest.add(&p.product, -1.0));
    }
    let tolerance = 1e3 * network.epsilon * sweep::mass(&network).max(f64::MIN_POSITIVE);
    Ok(Explanation {
        forward: Jacobian::of(&graph.total_forward(of, wrt)?, rows, columns)?,
        backward: Jacobian::of(&graph.total_backward(of, wrt)?, rows, columns)?,
        variables: network.variables,
        edges: network.edges,
        paths,
        count,
        rest,
        total,
        tolerance,
    })
}

impl Explanation {
    /// The largest difference between an entry of df/dx by one sweep and by another: over the network of variables forward and backward,
    /// over the whole graph forward and backward.
    pub fn disagreement(&self) -> f64 {
        let by_network = self.variables.first().map_or(&self.total, |x| &x.backward);
        [by_network, &self.forward, &self.backward]
            .iter()
            .fold(0.0, |most, other| most.max(self.total.distance(other)))
    }

    /// Is the disagreement of the sweeps no more than rounding? If it is more, the push and the pull of a function on the way contradict
    /// each other: [`check`](pullback_core_graph::check) finds it.
    pub fn agrees(&self) -> bool {
        self.disagreement() <= self.tolerance
    }
}
