//! What a picture of a graph shows: nodes with their values, edges with the local partial derivatives.

use candle_core::Tensor;

use super::{Arena, Graph, Kind, Var};
use crate::Result;
use crate::drawing::{Drawing, Line, Role, short};
use crate::tensor::to_f64;

impl Graph {
    /// A drawing of the network that computes `outputs`: each node with its name and value (or shape), each edge between single numbers
    /// with its partial derivative.
    ///
    /// Errors: those of a failed variable, or of a derivative at the drawn point.
    pub fn drawing<'g>(&'g self, outputs: &[Var<'g>]) -> Result<Drawing> {
        let slots = self.parents("drawing", outputs)?;
        let arena = self.arena();
        let nodes = arena.leading_to(&slots);
        let mut drawing = Drawing::default();
        for &node in &nodes {
            let role = match arena.nodes[node].kind {
                Kind::Input => Role::Input,
                Kind::Constant => Role::Constant,
                _ if arena.is_named(node) => Role::Variable,
                _ => Role::Operation,
            };
            let value = Line::quiet(arena.shown(node)?);
            let child = drawing.node(role, [Line::plain(arena.label(node)), value]);
            for (port, &slot) in arena.nodes[node].parents.iter().enumerate() {
                let parent = arena.slots[slot as usize].node as usize;
                if let Ok(parent) = nodes.binary_search(&parent) {
                    drawing.edge(parent, child, arena.edge(node, port)?.map(short), 0.0)?;
                }
            }
        }
        Ok(drawing)
    }

    /// An SVG picture of the network that computes `outputs`, as of [`Graph::drawing`]: parents to the left of their children.
    ///
    /// Errors: those of a failed variable, or of a derivative at the drawn point.
    pub fn to_svg<'g>(&'g self, outputs: &[Var<'g>]) -> Result<String> {
        Ok(self.drawing(outputs)?.to_svg())
    }
}

impl Arena {
    /// The nodes that lead to the slots, in recording order.
    fn leading_to(&self, slots: &[u32]) -> Vec<usize> {
        let last = slots.iter().map(|&s| self.slots[s as usize].node as usize).max().unwrap_or(0);
        let mut wanted = vec![false; last + 1];
        slots.iter().for_each(|&s| wanted[self.slots[s as usize].node as usize] = true);
        for node in (0..=last).rev().filter(|&n| n < self.nodes.len()) {
            if wanted[node] {
                self.nodes[node]
                    .parents
                    .iter()
                    .for_each(|&p| wanted[self.slots[p as usize].node as usize] = true);
            }
        }
        (0..=last).filter(|&n| wanted[n]).collect()
    }

    /// The partial derivative along one edge, between single numbers.
    fn edge(&self, node: usize, port: usize) -> Result<Option<f64>> {
        let at = &self.nodes[node];
        let one = |slot: usize| self.slots[slot].tensor.elem_count() == 1;
        if at.n_outputs != 1 || !one(at.first as usize) || !one(at.parents[port] as usize) {
            return Ok(None);
        }
        let needs: Vec<bool> = (0..at.parents.len()).map(|i| i == port).collect();
        let dy = vec![Some(self.slots[at.first as usize].tensor.ones_like()?)];
        let pulled = match &at.kind {
            Kind::Input | Kind::Constant => None,
            Kind::Primitive(p) => {
                let scratch = &mut Graph::scratch();
                let dx = self.pull_primitive(scratch, &**p, at, dy.into_iter(), &needs)?;
                dx.into_iter().nth(port).flatten()
            }
            Kind::Function(a) => {
                let dx = self.pull_function(a, at, &[dy], &needs)?;
                dx.into_iter().flatten().nth(port).flatten()
            }
        };
        match pulled {
            Some(t) => Ok(to_f64(&t)?.first().copied()),
            None => Ok(Some(0.0)),
        }
    }

    fn is_named(&self, node: usize) -> bool {
        self.nodes[node].outputs().any(|i| self.names.contains_key(&(i as u32)))
    }

    fn shown(&self, node: usize) -> Result<String> {
        let show = |t: &Tensor| -> Result<String> {
            Ok(match t.elem_count() {
                1 => short(to_f64(t)?[0]),
                _ => format!("{:?}", t.dims()),
            })
        };
        let all: Result<Vec<String>> =
            self.nodes[node].outputs().map(|i| show(&self.slots[i].tensor)).collect();
        Ok(all?.join(", "))
    }
}
