//! A picture of a graph: nodes with their values, edges with the local partial derivatives.

use std::fmt::Write;

use candle_core::Tensor;

use super::{Arena, Graph, Kind, Var};
use crate::Result;
use crate::tensor::to_f64;

/// Columns are this far apart, in pixels.
const COLUMN: usize = 190;
/// Rows are this far apart, in pixels.
const ROW: usize = 84;
/// Size of a node, in pixels.
const BOX: (usize, usize) = (130, 44);

impl Graph {
    /// An SVG picture of the network that computes `outputs`: parents to the left of their children, each node with its name and
    /// value (or shape), each edge between single numbers with its partial derivative.
    ///
    /// Errors: those of a failed variable, or of a derivative at the drawn point.
    pub fn to_svg<'g>(&'g self, outputs: &[Var<'g>]) -> Result<String> {
        let slots = self.parents("to_svg", outputs)?;
        let arena = self.arena();
        let nodes = arena.leading_to(&slots);
        let places = arena.places(&nodes);
        let width = places.iter().map(|p| p.0 + 1).max().unwrap_or(1) * COLUMN + 20;
        let height = places.iter().map(|p| p.1 + 1).max().unwrap_or(1) * ROW + 20;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
        );
        for (&node, &(column, row)) in nodes.iter().zip(&places) {
            for (port, &parent) in arena.nodes[node].parents.iter().enumerate() {
                let from = arena.slots[parent as usize].node as usize;
                let Some(at) = nodes.iter().position(|&n| n == from) else { continue };
                let (x1, y1) =
                    (places[at].0 * COLUMN + 10 + BOX.0, places[at].1 * ROW + 10 + BOX.1 / 2);
                let (x2, y2) = (column * COLUMN + 10, row * ROW + 10 + BOX.1 / 2);
                let bend = (x2 - x1) / 2;
                let _ = write!(
                    svg,
                    "<path d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#888\"/>",
                    x1 + bend,
                    x2 - bend
                );
                if let Some(slope) = arena.edge(node, port)? {
                    let (x, y) = (x2 - 8, y1.midpoint(y2) + y2.saturating_sub(y1) / 4);
                    let label = short(slope);
                    let _ = write!(
                        svg,
                        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" fill=\"#b5541c\">{label}</text>"
                    );
                }
            }
        }
        for (&node, &(column, row)) in nodes.iter().zip(&places) {
            let (x, y) = (column * COLUMN + 10, row * ROW + 10);
            let fill = match arena.nodes[node].kind {
                Kind::Input => "#dceefb",
                Kind::Constant => "#eeeeee",
                _ if arena.names.contains_key(&(node as u32)) => "#dff3e3",
                _ => "#fff8e6",
            };
            let (w, h) = BOX;
            let middle = x + w / 2;
            let (name, value) = (escaped(&arena.label(node)), escaped(&arena.shown(node)?));
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\" fill=\"{fill}\" stroke=\"#555\"/>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\
                 <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#333\">{value}</text>",
                y + 18,
                y + 35
            );
        }
        svg.push_str("</svg>\n");
        Ok(svg)
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

    /// (column, row) of each node: the column is the longest path from a leaf.
    fn places(&self, nodes: &[usize]) -> Vec<(usize, usize)> {
        let mut columns: Vec<usize> = Vec::with_capacity(nodes.len());
        for &node in nodes {
            let parents =
                self.nodes[node].parents.iter().map(|&p| self.slots[p as usize].node as usize);
            let after =
                parents.filter_map(|p| nodes.binary_search(&p).ok()).map(|i| columns[i] + 1).max();
            columns.push(after.unwrap_or(0));
        }
        let mut rows = vec![0; columns.iter().max().map_or(0, |m| m + 1)];
        let mut place = |c: usize| {
            rows[c] += 1;
            (c, rows[c] - 1)
        };
        columns.into_iter().map(&mut place).collect()
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

    /// The user's name for a node, else that of its operation.
    fn label(&self, node: usize) -> String {
        let name = self.name(node);
        name.rsplit_once('#').map_or(name.clone(), |(name, _)| name.to_string())
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

/// Four significant digits.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if !(1e-3..1e5).contains(&a) => format!("{x:.3e}"),
        a => {
            let digits = (3 - a.log10().floor() as i32).max(0) as usize;
            let text = format!("{x:.digits$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').into()
            } else {
                text
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
