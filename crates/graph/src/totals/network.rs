//! The network of named variables between two variables of a graph, and the partial derivatives along its edges.

use std::collections::HashMap;

use pullback_core_graph::candle::DType;
use pullback_core_graph::tensor::{is_real, to_f64};
use pullback_core_graph::{Graph, Var};

use super::{Edge, Jacobian, Limits, Variable};
use crate::{Error, Result};

/// Variables in recording order, the first of them x and the last f, and edges ordered by the variable that they enter.
pub(super) struct Network {
    pub(super) variables: Vec<Variable>,
    pub(super) edges: Vec<Edge>,
    /// Machine epsilon of the coarsest element type among the variables.
    pub(super) epsilon: f64,
}

impl Network {
    pub(super) fn between<'g>(
        graph: &'g Graph,
        of: Var<'g>,
        wrt: Var<'g>,
        limits: &Limits,
    ) -> Result<Self> {
        let slots = Slots::between(graph, of.index()?, wrt.index()?)?;
        let members = slots.variables(graph, of.index()?, wrt.index()?)?;
        if members.len() > limits.variables {
            let (got, most) = (members.len(), limits.variables);
            let what = format!("{got} variables between the two, at most {most}: name fewer");
            return Err(Error::invalid(place(graph, of, wrt), what));
        }
        let vars: Vec<Var<'g>> =
            members.iter().map(|&i| graph.var(i)).collect::<std::result::Result<_, _>>()?;
        let parents = slots.parents(graph, &members)?;
        let sizes = vars
            .iter()
            .map(|v| Ok(v.dims()?.iter().fold(1usize, |n, &d| n.saturating_mul(d))))
            .collect::<Result<Vec<usize>>>()?;
        within(&sizes, &parents, limits)
            .map_err(|what| Error::invalid(place(graph, of, wrt), what))?;
        let mut edges = Vec::new();
        for (to, from) in parents.iter().enumerate() {
            let x: Vec<Var<'g>> = from.iter().map(|&u| vars[u]).collect();
            for (&u, partial) in from.iter().zip(graph.partials(vars[to], &x)?) {
                if let Some(partial) = partial {
                    let partial = Jacobian::of(&partial, sizes[to], sizes[u])?;
                    edges.push(Edge { from: u, to, partial });
                }
            }
        }
        let mut epsilon = f64::EPSILON;
        for v in &vars {
            if v.dtype()? != DType::F64 {
                epsilon = f64::from(f32::EPSILON);
            }
        }
        let variables = described(&vars)?;
        Ok(Network { variables, edges, epsilon })
    }
}

/// What is explained, for errors.
pub(super) fn place<'g>(graph: &'g Graph, of: Var<'g>, wrt: Var<'g>) -> String {
    format!("d {}/d {}", graph.node_name(of), graph.node_name(wrt))
}

/// Names, shapes and values. Names that occur twice get the number of their node.
fn described(vars: &[Var<'_>]) -> Result<Vec<Variable>> {
    let name = |v: &Var<'_>| v.name().unwrap_or_else(|| v.graph().node_name(*v));
    let mut uses: HashMap<String, usize> = HashMap::new();
    vars.iter().for_each(|v| *uses.entry(name(v)).or_default() += 1);
    let empty = || Jacobian::zeros(0, 0);
    vars.iter()
        .map(|v| {
            let own = name(v);
            let name = if uses.get(&own) == Some(&1) { own } else { v.graph().node_name(*v) };
            let values = to_f64(&v.value()?)?;
            let norm = values.iter().fold(0.0, |sum: f64, v| sum.hypot(*v));
            let value = if let [one] = *values.as_slice() { Some(one) } else { None };
            Ok(Variable { name, dims: v.dims()?, value, norm, forward: empty(), backward: empty() })
        })
        .collect()
}

/// Are the Jacobians of the edges and of both sweeps small enough to be written out?
fn within(
    sizes: &[usize],
    parents: &[Vec<usize>],
    limits: &Limits,
) -> std::result::Result<(), String> {
    let (first, last) = (sizes.first().copied(), sizes.last().copied());
    let (Some(x), Some(f)) = (first, last) else { return Ok(()) };
    let mut all = 0usize;
    for (&size, from) in sizes.iter().zip(parents) {
        let read = from.iter().fold(0usize, |n, &u| n.saturating_add(sizes[u]));
        let columns = read.saturating_add(x).saturating_add(f);
        all = all.saturating_add(size.saturating_mul(columns));
    }
    if all <= limits.numbers {
        return Ok(());
    }
    Err(format!("Jacobians of {all} numbers, at most {}: pull or push instead", limits.numbers))
}

/// Which variables of a graph lie on a path from x to f.
struct Slots {
    between: Vec<bool>,
}

impl Slots {
    fn between(graph: &Graph, of: usize, wrt: usize) -> Result<Self> {
        let mut between = vec![false; of.max(wrt) + 1];
        between[wrt] = true;
        for i in wrt + 1..=of {
            let parents = graph.inputs_of(graph.var(i)?)?;
            for parent in parents {
                let p = parent.index()?;
                between[i] |= between[p];
            }
        }
        let mut wanted = vec![false; between.len()];
        wanted[of] = true;
        for i in (wrt + 1..=of).rev().filter(|&i| between[i]) {
            if wanted[i] {
                for parent in graph.inputs_of(graph.var(i)?)? {
                    wanted[parent.index()?] = true;
                }
            }
        }
        between.iter_mut().zip(wanted).for_each(|(b, w)| *b &= w);
        Ok(Slots { between })
    }

    /// x, the named variables between, f. Integers pass no derivative on, so they are none of them.
    fn variables(&self, graph: &Graph, of: usize, wrt: usize) -> Result<Vec<usize>> {
        let mut members = vec![wrt];
        for i in (wrt + 1..of).filter(|&i| self.between[i]) {
            let v = graph.var(i)?;
            if v.name().is_some() && is_real(&v.value()?) {
                members.push(i);
            }
        }
        if of != wrt {
            members.push(of);
        }
        Ok(members)
    }

    /// For each of the members, the members that it reads through operations without a name, in order.
    fn parents(&self, graph: &Graph, members: &[usize]) -> Result<Vec<Vec<usize>>> {
        let mut member = vec![usize::MAX; self.between.len()];
        members.iter().enumerate().for_each(|(k, &i)| member[i] = k);
        let mut seen = vec![usize::MAX; self.between.len()];
        let mut all = vec![Vec::new()];
        for (k, &i) in members.iter().enumerate().skip(1) {
            let (mut found, mut open) = (Vec::new(), vec![i]);
            while let Some(at) = open.pop() {
                for parent in graph.inputs_of(graph.var(at)?)? {
                    let p = parent.index()?;
                    if !self.between.get(p).copied().unwrap_or(false) || seen[p] == k {
                        continue;
                    }
                    seen[p] = k;
                    if member[p] == usize::MAX {
                        open.push(p);
                    } else {
                        found.push(member[p]);
                    }
                }
            }
            found.sort_unstable();
            all.push(found);
        }
        Ok(all)
    }
}
